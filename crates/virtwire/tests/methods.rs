//! What methods do that is more than one call: older procedures, answers in two steps, descriptors, order of arguments.
#![cfg(unix)]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use uuid::Uuid;
use virtwire::proto::enums::{DriverFeature, NetworkUpdateCommand, NetworkUpdateSection};
use virtwire::proto::flags::{
    DomainDestroyFlags, DomainFdAssociateFlags, DomainModificationImpact, DomainOpenGraphicsFlags,
    NetworkUpdateFlags, TypedParameterFlags,
};
use virtwire::proto::program::remote::{self, NonnullDomain, NonnullNetwork, NonnullNetworkPort};
use virtwire::proto::program::{PROGRAMS, Program};
use virtwire::proto::typed_params::{TypedParam, TypedParams, TypedParamsExt};
use virtwire::{Connection, CpuSet, Domain, Error};
use virtwire_server::service::ServiceFuture;
use virtwire_server::{Client, Reply, Request, Server, Service};

type Answer = dyn Fn(&mut Request) -> virtwire_server::Result<Reply> + Send + Sync;

/// A daemon that answers by a function, and notes what it was called for.
struct Scripted {
    answer: Box<Answer>,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Service for Scripted {
    fn programs(&self) -> Vec<&'static Program> {
        PROGRAMS.to_vec()
    }

    fn call(self: Arc<Self>, _: Client, mut request: Request) -> ServiceFuture {
        let name = request.procedure.name;
        let result = match name {
            "connect_open" => Reply::new(&()),
            "connect_supports_feature" if !is_network_update(&request) => {
                Reply::new(&remote::ConnectSupportsFeatureRet { supported: 0 })
            }
            _ => {
                self.calls.lock().unwrap().push(name);
                (self.answer)(&mut request)
            }
        };
        Box::pin(async { result })
    }
}

fn is_network_update(request: &Request) -> bool {
    let feature = request.args::<remote::ConnectSupportsFeatureArgs>().map(|args| args.feature);
    feature.is_ok_and(|feature| feature == DriverFeature::NETWORK_UPDATE_HAS_CORRECT_ORDER.0)
}

struct Scene {
    connection: Connection,
    calls: Arc<Mutex<Vec<&'static str>>>,
    _server: Server,
}

async fn scene(
    answer: impl Fn(&mut Request) -> virtwire_server::Result<Reply> + Send + Sync + 'static,
) -> Scene {
    let calls = Arc::default();
    let server = Server::new(Arc::new(Scripted { answer: Box::new(answer), calls: Arc::clone(&calls) }));
    let builder = Connection::builder("test:///scripted").no_keepalive();
    let connection = builder.open_on(server.connect().unwrap()).await.unwrap();
    Scene { connection, calls, _server: server }
}

