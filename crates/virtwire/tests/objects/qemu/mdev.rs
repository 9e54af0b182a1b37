//! Mediated devices of a machine that has none: libvirt asks `mdevctl` for everything, and here the test plays it.

use super::Host;
use crate::coverage::{Log, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use virtwire::proto::flags::*;
use virtwire_testbed::{Config, Failed};

const UUID: &str = "5f0e6a1c-0000-4000-8003-000000000005";

/// Knows at most one device: the one that was defined.
const MDEVCTL: &str = r#"#!/bin/sh
own=${0%/*}
echo "$*" >>"$own/calls"
case $1 in
define)
    for word; do case $word in --parent=*) parent=${word#*=} ;; esac; done
    echo "[{\"$parent\":[{\"UUID\":{\"mdev_type\":\"played\",\"start\":\"manual\"}}]}]" >"$own/defined"
    echo UUID
    ;;
undefine) rm "$own/defined" ;;
list) if [ "$3" = --defined ] && [ -e "$own/defined" ]; then cat "$own/defined"; else echo '[]'; fi ;;
esac
"#;

/// A configuration for a daemon that finds the played one in `folder`.
pub(crate) fn config(folder: &Path) -> Result<Config, Failed> {
    let program = folder.join("mdevctl");
    fs::write(&program, MDEVCTL.replace("UUID", UUID))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display());
    Ok(Config::new().env("PATH", path))
}

pub(super) async fn run(log: &Log, host: &Host, folder: &Path) -> Result<(), Failed> {
    let connection = host.driver("nodedev").await?;
    let devices = connection.list_all_node_devices(ListAllNodeDeviceFlags::CAP_PCI_DEV).await?;
    // It has to be a device with an address; nothing happens to it.
    let parent = devices.first().map_or("computer".to_owned(), |device| device.name().to_string());
    let xml = format!(
        "<device><parent>{parent}</parent><capability type='mdev'><type id='played'/><uuid>{UUID}</uuid>\
         </capability></device>"
    );
    let defined = run!(log, connection.node_device_define_xml(&xml, NodeDeviceDefineXmlFlags::empty()));
    if devices.is_empty() {
        assert!(defined.is_err());
        return Ok(());
    }
    let device = defined?;
    let asked = |command: &str, option: &str| -> Result<bool, Failed> {
        let calls = fs::read_to_string(folder.join("calls"))?;
        Ok(calls.lines().any(|call| call.starts_with(command) && call.contains(option)))
    };
    assert!(asked("define ", "--parent=")?);
    assert!(device.name().to_string().starts_with("mdev_"), "{device:?}");
    assert_eq!(run!(log, device.parent())?, Some(parent.into()));
    assert!(run!(log, device.is_persistent())? && !run!(log, device.is_active())?);
    assert!(!run!(log, device.autostart())?);
    run!(log, device.set_autostart(true))?;
    assert!(asked("modify ", "--auto")?);
    let shown = run!(log, device.xml_desc(NodeDeviceXmlFlags::empty()))?;
    match run!(log, device.update(shown, NodeDeviceUpdateFlags::AFFECT_CONFIG)) {
        Ok(()) => assert!(asked("modify ", "--jsonfile")?),
        Err(error) => assert!(matches!(error, virtwire::Error::Unsupported { .. }), "{error}"),
    }
    run!(log, device.create())?;
    assert!(asked("start ", UUID)?);
    run!(log, device.undefine())?;
    assert!(asked("undefine ", UUID)?);
    Ok(())
}
