//! The testbed judged by itself: what it starts is a real libvirtd, is private, and is gone afterwards.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use virtwire_testbed::{
    Config, Daemon, Drivers, Failed, Recorder, Signal, Test, Testbed, Tool, node_xml, pids_naming, run,
    run_for, run_tests, tests, tiny_guest_xml, wait_until,
};

/// Set for a copy of this program that starts a daemon and waits to be killed.
const VICTIM: &str = "VIRTWIRE_TESTBED_VICTIM";

const LIMIT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    if env::var_os(VICTIM).is_some() {
        return victim();
    }
    let mut tests = tests![
        virsh_lists_the_default_domain,
        every_socket_answers,
        tcp_is_on_a_port_of_its_own,
        a_node_file_is_read,
        storage_drivers_are_loaded_when_asked_for,
        daemons_run_side_by_side,
        a_recorder_keeps_both_directions,
        sigterm_ends_it,
        a_daemon_that_cannot_start_shows_why,
        settings_and_environment_reach_the_daemon,
        dropping_it_leaves_nothing,
        a_killed_test_leaves_nothing,
        every_client_is_of_the_daemons_version,
    ];
    tests.extend([
        Test::new("python_lists_the_default_domain", python_lists_the_default_domain).needs(Tool::Python),
        Test::new("tshark_knows_libvirt", tshark_knows_libvirt).needs(Tool::Tshark),
        Test::new("guests_end_with_their_daemon", guests_end_with_their_daemon).needs(Tool::Qemu),
        Test::new("networks_are_the_daemon_s_own", networks_are_the_daemon_s_own).needs(Tool::Qemu),
    ]);
    run_tests(tests)
}

fn virsh_lists_the_default_domain(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    assert_eq!(names(&run(daemon.virsh().args(["list", "--name"]))?), ["test"]);
    Ok(())
}

fn every_socket_answers(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    for path in [daemon.socket(), daemon.socket_ro(), daemon.admin_socket()] {
        // The longest path that a socket's address holds, with its closing zero.
        assert!(path.as_os_str().len() < 108, "{}", path.display());
    }
    let mut read_only = testbed.virsh();
    read_only.args(["-r", "-c", &Daemon::uri_at(&daemon.socket_ro()), "destroy", "test"]);
    let refused = run(&mut read_only).unwrap_err().to_string();
    assert!(refused.contains("read only access"), "{refused}");
    let servers = run(daemon.virt_admin().arg("srv-list"))?;
    assert!(servers.contains("libvirtd") && servers.contains("admin"), "{servers}");
    Ok(())
}

fn tcp_is_on_a_port_of_its_own(testbed: &Testbed) -> Result<(), Failed> {
    let quiet = Daemon::start(testbed, Config::new())?;
    assert_eq!(quiet.tcp_port(), None);
    let one = Daemon::start(testbed, Config::new().listen_tcp())?;
    let other = Daemon::start(testbed, Config::new().listen_tcp())?;
    let (Some(port), Some(others)) = (one.tcp_port(), other.tcp_port()) else {
        return Err("no port".into());
    };
    assert_ne!(port, others);
    TcpStream::connect((Ipv4Addr::LOCALHOST, others))?;
    let mut virsh = testbed.virsh();
    virsh.args(["-c", &format!("test+tcp://127.0.0.1:{port}/default"), "list", "--name"]);
    assert_eq!(names(&run(&mut virsh)?), ["test"]);
    Ok(())
}

fn a_node_file_is_read(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let file = daemon.folder().join("node.xml");
    fs::write(&file, node_xml(100))?;
    let uri = format!("test+unix://{}?socket={}", file.display(), daemon.socket().display());
    let list = run(testbed.virsh().args(["-c", &uri, "list", "--name"]))?;
    let names = names(&list);
    assert_eq!((names.len(), names.iter().max()), (100, Some(&"vm-00100")));
    Ok(())
}

fn storage_drivers_are_loaded_when_asked_for(testbed: &Testbed) -> Result<(), Failed> {
    let pools = |daemon: &Daemon| {
        let uri = format!("storage+unix:///system?socket={}", daemon.socket().display());
        run(testbed.virsh().args(["-c", &uri, "pool-list", "--all"]))
    };
    pools(&Daemon::start(testbed, Config::new().drivers(Drivers::Storage))?)?;
    let without = pools(&Daemon::start(testbed, Config::new())?).unwrap_err().to_string();
    assert!(without.contains("no connection driver available"), "{without}");
    Ok(())
}

