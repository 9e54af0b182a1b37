//! Writes the seeds that follow from the definitions, or are put together in code, into the corpora. To be run when
//! either has changed: `cargo run -p virtwire-fuzz --example seeds`.

use std::path::Path;
use std::{fs, io};
use virtwire_fuzz::seeds;

fn main() -> io::Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, seeds) in [
        ("decoders", seeds::decoders()),
        ("operations", seeds::operations()),
        ("packets", seeds::packets()),
        ("json", seeds::json()),
    ] {
        let folder = corpora.join(target);
        fs::create_dir_all(&folder)?;
        println!("{target}: {} seeds", seeds.len());
        for (name, input) in seeds {
            fs::write(folder.join(name), input)?;
        }
    }
    Ok(())
}
