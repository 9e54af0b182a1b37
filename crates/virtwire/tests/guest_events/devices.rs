//! What devices have to tell.

use crate::Scene;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use virtwire::enums::*;
use virtwire::flags::*;
use virtwire::{Domain, DomainEvent};
use virtwire_testbed::{Daemon, Failed, Testbed, make_guest_disk, run};

/// The guest: with a disk over another one, a drive whose medium is missing, and room for devices to come.
pub(crate) fn guest(testbed: &Testbed, daemon: &Daemon) -> Result<String, Failed> {
    let file = |name: &str| daemon.folder().join(name);
    make_guest_disk(testbed.root(), &file("base.raw"), "raw")?;
    let top = file("top.qcow2");
    qemu_img(testbed, &["create", "-q", "-f", "qcow2", "-F", "raw", "-b"], &[&file("base.raw"), &top])?;
    std::fs::write(file("cd.iso"), vec![0; 1 << 16])?;
    std::fs::write(file("more.raw"), vec![0; 1 << 16])?;
    let shown = |name: &str| file(name).display().to_string();
    Ok(format!(
        "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\
         <name>telling</name><maxMemory slots='2' unit='MiB'>256</maxMemory><memory unit='MiB'>64</memory>\
         <vcpu current='1'>2</vcpu><cpu><numa><cell id='0' cpus='0-1' memory='64' unit='MiB'/></numa></cpu>\
         <os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>\
         <pm><suspend-to-mem enabled='yes'/><suspend-to-disk enabled='yes'/></pm>\
         <devices>\
         <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{}'/>\
         <target dev='vda' bus='virtio'/></disk>\
         <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{}'/>\
         <target dev='hdc' bus='ide'/><readonly/></disk>\
         <disk type='file' device='cdrom'><driver name='qemu' type='raw'/>\
         <source file='{}' startupPolicy='optional'/><target dev='hdd' bus='ide'/><readonly/></disk>\
         <serial type='pty'><target port='0'/></serial>\
         <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/>\
         <address type='virtio-serial' controller='0' bus='0' port='1'/></channel>\
         <channel type='unix'><target type='virtio' name='virtwire.channel'/>\
         <address type='virtio-serial' controller='0' bus='0' port='2'/></channel>\
         <graphics type='vnc' socket='{}'/><video><model type='vga'/></video>\
         <memballoon model='virtio'/><watchdog model='ib700' action='none'/>\
         </devices>\
         <qemu:commandline><qemu:arg value='-qtest'/>\
         <qemu:arg value='unix:{},server=on,wait=off'/><qemu:arg value='-qtest-log'/>\
         <qemu:arg value='none'/></qemu:commandline>\
         </domain>",
        top.display(),
        shown("cd.iso"),
        shown("missing.iso"),
        shown("vnc"),
        shown("hardware"),
    ))
}

pub(crate) fn qemu_img(testbed: &Testbed, args: &[&str], files: &[&Path]) -> Result<(), Failed> {
    run(testbed.root().command("qemu-img").args(args).args(files))?;
    Ok(())
}

pub(crate) async fn clock_watchdog_and_balloon(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let (watch, hardware) = (&mut scene.watch, &mut scene.hardware);
    // The clock's year, in decimal digits.
    hardware.out8(0x70, 0x09).await?;
    let year = hardware.in8(0x71).await?;
    hardware.out8(0x70, 0x09).await?;
    hardware.out8(0x71, year + 0x10).await?;
    let offset = watch.wants("clock", |event| match event {
        DomainEvent::RtcChange { offset, .. } => Some(*offset),
        _ => None,
    });
    // Ten years, more or less by what the daemon counts from.
    let offset = offset.await?;
    assert!((300_000_000..330_000_000).contains(&offset), "{offset}");

    // Armed with no time at all.
    hardware.out8(0x443, 0x0f).await?;
    let action = watch.wants("watchdog", |event| match event {
        DomainEvent::Watchdog { action, .. } => Some(*action),
        _ => None,
    });
    assert_eq!(action.await?, DomainEventWatchdogAction::NONE);
    hardware.out8(0x441, 0).await?;

    // How many pages the balloon has, as its driver would say: behind the registers that all such devices have.
    let port = hardware.pci_port(0x1af4, 0x1002).await?;
    hardware.out32(port + 0x14 + 4, 1024).await?;
    let memory = watch.wants("balloon", |event| match event {
        DomainEvent::BalloonChange { memory, .. } => Some(*memory),
        _ => None,
    });
    assert_eq!(memory.await?, 60 << 10);
    hardware.out32(port + 0x14 + 4, 0).await
}