fn daemons_run_side_by_side(testbed: &Testbed) -> Result<(), Failed> {
    let one = Daemon::start(testbed, Config::new())?;
    let other = Daemon::start(testbed, Config::new())?;
    // The default node lives while a connection is open: a second one in the same virsh sees the change.
    let list = run(one.virsh().arg("destroy test; list --all --name --state-shutoff"))?;
    assert!(list.contains("destroyed") && names(&list).contains(&"test"), "{list}");
    assert_eq!(names(&run(other.virsh().args(["list", "--name"]))?), ["test"]);
    drop(one);
    assert_eq!(names(&run(other.virsh().args(["list", "--name"]))?), ["test"]);
    Ok(())
}

fn a_recorder_keeps_both_directions(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let recorder = Recorder::start(daemon.socket())?;
    let mut virsh = testbed.virsh();
    virsh.args(["-c", &Daemon::uri_at(recorder.socket()), "list", "--name"]);
    assert_eq!(names(&run(&mut virsh)?), ["test"]);
    let recordings = recorder.finish(LIMIT)?;
    assert_eq!(recordings.len(), 1);
    let (calls, replies) = (packets(&recordings[0].to_server)?, packets(&recordings[0].to_client)?);
    // Every client begins with AUTH_LIST and ends with CONNECT_CLOSE, and each call has its reply.
    assert_eq!((calls.first(), calls.last()), (Some(&66), Some(&2)));
    assert!(calls.iter().all(|procedure| replies.contains(procedure)), "{calls:?}, {replies:?}");
    Ok(())
}

fn sigterm_ends_it(testbed: &Testbed) -> Result<(), Failed> {
    let mut daemon = Daemon::start(testbed, Config::new())?;
    daemon.kill(Signal::TERM)?;
    let status = daemon.wait(LIMIT)?;
    assert!(status.success(), "{status}");
    assert!(daemon.has_ended() && daemon.kill(Signal::TERM).is_err());
    Ok(())
}

fn a_daemon_that_cannot_start_shows_why(testbed: &Testbed) -> Result<(), Failed> {
    let error = Daemon::start(testbed, Config::new().set("max_clients", "many")).unwrap_err().to_string();
    assert!(error.contains("ended at once") && error.contains("max_clients"), "{error}");
    Ok(())
}

fn settings_and_environment_reach_the_daemon(testbed: &Testbed) -> Result<(), Failed> {
    let daemon =
        Daemon::start(testbed, Config::new().set("max_clients", 77).env("VIRTWIRE_TESTBED_MARK", "seen"))?;
    let info = run(daemon.virt_admin().args(["srv-clients-info", "libvirtd"]))?;
    assert!(info.lines().any(|line| line.starts_with("nclients_max ") && line.ends_with(" 77")), "{info}");
    let environment = fs::read(format!("/proc/{}/environ", daemon.pid()))?;
    assert!(environment.split(|byte| *byte == 0).any(|entry| entry == b"VIRTWIRE_TESTBED_MARK=seen"));
    Ok(())
}

fn dropping_it_leaves_nothing(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let folder = daemon.folder().to_owned();
    assert!(pids_naming(&folder).contains(&daemon.pid()));
    drop(daemon);
    assert_eq!(pids_naming(&folder), []);
    assert!(!folder.exists());
    // Nor a mount in this test's own namespace.
    assert!(!fs::read_to_string("/proc/self/mountinfo")?.contains(path_text(&folder)?));
    Ok(())
}