impl Scene {
    fn domain(&self) -> Domain {
        self.connection.domain(NonnullDomain { name: "demo".into(), uuid: Uuid::from_u128(7), id: 4 })
    }

    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

#[tokio::test]
async fn an_older_procedure_does_where_nothing_new_is_asked_for() {
    let scene = scene(|_| Reply::new(&())).await;
    scene.domain().destroy(DomainDestroyFlags::empty()).await.unwrap();
    scene.domain().destroy(DomainDestroyFlags::GRACEFUL).await.unwrap();
    scene.domain().save("/file", None, Default::default()).await.unwrap();
    scene.domain().save("/file", "<domain/>", Default::default()).await.unwrap();
    assert_eq!(scene.calls(), ["domain_destroy", "domain_destroy_flags", "domain_save", "domain_save_flags"]);
}

#[tokio::test]
async fn parameters_are_asked_for_by_their_number_and_may_be_strings() {
    let scene = scene(|request| {
        let args: remote::DomainGetNumaParametersArgs = request.args()?;
        assert_eq!(
            args.flags,
            (DomainModificationImpact::LIVE.bits() | TypedParameterFlags::STRING_OKAY.bits())
        );
        let param = TypedParam::new("numa_nodeset", "0-3");
        let params = if args.nparams == 0 { Vec::new() } else { vec![param; args.nparams as usize] };
        Reply::new(&remote::DomainGetNumaParametersRet { params, nparams: 2 })
    })
    .await;
    let params = scene.domain().numa_parameters(DomainModificationImpact::LIVE).await.unwrap();
    assert_eq!(params.get_all_as::<&str>("numa_nodeset").unwrap(), ["0-3", "0-3"]);
    assert_eq!(scene.calls().len(), 2);
}

#[tokio::test]
async fn a_driver_without_parameters_is_asked_once() {
    let scene = scene(|_| Reply::new(&remote::DomainGetNumaParametersRet::default())).await;
    assert!(scene.domain().numa_parameters(DomainModificationImpact::empty()).await.unwrap().is_empty());
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn parameters_that_come_unasked_are_kept() {
    // As libvirtd has it for network ports and SEV: it does not ask for a number, and says none.
    let scene = scene(|_| {
        let params = vec![TypedParam::new("inbound.average", 2000_u32)];
        Reply::new(&remote::NetworkPortGetParametersRet { params, nparams: 0 })
    })
    .await;
    let net = NonnullNetwork { name: "net".into(), uuid: Uuid::nil() };
    let port = scene.connection.network_port(NonnullNetworkPort { net, uuid: Uuid::nil() });
    assert_eq!(port.parameters().await.unwrap().get_as::<u32>("inbound.average").unwrap(), Some(2000));
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn network_updates_are_right_on_old_and_new_servers() {
    for (in_order, expected) in [(true, (3, 4)), (false, (4, 3))] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let scene = scene(move |request| {
            if request.procedure.name == "connect_supports_feature" {
                return Reply::new(&remote::ConnectSupportsFeatureRet { supported: in_order.into() });
            }
            let args: remote::NetworkUpdateArgs = request.args()?;
            noted.lock().unwrap().push((args.command, args.section, args.parent_index));
            Reply::new(&())
        })
        .await;
        let network = scene.connection.network(NonnullNetwork { name: "net".into(), uuid: Uuid::nil() });
        let (command, section) = (NetworkUpdateCommand::ADD_LAST, NetworkUpdateSection::IP_DHCP_HOST);
        assert_eq!((command.0, section.0), (3, 4));
        let flags = NetworkUpdateFlags::AFFECT_CURRENT;
        network.update(command, section, None, "<host/>", flags).await.unwrap();
        network.update(command, section, Some(2), "<host/>", flags).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), [(expected.0, expected.1, -1), (expected.0, expected.1, 2)]);
        // What the server can do is asked once.
        assert_eq!(scene.calls(), ["connect_supports_feature", "network_update", "network_update"]);
    }
}

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

/// How many descriptors this process has that are `/dev/null`.
fn nulls() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    links.filter(|link| std::fs::read_link(link.path()).is_ok_and(|to| to.as_os_str() == "/dev/null")).count()
}

#[tokio::test]
async fn descriptors_go_and_come_and_none_is_left() {
    let before = nulls();
    let count = Arc::new(Mutex::new(0_usize));
    let sent = Arc::clone(&count);
    let scene = scene(move |request| {
        let received = std::mem::take(&mut request.descriptors).len();
        match request.procedure.name {
            "domain_open_graphics_fd" => {
                let count = *sent.lock().unwrap();
                Ok(Reply::new(&())?.with_descriptors((0..count).map(|_| null()).collect()))
            }
            "domain_fd_associate" => {
                *sent.lock().unwrap() = received;
                Reply::new(&())
            }
            other => Err(virtwire_server::Error::internal(other)),
        }
    })
    .await;
    let domain = scene.domain();
    domain.fd_associate("disk", vec![null(), null(), null()], DomainFdAssociateFlags::empty()).await.unwrap();
    assert_eq!(*count.lock().unwrap(), 3);
    let flags = DomainOpenGraphicsFlags::empty();
    for wrong in [0, 2] {
        *count.lock().unwrap() = wrong;
        let error = domain.open_graphics_fd(0, flags).await.unwrap_err();
        assert!(error.to_string().ends_with(&format!("expected 1 descriptor, got {wrong}")), "{error}");
    }
    *count.lock().unwrap() = 1;
    let socket = domain.open_graphics_fd(0, flags).await.unwrap();
    assert_eq!(nulls(), before + 1);
    drop(socket);
    let too_many = (0..33).map(|_| null()).collect();
    let error = domain.fd_associate("disk", too_many, DomainFdAssociateFlags::empty()).await.unwrap_err();
    assert!(matches!(error, Error::Argument(_)), "{error:?}");
    assert_eq!(nulls(), before);
}

