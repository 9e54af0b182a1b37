//! The node: the hypervisor that calls reach, with all of its domains.

use crate::capabilities::{self, Cell, NodeInfo, SECURITY_MODEL, SecurityModel};
use crate::domain::{Definition, Domain, DomainRef, Slot, Store};
use crate::error::{Result, bad_argument, check_flags, domain_is_gone, error, malformed, no_such_domain};
use crate::events::{DomainEvent, Hub, LifecycleEvent, Subscription};
use crate::node_file;
use crate::xml::{self, Limits};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;
use virtwire_proto::enums::{DomainMetadataType, DomainState, ErrorDomain, ErrorNumber};
use virtwire_proto::flags::ListAllDomainsFlags;

/// A hypervisor in memory.
///
/// All connections of a daemon share one: the methods take `&self` and only ever hold a lock for the time that
/// looking up or changing what is in memory takes. They never do I/O.
#[derive(Debug)]
pub struct Node {
    hostname: String,
    clock: Clock,
    info: NodeInfo,
    cells: Vec<Cell>,
    state: Mutex<State>,
    hub: Arc<Hub>,
}

/// Makes a [`Node`] with a host name or a clock of one's own.
#[derive(Debug, Default)]
pub struct Builder {
    hostname: Option<String>,
    clock: Option<Clock>,
}

/// What the time is, counted from the start of 1970.
struct Clock(Box<dyn Fn() -> Duration + Send + Sync>);

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self(Box::new(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

/// What changes: always behind the node's lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) domains: Store,
    next_id: i32,
    hub: Arc<Hub>,
}

impl Builder {
    /// The host name that the node tells; without this, that of the machine.
    #[must_use]
    pub fn hostname(mut self, hostname: impl Into<String>) -> Self {
        self.hostname = Some(hostname.into());
        self
    }

    /// The clock that CPU time is read from, as the time since the start of 1970; without this, the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.clock = Some(Clock(Box::new(clock)));
        self
    }

    /// The node that a path of the `test` driver's URIs names: "/default" the one of [`Node::default`], any
    /// other the file of [`Builder::file`].
    ///
    /// # Errors
    /// An empty path, or as [`Builder::file`].
    pub fn open(self, path: &str) -> Result<Node> {
        match path {
            "" | "/" => Err(error(
                ErrorDomain::TEST,
                ErrorNumber::INVALID_ARG,
                "the URI needs a node file's path, or test:///default",
            )),
            "/default" => Ok(self.default_node()),
            path => self.file(Path::new(path)),
        }
    }

    /// The node of `test:///default`: one running domain, "test", with the id 1.
    #[must_use]
    pub fn default_node(self) -> Node {
        let node = self.build(NodeInfo::default(), capabilities::default_cells());
        let started = node_file::default_domain().and_then(|definition| {
            node.change(|state| {
                let (slot, _) = state.assign(definition, false, false)?;
                state.domains.change(slot, |domain| domain.persistent = true);
                state.start(slot, 0);
                Ok(())
            })
        });
        debug_assert_eq!(started, Ok(()), "the default node is sound");
        node
    }

    /// A node as a file describes it: a `<node>` document with its size (`<cpu>`, `<memory>`) and its domains.
    ///
    /// Each file makes a node of its own; nothing is shared. The files are read here and never again.
    ///
    /// # Errors
    /// The file, or a file that it names, cannot be read, is not a document, or says what libvirt refuses.
    pub fn file(self, path: &Path) -> Result<Node> {
        let root = node_file::read(path, "node")?;
        let mut info = NodeInfo::default();
        node_file::read_info(&root, &mut info)?;
        let node = self.build(info, Vec::new());
        for (definition, instructions) in node_file::domains(root, path)? {
            node.change(|state| {
                let (slot, _) = state.assign(definition, false, false)?;
                state.domains.change(slot, |domain| {
                    domain.persistent = !instructions.transient;
                    domain.has_managed_save = instructions.has_managed_save;
                });
                state.start_as(slot, instructions.run_state);
                Ok(())
            })?;
        }
        Ok(node)
    }

    fn build(self, info: NodeInfo, cells: Vec<Cell>) -> Node {
        let hub = Arc::new(Hub::default());
        let hostname = self
            .hostname
            .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
        let state = State { domains: Store::default(), next_id: 1, hub: Arc::clone(&hub) };
        Node { hostname, clock: self.clock.unwrap_or_default(), info, cells, state: Mutex::new(state), hub }
    }
}

impl Default for Node {
    /// The node of `test:///default`: one running domain, "test", with the id 1.
    fn default() -> Self {
        Self::builder().default_node()
    }
}

