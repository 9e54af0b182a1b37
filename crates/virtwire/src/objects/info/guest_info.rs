//! What the agent in a guest says of it.

use super::{DomainInterface, DomainIpAddress};
use crate::objects::time_at;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};
use virtwire_proto::enums::IpAddrType;
use virtwire_proto::names::guest_info as names;
use virtwire_proto::program::remote;
use virtwire_proto::typed_params::{FromTypedValue, TypedParam, TypedParams, TypedValue};
use virtwire_proto::xdr::Text;

/// What the agent in a guest says of it: what was asked for, as far as the agent knows it.
///
/// # Examples
/// ```no_run
/// use virtwire::flags::DomainGuestInfoTypes;
/// # async fn example(domain: virtwire::Domain) -> virtwire::Result<()> {
/// let info = domain.guest_info(DomainGuestInfoTypes::OS | DomainGuestInfoTypes::USERS).await?;
/// println!("{} runs {}", domain.name(), info.os.pretty_name.unwrap_or_default());
/// for user in info.users {
///     println!("{} has been there since {:?}", user.name, user.login_time);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct GuestInfo {
    /// Who is logged in.
    pub users: Vec<GuestUser>,
    /// The operating system.
    pub os: GuestOs,
    /// The time zone's name, such as "CET".
    pub timezone_name: Option<Text>,
    /// How many seconds the guest's clock is ahead of UTC.
    pub timezone_offset: Option<i32>,
    /// The guest's name as a host.
    pub hostname: Option<Text>,
    /// The file systems that are mounted.
    pub filesystems: Vec<GuestFilesystem>,
    /// The disks and their partitions.
    pub disks: Vec<GuestDisk>,
    /// The network interfaces.
    pub interfaces: Vec<DomainInterface>,
    /// How many processes have run or waited to run, on average over the last minute, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// The devices with drivers of their own (Windows).
    pub devices: Vec<GuestDevice>,
    /// All of it as it came: fields of [`names::guest_info`](crate::proto::names::guest_info), and what is newer than
    /// this crate.
    pub params: TypedParams,
}

/// Somebody who is logged in to a guest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GuestUser {
    /// The name.
    pub name: Text,
    /// The domain that the name is of (Windows).
    pub domain: Option<Text>,
    /// Since when.
    pub login_time: Option<SystemTime>,
}

/// A guest's operating system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GuestOs {
    /// Its short name, such as "debian" or "mswindows".
    pub id: Option<Text>,
    /// Its name, such as "Debian GNU/Linux".
    pub name: Option<Text>,
    /// Its name and version for people.
    pub pretty_name: Option<Text>,
    /// Its version for people.
    pub version: Option<Text>,
    /// Its version's number.
    pub version_id: Option<Text>,
    /// The kernel's release.
    pub kernel_release: Option<Text>,
    /// The kernel's version.
    pub kernel_version: Option<Text>,
    /// The machine, such as "x86_64".
    pub machine: Option<Text>,
    /// Its variant, such as "Server Edition".
    pub variant: Option<Text>,
    /// Its variant's short name, such as "server".
    pub variant_id: Option<Text>,
}

/// A file system that is mounted in a guest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GuestFilesystem {
    /// The guest's name of its device.
    pub name: Text,
    /// Where it is mounted.
    pub mountpoint: Text,
    /// Its type, such as "ext4".
    pub fstype: Text,
    /// Its size in bytes.
    pub total_bytes: Option<u64>,
    /// How many bytes of it are taken.
    pub used_bytes: Option<u64>,
    /// The disks that it lies on.
    pub disks: Vec<GuestFilesystemDisk>,
}

/// A disk that a file system of a guest lies on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GuestFilesystemDisk {
    /// The target's name in the domain's XML, such as "vda".
    pub alias: Option<Text>,
    /// The disk's serial number.
    pub serial: Option<Text>,
    /// The guest's name of the disk's device.
    pub device: Option<Text>,
}