#[tokio::test]
async fn statistics_of_many_cpus_come_in_parts_the_last_of_which_may_be_short() {
    let scene = scene(|request| {
        let args: remote::DomainGetCpuStatsArgs = request.args()?;
        let (params, nparams) = match (args.nparams, args.ncpus) {
            (0, 0) => (Vec::new(), 200),
            (0, _) => (Vec::new(), 1),
            _ => {
                assert!(args.ncpus <= 128, "{}", args.ncpus);
                let cpus = args.start_cpu..args.start_cpu + args.ncpus as i32;
                // Those that it has not touched are left out at the end.
                let cpu_time = |cpu: i32| TypedParam::new("cpu_time", cpu as u64);
                (cpus.filter(|cpu| *cpu < 190).map(cpu_time).collect(), 1)
            }
        };
        Reply::new(&remote::DomainGetCpuStatsRet { params, nparams })
    })
    .await;
    let stats = scene.domain().cpu_stats(10..1000).await.unwrap();
    assert_eq!(stats.len(), 190);
    assert_eq!(stats[0].get_as::<u64>("cpu_time"), Ok(Some(10)));
    assert_eq!(stats[179].get_as::<u64>("cpu_time"), Ok(Some(189)));
    assert!(stats[180].is_empty() && stats[189].is_empty());
}

