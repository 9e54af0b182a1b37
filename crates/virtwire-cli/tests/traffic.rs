//! `decode` and `encode` on what libvirt's own programs and daemons say to each other, with libvirt's dissector as
//! the judge.

mod command;

use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use virtwire_cli::json::hex::from_hex;
use virtwire_testbed::{
    Config, Daemon, Drivers, Failed, Recorder, Recording, Test, Testbed, Tool, run, run_for, run_tests,
    tests, wait_until,
};

const LIMIT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let mut tests = tests![
        the_test_drivers_traffic_survives,
        streams_and_holes_survive,
        descriptors_survive,
        the_admin_programs_traffic_survives,
    ];
    tests.push(Test::new("the_dissector_agrees", the_dissector_agrees).needs(Tool::Tshark));
    run_tests(tests)
}

/// What was seen, by (type, status) and procedure.
#[derive(Default)]
struct Seen {
    kinds: BTreeMap<(String, String), usize>,
    procedures: BTreeSet<String>,
}

impl Seen {
    fn count(&self, packet_type: &str, status: &str) -> usize {
        self.kinds.get(&(packet_type.into(), status.into())).copied().unwrap_or_default()
    }
}

/// Decodes and encodes both directions of each connection: the same bytes, nothing broken, nothing untold.
fn judge(recordings: &[Recording]) -> Seen {
    let mut seen = Seen::default();
    for recording in recordings {
        for (name, bytes) in [("server", &recording.to_server), ("client", &recording.to_client)] {
            for object in command::decoded(bytes) {
                let told = object.get("error").is_none() && object.get("raw").is_none();
                assert!(told && object["procedure"].is_string(), "to the {name}: {object}");
                let word = |key: &str| object[key].as_str().expect("it has a name").to_owned();
                *seen.kinds.entry((word("type"), word("status"))).or_default() += 1;
                seen.procedures.insert(format!("{}.{}", word("program"), word("procedure")));
            }
        }
    }
    println!("{} connections: {:?}, {} procedures", recordings.len(), seen.kinds, seen.procedures.len());
    seen
}

fn the_test_drivers_traffic_survives(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let recorder = Recorder::start(daemon.socket())?;
    let folder = daemon.folder();
    let domain = folder.join("domain.xml");
    fs::write(
        &domain,
        "<domain type='test'><name>umläut</name><memory>8192</memory><os><type>hvm</type></os></domain>",
    )?;
    let screen = folder.join("screen");
    let virsh = |arguments: &[&str]| {
        let mut command = testbed.virsh();
        command.args(["-c", &Daemon::uri_at(recorder.socket())]).args(arguments);
        command
    };
    for script in [
        "list --all; dominfo test; dumpxml test; domstats; domblklist test; domiflist test; vcpuinfo test".to_owned(),
        "nodeinfo; nodecpustats; nodememstats; capabilities; domcapabilities; uri; hostname; version; freecell --all"
            .into(),
        format!("define {0}; start umläut; suspend umläut; resume umläut; destroy umläut; undefine umläut", domain.display()),
        "schedinfo test; memtune test; blkiotune test; numatune test; vcpucount test; setvcpus test 1".into(),
        "net-list --all; net-dumpxml default; net-dhcp-leases default; pool-list --all; vol-list default-pool".into(),
        "nodedev-list; iface-list --all; snapshot-create-as test one; snapshot-list test; snapshot-dumpxml test one"
            .into(),
        "desc test new words; metadata test http://virtwire.example/x; domfsinfo test; domtime test".into(),
        format!("screenshot test --file {}", screen.display()),
    ] {
        run(&mut virsh(&[&script]))?;
    }
    assert!(fs::metadata(&screen)?.len() > 0);
    for refused in ["dominfo nobody", "secret-list", "vol-info nothing"] {
        assert!(run(&mut virsh(&[refused])).is_err(), "{refused}");
    }

    // One connection waits for events, another one makes them.
    let mut waiting = virsh(&["event", "--all", "--loop", "--timeout", "2"]);
    let waiting = waiting.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let deadline = Instant::now() + LIMIT;
    let registered = wait_until(deadline, || {
        recorder.recordings().last().is_some_and(|last| {
            let objects = command::decoded(&last.to_server);
            objects.iter().any(|o| o["procedure"] == "connect_domain_event_callback_register_any")
        })
    });
    assert!(registered, "virsh did not ask for events");
    run(&mut virsh(&[
        "suspend test; resume test; reboot test; metadata test http://virtwire.example/y --key y --set <y/>",
    ]))?;
    let events = String::from_utf8(waiting.wait_with_output()?.stdout)?;
    assert!(events.contains("'lifecycle' for domain"), "{events}");

    let seen = judge(&recorder.finish(LIMIT)?);
    for (packet_type, status, least) in [
        ("call", "ok", 100),
        ("reply", "ok", 100),
        ("reply", "error", 3),
        ("message", "ok", 3),
        ("stream", "continue", 2),
        ("stream", "ok", 2),
    ] {
        let count = seen.count(packet_type, status);
        assert!(count >= least, "{count} packets of {packet_type} {status}, expected {least}");
    }
    assert!(seen.procedures.contains("remote.domain_event_callback_lifecycle"));
    assert!(seen.procedures.len() >= 60, "{:?}", seen.procedures);
    Ok(())
}

