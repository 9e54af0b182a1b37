//! For those who come from libvirt's C library: where what it has is here.
//!
//! Everything is found by its name in C: type `virDomainGetXMLDesc`, `VIR_DOMAIN_PAUSED_USER` or
//! `virDomainInfo` into the search of this documentation.
//!
//! # Rules
//! - **Functions** are methods of what they take first, named without the prefix and without `get`: `virDomainGetInfo` is
//!   [`Domain::info`](crate::Domain::info), `virStoragePoolListAllVolumes` is
//!   [`StoragePool::list_all_volumes`](crate::StoragePool::list_all_volumes). What makes an object is a method of the
//!   connection or of the object that it is made from, by its whole name: `virDomainDefineXML` is
//!   [`Connection::domain_define_xml`](crate::Connection::domain_define_xml), `virDomainSnapshotCreateXML` is
//!   [`Domain::snapshot_create_xml`](crate::Domain::snapshot_create_xml).
//! - **With and without flags**: where C has two functions that differ in nothing else, here is one method with flags; with
//!   none set it is the older procedure, which older daemons and lesser drivers have, too. Where the two mean different
//!   things, both are there: [`attach_device`](crate::Domain::attach_device) and
//!   [`attach_device_flags`](crate::Domain::attach_device_flags).
//! - **Flags** are bits of [`flags`](crate::flags), a type for each function's; nothing set is `empty()` or
//!   `Default::default()`. **Enums** of [`enums`](crate::enums) are open: what a newer daemon says keeps its number.
//! - **`NULL`** for a string is `None`; a string is taken as it is ([`OptionalText`](crate::OptionalText)). Strings that
//!   come are [`Text`](crate::Text): bytes that are nearly always UTF-8.
//! - **-1 and `virGetLastError`** are [`Error`](crate::Error): of the call that failed, whatever other tasks do.
//! - **Filled buffers** are values: a list and its number are one call, lengths are asked for, `virXxxFree` is what
//!   dropping does.
//! - **Units** are types where they can be: times are `SystemTime` and `Duration`; memory is in KiB and storage in bytes,
//!   as each method says.
//!
//! # Where it is
//! | in C | here |
//! | --- | --- |
//! | `virInitialize`, `virEventRegisterDefaultImpl`, `virEventRunDefaultImpl`, `virEventAddHandle` | tokio's runtime; without one, [`blocking`](crate::blocking) |
//! | `virConnectOpen`, `virConnectOpenReadOnly`, `virConnectOpenAuth` | [`Connection::open`](crate::Connection::open), [`Builder::read_only`](crate::Builder::read_only), `Builder::credentials` |
//! | `virConnectRef`, `virDomainRef`, `virDomainFree` and their like | `clone` and `drop` |
//! | `virConnectClose` | [`Connection::close`](crate::Connection::close), or dropping all that comes from it |
//! | `virConnectSetKeepAlive`, `virConnectIsAlive` | [`Builder::keepalive`](crate::Builder::keepalive), on by itself; [`Connection::is_alive`](crate::Connection::is_alive) |
//! | `virConnectRegisterCloseCallback` | [`Connection::closed`](crate::Connection::closed); of the daemon's own connection, [`Connection::hypervisor_events`](crate::Connection::hypervisor_events) |
//! | `virConnectGetType`, `virGetVersion` | [`Connection::hypervisor_type`](crate::Connection::hypervisor_type), [`Connection::version`](crate::Connection::version) |
//! | `virNodeGetInfo` and all of the host | [`Connection::node_info`](crate::Connection::node_info), `node_…` of the connection |
//! | `virError`, `virErrorNumber`, `virConnSetErrorFunc` | [`LibvirtError`](crate::LibvirtError), [`Error::code`](crate::Error::code), [`Error::is_not_found`](crate::Error::is_not_found) |
//! | `virConnectNumOfDomains` and `virConnectListDomains`, `virConnectListAllDomains` | [`Connection::list_all_domains`](crate::Connection::list_all_domains) |
//! | `virDomainGetID`, `virDomainGetName`, `virDomainGetUUIDString` | [`Domain::id`](crate::Domain::id), [`Domain::name`](crate::Domain::name), [`Domain::uuid`](crate::Domain::uuid): no calls |
//! | `virDomainGetState` with its state and reason | [`Domain::state`](crate::Domain::state), with a [typed reason](crate::info::DomainStateReason) |
//! | `virTypedParameter`, `virTypedParamsAddULLong`, `virTypedParamsGetUInt` | [`TypedParams`](crate::proto::typed_params::TypedParams), [`TypedParamsExt`](crate::proto::typed_params::TypedParamsExt); the fields' names in [`names`](crate::proto::names) |
//! | `VIR_CPU_MAPLEN`, `VIR_USE_CPU`, `VIR_CPU_USED`, `virDomainPinVcpu` | [`CpuSet`](crate::CpuSet), [`Domain::pin_vcpu`](crate::Domain::pin_vcpu) |
//! | `virConnectDomainEventRegisterAny` and a callback | [`Connection::domain_events`](crate::Connection::domain_events), [`Domain::events`](crate::Domain::events): a stream, which ends its registration when dropped |
//! | `virConnectNetworkEventRegisterAny` and its like | `events` of the object, `…_events` of the connection |
//! | `virStreamNew`, `virStreamSend`, `virStreamRecv`, `virStreamFinish`, `virStreamAbort`, `virStreamEventAddCallback` | [`Stream`](crate::Stream), which the call gives that opens it; dropping aborts |
//! | `virStreamSendHole`, `virStreamRecvHole`, `virStreamSparseSendAll` | [`Stream::send_hole`](crate::Stream::send_hole), [`Chunk::Hole`](crate::Chunk::Hole), `Stream::send_sparse_file` |
//! | `virDomainMigrate3`, `virDomainMigrateToURI3` and those before | [`Domain::migrate`](crate::Domain::migrate), [`Domain::migrate_to_uri`](crate::Domain::migrate_to_uri) with [`MigrateParams`](crate::MigrateParams) |
//! | `virDomainListGetStats` | [`Connection::domain_list_stats`](crate::Connection::domain_list_stats) |
//! | `virDomainGetGuestInfo` | [`Domain::guest_info`](crate::Domain::guest_info), as [a struct](crate::info::GuestInfo) |
//! | file descriptors (`virDomainOpenGraphics`, `virDomainCreateWithFiles`) | [`Descriptor`](crate::proto::packet::Descriptor): owned, closed once sent |
//! | `virDomainQemuMonitorCommand`, `virDomainLxcOpenNamespace` | [`Domain::qemu_monitor_command`](crate::Domain::qemu_monitor_command), [`Domain::lxc_open_namespace`](crate::Domain::lxc_open_namespace) |
//! | `virAdmConnectOpen` and all of libvirt-admin | [`AdminConnection`](crate::AdminConnection), [`AdminServer`](crate::AdminServer), [`AdminClient`](crate::AdminClient) |
//!
//! # What is otherwise
//! - Any number of tasks call on one connection at once; none blocks a thread, and each may be dropped at any time.
//! - An object is what it was when it was made: [`Domain::id`](crate::Domain::id) of a domain that has been started since
//!   is still `None`, and [`Domain::create`](crate::Domain::create) gives one that knows its number.
//! - There is no `virConnectGetLibVersion` without a connection: this is not the C library, and has its own version.
//! - The XML is a string on both sides; nothing here reads it.
