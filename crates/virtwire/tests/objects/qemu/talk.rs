//! A running guest talked to: console, channel, keyboard, screen, monitor.

use super::{Console, Host, LIMIT};
use crate::coverage::{Log, run};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use virtwire::Domain;
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire_testbed::{Failed, boot_sector};

const SCREEN: &str = "<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>\
    <video><model type='vga' vram='16384'/></video>";

pub(super) async fn run(log: &Log, host: &Host) -> Result<(), Failed> {
    let xml = host.guest("talker", "raw", SCREEN)?;
    let guest = host.connection.domain_create_xml(xml, DomainCreateFlags::empty()).await?;
    let stream = run!(log, guest.open_console(None, DomainConsoleFlags::empty()))?;
    // Whoever else wants it is told that it is taken, or takes it away.
    assert!(guest.open_console(None, DomainConsoleFlags::empty()).await.is_err());
    let mut console = Console::over(stream).await?;
    console.say(b"both ways\r\n", "both ways\r\n").await?;
    let stream = guest.open_console(None, DomainConsoleFlags::FORCE).await?;
    let mut taken = Console::over(stream).await?;
    taken.say(b"mine", "mine").await?;
    assert!(console.expect("never").await.is_err());

    channel(log, &guest).await?;
    run!(log, guest.send_key(KeycodeSet::LINUX, Duration::from_millis(50), &[37]))?;
    taken.expect("k").await?;
    run!(log, guest.inject_nmi())?;
    taken.say(b"alive", "alive").await?;
    screen(log, &guest).await?;
    memory(log, &guest).await?;
    monitor(log, &guest).await?;
    guest.destroy(DomainDestroyFlags::empty()).await?;
    Ok(())
}

async fn channel(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let mut channel = run!(log, guest.open_channel("virtwire.echo", DomainChannelFlags::empty()))?;
    // More than the guest takes at once.
    let sent: Vec<u8> = (0..1000_u32).map(|n| (n % 251) as u8).collect();
    channel.send(sent.clone()).await?;
    let mut received = Vec::new();
    while received.len() < sent.len() {
        match tokio::time::timeout(LIMIT, channel.receive()).await?? {
            Some(virtwire::Chunk::Data(data)) => received.extend_from_slice(&data),
            other => return Err(format!("{other:?}").into()),
        }
    }
    assert_eq!(received, sent);
    Ok(())
}

async fn screen(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let (mime, mut stream) = run!(log, guest.screenshot(0))?;
    let mut picture = Vec::new();
    while let Some(virtwire::Chunk::Data(data)) = stream.receive().await? {
        picture.extend_from_slice(&data);
    }
    stream.finish().await?;
    let begins: &[u8] = match &*mime.to_string() {
        "image/x-portable-pixmap" => b"P6\n",
        "image/png" => b"\x89PNG",
        other => return Err(format!("a picture of type {other:?}").into()),
    };
    assert!(picture.len() > 1000 && picture.starts_with(begins), "{:?}", &picture[..20]);

    // What a VNC server says first.
    let greets = |socket: OwnedFd| -> Result<(), Failed> {
        let mut socket = UnixStream::from(socket);
        socket.set_read_timeout(Some(LIMIT))?;
        let mut version = [0; 12];
        socket.read_exact(&mut version)?;
        assert_eq!(&version, b"RFB 003.008\n");
        socket.write_all(&version)?;
        Ok(())
    };
    let (ours, theirs) = UnixStream::pair()?;
    run!(log, guest.open_graphics(0, theirs.into(), DomainOpenGraphicsFlags::SKIPAUTH))?;
    greets(ours.into())?;
    greets(run!(log, guest.open_graphics_fd(0, DomainOpenGraphicsFlags::SKIPAUTH))?)?;
    run!(log, guest.graphics_reload(DomainGraphicsReloadType::VNC)).ok();
    Ok(())
}

async fn memory(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    // Where the firmware has put the guest, and what it was put there from.
    let peeked = run!(log, guest.memory_peek(0x7c00, 512, DomainMemoryFlags::PHYSICAL))?;
    assert_eq!(peeked, &boot_sector()[..]);
    let peeked = run!(log, guest.block_peek("vda", 0, 512))?;
    assert_eq!(peeked, &boot_sector()[..]);
    run!(log, guest.set_memory_stats_period(Duration::from_secs(1), DomainMemoryModFlags::LIVE))?;
    let stats = run!(log, guest.memory_stats())?;
    assert_eq!(stats.get(DomainMemoryStatTags::ACTUAL_BALLOON), Some(32 << 10), "{stats:?}");
    // The guest's side of the balloon is missing: it is asked, and gives nothing.
    run!(log, guest.set_memory(16 << 10))?;
    run!(log, guest.set_memory_flags(32 << 10, DomainMemoryModFlags::LIVE))?;
    Ok(())
}

async fn monitor(log: &Log, guest: &Domain) -> Result<(), Failed> {
    let guest = guest.clone();
    let connection = guest.connection().clone();
    let flags = DomainQemuMonitorEventRegisterFlags::empty();
    let mut all = run!(log, connection.qemu_monitor_events(None, flags))?;
    let mut stops = run!(log, guest.qemu_monitor_events(Some("STOP"), flags))?;
    guest.suspend().await?;
    let event = stops.next().await.ok_or("an event")??;
    assert_eq!((event.domain, &*event.event.to_string()), (guest.clone(), "STOP"));
    let event = all.next().await.ok_or("an event")??;
    assert_eq!(event.event, "STOP");
    let human = DomainQemuMonitorCommandFlags::HMP;
    let answer = run!(log, guest.qemu_monitor_command("info status", human))?;
    assert!(answer.to_string().contains("paused"), "{answer}");
    guest.resume().await?;
    let json = DomainQemuMonitorCommandFlags::empty();
    let answer = guest.qemu_monitor_command("{\"execute\":\"query-status\"}", json).await?;
    assert!(answer.to_string().contains("\"running\":true"), "{answer}");
    let command = "{\"execute\":\"add-fd\",\"arguments\":{\"fdset-id\":77,\"opaque\":\"ours\"}}";
    let files = vec![OwnedFd::from(File::open("/dev/null")?)];
    let (answer, files) = run!(log, guest.qemu_monitor_command_with_files(command, files, json))?;
    assert!(answer.to_string().contains("\"fdset-id\":77") && files.is_empty(), "{answer}");
    let answer = guest.qemu_monitor_command("{\"execute\":\"query-fdsets\"}", json).await?;
    assert!(answer.to_string().contains("\"opaque\":\"ours\""), "{answer}");
    let messages = run!(log, guest.messages(DomainMessageType::TAINTING))?;
    assert!(!messages.is_empty(), "a monitor command of one's own taints");
    run!(log, guest.control_info())?;
    run!(log, guest.send_process_signal(1, DomainProcessSignal::HUP)).ok();
    run!(log, guest.lxc_open_namespace()).ok();
    Ok(())
}
