//! What a migration is to do beside its flags.

use virtwire_proto::names::migrate;
use virtwire_proto::typed_params::{TypedParam, TypedParams, TypedValue};
use virtwire_proto::xdr::Text;

/// What a migration is to do beside its flags: by default the destination and the hypervisor choose everything. For
/// [`Domain::migrate`](crate::Domain::migrate) and [`Domain::migrate_to_uri`](crate::Domain::migrate_to_uri).
///
/// It becomes the typed parameters of [`names::migrate`](crate::proto::names::migrate), and [`set`](Self::set) takes one
/// that has no method here. A daemon refuses what its version or its hypervisor does not know, before anything is
/// moved.
///
/// # Examples
/// ```no_run
/// use virtwire::flags::DomainMigrateFlags;
/// use virtwire::{Connection, Domain, MigrateParams};
/// # async fn example(domain: Domain, destination: Connection) -> virtwire::Result<()> {
/// // Over the storage network, with the disk "vda" and not more than 500 MiB/s, under another name.
/// let params = MigrateParams::new()
///     .uri("tcp://storage.two.example.com")
///     .disks(["vda"])
///     .bandwidth(500)
///     .dest_name("demo-two");
/// let flags = DomainMigrateFlags::LIVE
///     | DomainMigrateFlags::NON_SHARED_DISK
///     | DomainMigrateFlags::PERSIST_DEST
///     | DomainMigrateFlags::UNDEFINE_SOURCE;
/// let there = domain.migrate(&destination, params, flags).await?;
/// assert_eq!(*there.name(), "demo-two");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MigrateParams(TypedParams);

impl MigrateParams {
    /// Everything as the destination and the hypervisor choose it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the source sends the domain's memory, as the source sees the destination: for QEMU
    /// `tcp://host.example.com:49152` (the port may be left to the destination), `unix:///path/of/a/socket` or `rdma://…`.
    /// Otherwise the destination says its host's name.
    #[doc(alias = "VIR_MIGRATE_PARAM_URI")]
    #[must_use]
    pub fn uri(self, uri: impl Into<Text>) -> Self {
        self.set(migrate::URI, uri.into())
    }

    /// The domain's name at the destination, where it is to have another one.
    #[doc(alias = "VIR_MIGRATE_PARAM_DEST_NAME")]
    #[must_use]
    pub fn dest_name(self, name: impl Into<Text>) -> Self {
        self.set(migrate::DEST_NAME, name.into())
    }

    /// The domain's XML at the destination, where the host's side of it is to be another one: paths of disks, names of
    /// bridges. What the guest sees must stay. Begin with
    /// [`xml_desc`](crate::Domain::xml_desc) and the flag `MIGRATABLE`.
    #[doc(alias = "VIR_MIGRATE_PARAM_DEST_XML")]
    #[must_use]
    pub fn dest_xml(self, xml: impl Into<Text>) -> Self {
        self.set(migrate::DEST_XML, xml.into())
    }

    /// What is defined at the destination by the flag `PERSIST_DEST`, where it is to be another XML than the
    /// source's definition. Since libvirt 1.3.4.
    #[doc(alias = "VIR_MIGRATE_PARAM_PERSIST_XML")]
    #[must_use]
    pub fn persist_xml(self, xml: impl Into<Text>) -> Self {
        self.set(migrate::PERSIST_XML, xml.into())
    }

    /// How many MiB may be sent in a second; 0 is the hypervisor's own bound.
    /// [`migrate_set_max_speed`](crate::Domain::migrate_set_max_speed) changes it while the migration runs.
    #[doc(alias = "VIR_MIGRATE_PARAM_BANDWIDTH")]
    #[must_use]
    pub fn bandwidth(self, mib_per_second: u64) -> Self {
        self.set(migrate::BANDWIDTH, mib_per_second)
    }

