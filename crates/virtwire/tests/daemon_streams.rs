//! Streams of a real libvirtd: sparse copies beside virsh's, and objects on a connection of their own.
#![cfg(unix)]

use rustix::fs::{SeekFrom, seek};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use virtwire::flags::{
    StoragePoolCreateFlags, StorageVolCreateFlags, StorageVolDownloadFlags, StorageVolUploadFlags,
};
use virtwire::{Connection, StoragePool, StorageVol};
use virtwire_testbed::{Config, Daemon, Drivers, Failed, Testbed, Version, tests};

const MIB: u64 = 1 << 20;

fn main() -> ExitCode {
    virtwire_testbed::run_tests(tests![
        sparse_copies_are_the_same_as_virsh_s,
        a_plain_copy_has_the_same_bytes,
        a_copy_that_is_given_up_leaves_the_connection,
        a_hole_where_none_is_expected_ends_the_connection,
        an_object_goes_by_another_connection,
    ])
}

/// Runs an asynchronous test in a runtime of its own.
fn run(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        match tokio::time::timeout(Duration::from_secs(100), test).await {
            Ok(result) => result,
            Err(_) => Err("hangs".into()),
        }
    })
}

/// A daemon with a pool of files.
struct Storage {
    daemon: Daemon,
    uri: String,
    pool: PathBuf,
}

impl Storage {
    fn start(testbed: &Testbed) -> Result<Self, Failed> {
        let daemon = Daemon::start(testbed, Config::new().drivers(Drivers::Storage))?;
        let uri = format!("storage+unix:///system?socket={}", daemon.socket().display());
        let pool = daemon.folder().join("pool");
        Ok(Self { daemon, uri, pool })
    }

    async fn pool(&self, connection: &Connection) -> Result<StoragePool, Failed> {
        let path = self.pool.display();
        let xml = format!("<pool type='dir'><name>pool</name><target><path>{path}</path></target></pool>");
        Ok(connection.storage_pool_create_xml(xml, StoragePoolCreateFlags::WITH_BUILD).await?)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.daemon.folder().join(name)
    }

    /// Copies with virsh between a volume and a file.
    fn virsh(&self, testbed: &Testbed, words: &[&str], file: &Path) -> Result<(), Failed> {
        let mut command = testbed.virsh();
        let [verb, volume, rest @ ..] = words else { return Err("a verb and a volume".into()) };
        command.args(["-c", &self.uri, verb, "--pool", "pool", "--vol", volume, "--file"]).arg(file);
        virtwire_testbed::run(command.args(rest))?;
        Ok(())
    }
}

async fn volume(pool: &StoragePool, name: &str, capacity: u64) -> Result<StorageVol, Failed> {
    let xml = format!(
        "<volume><name>{name}</name><capacity>{capacity}</capacity><allocation>0</allocation></volume>"
    );
    Ok(pool.vol_create_xml(xml, StorageVolCreateFlags::empty()).await?)
}

/// Where data begins and ends in a file, and how long it is.
fn extents(file: &File) -> Result<(Vec<(u64, u64)>, u64), Failed> {
    let mut extents = Vec::new();
    let mut at = 0;
    while let Ok(from) = seek(file, SeekFrom::Data(at)) {
        at = seek(file, SeekFrom::Hole(from))?;
        extents.push((from, at));
    }
    seek(file, SeekFrom::Start(0))?;
    Ok((extents, file.metadata()?.len()))
}

/// Whether two files have the same bytes and the same holes.
fn same(one: &Path, other: &Path) -> Result<(), Failed> {
    let files = (File::open(one)?, File::open(other)?);
    let found = (extents(&files.0)?, extents(&files.1)?);
    if found.0 != found.1 {
        return Err(format!("{} and {}: {found:?}", one.display(), other.display()).into());
    }
    for (from, to) in found.0.0 {
        let length = usize::try_from(to - from)?;
        let mut bytes = (vec![0; length], vec![0; length]);
        files.0.read_exact_at(&mut bytes.0, from)?;
        files.1.read_exact_at(&mut bytes.1, from)?;
        if bytes.0 != bytes.1 {
            return Err(format!("{} and {} differ", one.display(), other.display()).into());
        }
    }
    Ok(())
}