fn streams_and_holes_survive(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().drivers(Drivers::Storage))?;
    let recorder = Recorder::start(daemon.socket())?;
    let folder = daemon.folder();
    let (pool, up, part, down) =
        (folder.join("pool"), folder.join("up"), folder.join("part"), folder.join("down"));
    fs::create_dir(&pool)?;
    let mut file = File::create(&up)?;
    for place in [0, 8 << 20, 16 << 20] {
        file.seek(SeekFrom::Start(place))?;
        file.write_all(&[0x5a; 300_000])?;
    }
    file.set_len(32 << 20)?;
    fs::write(&part, [0x5a; 300_000])?;
    let script = format!(
        "pool-create-as p dir --target {0}; vol-create-as p v 32M; vol-upload v {1} --pool p --sparse; \
         vol-download v {2} --pool p --sparse; vol-upload v {3} --pool p; \
         vol-download v {2}.part --pool p --length 300000; vol-dumpxml v --pool p; vol-delete v --pool p",
        pool.display(),
        up.display(),
        down.display(),
        part.display(),
    );
    let uri = format!("storage+unix:///system?socket={}", recorder.socket().display());
    run(testbed.virsh().args(["-c", &uri, &script]))?;
    assert!(fs::read(&up)? == fs::read(&down)?, "the volume came back changed");
    let seen = judge(&recorder.finish(LIMIT)?);
    // Holes and data both ways.
    assert!(seen.count("stream_hole", "continue") >= 5, "{:?}", seen.kinds);
    assert!(seen.count("stream", "continue") >= 8, "{:?}", seen.kinds);
    assert!(seen.count("stream", "ok") >= 8, "{:?}", seen.kinds);
    Ok(())
}

fn descriptors_survive(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let recorder = Recorder::start(daemon.socket())?;
    let domain = daemon.folder().join("domain.xml");
    fs::write(
        &domain,
        "<domain type='test'><name>d</name><memory>8192</memory><os><type>hvm</type></os></domain>",
    )?;
    // Whether its test driver takes them is the daemon's to say; they have reached it then.
    let uri = Daemon::uri_at(recorder.socket());
    let mut virsh = testbed.virsh();
    virsh.args(["-c", &uri, "create", "--pass-fds", "0,1", &domain.display().to_string()]);
    let output = run_for(&mut virsh, LIMIT)?;
    let recordings = recorder.finish(LIMIT)?;
    assert_eq!(recordings[0].descriptors_to_server, 2, "{}", String::from_utf8_lossy(&output.stderr));
    let seen = judge(&recordings);
    assert_eq!(seen.count("call_with_fds", "ok"), 1);
    let calls = command::decoded(&recordings[0].to_server);
    let call = calls.iter().find(|object| object["type"] == "call_with_fds").expect("it was seen");
    assert_eq!(
        (&call["procedure"], &call["fds"]),
        (&Value::from("domain_create_xml_with_files"), &Value::from(2))
    );
    Ok(())
}

fn the_admin_programs_traffic_survives(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let recorder = Recorder::start(daemon.admin_socket())?;
    let uri = format!("libvirtd+unix:///system?socket={}", recorder.socket().display());
    let script = "srv-list; srv-threadpool-info libvirtd; srv-clients-info libvirtd; client-list admin; \
                  client-info admin 1; daemon-log-filters; daemon-log-outputs; srv-clients-set libvirtd --max-clients 4000";
    run(testbed.virt_admin().args(["-c", &uri, script]))?;
    let seen = judge(&recorder.finish(LIMIT)?);
    let of_admin = seen.procedures.iter().filter(|name| name.starts_with("admin.")).count();
    assert!(of_admin >= 8, "{:?}", seen.procedures);
    Ok(())
}

/// A packet's header and the names of its payload's fields, as two independent readers see them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sight {
    program: String,
    number: i64,
    procedure: String,
    packet_type: String,
    serial: u64,
    status: String,
    fields: Vec<String>,
}