pub(crate) async fn come_and_go(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let (watch, domain) = (&mut scene.watch, &scene.domain);
    let file = scene.daemon.folder().join("more.raw").display().to_string();
    let xml = format!(
        "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{file}'/>\
         <target dev='vdb' bus='virtio'/></disk>"
    );
    crate::life::console(domain).await?;
    domain.attach_device_flags(&*xml, DomainDeviceModifyFlags::LIVE).await?;
    let device = watch.wants("device", |event| match event {
        DomainEvent::DeviceAdded { device, .. } => Some(device.to_string()),
        _ => None,
    });
    assert_eq!(device.await?, "virtio-disk1");
    domain.detach_device_flags(&*xml, DomainDeviceModifyFlags::LIVE).await?;
    let device = watch.wants("device's end", |event| match event {
        DomainEvent::DeviceRemoved { device, .. } => Some(device.to_string()),
        _ => None,
    });
    assert_eq!(device.await?, "virtio-disk1");
    Ok(())
}

/// A device that the guest does not let go of.
pub(crate) async fn do_not_go(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let xml =
        "<memory model='dimm'><target><size unit='MiB'>32</size><node>0</node></target></memory>".to_owned();
    scene.domain.attach_device_flags(&*xml, DomainDeviceModifyFlags::LIVE).await?;
    let detaching = {
        let domain: Domain = scene.domain.clone();
        tokio::spawn(async move { domain.detach_device_flags(xml, DomainDeviceModifyFlags::LIVE).await })
    };
    // The guest's word on ejecting the first slot of memory: it failed.
    let refusing = async {
        while !detaching.is_finished() {
            sleep(Duration::from_millis(100)).await;
            scene.hardware.out32(0xa00, 0).await?;
            scene.hardware.out32(0xa04, 3).await?;
            scene.hardware.out32(0xa08, 1).await?;
        }
        Ok::<_, Failed>(())
    };
    refusing.await?;
    assert!(detaching.await?.unwrap_err().libvirt().is_some());
    let watch = &mut scene.watch;
    let device = watch.wants("failed removal", |event| match event {
        DomainEvent::DeviceRemovalFailed { device, .. } => Some(device.to_string()),
        _ => None,
    });
    assert_eq!(device.await?, "dimm0");
    Ok(())
}

/// A client of the guest's display: by a socket of the daemon's, then by one of the client's.
pub(crate) async fn display(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let flags = DomainOpenGraphicsFlags::SKIPAUTH;
    let sockets = match scene.domain.open_graphics_fd(0, flags).await {
        Ok(socket) => {
            let (ours, theirs) = UnixStream::pair()?;
            scene.domain.open_graphics(0, theirs.into(), flags).await?;
            [UnixStream::from(socket), ours]
        }
        Err(error) => return Err(error.to_string().into()),
    };
    for socket in sockets {
        socket.set_nonblocking(true)?;
        looks(tokio::net::UnixStream::from_std(socket)?).await?;
        for expected in [
            DomainEventGraphicsPhase::CONNECT,
            DomainEventGraphicsPhase::INITIALIZE,
            DomainEventGraphicsPhase::DISCONNECT,
        ] {
            let (local, auth) = scene
                .watch
                .wants(expected, |event| match event {
                    DomainEvent::Graphics { phase, local, auth_scheme, subject, .. } => {
                        assert!(subject.is_empty());
                        (*phase == expected).then(|| (local.clone(), auth_scheme.to_string()))
                    }
                    _ => None,
                })
                .await?;
            assert_eq!(local.family, DomainEventGraphicsAddressType::UNIX);
            assert_eq!(auth, "none");
        }
    }
    Ok(())
}

/// Speaks as much of VNC as makes a client one, then leaves.
async fn looks(mut socket: tokio::net::UnixStream) -> Result<(), Failed> {
    let talk = async {
        let mut version = [0; 12];
        socket.read_exact(&mut version).await?;
        assert!(version.starts_with(b"RFB 003."));
        socket.write_all(b"RFB 003.008\n").await?;
        // How to authenticate: a count, then kinds, of which 1 is not at all; then whether that went well.
        let count = socket.read_u8().await?;
        let mut kinds = vec![0; count.into()];
        socket.read_exact(&mut kinds).await?;
        assert!(kinds.contains(&1), "{kinds:?}");
        socket.write_u8(1).await?;
        assert_eq!(socket.read_u32().await?, 0);
        // Shared with others; then the display's size and more.
        socket.write_u8(1).await?;
        let mut size = [0; 24];
        socket.read_exact(&mut size).await?;
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), talk).await.map_err(|_| "the display does not answer")?
}
