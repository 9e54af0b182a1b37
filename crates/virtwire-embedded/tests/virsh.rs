//! The hypervisor behind a socket, judged by libvirt's own tools: virsh and Python's module do with it what they do
//! with a libvirtd.

#[path = "real/differences.rs"]
mod differences;
#[path = "common/raw.rs"]
mod raw;
#[path = "real/served.rs"]
mod served;

use differences::{SAME, UNSUPPORTED, alike};
use served::Served;
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use virtwire_embedded::{DomainState, Hypervisor, Node};
use virtwire_testbed::{
    Config, Daemon, Failed, Test, Testbed, Tool, node_xml, run, run_for, run_tests, tests,
};

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut tests = tests![
        virsh_prints_what_it_prints_with_libvirtd,
        what_is_not_simulated_is_not_supported,
        a_domain_s_life_by_one_virsh_is_seen_by_others,
        virsh_shows_events_of_other_processes,
        the_default_node_is_gone_with_its_last_connection,
        a_reader_may_not_write,
        other_drivers_are_refused_as_libvirtd_does,
        too_many_domains_are_an_error_and_not_the_end,
    ];
    tests.extend([
        Test::new("node_files_are_listed_quickly", node_files_are_listed_quickly)
            .limit(Duration::from_secs(300)),
        Test::new("python_gets_the_answers_of_libvirtd", python_gets_the_answers_of_libvirtd)
            .needs(Tool::Python),
        Test::new("python_hears_both_generations_of_events", python_hears_both_generations_of_events)
            .needs(Tool::Python),
    ]);
    run_tests(tests)
}

/// What virsh prints for each command of a list, errors in between, all in one connection.
fn script(testbed: &Testbed, uri: &str, commands: &[String]) -> Result<Vec<String>, Failed> {
    let mut script = String::new();
    for command in commands {
        script.push_str(&format!("echo '####'; {command}; "));
    }
    let mut shell = testbed.root().command("sh");
    // The last command may well be one that is to fail.
    shell.args(["-c", "\"$@\" 2>&1 || :", "sh", "virsh", "-c", uri, &script]);
    let output = run(&mut shell)?;
    let parts: Vec<String> = output.split("####\n").skip(1).map(str::to_owned).collect();
    assert_eq!(parts.len(), commands.len(), "{output}");
    Ok(parts)
}

fn virsh_prints_what_it_prints_with_libvirtd(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let ours = Served::start(Hypervisor::new())?;
    for (name, document) in differences::DOCUMENTS {
        fs::write(ours.folder().join(name), document)?;
    }
    let folder = ours.folder().display().to_string();
    let commands: Vec<String> = SAME.iter().map(|command| command.replace("FOLDER", &folder)).collect();
    let theirs = script(testbed, &daemon.uri(), &commands)?;
    let sockets = [daemon.socket().display().to_string(), ours.socket().display().to_string()];
    let ours = script(testbed, &ours.uri(), &commands)?;
    let mut different = String::new();
    for ((command, theirs), ours) in SAME.iter().zip(theirs).zip(ours) {
        let theirs = alike(&theirs.replace(&sockets[0], "SOCKET"));
        let ours = alike(&ours.replace(&sockets[1], "SOCKET"));
        if ours != theirs {
            different.push_str(&format!("==== {command}\n---- libvirtd\n{theirs}---- ours\n{ours}"));
        }
    }
    assert!(different.is_empty(), "{different}");
    println!("{} commands alike", SAME.len());
    Ok(())
}

fn what_is_not_simulated_is_not_supported(testbed: &Testbed) -> Result<(), Failed> {
    let served = Served::start(Hypervisor::new())?;
    let commands: Vec<String> = UNSUPPORTED.iter().map(|(command, _)| (*command).to_owned()).collect();
    for ((command, function), output) in UNSUPPORTED.iter().zip(script(testbed, &served.uri(), &commands)?) {
        let expected = format!("this function is not supported by the connection driver: {function}\n");
        assert!(output.contains(&expected), "{command}: {output}");
    }
    Ok(())
}