/// A disk of a guest, or a partition of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GuestDisk {
    /// The guest's name of its device, such as "/dev/sda1".
    pub name: Text,
    /// Whether it is a partition.
    pub is_partition: Option<bool>,
    /// The names of the devices that it is made of.
    pub dependencies: Vec<Text>,
    /// Its serial number.
    pub serial: Option<Text>,
    /// The target's name in the domain's XML, such as "vda".
    pub alias: Option<Text>,
    /// Another name that the guest has for it.
    pub guest_alias: Option<Text>,
    /// What it is connected to in the guest, such as "scsi".
    pub guest_bus: Option<Text>,
}

/// A device of a guest that has a driver of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GuestDevice {
    /// The driver's name.
    pub driver_name: Option<Text>,
    /// When the driver was released.
    pub driver_date: Option<SystemTime>,
    /// The driver's version.
    pub driver_version: Option<Text>,
    /// By what it is identified, such as "pci".
    pub id_type: Option<Text>,
    /// The number of its vendor, of a PCI device.
    pub pci_vendor: Option<u32>,
    /// The number that its vendor has given it, of a PCI device.
    pub pci_device: Option<u32>,
}

impl From<remote::DomainGetGuestInfoRet> for GuestInfo {
    fn from(ret: remote::DomainGetGuestInfoRet) -> Self {
        let params = TypedParams::from(ret.params);
        let fields = Fields::of(&params);
        let load = || {
            let of = |name| fields.get(name);
            Some([of(names::LOAD_1M)?, of(names::LOAD_5M)?, of(names::LOAD_15M)?])
        };
        let info = Self {
            users: fields.list(names::USER_PREFIX, user),
            os: os(&fields),
            timezone_name: fields.get(names::TIMEZONE_NAME),
            timezone_offset: fields.get(names::TIMEZONE_OFFSET),
            hostname: fields.get(names::HOSTNAME_HOSTNAME),
            filesystems: fields.list(names::FS_PREFIX, filesystem),
            disks: fields.list(names::DISK_PREFIX, disk),
            interfaces: fields.list(names::IF_PREFIX, interface),
            load: load(),
            devices: fields.list(names::DEVICE_PREFIX, device),
            params: TypedParams::new(),
        };
        Self { params, ..info }
    }
}

fn user(of: &Entry<'_, '_>) -> GuestUser {
    GuestUser {
        name: of.text(names::USER_SUFFIX_NAME),
        domain: of.get(names::USER_SUFFIX_DOMAIN),
        login_time: of
            .get(names::USER_SUFFIX_LOGIN_TIME)
            .and_then(|time| after_1970(Duration::from_millis(time))),
    }
}

fn os(of: &Fields<'_>) -> GuestOs {
    GuestOs {
        id: of.get(names::OS_ID),
        name: of.get(names::OS_NAME),
        pretty_name: of.get(names::OS_PRETTY_NAME),
        version: of.get(names::OS_VERSION),
        version_id: of.get(names::OS_VERSION_ID),
        kernel_release: of.get(names::OS_KERNEL_RELEASE),
        kernel_version: of.get(names::OS_KERNEL_VERSION),
        machine: of.get(names::OS_MACHINE),
        variant: of.get(names::OS_VARIANT),
        variant_id: of.get(names::OS_VARIANT_ID),
    }
}

fn filesystem(of: &Entry<'_, '_>) -> GuestFilesystem {
    GuestFilesystem {
        name: of.text(names::FS_SUFFIX_NAME),
        mountpoint: of.text(names::FS_SUFFIX_MOUNTPOINT),
        fstype: of.text(names::FS_SUFFIX_FSTYPE),
        total_bytes: of.get(names::FS_SUFFIX_TOTAL_BYTES),
        used_bytes: of.get(names::FS_SUFFIX_USED_BYTES),
        disks: of.list(names::FS_SUFFIX_DISK_PREFIX, |of| GuestFilesystemDisk {
            alias: of.get(names::FS_SUFFIX_DISK_SUFFIX_ALIAS),
            serial: of.get(names::FS_SUFFIX_DISK_SUFFIX_SERIAL),
            device: of.get(names::FS_SUFFIX_DISK_SUFFIX_DEVICE),
        }),
    }
}