/// The node itself.
impl Node {
    /// The most vCPUs that a domain can be given while the node runs.
    pub const MAX_VCPUS: u32 = 32;

    /// Starts to make a node.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Calls the function for every event of a domain from now on, in order, until the subscription is dropped.
    ///
    /// It is called on the thread of the call that caused the event, or of another call at the same time, with
    /// no lock held: it may call the node, but should be quick.
    pub fn subscribe(&self, function: impl Fn(&DomainEvent) + Send + Sync + 'static) -> Subscription {
        self.hub.subscribe(Box::new(function))
    }

    /// The driver's name. C: `virConnectGetType`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        "TEST"
    }

    /// The hypervisor's version as major × 1 000 000 + minor × 1 000 + release. C: `virConnectGetVersion`.
    #[must_use]
    pub fn version(&self) -> u64 {
        2
    }

    /// The host's name. C: `virConnectGetHostname`.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Whether a connection to the node is encrypted: there is none that could be. C: `virConnectIsEncrypted`.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        false
    }

    /// Whether a connection to the node is secure. C: `virConnectIsSecure`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        true
    }

    /// The most vCPUs of a domain, whatever its type. C: `virConnectGetMaxVcpus`.
    #[must_use]
    pub fn max_vcpus(&self) -> u32 {
        Self::MAX_VCPUS
    }

    /// The node's size. C: `virNodeGetInfo`.
    #[must_use]
    pub fn info(&self) -> NodeInfo {
        self.info.clone()
    }

    /// The capabilities document. C: `virConnectGetCapabilities`.
    #[must_use]
    pub fn capabilities(&self) -> String {
        capabilities::document(&self.cells)
    }

    /// The document about the machine's firmware. C: `virConnectGetSysinfo`.
    ///
    /// # Errors
    /// Any flag.
    pub fn sysinfo(&self, flags: u32) -> Result<&'static str> {
        check_flags("virConnectGetSysinfo", flags, 0)?;
        Ok(capabilities::SYSINFO)
    }

    /// The security model. C: `virNodeGetSecurityModel`.
    #[must_use]
    pub fn security_model(&self) -> SecurityModel {
        SECURITY_MODEL
    }

    /// The sum of the cells' free memory. C: `virNodeGetFreeMemory`.
    #[must_use]
    pub fn free_memory(&self) -> u64 {
        self.cells.iter().map(|cell| cell.free).sum()
    }

    /// The memory of at most `max` cells from the one numbered `start` on. C: `virNodeGetCellsFreeMemory`.
    ///
    /// # Errors
    /// There is no cell `start`.
    pub fn cells_free_memory(&self, start: i32, max: usize) -> Result<Vec<u64>> {
        let cells = usize::try_from(start).ok().and_then(|start| self.cells.get(start..));
        match cells {
            Some(cells) if !cells.is_empty() => Ok(cells.iter().take(max).map(|cell| cell.memory).collect()),
            _ => Err(error(
                ErrorDomain::TEST,
                ErrorNumber::INVALID_ARG,
                "the range lies beyond the available cells",
            )),
        }
    }

    /// Which CPUs are online: a bit each, the lowest first; then how many are online, and how many there are.
    /// C: `virNodeGetCPUMap`.
    ///
    /// # Errors
    /// Any flag.
    pub fn cpu_map(&self, flags: u32) -> Result<(Vec<u8>, u32, i32)> {
        check_flags("virNodeGetCPUMap", flags, 0)?;
        Ok((vec![0b0001_0101], 3, 8))
    }

    pub(crate) fn now(&self) -> Duration {
        (self.clock.0)()
    }

    /// Reads the state.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        // A panic under the lock would be a bug here; what it left is still the best there is.
        read(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state, then tells the events that the change has caused.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.hub.deliver();
        result
    }

    /// Reads one domain.
    pub(crate) fn read_domain<R>(&self, domain: &DomainRef, read: impl FnOnce(&Domain) -> R) -> Result<R> {
        self.read(|state| state.get(domain).map(read))
    }

    /// Changes one domain.
    pub(crate) fn change_domain<R>(
        &self,
        domain: &DomainRef,
        change: impl FnOnce(&mut Domain) -> Result<R>,
    ) -> Result<R> {
        self.change(|state| state.change_domain(domain, change))
    }
}