fn a_domain_s_life_by_one_virsh_is_seen_by_others(testbed: &Testbed) -> Result<(), Failed> {
    let node = Arc::new(Node::default());
    let served = Served::start(Hypervisor::with_node(Arc::clone(&node)))?;
    let file = served.folder().join("one.xml");
    fs::write(&file, differences::DOCUMENTS[0].1)?;
    let virsh = |arguments: &[&str]| run(served.virsh(testbed).args(arguments));
    let steps: &[(&[&str], DomainState)] = &[
        (&["define", &file.display().to_string()], DomainState::SHUTOFF),
        (&["start", "one"], DomainState::RUNNING),
        (&["suspend", "one"], DomainState::PAUSED),
        (&["resume", "one"], DomainState::RUNNING),
        (&["reboot", "one"], DomainState::RUNNING),
        (&["shutdown", "one"], DomainState::SHUTOFF),
        (&["start", "one"], DomainState::RUNNING),
        (&["managedsave", "one"], DomainState::SHUTOFF),
        (&["start", "one"], DomainState::RUNNING),
        (&["destroy", "one"], DomainState::SHUTOFF),
    ];
    for (step, expected) in steps {
        virsh(step)?;
        // A second virsh, and the node itself.
        let state = virsh(&["domstate", "one"])?;
        let words = match *expected {
            DomainState::RUNNING => "running",
            DomainState::PAUSED => "paused",
            _ => "shut off",
        };
        assert_eq!(state.trim(), words, "after {step:?}");
        let domain = node.domain_lookup_by_name("one")?;
        assert_eq!(node.domain_state(&domain, 0)?.0, *expected, "after {step:?}");
    }
    virsh(&["undefine", "one"])?;
    assert_eq!(virsh(&["list", "--all", "--name"])?.trim(), "test");
    // And the other way round.
    node.domain_define_xml(differences::DOCUMENTS[0].1, 0)?;
    assert_eq!(virsh(&["list", "--all", "--name"])?.split_whitespace().collect::<Vec<_>>(), ["test", "one"]);
    Ok(())
}

/// One round of a domain's life: what another virsh does, and the event that virsh prints.
const ROUND: [(&str, &str); 8] = [
    ("define FOLDER/one.xml", "event 'lifecycle' for domain 'one': Defined Added"),
    ("start one", "event 'lifecycle' for domain 'one': Started Booted"),
    ("suspend one", "event 'lifecycle' for domain 'one': Suspended Paused"),
    ("resume one", "event 'lifecycle' for domain 'one': Resumed Unpaused"),
    ("desc one text", "event 'metadata-change' for domain 'one': type description, uri <null>"),
    ("shutdown one", "event 'lifecycle' for domain 'one': Stopped Shutdown"),
    ("domrename one two; domrename two one", "event 'lifecycle' for domain 'two': Undefined Renamed"),
    ("undefine one", "event 'lifecycle' for domain 'one': Undefined Removed"),
];

fn virsh_shows_events_of_other_processes(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let ours = Served::start(Hypervisor::new())?;
    fs::write(ours.folder().join("one.xml"), differences::DOCUMENTS[0].1)?;
    let folder = ours.folder().display().to_string();
    let theirs = watched_round(testbed, &daemon.uri(), &folder)?;
    let ours = watched_round(testbed, &ours.uri(), &folder)?;
    assert_eq!(ours, theirs, "libvirtd's are the right ones");
    for (step, event) in ROUND {
        // virsh 9 writes "for domain 'one'", as later ones do.
        assert!(ours.iter().any(|line| line == event), "{step}: {event} is not in {ours:#?}");
    }
    Ok(())
}