fn the_dissector_agrees(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().listen_tcp())?;
    let port = daemon.tcp_port().expect("it was asked for");
    let file = daemon.folder().join("capture.pcapng");
    let capture = Capturing::start(testbed, port, &file)?;
    let uri = format!("test+tcp://127.0.0.1:{port}/default");
    let screen = daemon.folder().join("screen");
    let script = format!(
        "list --all; dominfo test; dumpxml test; domstats; vcpuinfo test; schedinfo test; nodeinfo; uri; \
         net-list; pool-list; vol-list default-pool; iface-list; snapshot-create-as test one; \
         screenshot test --file {}; event --timeout 1 --event lifecycle; dominfo nobody",
        screen.display()
    );
    let output = run_for(testbed.virsh().args(["-c", &uri, &script]), LIMIT)?;
    assert!(String::from_utf8_lossy(&output.stderr).contains("failed to get domain 'nobody'"));
    capture.finish()?;

    for (name, direction) in [("server", "dstport"), ("client", "srcport")] {
        let filter = format!("tcp.{direction} == {port}");
        let mut reassembled = Vec::new();
        let mut tshark = reading(testbed, port, &file);
        let payloads =
            tshark.args(["-Y", &format!("{filter} and tcp.len > 0"), "-T", "fields", "-e", "tcp.payload"]);
        for segment in run(payloads)?.lines() {
            reassembled.extend(from_hex(segment)?);
        }
        let ours: Vec<Sight> = command::decoded(&reassembled).iter().map(our_sight).collect();
        let mut tshark = reading(testbed, port, &file);
        let theirs = dissected(&run(tshark.args(["-Y", &format!("libvirt and {filter}"), "-O", "libvirt"]))?);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(ours.len(), theirs.len());
        println!("to the {name}: {} packets agree", ours.len());
        assert!(ours.len() > 40);
    }
    Ok(())
}

fn our_sight(object: &Value) -> Sight {
    let word = |key: &str| object[key].as_str().unwrap_or_default().to_uppercase();
    let fields = match (&object["payload"], object["type"].as_str()) {
        // Data has no fields.
        (Value::Object(payload), Some(kind)) if kind != "stream" => payload.keys().cloned().collect(),
        _ => Vec::new(),
    };
    Sight {
        program: word("program"),
        number: object["number"].as_i64().unwrap_or_default(),
        procedure: word("procedure"),
        packet_type: word("type"),
        serial: object["serial"].as_u64().unwrap_or_default(),
        status: word("status"),
        fields,
    }
}

/// The packets in tshark's words: four spaces before what is in the header, eight before a payload's fields.
fn dissected(text: &str) -> Vec<Sight> {
    let mut sights: Vec<Sight> = Vec::new();
    for line in text.lines() {
        if let Some(field) = line.strip_prefix("        ") {
            if let (Some(sight), false) = (sights.last_mut(), field.starts_with(' ')) {
                sight.fields.push(field.split([' ', ':']).next().unwrap_or_default().to_owned());
            }
            continue;
        }
        let Some((key, value)) = line.strip_prefix("    ").and_then(|line| line.split_once(": ")) else {
            continue;
        };
        if key == "length" {
            sights.push(Sight::default());
        }
        let Some(sight) = sights.last_mut() else { continue };
        let (name, number) = value.split_once(" (").unwrap_or((value, ""));
        match key {
            "program" => sight.program = name.into(),
            "procedure" => {
                sight.procedure = name.into();
                sight.number = number.trim_end_matches(')').parse().unwrap_or(-1);
            }
            "type" => sight.packet_type = name.into(),
            "serial" => sight.serial = name.parse().unwrap_or(u64::MAX),
            "status" => sight.status = name.into(),
            _ => {}
        }
    }
    sights
}

fn reading(testbed: &Testbed, port: u16, file: &Path) -> Command {
    let mut command = testbed.tshark();
    command.arg("-r").arg(file).args(["-d", &format!("tcp.port=={port},libvirt")]);
    command
}

/// tshark at work on the loopback interface.
struct Capturing<'a> {
    child: Child,
    file: &'a Path,
}

impl<'a> Capturing<'a> {
    /// Starts it and waits until it sees packets.
    fn start(testbed: &Testbed, port: u16, file: &'a Path) -> Result<Self, Failed> {
        let mut command = testbed.tshark();
        command.args(["-q", "-i", "lo", "-f", &format!("tcp port {port}"), "-w"]).arg(file);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut capturing = Self { child, file };
        let begun = wait_until(Instant::now() + LIMIT, || {
            let before = capturing.len();
            drop(TcpStream::connect(("127.0.0.1", port)));
            wait_until(Instant::now() + Duration::from_secs(1), || before > 0 && capturing.len() > before)
        });
        if begun {
            return Ok(capturing);
        }
        let _ = capturing.child.kill();
        let mut said = String::new();
        capturing.child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said)).transpose()?;
        Err(format!("tshark captures nothing: {said}").into())
    }

    /// Waits until all that was seen is written, and ends it.
    fn finish(mut self) -> Result<(), Failed> {
        loop {
            let before = self.len();
            if !wait_until(Instant::now() + Duration::from_millis(1500), || self.len() > before) {
                break;
            }
        }
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        self.child.wait()?;
        Ok(())
    }

    fn len(&self) -> u64 {
        fs::metadata(self.file).map_or(0, |metadata| metadata.len())
    }
}