    /// How many MiB may be sent in a second once the guest runs at the destination (flag `POSTCOPY`); 0 is no bound.
    /// Since libvirt 5.1.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY")]
    #[must_use]
    pub fn bandwidth_postcopy(self, mib_per_second: u64) -> Self {
        self.set(migrate::BANDWIDTH_POSTCOPY, mib_per_second)
    }

    /// How many MiB a second the hypervisor takes for granted when it decides whether the guest may be paused for the
    /// rest; 0 lets it go by what it measures. Since libvirt 11.1.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_BANDWIDTH_AVAIL_SWITCHOVER")]
    #[must_use]
    pub fn bandwidth_avail_switchover(self, mib_per_second: u64) -> Self {
        self.set(migrate::BANDWIDTH_AVAIL_SWITCHOVER, mib_per_second)
    }

    /// Where clients of the domain's display are sent, such as `spice://host.example.com:5900`.
    #[doc(alias = "VIR_MIGRATE_PARAM_GRAPHICS_URI")]
    #[must_use]
    pub fn graphics_uri(self, uri: impl Into<Text>) -> Self {
        self.set(migrate::GRAPHICS_URI, uri.into())
    }

    /// The address of the destination's that its hypervisor waits on, for the memory and for disks: a number, or a name
    /// that the destination resolves. Otherwise it waits on all. Since libvirt 1.1.4.
    #[doc(alias = "VIR_MIGRATE_PARAM_LISTEN_ADDRESS")]
    #[must_use]
    pub fn listen_address(self, address: impl Into<Text>) -> Self {
        self.set(migrate::LISTEN_ADDRESS, address.into())
    }

    /// Which disks are copied with the flags `NON_SHARED_DISK` and `NON_SHARED_INC`, by their targets such as "vda".
    /// Otherwise all that are neither shared nor read only. Since libvirt 1.2.17.
    #[doc(alias = "VIR_MIGRATE_PARAM_MIGRATE_DISKS")]
    #[must_use]
    pub fn disks(self, targets: impl IntoIterator<Item = impl Into<Text>>) -> Self {
        self.list(migrate::MIGRATE_DISKS, targets)
    }

    /// Of which of the copied disks zeroes are looked for, so that they take no room at the destination. Since libvirt
    /// 10.9.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_MIGRATE_DISKS_DETECT_ZEROES")]
    #[must_use]
    pub fn disks_detect_zeroes(self, targets: impl IntoIterator<Item = impl Into<Text>>) -> Self {
        self.list(migrate::MIGRATE_DISKS_DETECT_ZEROES, targets)
    }

    /// The destination's port for the copied disks; 0 is any. Since libvirt 1.3.3.
    #[doc(alias = "VIR_MIGRATE_PARAM_DISKS_PORT")]
    #[must_use]
    pub fn disks_port(self, port: u16) -> Self {
        self.set(migrate::DISKS_PORT, i32::from(port))
    }

    /// Where the source sends copied disks, as [`uri`](Self::uri) has it for the memory: `tcp://…` or
    /// `unix:///path/of/a/socket`, which is needed where the memory goes to a UNIX socket. Since libvirt 6.8.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_DISKS_URI")]
    #[must_use]
    pub fn disks_uri(self, uri: impl Into<Text>) -> Self {
        self.set(migrate::DISKS_URI, uri.into())
    }

    /// How memory is compressed with the flag `COMPRESSED`: for QEMU "xbzrle", or "zlib" and "zstd" with the flag
    /// `PARALLEL`. Since libvirt 1.3.4.
    #[doc(alias = "VIR_MIGRATE_PARAM_COMPRESSION")]
    #[must_use]
    pub fn compression(self, methods: impl IntoIterator<Item = impl Into<Text>>) -> Self {
        self.list(migrate::COMPRESSION, methods)
    }

    /// How many bytes of memory the compression "xbzrle" remembers what it has sent in. Since libvirt 1.3.4.
    #[doc(alias = "VIR_MIGRATE_PARAM_COMPRESSION_XBZRLE_CACHE")]
    #[must_use]
    pub fn xbzrle_cache(self, bytes: u64) -> Self {
        self.set(migrate::COMPRESSION_XBZRLE_CACHE, bytes)
    }