#[tokio::test]
async fn a_daemon_s_broken_answers_are_values() {
    let scene = scene(|request| match request.procedure.name {
        "connect_num_of_domains" => Reply::new(&remote::ConnectNumOfDomainsRet { num: -1 }),
        "node_get_cpu_map" => {
            // As many CPUs as no map holds.
            Reply::new(&remote::NodeGetCpuMapRet { cpumap: "\x05".into(), online: 2, ret: i32::MAX })
        }
        "domain_get_info" => Reply::new(&remote::DomainGetInfoRet { nr_virt_cpu: 2, ..Default::default() }),
        "domain_get_vcpus" => {
            let args: remote::DomainGetVcpusArgs = request.args()?;
            assert_eq!((args.maxinfo, args.maplen), (2, 2048));
            let info = vec![remote::VcpuInfo { cpu: -1, ..Default::default() }; 2];
            Reply::new(&remote::DomainGetVcpusRet { info, cpumaps: "\x02".into() })
        }
        "domain_get_time" => Reply::new(&remote::DomainGetTimeRet { seconds: i64::MIN, nseconds: u32::MAX }),
        other => Err(virtwire_server::Error::internal(other)),
    })
    .await;
    let error = scene.connection.num_of_domains().await.unwrap_err();
    assert_eq!(error.to_string(), "remote.connect_num_of_domains: expected a count, got -1");
    assert_eq!(scene.connection.node_cpu_map().await.unwrap().online.to_string(), "0,2");
    let vcpus = scene.domain().vcpus().await.unwrap();
    assert_eq!((vcpus[0].cpu, &vcpus[0].affinity), (None, &CpuSet::from_iter([1])));
    assert!(vcpus[1].affinity.is_empty());
    // Whatever this system makes of such a time, it is no panic.
    if let Err(error) = scene.domain().time().await {
        assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn statistics_of_no_domains_are_none_and_not_all() {
    let scene = scene(|request| Err(virtwire_server::Error::internal(request.procedure))).await;
    let stats = scene.connection.domain_list_stats(&[], Default::default(), Default::default()).await;
    assert_eq!(stats.unwrap(), []);
    assert!(scene.calls().is_empty());
}

/// Any task may run any method: a future that is not Send would not compile here. Those that run on real daemons are
/// looked at where they do.
#[tokio::test]
async fn methods_run_in_tasks_of_their_own() {
    fn in_a_task<T>(future: impl Future<Output = T> + Send) {
        drop(future);
    }
    let scene = scene(|_| Reply::new(&())).await;
    let (domain, connection) = (scene.domain(), &scene.connection);
    in_a_task(domain.migrate(connection, TypedParams::new(), Default::default()));
    in_a_task(connection.call(&remote::ConnectGetHostnameArgs));
    in_a_task(connection.clone().close());
    in_a_task(connection.closed());
    in_a_task(Connection::open("test:///default"));
    assert!(scene.calls().is_empty(), "what is dropped before it is polled calls nothing");
}

/// Objects are values: shared, compared, kept in maps, and shown.
#[test]
fn objects_are_values() {
    fn shared<T: Clone + std::fmt::Debug + Send + Sync + Unpin + 'static>() {}
    fn value<T: Clone + std::fmt::Debug + Send + Sync + Unpin + Eq + std::hash::Hash + 'static>() {}
    shared::<Connection>();
    shared::<virtwire::AdminConnection>();
    value::<Domain>();
    value::<virtwire::DomainSnapshot>();
    value::<virtwire::DomainCheckpoint>();
    value::<virtwire::Network>();
    value::<virtwire::NetworkPort>();
    value::<virtwire::Interface>();
    value::<virtwire::NodeDevice>();
    value::<virtwire::NwFilter>();
    value::<virtwire::NwFilterBinding>();
    value::<virtwire::Secret>();
    value::<virtwire::StoragePool>();
    value::<virtwire::StorageVol>();
    value::<virtwire::AdminServer>();
    value::<virtwire::AdminClient>();
    value::<CpuSet>();
    value::<virtwire::OptionalText>();
}

/// A string that may be left out is taken as what it is.
#[tokio::test]
async fn strings_that_may_be_left_out() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let scene = scene(move |request| {
        let args: remote::DomainGetBlockIoTuneArgs = request.args()?;
        noted.lock().unwrap().push(args.disk);
        Reply::new(&remote::DomainGetBlockIoTuneRet::default())
    })
    .await;
    let (domain, flags) = (scene.domain(), DomainModificationImpact::empty());
    let text = virtwire::Text::from(vec![b'v', 0xff]);
    domain.block_io_tune(None, flags).await.unwrap();
    domain.block_io_tune("vda", flags).await.unwrap();
    domain.block_io_tune(Some("vda"), flags).await.unwrap();
    domain.block_io_tune("vda".to_owned(), flags).await.unwrap();
    domain.block_io_tune(&text, flags).await.unwrap();
    domain.block_io_tune(virtwire::OptionalText::new(Some(text.clone())), flags).await.unwrap();
    domain.block_io_tune(virtwire::OptionalText::new(None::<String>), flags).await.unwrap();
    let vda = || Some("vda".into());
    assert_eq!(*seen.lock().unwrap(), [None, vda(), vda(), vda(), Some(text.clone()), Some(text), None]);
}

/// Typed parameters are taken as a set, as a list, or as pairs.
#[tokio::test]
async fn parameters_are_taken_as_pairs() {
    let scene = scene(|request| {
        let args: remote::DomainSetMemoryParametersArgs = request.args()?;
        assert_eq!(args.params, [TypedParam::new("hard_limit", 1_u64), TypedParam::new("soft_limit", 2_u64)]);
        Reply::new(&())
    })
    .await;
    let (domain, flags) = (scene.domain(), DomainModificationImpact::empty());
    let pairs = [("hard_limit", 1_u64), ("soft_limit", 2)];
    domain.set_memory_parameters(pairs, flags).await.unwrap();
    domain.set_memory_parameters(TypedParams::from(pairs), flags).await.unwrap();
    domain.set_memory_parameters(pairs.map(TypedParam::from).to_vec(), flags).await.unwrap();
    assert_eq!(scene.calls().len(), 3);
}

#[tokio::test]
async fn what_stands_for_the_host_as_a_whole() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let scene = scene(move |request| {
        let args: remote::NodeGetFreePagesArgs = request.args()?;
        noted.lock().unwrap().push((args.start_cell, args.cell_count));
        let counts = (0..args.cell_count * args.pages.len() as u32).map(u64::from).collect();
        Reply::new(&remote::NodeGetFreePagesRet { counts })
    })
    .await;
    let connection = &scene.connection;
    assert_eq!(connection.node_free_pages(&[4, 2_048], Some(1..3)).await.unwrap(), [[0, 1], [2, 3]]);
    assert_eq!(connection.node_free_pages(&[4, 2_048], None).await.unwrap(), [[0, 1]]);
    // Of nothing there is nothing to ask: daemons refuse such a call.
    assert!(connection.node_free_pages(&[4], Some(2..2)).await.unwrap().is_empty());
    assert!(connection.node_free_pages(&[], None).await.unwrap().is_empty());
    assert_eq!(*seen.lock().unwrap(), [(1, 2), (-1, 1)]);
}