/// A file's name, where it has data, by begin and length, and how long it is.
type Shape = (&'static str, Vec<(u64, u64)>, u64);

/// Files of each shape: holes in front, inside, at the end, everywhere, nowhere; ends on no block's border.
fn shapes() -> Vec<Shape> {
    vec![
        ("inside", vec![(0, MIB), (7 * MIB, MIB)], 8 * MIB),
        ("both-ends", vec![(3 * MIB, 2 * MIB + 11)], 9 * MIB + 5),
        ("solid", vec![(0, 5 * MIB + 3)], 5 * MIB + 3),
        ("hole", vec![], 64 * MIB),
        ("comb", (0..40).map(|tooth| (tooth * 256 * 1024, 64 * 1024)).collect(), 10 * MIB),
        ("small", vec![(0, 5)], 5),
        ("large", vec![(1 << 30, MIB)], 3 << 30),
    ]
}

fn make(path: &Path, solid: &[(u64, u64)], length: u64) -> Result<(), Failed> {
    let file = File::create(path)?;
    for &(from, count) in solid {
        let bytes: Vec<u8> = (from..from + count).map(|at| (at % 251) as u8 + 1).collect();
        file.write_all_at(&bytes, from)?;
    }
    Ok(file.set_len(length)?)
}

fn sparse_copies_are_the_same_as_virsh_s(testbed: &Testbed) -> Result<(), Failed> {
    let storage = Storage::start(testbed)?;
    run(async {
        let connection = Connection::open(&storage.uri).await?;
        let pool = storage.pool(&connection).await?;
        for (name, solid, length) in shapes() {
            let source = storage.path(name);
            make(&source, &solid, length)?;

            // Up: by us, by virsh.
            let (ours, theirs) = (format!("{name}-ours"), format!("{name}-theirs"));
            let ours_volume = volume(&pool, &ours, length).await?;
            volume(&pool, &theirs, length).await?;
            let file = File::open(&source)?;
            let stream = ours_volume.upload(0, 0, StorageVolUploadFlags::SPARSE_STREAM).await?;
            let up = stream.send_sparse_file(&file).await?;
            storage.virsh(testbed, &["vol-upload", &theirs, "--sparse"], &source)?;
            same(&storage.pool.join(&ours), &storage.pool.join(&theirs))?;
            same(&storage.pool.join(&ours), &source)?;
            assert_eq!(up.total(), length, "{name}");

            // Down: by us, by virsh; into an empty file, and over one that is full.
            let (ours, theirs) = (storage.path(&ours), storage.path(&theirs));
            let stream = ours_volume.download(0, 0, StorageVolDownloadFlags::SPARSE_STREAM).await?;
            let down = stream.receive_to_file(File::create(&ours)?).await?;
            storage.virsh(testbed, &["vol-download", &format!("{name}-theirs"), "--sparse"], &theirs)?;
            same(&ours, &theirs)?;
            same(&ours, &source)?;
            assert_eq!(down, up, "{name}");
            if length < 100 * MIB {
                make(&ours, &[(0, length)], length)?;
                let file = OpenOptions::new().write(true).open(&ours)?;
                let stream = ours_volume.download(0, 0, StorageVolDownloadFlags::SPARSE_STREAM).await?;
                stream.receive_to_file(&file).await?;
                same(&ours, &source)?;
            }
        }
        Ok(())
    })
}

fn a_plain_copy_has_the_same_bytes(testbed: &Testbed) -> Result<(), Failed> {
    let storage = Storage::start(testbed)?;
    run(async {
        let connection = Connection::open(&storage.uri).await?;
        let pool = storage.pool(&connection).await?;
        let source = storage.path("source");
        make(&source, &[(0, MIB), (7 * MIB, MIB + 3)], 8 * MIB + 3)?;
        let volume = volume(&pool, "v", 8 * MIB + 3).await?;
        let stream = volume.upload(0, 0, StorageVolUploadFlags::empty()).await?;
        let up = stream.send_file(File::open(&source)?).await?;
        assert_eq!((up.data, up.holes), (8 * MIB + 3, 0));
        let copy = storage.path("copy");
        let stream = volume.download(0, 0, StorageVolDownloadFlags::empty()).await?;
        assert_eq!(stream.receive_to_file(File::create(&copy)?).await?, up);
        assert!(std::fs::read(&copy)? == std::fs::read(&source)?);

        // A part, from and to the middle.
        let stream = volume.download(MIB - 10, 20, StorageVolDownloadFlags::empty()).await?;
        let part = stream.receive_to_file(File::create(&copy)?).await?;
        assert_eq!(part.data, 20);
        assert!(std::fs::read(&copy)? == std::fs::read(&source)?[MIB as usize - 10..][..20]);
        Ok(())
    })
}

fn a_copy_that_is_given_up_leaves_the_connection(testbed: &Testbed) -> Result<(), Failed> {
    let storage = Storage::start(testbed)?;
    run(async {
        let connection = Connection::open(&storage.uri).await?;
        let pool = storage.pool(&connection).await?;
        let volume = volume(&pool, "v", 8 * MIB).await?;
        let source = storage.path("source");
        make(&source, &[(0, 8 * MIB)], 8 * MIB)?;
        // Given up in the middle, in both directions.
        for _ in 0..5 {
            let stream = volume.upload(0, 0, StorageVolUploadFlags::empty()).await?;
            let copy = stream.send_file(File::open(&source)?).into_future();
            tokio::time::timeout(Duration::from_millis(2), copy).await.ok();
            let stream = volume.download(0, 0, StorageVolDownloadFlags::SPARSE_STREAM).await?;
            let copy = stream.receive_to_file(File::create(storage.path("copy"))?).into_future();
            tokio::time::timeout(Duration::from_millis(2), copy).await.ok();
            connection.lib_version().await?;
        }
        Ok(())
    })
}

/// Holes go only by a stream that was opened for them: libvirtd hangs up on who sends others.
fn a_hole_where_none_is_expected_ends_the_connection(testbed: &Testbed) -> Result<(), Failed> {
    // libvirtd 11.3.0 answers nobody any more after one.
    if testbed.version() == Version(11, 3, 0) {
        return Ok(());
    }
    let storage = Storage::start(testbed)?;
    run(async {
        let connection = Connection::open(&storage.uri).await?;
        let pool = storage.pool(&connection).await?;
        let volume = volume(&pool, "v", 8 * MIB).await?;
        let source = storage.path("source");
        make(&source, &[(7 * MIB, MIB)], 8 * MIB)?;
        let stream = volume.upload(0, 0, StorageVolUploadFlags::empty()).await?;
        let error = stream.send_sparse_file(File::open(&source)?).await.unwrap_err();
        assert!(error.is_closed(), "{error:?}");
        assert!(error.to_string().starts_with("the copy stopped at offset "), "{error}");
        assert!(Connection::open(&storage.uri).await?.lib_version().await.is_ok());
        Ok(())
    })
}

fn an_object_goes_by_another_connection(testbed: &Testbed) -> Result<(), Failed> {
    let storage = Storage::start(testbed)?;
    run(async {
        let connection = Connection::open(&storage.uri).await?;
        let pool = storage.pool(&connection).await?;
        let volume = volume(&pool, "v", 8 * MIB).await?;
        let bulk = Connection::open(&storage.uri).await?;
        let stream = volume.on(&bulk).download(0, 0, StorageVolDownloadFlags::SPARSE_STREAM).await?;
        // The first is free, and may even go.
        connection.close().await?;
        let copied = stream.receive_to_file(File::create(storage.path("copy"))?).await?;
        assert_eq!(copied.holes, 8 * MIB);
        assert_eq!(volume.on(&bulk), volume);
        assert!(volume.xml_desc().await.unwrap_err().is_closed());
        assert!(volume.on(&bulk).xml_desc().await.is_ok() && pool.on(&bulk).is_active().await?);
        Ok(())
    })
}