    /// The level of the compression "zlib", from 0 (none) to 9. Since libvirt 9.4.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_COMPRESSION_ZLIB_LEVEL")]
    #[must_use]
    pub fn zlib_level(self, level: i32) -> Self {
        self.set(migrate::COMPRESSION_ZLIB_LEVEL, level)
    }

    /// The level of the compression "zstd", from 0 (the library's default) to 20. Since libvirt 9.4.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_COMPRESSION_ZSTD_LEVEL")]
    #[must_use]
    pub fn zstd_level(self, level: i32) -> Self {
        self.set(migrate::COMPRESSION_ZSTD_LEVEL, level)
    }

    /// By how many percent the guest is slowed down at first with the flag `AUTO_CONVERGE`. Since libvirt 2.0.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL")]
    #[must_use]
    pub fn auto_converge_initial(self, percent: i32) -> Self {
        self.set(migrate::AUTO_CONVERGE_INITIAL, percent)
    }

    /// By how many percent more it is slowed down each time that was not enough. Since libvirt 2.0.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT")]
    #[must_use]
    pub fn auto_converge_increment(self, percent: i32) -> Self {
        self.set(migrate::AUTO_CONVERGE_INCREMENT, percent)
    }

    /// Over how many connections memory is sent with the flag `PARALLEL`. Since libvirt 5.2.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS")]
    #[must_use]
    pub fn parallel_connections(self, count: i32) -> Self {
        self.set(migrate::PARALLEL_CONNECTIONS, count)
    }

    /// The name that the destination's certificate must have with the flag `TLS`, where it is not that of
    /// [`uri`](Self::uri)'s host. Since libvirt 6.0.0.
    #[doc(alias = "VIR_MIGRATE_PARAM_TLS_DESTINATION")]
    #[must_use]
    pub fn tls_destination(self, name: impl Into<Text>) -> Self {
        self.set(migrate::TLS_DESTINATION, name.into())
    }

    /// Any parameter, by its name.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<TypedValue>) -> Self {
        self.0.set(name, value);
        self
    }

    pub(super) fn into_typed(self) -> TypedParams {
        self.0
    }

    /// A parameter that is there once for each value: these and no others.
    fn list(mut self, name: &str, values: impl IntoIterator<Item = impl Into<Text>>) -> Self {
        self.0.remove(name);
        for value in values {
            self.0.push(name, value.into());
        }
        self
    }
}

impl From<MigrateParams> for Vec<TypedParam> {
    fn from(params: MigrateParams) -> Self {
        params.0.into()
    }
}

impl From<TypedParams> for MigrateParams {
    fn from(params: TypedParams) -> Self {
        Self(params)
    }
}

impl From<Vec<TypedParam>> for MigrateParams {
    fn from(params: Vec<TypedParam>) -> Self {
        Self(params.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use virtwire_proto::typed_params::TypedParamsExt;

    #[test]
    fn each_becomes_a_parameter_of_the_type_that_daemons_expect() {
        let params = MigrateParams::new()
            .uri("tcp:two")
            .bandwidth(5)
            .disks_port(49_200)
            .disks(["vda", "vdb"])
            .disks(["vdc", "vdd"])
            .set("new.parameter", 7_u32);
        let params = TypedParams::from(Vec::from(params));
        assert_eq!(params.get_as::<&str>(migrate::URI), Ok(Some("tcp:two")));
        assert_eq!(params.get_as::<u64>(migrate::BANDWIDTH), Ok(Some(5)));
        assert_eq!(params.get_as::<i32>(migrate::DISKS_PORT), Ok(Some(49_200)));
        assert_eq!(params.get_all_as::<&str>(migrate::MIGRATE_DISKS), Ok(vec!["vdc", "vdd"]));
        assert_eq!(params.get_as::<u32>("new.parameter"), Ok(Some(7)));
    }
}
