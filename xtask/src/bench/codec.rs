//! `cargo xtask bench codec`: runs the benchmark of the codecs and sums it up in ratios.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What the others are compared with: a published crate that does the same, and a plain copy of the same bytes.
const PEER: &str = "libvirt-xdr";
const COPY: &str = "copy";

/// `cargo xtask bench codec [-- CRITERION ARGUMENTS]`
pub(super) fn main(args: &[String]) -> Result<()> {
    let name = "codec";
    let rest = match args {
        [] => &[][..],
        [dashes, rest @ ..] if dashes == "--" => rest,
        _ => bail!("what is for criterion comes behind `--`, not {args:?}"),
    };

    // In a folder of its own, emptied first, so that no earlier run is read.
    let results = crate::protocol::root().join("target").join("bench").join(name);
    if results.exists() {
        std::fs::remove_dir_all(&results)?;
    }
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["bench", "--locked", "--package", "virtwire-proto", "--bench", name, "--", "--noplot"])
        .args(rest)
        .current_dir(crate::protocol::root())
        .env("CRITERION_HOME", &results)
        .status()
        .context("cargo")?;
    ensure!(status.success(), "cargo bench: {status}");
    print!("\n{}", table(&read(&results)?));
    Ok(())
}

/// Medians in nanoseconds, by group and function.
type Medians = BTreeMap<String, BTreeMap<String, f64>>;

#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: String,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// What criterion has left: for each function a folder `GROUP/FUNCTION/new`.
fn read(results: &Path) -> Result<Medians> {
    let mut medians = Medians::new();
    for group in folders(results)? {
        for function in folders(&group)? {
            let new = function.join("new");
            // Criterion also has a folder of each group's summary.
            if !new.exists() {
                continue;
            }
            let Benchmark { group_id, function_id } = json(&new.join("benchmark.json"))?;
            let estimates: Estimates = json(&new.join("estimates.json"))?;
            medians.entry(group_id).or_default().insert(function_id, estimates.median.point_estimate);
        }
    }
    Ok(medians)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("nothing in {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// A row for each function that is compared.
fn table(medians: &Medians) -> String {
    let mut out = format!(
        "{:<24} {:<20} {:>12} {:>16} {:>8}\n",
        "benchmark",
        "function",
        "median",
        PEER.to_owned() + " / it",
        "it / copy"
    );
    for (group, functions) in medians {
        let ratio = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        for (function, median) in functions.iter().filter(|(name, _)| ![PEER, COPY].contains(&name.as_str()))
        {
            let faster = functions.get(PEER).map(|peer| peer / median);
            let slower = functions.get(COPY).map(|copy| median / copy);
            out += &format!(
                "{group:<24} {function:<20} {:>12} {:>16} {:>8}\n",
                duration(*median),
                ratio(faster),
                ratio(slower)
            );
        }
    }
    out
}

fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.1} ns"),
        ns if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_within_a_group() {
        let functions =
            |list: &[(&str, f64)]| list.iter().map(|(name, ns)| (name.to_string(), *ns)).collect();
        let medians = Medians::from([
            ("a/decode".to_owned(), functions(&[("virtwire", 40.0), (PEER, 200.0), (COPY, 10.0)])),
            ("b/encode".to_owned(), functions(&[("virtwire", 5500.0), (COPY, 5000.0)])),
        ]);
        let table = table(&medians);
        let rows: Vec<Vec<_>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["a/decode", "virtwire", "40.0", "ns", "5.00", "4.00"]);
        assert_eq!(rows[1], ["b/encode", "virtwire", "5.5", "µs", "-", "1.10"]);
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn criterions_files_are_read() {
        let folder = env::temp_dir().join(format!("virtwire-bench-{}", std::process::id()));
        let new = folder.join("a_decode").join("virtwire").join("new");
        std::fs::create_dir_all(&new).unwrap();
        std::fs::create_dir_all(folder.join("a_decode").join("report")).unwrap();
        let benchmark = r#"{"group_id":"a/decode","function_id":"virtwire","value_str":null}"#;
        std::fs::write(new.join("benchmark.json"), benchmark).unwrap();
        let estimates =
            r#"{"mean":{"point_estimate":2.0},"median":{"point_estimate":1.5,"standard_error":0.1}}"#;
        std::fs::write(new.join("estimates.json"), estimates).unwrap();
        let medians = read(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(medians.unwrap()["a/decode"]["virtwire"], 1.5);
        assert!(read(&folder).is_err());
    }
}