fn disk(of: &Entry<'_, '_>) -> GuestDisk {
    GuestDisk {
        name: of.text(names::DISK_SUFFIX_NAME),
        is_partition: of.get(names::DISK_SUFFIX_PARTITION),
        dependencies: of.list(names::DISK_SUFFIX_DEPENDENCY_PREFIX, |of| {
            of.text(names::DISK_SUFFIX_DEPENDENCY_SUFFIX_NAME)
        }),
        serial: of.get(names::DISK_SUFFIX_SERIAL),
        alias: of.get(names::DISK_SUFFIX_ALIAS),
        guest_alias: of.get(names::DISK_SUFFIX_GUEST_ALIAS),
        guest_bus: of.get(names::DISK_SUFFIX_GUEST_BUS),
    }
}

fn interface(of: &Entry<'_, '_>) -> DomainInterface {
    DomainInterface {
        name: of.text(names::IF_SUFFIX_NAME),
        hwaddr: of.get(names::IF_SUFFIX_HWADDR),
        addresses: of.list(names::IF_SUFFIX_ADDR_PREFIX, |of| DomainIpAddress {
            kind: match of.get::<&str>(names::IF_SUFFIX_ADDR_SUFFIX_TYPE) {
                Some("ipv6") => IpAddrType::IPV6,
                _ => IpAddrType::IPV4,
            },
            address: of.text(names::IF_SUFFIX_ADDR_SUFFIX_ADDR),
            prefix: of.get(names::IF_SUFFIX_ADDR_SUFFIX_PREFIX).unwrap_or_default(),
        }),
    }
}

fn device(of: &Entry<'_, '_>) -> GuestDevice {
    GuestDevice {
        driver_name: of.get(names::DEVICE_SUFFIX_DRIVER_NAME),
        driver_date: of.get(names::DEVICE_SUFFIX_DRIVER_DATE).and_then(|seconds| time_at(seconds, 0)),
        driver_version: of.get(names::DEVICE_SUFFIX_DRIVER_VERSION),
        id_type: of.get(names::DEVICE_SUFFIX_ID_TYPE),
        pci_vendor: of.get(names::DEVICE_SUFFIX_PCI_VENDOR),
        pci_device: of.get(names::DEVICE_SUFFIX_PCI_DEVICE),
    }
}

fn after_1970(time: Duration) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(time)
}

/// Parameters by their names.
struct Fields<'a>(BTreeMap<&'a str, &'a TypedValue>);

impl<'a> Fields<'a> {
    fn of(params: &'a [TypedParam]) -> Self {
        let named = |param: &'a TypedParam| Some((param.field.to_str().ok()?, &param.value));
        Self(params.iter().filter_map(named).collect())
    }

    /// The value, where there is one of this type.
    fn get<T: FromTypedValue<'a>>(&self, name: &str) -> Option<T> {
        T::from_typed_value(self.0.get(name)?).ok()?
    }

    /// What is made of each entry of a list: `user.0.…`, `user.1.…`. What a daemon says of their number is not
    /// believed, but what is there.
    fn list<T>(&self, prefix: &str, make: impl Fn(&Entry<'_, 'a>) -> T) -> Vec<T> {
        let of_list = self.0.range(prefix..).map_while(|(name, _)| name.strip_prefix(prefix));
        let numbers: BTreeSet<u32> =
            of_list.filter_map(|rest| rest.split_once('.')?.0.parse().ok()).collect();
        let entry = |number| Entry { fields: self, name: format!("{prefix}{number}") };
        numbers.into_iter().map(|number| make(&entry(number))).collect()
    }
}

/// One entry of a list.
struct Entry<'f, 'a> {
    fields: &'f Fields<'a>,
    /// What its parameters' names begin with.
    name: String,
}

