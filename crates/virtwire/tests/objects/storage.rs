//! Storage pools and volumes, of the test driver and real ones; secrets.

use crate::coverage::{Log, run};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use virtwire::Connection;
use virtwire::proto::enums::*;
use virtwire::proto::flags::*;
use virtwire_testbed::Failed;

pub(crate) async fn run_test_driver(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let pools = run!(log, connection.list_all_storage_pools(ListAllStoragePoolsFlags::empty()))?;
    let [pool] = &pools[..] else { return Err(format!("{pools:?}").into()) };
    let pool = pool.clone();
    assert_eq!(run!(log, connection.list_storage_pools())?, ["default-pool"]);
    assert_eq!(run!(log, connection.num_of_storage_pools())?, 1);
    assert_eq!(run!(log, connection.list_defined_storage_pools())?.len(), 0);
    assert_eq!(run!(log, connection.num_of_defined_storage_pools())?, 0);
    assert_eq!(run!(log, connection.storage_pool_lookup_by_name("default-pool"))?, pool);
    assert_eq!(run!(log, connection.storage_pool_lookup_by_uuid(pool.uuid()))?, pool);
    run!(log, connection.find_storage_pool_sources("netfs", "<source><host name='x'/></source>")).ok();
    assert_eq!(run!(log, pool.info())?.state, StoragePoolState::RUNNING);
    Ok(())
}

pub(crate) async fn run_real(log: &Log, connection: &Connection, folder: &Path) -> Result<(), Failed> {
    let connection = connection.clone();
    run!(log, connection.storage_pool_capabilities())?;
    let path = folder.join("pool");
    let xml =
        format!("<pool type='dir'><name>pool</name><target><path>{}</path></target></pool>", path.display());
    let pool = run!(log, connection.storage_pool_define_xml(&xml, StoragePoolDefineFlags::empty()))?;
    let _events = run!(log, connection.storage_pool_events(StoragePoolEventId::REFRESH))?;
    let _events = run!(log, pool.events(StoragePoolEventId::LIFECYCLE))?;
    run!(log, pool.build(StoragePoolBuildFlags::empty()))?;
    run!(log, pool.create(StoragePoolCreateFlags::empty()))?;
    assert!(run!(log, pool.is_active())? && run!(log, pool.is_persistent())?);
    let at = path.to_string_lossy().into_owned();
    assert_eq!(run!(log, connection.storage_pool_lookup_by_target_path(at))?, pool);
    run!(log, pool.set_autostart(true))?;
    assert!(run!(log, pool.autostart())?);
    let info = run!(log, pool.info())?;
    assert!(info.state == StoragePoolState::RUNNING && info.capacity >= info.available, "{info:?}");
    assert!(run!(log, pool.xml_desc(StorageXmlFlags::empty()))?.to_string().contains("<name>pool</name>"));

    let volume = |name: &str| format!("<volume><name>{name}</name><capacity>1048576</capacity></volume>");
    let one = run!(log, pool.vol_create_xml(volume("one"), StorageVolCreateFlags::empty()))?;
    assert_eq!((&*one.name().to_string(), one.pool_name()), ("one", pool.name()));
    assert_eq!(run!(log, one.storage_pool())?, pool);
    let mut stream = run!(log, one.upload(0, 0, StorageVolUploadFlags::empty()))?;
    stream.write_all(b"what a volume holds").await?;
    stream.shutdown().await?;
    let mut text = String::new();
    run!(log, one.download(7, 12, StorageVolDownloadFlags::empty()))?.read_to_string(&mut text).await?;
    assert_eq!(text, "volume holds");
    let two = run!(log, pool.vol_create_xml_from(volume("two"), &one, StorageVolCreateFlags::empty()))?;
    assert_ne!(one, two);
    // A name that is no UTF-8 hides nothing.
    use std::os::unix::ffi::OsStrExt;
    std::fs::write(path.join(std::ffi::OsStr::from_bytes(b"n\xffme")), "x")?;
    run!(log, pool.refresh())?;
    assert_eq!(run!(log, pool.num_of_volumes())?, 3);
    assert_eq!(run!(log, pool.list_all_volumes())?.len(), 3);
    let names = run!(log, pool.list_volumes())?;
    let strange = names.iter().find(|name| name.to_str().is_err()).ok_or("the strange name")?.clone();
    let strange = run!(log, pool.vol_lookup_by_name(strange))?;
    assert_eq!(strange.name().as_bytes(), b"n\xffme");
    let at = run!(log, strange.path())?;
    assert_eq!(run!(log, connection.storage_vol_lookup_by_path(at))?, strange);
    assert_eq!(run!(log, connection.storage_vol_lookup_by_key(strange.key().clone()))?, strange);
    let info = run!(log, one.info(StorageVolInfoFlags::empty()))?;
    assert_eq!((info.kind, info.capacity), (StorageVolType::FILE, 1_048_576));
    one.info(StorageVolInfoFlags::GET_PHYSICAL).await?;
    assert!(run!(log, one.xml_desc())?.to_string().contains("<name>one</name>"));
    run!(log, one.resize(2_097_152, StorageVolResizeFlags::empty()))?;
    assert_eq!(one.info(StorageVolInfoFlags::empty()).await?.capacity, 2_097_152);
    run!(log, one.wipe(StorageVolWipeAlgorithm::ZERO))?;
    let mut bytes = Vec::new();
    one.download(0, 64, StorageVolDownloadFlags::empty()).await?.read_to_end(&mut bytes).await?;
    assert_eq!(bytes, [0; 64]);
    for volume in [&one, &two, &strange] {
        let volume = volume.clone();
        run!(log, volume.delete(StorageVolDeleteFlags::empty()))?;
    }
    run!(log, pool.destroy())?;
    run!(log, pool.delete(StoragePoolDeleteFlags::empty()))?;
    assert!(!path.exists());
    run!(log, pool.undefine())?;
    std::fs::create_dir(&path)?;
    let transient = run!(log, connection.storage_pool_create_xml(xml, StoragePoolCreateFlags::empty()))?;
    transient.destroy().await?;
    Ok(())
}