/// Finding and listing domains.
impl Node {
    /// The domain with this name. C: `virDomainLookupByName`.
    ///
    /// # Errors
    /// There is none.
    pub fn domain_lookup_by_name(&self, name: impl AsRef<[u8]>) -> Result<DomainRef> {
        let name = name.as_ref();
        self.read(|state| {
            state.domains.by_name(name).and_then(|slot| state.domains.get(slot)).map(Domain::reference)
        })
        .ok_or_else(|| no_such_domain("name", String::from_utf8_lossy(name)))
    }

    /// The domain with this UUID. C: `virDomainLookupByUUID`.
    ///
    /// # Errors
    /// There is none.
    pub fn domain_lookup_by_uuid(&self, uuid: Uuid) -> Result<DomainRef> {
        self.read(|state| {
            state.domains.by_uuid(uuid).and_then(|slot| state.domains.get(slot)).map(Domain::reference)
        })
        .ok_or_else(|| no_such_domain("uuid", uuid))
    }

    /// The active domain with this id. C: `virDomainLookupByID`.
    ///
    /// # Errors
    /// There is none, or the id is negative.
    pub fn domain_lookup_by_id(&self, id: i32) -> Result<DomainRef> {
        const FUNCTION: &str = "virDomainLookupByID";
        if id < 0 {
            let message = format!("id in {FUNCTION} must be zero or greater");
            return Err(bad_argument(ErrorDomain::DOMAIN, FUNCTION, "id", message));
        }
        self.read(|state| {
            state.domains.by_id(id).and_then(|slot| state.domains.get(slot)).map(Domain::reference)
        })
        .ok_or_else(|| no_such_domain("id", id))
    }

    /// How many domains are active. C: `virConnectNumOfDomains`.
    #[must_use]
    pub fn num_of_domains(&self) -> usize {
        self.read(|state| state.domains.ids().len())
    }

    /// How many domains are not active. C: `virConnectNumOfDefinedDomains`.
    #[must_use]
    pub fn num_of_defined_domains(&self) -> usize {
        self.read(|state| state.domains.len() - state.domains.ids().len())
    }

    /// The ids of at most `max` active domains, in ascending order. C: `virConnectListDomains`.
    #[must_use]
    pub fn list_domains(&self, max: usize) -> Vec<i32> {
        self.read(|state| state.domains.ids().take(max).collect())
    }

    /// The names of at most `max` domains that are not active. C: `virConnectListDefinedDomains`.
    #[must_use]
    pub fn list_defined_domains(&self, max: usize) -> Vec<virtwire_proto::xdr::Text> {
        self.read(|state| {
            let inactive = state.domains.iter().filter(|domain| !domain.is_active());
            inactive.take(max).map(|domain| domain.definition.name.clone()).collect()
        })
    }

    /// The domains that the flags ask for, in the order in which they appeared. Flags of one group widen each
    /// other, groups narrow each other, and a group without a flag does not count.
    /// C: `virConnectListAllDomains`, `virConnectListAllDomainsFlags`.
    ///
    /// # Errors
    /// A flag that is none of these.
    pub fn list_all_domains(&self, flags: u32) -> Result<Vec<DomainRef>> {
        check_flags("virConnectListAllDomains", flags, ListAllDomainsFlags::all().bits())?;
        Ok(self.read(|state| {
            let wanted = state.domains.iter().filter(|domain| is_listed(domain, flags.into()));
            wanted.map(Domain::reference).collect()
        }))
    }
}

fn is_listed(domain: &Domain, flags: ListAllDomainsFlags) -> bool {
    use ListAllDomainsFlags as Flag;
    let group = |members: &[(ListAllDomainsFlags, bool)]| {
        let asked = members.iter().filter(|(flag, _)| flags.contains(*flag));
        asked.clone().next().is_none() || asked.clone().any(|&(_, holds)| holds)
    };
    let state = domain.state;
    let running = state == DomainState::RUNNING;
    let paused = state == DomainState::PAUSED;
    let shutoff = state == DomainState::SHUTOFF;
    group(&[(Flag::ACTIVE, domain.is_active()), (Flag::INACTIVE, !domain.is_active())])
        && group(&[(Flag::PERSISTENT, domain.persistent), (Flag::TRANSIENT, !domain.persistent)])
        && group(&[
            (Flag::RUNNING, running),
            (Flag::PAUSED, paused),
            (Flag::SHUTOFF, shutoff),
            (Flag::OTHER, !running && !paused && !shutoff),
        ])
        && group(&[
            (Flag::MANAGEDSAVE, domain.has_managed_save),
            (Flag::NO_MANAGEDSAVE, !domain.has_managed_save),
        ])
        && group(&[(Flag::AUTOSTART, domain.autostart), (Flag::NO_AUTOSTART, !domain.autostart)])
        // There are neither snapshots nor checkpoints.
        && group(&[(Flag::HAS_SNAPSHOT, false), (Flag::NO_SNAPSHOT, true)])
        && group(&[(Flag::HAS_CHECKPOINT, false), (Flag::NO_CHECKPOINT, true)])
}