impl<'a> Entry<'_, 'a> {
    fn get<T: FromTypedValue<'a>>(&self, suffix: &str) -> Option<T> {
        self.fields.get(&format!("{}{suffix}", self.name))
    }

    /// A string that each entry has.
    fn text(&self, suffix: &str) -> Text {
        self.get(suffix).unwrap_or_default()
    }

    fn list<T>(&self, suffix: &str, make: impl Fn(&Entry<'_, 'a>) -> T) -> Vec<T> {
        self.fields.list(&format!("{}{suffix}", self.name), make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(params: TypedParams) -> GuestInfo {
        GuestInfo::from(remote::DomainGetGuestInfoRet { params: params.into() })
    }

    #[test]
    fn lists_within_lists() {
        let info = info(
            TypedParams::new()
                .with("user.count", 2_u32)
                .with("user.0.name", "fred")
                .with("user.0.login-time", 1_700_000_000_500_u64)
                .with("user.1.name", "wilma")
                .with("user.1.domain", "BEDROCK")
                .with("os.id", "debian")
                .with("timezone.offset", -3_600)
                .with("fs.count", 1_u32)
                .with("fs.0.name", "dm-0")
                .with("fs.0.mountpoint", "/")
                .with("fs.0.fstype", "ext4")
                .with("fs.0.total-bytes", 10_u64)
                .with("fs.0.disk.count", 2_u32)
                .with("fs.0.disk.0.alias", "vda")
                .with("fs.0.disk.1.device", "/dev/vdb1")
                .with("disk.0.name", "/dev/vda1")
                .with("disk.0.partition", true)
                .with("disk.0.dependency.count", 1_u32)
                .with("disk.0.dependency.0.name", "/dev/vda")
                .with("if.0.name", "eth0")
                .with("if.0.hwaddr", "52:54:00:00:00:01")
                .with("if.0.addr.0.type", "ipv6")
                .with("if.0.addr.0.addr", "fe80::1")
                .with("if.0.addr.0.prefix", 64_u32)
                .with("load.1m", 0.5)
                .with("load.5m", 0.25)
                .with("load.15m", 0.125)
                .with("device.10.pciVendor", 6_900_u32)
                .with("device.9.driverDate", 1_736_726_400_i64),
        );
        let [fred, wilma] = &info.users[..] else { panic!("{:?}", info.users) };
        assert_eq!((&fred.name, &wilma.name), (&"fred".into(), &"wilma".into()));
        assert_eq!(fred.login_time, after_1970(Duration::from_millis(1_700_000_000_500)));
        assert_eq!((&fred.domain, &wilma.domain), (&None, &Some("BEDROCK".into())));
        assert_eq!(info.os, GuestOs { id: Some("debian".into()), ..GuestOs::default() });
        assert_eq!((info.timezone_offset, &info.timezone_name), (Some(-3_600), &None));
        let root = &info.filesystems[0];
        assert_eq!((root.total_bytes, root.used_bytes, root.disks.len()), (Some(10), None, 2));
        assert_eq!((&root.disks[0].alias, &root.disks[1].alias), (&Some("vda".into()), &None));
        assert_eq!(
            (info.disks[0].is_partition, &info.disks[0].dependencies[..]),
            (Some(true), &["/dev/vda".into()][..])
        );
        let address = &info.interfaces[0].addresses[0];
        assert_eq!((address.kind, address.prefix), (IpAddrType::IPV6, 64));
        assert_eq!(info.load, Some([0.5, 0.25, 0.125]));
        // By their numbers, not by their names.
        let vendors: Vec<_> = info.devices.iter().map(|device| device.pci_vendor).collect();
        assert_eq!(vendors, [None, Some(6_900)]);
        assert_eq!(info.params.len(), 29);
    }

    #[test]
    fn what_a_daemon_counts_is_not_believed() {
        let info = info(
            TypedParams::new()
                .with("user.count", u32::MAX)
                .with("user.4294967295.name", "last")
                .with("user.4294967296.name", "none")
                .with("user..name", "none")
                .with("user.x.name", "none")
                .with("user.7", "none")
                .with("user.8.name", 1)
                .with("user.9.login-time", u64::MAX)
                .with("load.1m", 1.0)
                .with(vec![b'u', 0xff], 1),
        );
        let names: Vec<_> = info.users.iter().map(|user| user.name.to_string()).collect();
        assert_eq!(names, ["", "", "last"]);
        assert_eq!(info.load, None);
        assert_eq!(info.params.len(), 10);
    }
}