fn a_killed_test_leaves_nothing(_: &Testbed) -> Result<(), Failed> {
    let mut command = Command::new(env::current_exe()?);
    let mut victim = command.env(VICTIM, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(victim.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let folder = PathBuf::from(line.trim_end());
    assert!(!pids_naming(&folder).is_empty(), "no daemon in {line:?}");
    victim.kill()?;
    victim.wait()?;
    let gone = wait_until(Instant::now() + LIMIT, || pids_naming(&folder).is_empty() && !folder.exists());
    assert!(gone, "{:?} still run in {}", pids_naming(&folder), folder.display());
    Ok(())
}

fn every_client_is_of_the_daemons_version(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let version = run(daemon.virsh().args(["version", "--daemon"]))?;
    let expected = format!("Running against daemon: {}", testbed.version());
    assert!(version.contains(&expected), "{version}");
    assert_eq!(run(testbed.virt_admin().arg("--version"))?.trim(), testbed.version().to_string());
    Ok(())
}

fn python_lists_the_default_domain(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let script =
        "import libvirt, sys\nprint(*[d.name() for d in libvirt.open(sys.argv[1]).listAllDomains()])";
    assert_eq!(run(testbed.python3().args(["-c", script, &daemon.uri()]))?, "test\n");
    Ok(())
}

fn tshark_knows_libvirt(testbed: &Testbed) -> Result<(), Failed> {
    let output = run_for(testbed.tshark().args(["-G", "fields"]), LIMIT)?;
    let fields = String::from_utf8_lossy(&output.stdout);
    assert!(fields.contains("libvirt.procedure"), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn guests_end_with_their_daemon(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().drivers(Drivers::All))?;
    let file = daemon.folder().join("guest.xml");
    fs::write(&file, tiny_guest_xml("tiny"))?;
    let uri = format!("qemu+unix:///system?socket={}", daemon.socket().display());
    run(testbed.virsh().args(["-c", &uri, "create", path_text(&file)?]))?;
    assert_eq!(names(&run(testbed.virsh().args(["-c", &uri, "list", "--name"]))?), ["tiny"]);
    let guests = daemon.descendants();
    assert!(!guests.is_empty());
    drop(daemon);
    for guest in guests {
        // One that has ended but that nobody has waited for yet has no program any more.
        assert!(fs::read_link(format!("/proc/{guest}/exe")).is_err(), "{guest} is left");
    }
    Ok(())
}

fn networks_are_the_daemon_s_own(testbed: &Testbed) -> Result<(), Failed> {
    let one = Daemon::start(testbed, Config::new().drivers(Drivers::All))?;
    let other = Daemon::start(testbed, Config::new().drivers(Drivers::All))?;
    let beside = Daemon::start(testbed, Config::new().drivers(Drivers::All).network_of(&one)?)?;
    let bridge = "<network><name>own</name><bridge name='vwbridge0'/><dns enable='no'/></network>";
    let file = one.folder().join("network.xml");
    fs::write(&file, bridge)?;
    let uri = format!("network+unix:///system?socket={}", one.socket().display());
    run(testbed.virsh().args(["-c", &uri, "net-create", path_text(&file)?]))?;

    let sees = |process: &str| -> Result<(bool, bool), Failed> {
        let devices = fs::read_to_string(format!("/proc/{process}/net/dev"))?;
        Ok((devices.contains("vwbridge0:"), devices.contains("lo:")))
    };
    assert_eq!(sees("self")?, (false, true));
    assert_eq!(sees(&other.pid().to_string())?, (false, true));
    assert_eq!(sees(&one.pid().to_string())?, (true, true));
    assert_eq!(sees(&beside.pid().to_string())?, (true, true));
    // Also in the folder of devices, by which libvirt's drivers go.
    let devices = |daemon: &Daemon| {
        let uri = format!("interface+unix:///system?socket={}", daemon.socket().display());
        run(testbed.virsh().args(["-c", &uri, "iface-list", "--all"]))
    };
    assert!(devices(&beside)?.contains("vwbridge0"));
    assert!(!devices(&other)?.contains("vwbridge0"));
    // Whoever shares it keeps it.
    drop(one);
    assert_eq!(sees(&beside.pid().to_string())?, (true, true));
    Ok(())
}

/// Starts a daemon, says where, and waits for the end that its parent has in store.
fn victim() -> ExitCode {
    let testbed = Testbed::from_env().expect("a testbed").expect("a libvirt");
    let daemon = Daemon::start(&testbed, Config::new()).expect("a daemon");
    println!("{}", daemon.folder().display());
    std::io::stdout().flush().expect("output");
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
    ExitCode::SUCCESS
}

/// The names that `virsh list --name` prints.
fn names(list: &str) -> Vec<&str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// The procedure of each packet; an error where the packets do not fill the bytes exactly.
fn packets(mut bytes: &[u8]) -> Result<Vec<u32>, Failed> {
    let word = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4).map(|word| word.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
    };
    let mut procedures = Vec::new();
    while !bytes.is_empty() {
        let length = word(bytes, 0).ok_or("half a length word")? as usize;
        procedures.push(word(bytes, 12).ok_or("half a header")?);
        bytes = bytes.get(length..).ok_or("half a packet")?;
    }
    Ok(procedures)
}

fn path_text(path: &Path) -> Result<&str, Failed> {
    path.to_str().ok_or_else(|| "a path that is not UTF-8".into())
}