/// The events that one virsh prints while others go through [`ROUND`].
fn watched_round(testbed: &Testbed, uri: &str, folder: &str) -> Result<Vec<String>, Failed> {
    let mut virsh = testbed.virsh();
    let mut watcher = virsh
        .args(["-c", uri, "event", "--all", "--loop", "--timeout", "6"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let act = |command: &str| {
        run(testbed.virsh().args(["-c", uri, &command.replace("FOLDER", folder)])).map(|_| ())
    };
    // virsh writes to a pipe only when it ends: that it listens cannot be seen, only waited for.
    std::thread::sleep(Duration::from_secs(2));
    for (step, _) in ROUND {
        act(step)?;
    }
    let deadline = Instant::now() + LIMIT;
    while watcher.try_wait()?.is_none() {
        if Instant::now() > deadline {
            watcher.kill()?;
            return Err("virsh event did not end".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = watcher.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text
        .lines()
        .filter(|line| line.starts_with("event '"))
        .map(|line| line.trim_end().to_owned())
        .collect())
}

fn the_default_node_is_gone_with_its_last_connection(testbed: &Testbed) -> Result<(), Failed> {
    let served = Served::start(Hypervisor::new())?;
    let running = || -> Result<String, Failed> {
        Ok(run(served.virsh(testbed).args(["list", "--name"]))?.trim().to_owned())
    };
    run(served.virsh(testbed).args(["destroy", "test"]))?;
    // The server ends a connection when it sees its end, not before.
    let fresh =
        virtwire_testbed::wait_until(Instant::now() + LIMIT, || running().is_ok_and(|it| it == "test"));
    assert!(fresh);

    let holder = served.holder();
    run(served.virsh(testbed).args(["destroy", "test"]))?;
    assert_eq!(running()?, "");
    assert_eq!(running()?, "");
    drop(holder);
    let fresh =
        virtwire_testbed::wait_until(Instant::now() + LIMIT, || running().is_ok_and(|it| it == "test"));
    assert!(fresh);
    Ok(())
}

fn a_reader_may_not_write(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let ours = Served::start(Hypervisor::new())?;
    let commands: &[&str] = &[
        "list --all",
        "dumpxml test",
        "dumpxml test --security-info",
        "dumpxml test --migratable",
        "domstate test",
        "suspend test",
        "resume test",
        "destroy test",
        "shutdown test",
        "undefine test",
        "start test",
        "autostart test",
        "setmem test 1G",
        "setvcpus test 1",
        "desc test x",
        "managedsave test",
        "domrename test other",
        "list --all",
    ];
    for command in commands {
        let said = |uri: &str| -> Result<String, Failed> {
            let output = run_for(testbed.virsh().args(["-r", "-c", uri, command]), LIMIT)?;
            Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        };
        let (theirs, ours) = (said(&Daemon::uri_at(&daemon.socket_ro()))?, said(&ours.uri_read_only())?);
        assert_eq!(ours, theirs, "{command}");
    }
    Ok(())
}

fn other_drivers_are_refused_as_libvirtd_does(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let ours = Served::start(Hypervisor::new())?;
    for start in
        ["qemu+unix:///system", "foo+unix:///x", "remote+unix:///", "qemu+unix://", "storage+unix:///system"]
    {
        let said = |socket: &std::path::Path| -> Result<String, Failed> {
            let uri = format!("{start}?socket={}", socket.display());
            let output = run_for(testbed.virsh().args(["-c", &uri, "list"]), LIMIT)?;
            assert!(!output.status.success());
            Ok(String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (theirs, ours) = (said(&daemon.socket())?, said(&ours.socket())?);
        assert!(theirs.contains("no connection driver available for"), "{theirs}");
        assert_eq!(ours, theirs, "{start}");
    }
    // The paths that are none.
    for path in ["/", "/nonexistent.xml", "/default/"] {
        let uri = format!("test+unix://{path}?socket={}", ours.socket().display());
        let output = run_for(testbed.virsh().args(["-c", &uri, "list"]), LIMIT)?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let expected =
            if path == "/" { "invalid argument: " } else { "XML error: failed to parse xml document " };
        assert!(error.contains(expected), "{path}: {error}");
    }
    Ok(())
}

fn too_many_domains_are_an_error_and_not_the_end(testbed: &Testbed) -> Result<(), Failed> {
    let served = Served::start(Hypervisor::new())?;
    let file = served.folder().join("node.xml");
    fs::write(&file, node_xml(16_385))?;
    let commands = ["list --name", "domid vm-16385", "dominfo vm-00001"].map(str::to_owned);
    let said = script(testbed, &served.uri_of(&file), &commands)?;
    assert!(said[0].contains("Too many domains '16385' for limit '16384'"), "{}", said[0]);
    assert_eq!(said[1].trim(), "16385");
    assert!(said[2].contains("Name:           vm-00001"), "{}", said[2]);

    fs::write(&file, node_xml(16_384))?;
    let list = run(testbed.virsh().args(["-c", &served.uri_of(&file), "list", "--name"]))?;
    assert_eq!(list.split_whitespace().count(), 16_384);
    Ok(())
}

fn node_files_are_listed_quickly(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let ours = Served::start(Hypervisor::new())?;
    for count in [1_000, 10_000] {
        // Where both see it.
        let file = ours.folder().join(format!("{count}.xml"));
        fs::write(&file, node_xml(count))?;
        let list = |uri: String| -> Result<(Vec<String>, Duration), Failed> {
            let started = Instant::now();
            let output = run(testbed.virsh().args(["-c", &uri, "list", "--all", "--name"]))?;
            let took = started.elapsed();
            let mut names: Vec<String> = output.split_whitespace().map(str::to_owned).collect();
            names.sort();
            Ok((names, took))
        };
        let theirs = format!("test+unix://{}?socket={}", file.display(), daemon.socket().display());
        let (theirs, their_time) = list(theirs)?;
        let (ours, our_time) = list(ours.uri_of(&file))?;
        assert_eq!(ours.len(), count as usize);
        assert_eq!(ours, theirs);
        println!("{count} domains: {our_time:?}, libvirtd {their_time:?}");
        assert!(our_time < their_time * 3 + Duration::from_secs(1), "{our_time:?}, libvirtd {their_time:?}");
    }
    Ok(())
}

/// Runs one of the scripts in `tests/real` with Python; what it prints.
fn python(testbed: &Testbed, source: &str, arguments: &[&str]) -> Command {
    let mut command = testbed.python3();
    command.args(["-c", source]).args(arguments);
    command
}

fn python_gets_the_answers_of_libvirtd(testbed: &Testbed) -> Result<(), Failed> {
    const SOURCE: &str = include_str!("real/answers.py");
    let daemon = Daemon::start(testbed, Config::new())?;
    let ours = Served::start(Hypervisor::new())?;
    let theirs = run(&mut python(testbed, SOURCE, &[&daemon.uri()]))?;
    let ours = run(&mut python(testbed, SOURCE, &[&ours.uri()]))?;
    let different: Vec<_> =
        ours.lines().zip(theirs.lines()).filter(|(ours, theirs)| ours != theirs).collect();
    assert!(different.is_empty(), "ours and libvirtd's: {different:#?}");
    assert_eq!(ours.lines().count(), theirs.lines().count());
    assert!(ours.lines().count() > 100, "{ours}");
    Ok(())
}

fn python_hears_both_generations_of_events(testbed: &Testbed) -> Result<(), Failed> {
    const SOURCE: &str = include_str!("real/events.py");
    let daemon = Daemon::start(testbed, Config::new())?;
    let ours = Served::start(Hypervisor::new())?;
    let theirs = run(&mut python(testbed, SOURCE, &[&daemon.uri()]))?;
    let ours = run(&mut python(testbed, SOURCE, &[&ours.uri()]))?;
    assert_eq!(ours, theirs);
    assert!(ours.lines().count() > 20, "{ours}");
    Ok(())
}