pub(crate) async fn run_secrets(log: &Log, connection: &Connection) -> Result<(), Failed> {
    let connection = connection.clone();
    let xml =
        "<secret ephemeral='yes' private='no'><usage type='ceph'><name>virtwire</name></usage></secret>";
    let _events = run!(log, connection.secret_events(SecretEventId::LIFECYCLE))?;
    let secret = run!(log, connection.secret_define_xml(xml, SecretDefineFlags::empty()))?;
    let _events = run!(log, secret.events(SecretEventId::VALUE_CHANGED))?;
    assert_eq!((secret.usage_type(), &*secret.usage_id().to_string()), (SecretUsageType::CEPH, "virtwire"));
    assert_eq!(run!(log, connection.num_of_secrets())?, 1);
    assert_eq!(run!(log, connection.list_secrets())?, [secret.uuid().to_string()]);
    let ephemeral = run!(log, connection.list_all_secrets(ListAllSecretsFlags::EPHEMERAL))?;
    assert_eq!(ephemeral, std::slice::from_ref(&secret));
    assert_eq!(connection.list_all_secrets(ListAllSecretsFlags::PRIVATE).await?, []);
    assert_eq!(run!(log, connection.secret_lookup_by_uuid(secret.uuid()))?, secret);
    assert_eq!(run!(log, connection.secret_lookup_by_usage(SecretUsageType::CEPH, "virtwire"))?, secret);
    let error = secret.value().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::NO_SECRET), "{error}");
    run!(log, secret.set_value(&b"\x00\xffkey"[..]))?;
    assert_eq!(run!(log, secret.value())?, &b"\x00\xffkey"[..]);
    assert!(run!(log, secret.xml_desc())?.to_string().contains("virtwire"));
    run!(log, secret.undefine())?;
    for (usage, name, element) in [
        (SecretUsageType::VOLUME, "volume", "volume"),
        (SecretUsageType::ISCSI, "iscsi", "target"),
        (SecretUsageType::TLS, "tls", "name"),
        (SecretUsageType::VTPM, "vtpm", "name"),
    ] {
        let id = format!("/of/{name}");
        let xml = format!("<secret><usage type='{name}'><{element}>{id}</{element}></usage></secret>");
        let secret = connection.secret_define_xml(xml, SecretDefineFlags::empty()).await?;
        assert_eq!((secret.usage_type(), &*secret.usage_id().to_string()), (usage, &*id));
        assert_eq!(connection.secret_lookup_by_usage(usage, id).await?, secret);
        secret.undefine().await?;
    }
    Ok(())
}