impl State {
    /// Where the domain is.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn find(&self, domain: &DomainRef) -> Result<Slot> {
        self.domains.by_uuid(domain.uuid).ok_or_else(|| domain_is_gone(domain.uuid, &domain.name))
    }

    /// The domain as it is.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn get(&self, domain: &DomainRef) -> Result<&Domain> {
        self.domains.get(self.find(domain)?).ok_or_else(|| domain_is_gone(domain.uuid, &domain.name))
    }

    /// Changes a domain.
    ///
    /// # Errors
    /// It is gone, or what the change itself says.
    pub(crate) fn change_domain<R>(
        &mut self,
        domain: &DomainRef,
        change: impl FnOnce(&mut Domain) -> Result<R>,
    ) -> Result<R> {
        let slot = self.find(domain)?;
        let result = self.domains.change(slot, change);
        result.unwrap_or_else(|| Err(domain_is_gone(domain.uuid, &domain.name)))
    }

    /// Gives a definition to the domain with its name and UUID, or to a new one. Gives whether it replaced a
    /// definition.
    ///
    /// # Errors
    /// Only one of name and UUID is another domain's, or that domain is active and must not be.
    pub(crate) fn assign(
        &mut self,
        definition: Definition,
        live: bool,
        must_be_inactive: bool,
    ) -> Result<(Slot, bool)> {
        let Some(slot) = self.domains.by_uuid(definition.uuid) else {
            let name = &definition.name;
            if let Some(other) = self.domains.by_name(name.as_bytes()).and_then(|slot| self.domains.get(slot))
            {
                let message = format!("domain '{name}' already exists with uuid {}", other.definition.uuid);
                return Err(error(ErrorDomain::DOMAIN, ErrorNumber::OPERATION_FAILED, message));
            }
            return Ok((self.domains.insert(Domain::new(definition)), false));
        };
        let assigned = self.domains.change(slot, |domain| {
            let name = &domain.definition.name;
            if *name != definition.name {
                let message = format!("domain '{name}' is already defined with uuid {}", definition.uuid);
                return Err(error(ErrorDomain::DOMAIN, ErrorNumber::OPERATION_FAILED, message));
            }
            if must_be_inactive && domain.is_active() {
                let message = format!("domain '{name}' is already active");
                return Err(error(ErrorDomain::DOMAIN, ErrorNumber::OPERATION_INVALID, message));
            }
            Ok(domain.assign(definition, live))
        });
        match assigned {
            Some(replaced) => Ok((slot, replaced?)),
            None => {
                Err(error(ErrorDomain::DOMAIN, ErrorNumber::INTERNAL_ERROR, "a domain's UUID leads nowhere"))
            }
        }
    }

    /// Starts a domain under the next free id.
    pub(crate) fn start(&mut self, slot: Slot, reason: i32) {
        let id = self.next_id();
        self.domains.change(slot, |domain| domain.start(id, reason));
    }

    /// Brings a domain of a node file into the state that the file asks for.
    fn start_as(&mut self, slot: Slot, state: DomainState) {
        if state != DomainState::SHUTOFF {
            self.start(slot, 0);
        }
        self.domains.change(slot, |domain| domain.set_state(state, 0));
    }

    pub(crate) fn tell(&self, domain: DomainRef, event: LifecycleEvent) {
        self.hub.queue(DomainEvent::Lifecycle { domain, event });
    }

    pub(crate) fn tell_metadata(&self, domain: DomainRef, kind: DomainMetadataType, uri: Option<&str>) {
        self.hub.queue(DomainEvent::MetadataChange { domain, kind, uri: uri.map(str::to_owned) });
    }

    /// Ids count up from 1. Should they ever run out, those that are free again come next.
    fn next_id(&mut self) -> i32 {
        loop {
            let id = self.next_id;
            self.next_id = id.checked_add(1).unwrap_or(1);
            if self.domains.by_id(id).is_none() {
                return id;
            }
        }
    }
}

/// A document of the caller's about a domain's metadata.
pub(crate) fn parse_metadata(document: &str) -> Result<xml::Element> {
    xml::parse(document.as_bytes(), Limits::PEER)
        .map_err(|error| malformed(ErrorDomain::DOMAIN, "(metadata_xml)", &error))
}
