//! Migration that the client manages: which daemon is told what, in every protocol, whatever fails.
#![cfg(unix)]

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use uuid::Uuid;
use virtwire::proto::enums::{DomainState, DriverFeature, ErrorDomain, ErrorNumber};
use virtwire::proto::flags::DomainMigrateFlags;
use virtwire::proto::names::migrate;
use virtwire::proto::program::remote::{self, NonnullDomain};
use virtwire::proto::program::{PROGRAMS, Program};
use virtwire::proto::typed_params::{TypedParam, TypedParams};
use virtwire::{Builder, Connection, Domain, Error, MigrateParams, MigrationError, Text};
use virtwire_server::service::ServiceFuture;
use virtwire_server::{Client, Reply, Request, Server, Service};

/// What the two hosts were told, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// A daemon that takes part in a migration.
struct Host {
    name: &'static str,
    log: Log,
    features: Vec<DriverFeature>,
    /// The step that fails.
    fails: &'static str,
    paused: bool,
    /// Whether it knows where to migrate to.
    has_uri: bool,
    /// Where `perform` is to wait until the job is given up.
    job: Option<Arc<Notify>>,
    /// What `perform` waits for.
    slow: Option<Arc<Notify>>,
}

fn domain(id: i32) -> NonnullDomain {
    NonnullDomain { name: "demo".into(), uuid: Uuid::from_u128(7), id }
}

impl Host {
    fn refuses(&self, detail: &str) -> virtwire_server::Error {
        virtwire_server::Error::raised(
            ErrorNumber::OPERATION_FAILED,
            ErrorDomain::QEMU,
            "operation failed: %s",
            &format!("{detail} at the {}", self.name),
        )
    }

    /// Notes a step, and fails where it is to.
    fn step(&self, step: &str, with: String) -> virtwire_server::Result<()> {
        self.log.lock().unwrap().push(format!("{} {step}: {with}", self.name));
        if self.fails == step { Err(self.refuses(step)) } else { Ok(()) }
    }

    async fn perform(&self, step: &str, with: String) -> virtwire_server::Result<()> {
        if let Some(job) = &self.job {
            self.step(step, with)?;
            job.notified().await;
            return Err(self.refuses("the job was aborted"));
        }
        if let Some(ready) = &self.slow {
            ready.notified().await;
        }
        self.step(step, with)
    }

    async fn answer(&self, request: Request) -> virtwire_server::Result<Reply> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let uri_out = || self.has_uri.then(|| "tcp:destination".into());
        match request.procedure.name {
            "connect_open" | "connect_close" => Reply::new(&()),
            "connect_supports_feature" => {
                let args: remote::ConnectSupportsFeatureArgs = request.args()?;
                let supported = self.features.contains(&DriverFeature(args.feature)).into();
                Reply::new(&remote::ConnectSupportsFeatureRet { supported })
            }
            "domain_get_state" => {
                let state = if self.paused { DomainState::PAUSED } else { DomainState::RUNNING };
                Reply::new(&remote::DomainGetStateRet { state: state.0, reason: 0 })
            }
            "domain_get_info" => Reply::new(&remote::DomainGetInfoRet { state: 1, ..Default::default() }),
            "domain_get_xml_desc" => Reply::new(&remote::DomainGetXmlDescRet { xml: "<xml/>".into() }),
            "domain_lookup_by_name" => Reply::new(&remote::DomainLookupByNameRet { dom: domain(9) }),
            "domain_abort_job" => {
                self.step("abort", String::new())?;
                self.job.as_ref().expect("a job").notify_one();
                Reply::new(&())
            }
            "domain_migrate_begin3_params" => {
                let args: remote::DomainMigrateBegin3ParamsArgs = request.args()?;
                self.step("begin", flags(args.flags.into()))?;
                let cookie_out = "begun".into();
                Reply::new(&remote::DomainMigrateBegin3ParamsRet { cookie_out, xml: "<xml/>".into() })
            }
            "domain_migrate_prepare3_params" => {
                let args: remote::DomainMigratePrepare3ParamsArgs = request.args()?;
                let with =
                    format!("{} {} {}", text(&args.cookie_in), flags(args.flags.into()), shown(&args.params));
                self.step("prepare", with)?;
                let cookie_out = "prepared".into();
                Reply::new(&remote::DomainMigratePrepare3ParamsRet { cookie_out, uri_out: uri_out() })
            }
            "domain_migrate_perform3_params" => {
                let args: remote::DomainMigratePerform3ParamsArgs = request.args()?;
                let to = args.dconnuri.map(|uri| format!(" to {uri}")).unwrap_or_default();
                let with = format!(
                    "{}{to} {} {}",
                    text(&args.cookie_in),
                    flags(args.flags.into()),
                    shown(&args.params)
                );
                self.perform("perform", with).await?;
                Reply::new(&remote::DomainMigratePerform3ParamsRet { cookie_out: "performed".into() })
            }
            "domain_migrate_finish3_params" => {
                let args: remote::DomainMigrateFinish3ParamsArgs = request.args()?;
                let with = format!(
                    "{} {} {} cancelled={}",
                    text(&args.cookie_in),
                    flags(args.flags.into()),
                    shown(&args.params),
                    args.cancelled
                );
                self.step("finish", with)?;
                if args.cancelled != 0 {
                    let (code, domain) = (ErrorNumber::MIGRATE_FINISH_OK, ErrorDomain::QEMU);
                    return Err(virtwire_server::Error::raised(code, domain, "%s", "finished"));
                }
                let cookie_out = "finished".into();
                Reply::new(&remote::DomainMigrateFinish3ParamsRet { dom: domain(9), cookie_out })
            }
            "domain_migrate_confirm3_params" => {
                let args: remote::DomainMigrateConfirm3ParamsArgs = request.args()?;
                let with = format!(
                    "{} {} cancelled={}",
                    text(&args.cookie_in),
                    flags(args.flags.into()),
                    args.cancelled
                );
                self.step("confirm", with)?;
                Reply::new(&())
            }
            "domain_migrate_begin3" => {
                let args: remote::DomainMigrateBegin3Args = request.args()?;
                self.step("begin3", format!("{} {}", flags(args.flags), args.bandwidth))?;
                let cookie_out = "begun".into();
                Reply::new(&remote::DomainMigrateBegin3Ret { cookie_out, xml: "<xml/>".into() })
            }
            "domain_migrate_prepare3" => {
                let args: remote::DomainMigratePrepare3Args = request.args()?;
                self.step("prepare3", format!("{} {}", text(&args.cookie_in), args.dom_xml))?;
                let cookie_out = "prepared".into();
                Reply::new(&remote::DomainMigratePrepare3Ret { cookie_out, uri_out: uri_out() })
            }
            "domain_migrate_perform3" => {
                let args: remote::DomainMigratePerform3Args = request.args()?;
                let with = format!(
                    "{} {} {}",
                    text(&args.cookie_in),
                    flags(args.flags),
                    args.uri.unwrap_or_default()
                );
                self.perform("perform3", with).await?;
                Reply::new(&remote::DomainMigratePerform3Ret { cookie_out: "performed".into() })
            }
            "domain_migrate_finish3" => {
                let args: remote::DomainMigrateFinish3Args = request.args()?;
                self.step("finish3", format!("{} {} {}", text(&args.cookie_in), args.dname, args.cancelled))?;
                let cookie_out = "finished".into();
                Reply::new(&remote::DomainMigrateFinish3Ret { dom: domain(9), cookie_out })
            }
            "domain_migrate_confirm3" => {
                let args: remote::DomainMigrateConfirm3Args = request.args()?;
                self.step("confirm3", format!("{} {}", text(&args.cookie_in), args.cancelled))?;
                Reply::new(&())
            }
            "domain_migrate_prepare2" => {
                let args: remote::DomainMigratePrepare2Args = request.args()?;
                self.step("prepare2", format!("{} {}", flags(args.flags), args.dom_xml))?;
                Reply::new(&remote::DomainMigratePrepare2Ret {
                    cookie: "prepared".into(),
                    uri_out: uri_out(),
                })
            }
            "domain_migrate_finish2" => {
                let args: remote::DomainMigrateFinish2Args = request.args()?;
                self.step("finish2", format!("{} {} {}", text(&args.cookie), args.uri, args.retcode))?;
                Reply::new(&remote::DomainMigrateFinish2Ret { ddom: domain(9) })
            }
            "domain_migrate_prepare" => {
                let args: remote::DomainMigratePrepareArgs = request.args()?;
                self.step("prepare1", flags(args.flags))?;
                Reply::new(&remote::DomainMigratePrepareRet { cookie: "prepared".into(), uri_out: uri_out() })
            }
            "domain_migrate_perform" => {
                let args: remote::DomainMigratePerformArgs = request.args()?;
                self.perform("perform12", format!("{} {}", text(&args.cookie), args.uri)).await?;
                Reply::new(&())
            }
            "domain_migrate_finish" => {
                let args: remote::DomainMigrateFinishArgs = request.args()?;
                self.step("finish1", format!("{} {}", text(&args.cookie), args.dname))?;
                Reply::new(&remote::DomainMigrateFinishRet { ddom: domain(9) })
            }
            other => Err(virtwire_server::Error::internal(format_args!("{other} was not to be called"))),
        }
    }
}

impl Service for Host {
    fn programs(&self) -> Vec<&'static Program> {
        vec![PROGRAMS[0]]
    }

    fn call(self: Arc<Self>, _: Client, request: Request) -> ServiceFuture {
        Box::pin(async move { self.answer(request).await })
    }
}

fn flags(bits: u64) -> String {
    let flags = DomainMigrateFlags::from_bits_retain(u32::try_from(bits).unwrap());
    flags.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join("|")
}

fn shown(params: &[TypedParam]) -> String {
    params.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Two hosts, and a domain on the first.
struct Hosts {
    domain: Domain,
    destination: Connection,
    log: Log,
    servers: [Server; 2],
}

async fn connection(host: Host, set: fn(Builder) -> Builder) -> (Connection, Server) {
    let name = host.name;
    let server = Server::new(Arc::new(host));
    let uri = format!("test://{name}/default");
    let builder = set(Connection::builder(&uri).no_keepalive());
    let connection = builder.open_on(server.connect().unwrap()).await.unwrap();
    (connection, server)
}

async fn hosts(features: &[DriverFeature], set: impl Fn(&mut Host)) -> Hosts {
    hosts_over(features, set, |builder| builder).await
}

async fn hosts_over(
    features: &[DriverFeature],
    set: impl Fn(&mut Host),
    builder: fn(Builder) -> Builder,
) -> Hosts {
    let log = Log::default();
    let host = |name| {
        let mut host = Host {
            name,
            log: Arc::clone(&log),
            features: features.to_vec(),
            fails: "",
            paused: false,
            has_uri: true,
            job: None,
            slow: None,
        };
        set(&mut host);
        host
    };
    let (source, first) = connection(host("source"), builder).await;
    let (destination, second) = connection(host("destination"), builder).await;
    Hosts { domain: source.domain(domain(4)), destination, log, servers: [first, second] }
}

impl Hosts {
    async fn migrate(&self, params: TypedParams) -> virtwire::Result<Domain> {
        self.domain.migrate(&self.destination, params, DomainMigrateFlags::LIVE).await
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// The steps without what they were told.
    fn steps(&self) -> Vec<String> {
        self.log().iter().map(|line| line.split(':').next().unwrap().to_owned()).collect()
    }
}

const NEWEST: &[DriverFeature] = &[
    DriverFeature::MIGRATION_PARAMS,
    DriverFeature::MIGRATION_V3,
    DriverFeature::MIGRATION_OFFLINE,
    DriverFeature::MIGRATE_CHANGE_PROTECTION,
];

#[tokio::test]
async fn every_step_gets_what_the_one_before_gave() {
    let hosts = hosts(NEWEST, |_| {}).await;
    let params = TypedParams::new().with(migrate::BANDWIDTH, 5_u64);
    let flags = DomainMigrateFlags::LIVE | DomainMigrateFlags::AUTO_CONVERGE;
    let migrated = hosts.domain.migrate(&hosts.destination, params, flags).await.unwrap();
    assert_eq!((migrated.id(), migrated.connection().uri()), (Some(9), hosts.destination.uri()));
    let params = "bandwidth=5,destination_xml=<xml/>";
    let uri = "migrate_uri=tcp:destination";
    assert_eq!(
        hosts.log(),
        [
            "source begin: LIVE|CHANGE_PROTECTION|AUTO_CONVERGE".to_owned(),
            format!("destination prepare: begun LIVE {params}"),
            format!("source perform: prepared LIVE|CHANGE_PROTECTION|AUTO_CONVERGE {params},{uri}"),
            format!("destination finish: performed LIVE {params},{uri},destination_name=demo cancelled=0"),
            "source confirm: finished LIVE|CHANGE_PROTECTION|AUTO_CONVERGE cancelled=0".to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_domain_that_is_paused_stays_paused() {
    let hosts = hosts(NEWEST, |host| host.paused = true).await;
    hosts.migrate(TypedParams::new()).await.unwrap();
    let log = hosts.log();
    assert!(log[0].contains("LIVE|CHANGE") && log[1].contains("LIVE|PAUSED"), "{log:?}");
    assert!(log[3].contains("LIVE|PAUSED"), "{log:?}");
}

#[tokio::test]
async fn where_a_step_fails_the_others_hear_of_it() {
    for (fails, steps, last) in [
        ("begin", &["source begin"][..], ""),
        ("prepare", &["source begin", "destination prepare", "source confirm"], "cancelled=1"),
        (
            "perform",
            &["source begin", "destination prepare", "source perform", "destination finish"],
            "cancelled=1",
        ),
        (
            "finish",
            &[
                "source begin",
                "destination prepare",
                "source perform",
                "destination finish",
                "source confirm",
            ],
            "cancelled=1",
        ),
    ] {
        let hosts = hosts(NEWEST, |host| host.fails = fails).await;
        let error = hosts.migrate(TypedParams::new()).await.unwrap_err();
        assert!(error.to_string().contains(&format!("{fails} at the")), "{fails}: {error}");
        let log = hosts.log.lock().unwrap().clone();
        assert!(log.last().unwrap().ends_with(last), "{log:?}");
        assert_eq!(hosts.steps(), steps);
    }
    // That the source is not told is nobody's failure but its own.
    let hosts = hosts(NEWEST, |host| host.fails = "confirm").await;
    assert_eq!(hosts.migrate(TypedParams::new()).await.unwrap().id(), Some(9));
}

#[tokio::test]
async fn without_protection_nothing_has_begun_before_the_destination_is_ready() {
    let features = [DriverFeature::MIGRATION_PARAMS];
    let hosts = hosts(&features, |host| host.fails = "prepare").await;
    hosts.migrate(TypedParams::new()).await.unwrap_err();
    assert_eq!(hosts.steps(), ["source begin", "destination prepare"]);
    let flags = DomainMigrateFlags::CHANGE_PROTECTION;
    let error = hosts.domain.migrate(&hosts.destination, TypedParams::new(), flags).await.unwrap_err();
    assert!(matches!(error, Error::Migration(MigrationError::ChangeProtection)), "{error:?}");
    assert!(hosts.log().is_empty());
}

#[tokio::test]
async fn what_both_hosts_say_is_kept() {
    let hosts = hosts(NEWEST, |host| {
        host.fails = if host.name == "source" { "perform" } else { "finish" };
    })
    .await;
    let error = hosts.migrate(TypedParams::new()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorNumber::OPERATION_FAILED));
    let text = error.to_string();
    assert!(text.contains("perform at the source") && text.contains("finish at the destination"), "{text}");
}

#[tokio::test]
async fn nobody_says_where_to() {
    let hosts = hosts(NEWEST, |host| host.has_uri = false).await;
    let error = hosts.migrate(TypedParams::new()).await.unwrap_err();
    assert!(matches!(error, Error::Migration(MigrationError::NoUri)), "{error:?}");
    let log = hosts.log();
    assert!(log[2].starts_with("destination finish: prepared") && log[2].ends_with("cancelled=1"), "{log:?}");
    assert!(log[3].starts_with("source confirm:") && log[3].ends_with("cancelled=1"), "{log:?}");
    // The caller may.
    let params = TypedParams::new().with(migrate::URI, "tcp:mine");
    hosts.migrate(params).await.unwrap();
    assert!(hosts.log()[2].contains("migrate_uri=tcp:mine"));
}

#[tokio::test]
async fn a_domain_that_is_not_active_sends_no_memory() {
    let hosts = hosts(NEWEST, |_| {}).await;
    let flags = DomainMigrateFlags::OFFLINE | DomainMigrateFlags::PERSIST_DEST;
    hosts.domain.migrate(&hosts.destination, TypedParams::new(), flags).await.unwrap();
    let log = hosts.log();
    assert_eq!(log.len(), 4, "{log:?}");
    assert!(log[2].starts_with("destination finish:  PERSIST_DEST|OFFLINE"), "{log:?}");
    let hosts = self::hosts(&[DriverFeature::MIGRATION_PARAMS], |_| {}).await;
    let error = hosts.domain.migrate(&hosts.destination, TypedParams::new(), flags).await.unwrap_err();
    assert!(matches!(error, Error::Migration(MigrationError::Offline)), "{error:?}");
}

#[tokio::test]
async fn protocol_3_before_it_had_parameters() {
    let features = [DriverFeature::MIGRATION_V3];
    let hosts = hosts(&features, |_| {}).await;
    let params = TypedParams::new().with(migrate::BANDWIDTH, 5_u64).with(migrate::DEST_NAME, "new");
    assert_eq!(hosts.migrate(params).await.unwrap().id(), Some(9));
    assert_eq!(
        hosts.log(),
        [
            "source begin3: LIVE 5",
            "destination prepare3: begun <xml/>",
            "source perform3: prepared LIVE tcp:destination",
            "destination finish3: performed new 0",
            "source confirm3: finished 0",
        ]
    );
    let params = TypedParams::new().with("parallel.connections", 2);
    let error = hosts.migrate(params).await.unwrap_err();
    assert!(matches!(error, Error::Migration(MigrationError::Params(_))), "{error:?}");
}

#[tokio::test]
async fn protocols_1_and_2() {
    let hosts = hosts(&[DriverFeature::MIGRATION_V2], |_| {}).await;
    assert_eq!(hosts.migrate(TypedParams::new()).await.unwrap().id(), Some(9));
    assert_eq!(
        hosts.log(),
        [
            "destination prepare2: LIVE <xml/>",
            "source perform12: prepared tcp:destination",
            "destination finish2: prepared tcp:destination 0",
        ]
    );
    let params = TypedParams::new().with(migrate::DEST_XML, "<other/>");
    let error = hosts.migrate(params).await.unwrap_err();
    assert!(matches!(error, Error::Migration(MigrationError::Xml)), "{error:?}");

    let hosts = self::hosts(&[DriverFeature::MIGRATION_V2], |host| host.fails = "perform12").await;
    let error = hosts.migrate(TypedParams::new()).await.unwrap_err();
    assert!(error.to_string().contains("perform12 at the source"), "{error}");
    assert_eq!(hosts.log().last().unwrap(), "destination finish2: prepared tcp:destination 1");

    let hosts = self::hosts(&[DriverFeature::MIGRATION_V1], |_| {}).await;
    assert_eq!(hosts.migrate(TypedParams::new()).await.unwrap().id(), Some(9));
    assert_eq!(hosts.steps(), ["destination prepare1", "source perform12", "destination finish1"]);

    let hosts = self::hosts(&[], |_| {}).await;
    let error = hosts.migrate(TypedParams::new()).await.unwrap_err();
    assert!(matches!(error, Error::Migration(MigrationError::NoCommonProtocol)), "{error:?}");
}

#[tokio::test]
async fn peer_to_peer_is_the_source_s_affair() {
    let features = [DriverFeature::MIGRATION_PARAMS, DriverFeature::MIGRATION_P2P];
    let hosts = hosts(&features, |_| {}).await;
    let flags = DomainMigrateFlags::PEER2PEER;
    let migrated = hosts.domain.migrate(&hosts.destination, TypedParams::new(), flags).await.unwrap();
    assert_eq!(migrated.id(), Some(9));
    assert_eq!(hosts.log(), ["source perform:  to test://destination/default PEER2PEER "]);
    let error =
        hosts.domain.migrate(&hosts.destination, TypedParams::new(), DomainMigrateFlags::TUNNELLED).await;
    assert!(matches!(error, Err(Error::Migration(MigrationError::Tunnelled))), "{error:?}");

    // Without it the hypervisor sends the memory itself, and no daemon is asked.
    let hosts = self::hosts(&[DriverFeature::MIGRATION_V3, DriverFeature::MIGRATION_DIRECT], |_| {}).await;
    let params = TypedParams::new().with(migrate::URI, "tcp:mine");
    hosts.domain.migrate_to_uri(None, params, DomainMigrateFlags::LIVE).await.unwrap();
    assert_eq!(hosts.log(), ["source perform3:  LIVE tcp:mine"]);
    let hosts = self::hosts(&[DriverFeature::MIGRATION_P2P], |_| {}).await;
    let uri = "qemu://destination/system";
    let flags = DomainMigrateFlags::PEER2PEER;
    hosts.domain.migrate_to_uri(uri, TypedParams::new(), flags).await.unwrap();
    assert_eq!(hosts.log(), ["source perform12:  qemu://destination/system"]);
    // Where the memory goes, the destination says, and protocol 2 has no room for more than one URI.
    let error = hosts.domain.migrate_to_uri(uri, MigrateParams::new().uri("tcp:mine"), flags).await;
    assert!(matches!(error, Err(Error::Migration(MigrationError::Uri))), "{error:?}");
    assert!(hosts.log().is_empty());
}

#[tokio::test]
async fn what_the_source_cannot_do_alone_is_not_asked_of_it() {
    use DomainMigrateFlags as F;
    let hosts = hosts(&[DriverFeature::MIGRATION_PARAMS], |_| {}).await;
    let migrate = async |uri: Option<&str>, flags| {
        let result = hosts.domain.migrate_to_uri(uri, MigrateParams::new(), flags).await;
        match result {
            Err(Error::Migration(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let two = Some("qemu://destination/system");
    assert_eq!(migrate(two, F::PEER2PEER).await, MigrationError::PeerToPeer);
    assert_eq!(migrate(two, F::LIVE).await, MigrationError::Direct);
    assert_eq!(migrate(None, F::PEER2PEER).await, MigrationError::NoUri);
    assert_eq!(migrate(two, F::PEER2PEER | F::OFFLINE).await, MigrationError::Offline);
    for here in ["qemu:///system", "qemu+tcp://localhost:16510/system", "qemu+ssh:///system"] {
        let uri = Text::from(here);
        assert_eq!(migrate(Some(here), F::PEER2PEER).await, MigrationError::Here { uri });
    }
    // A socket that is named is meant: nothing but the feature is missing.
    let there = Some("qemu+unix:///system?socket=/other");
    assert_eq!(migrate(there, F::PEER2PEER).await, MigrationError::PeerToPeer);
    assert!(hosts.log().is_empty());
}

#[tokio::test]
async fn flags_that_make_no_sense_together_reach_no_daemon() {
    use DomainMigrateFlags as F;
    let hosts = hosts(NEWEST, |_| {}).await;
    let disks = F::NON_SHARED_DISK | F::NON_SHARED_INC;
    for (flags, expected) in [
        (disks, MigrationError::Exclusive(disks)),
        (disks | F::PEER2PEER, MigrationError::Exclusive(disks)),
        (F::PEER2PEER | F::TUNNELLED | F::PARALLEL, MigrationError::Exclusive(F::TUNNELLED | F::PARALLEL)),
        (F::TUNNELLED, MigrationError::Tunnelled),
        (F::LIVE | F::NON_SHARED_SYNCHRONOUS_WRITES, MigrationError::SynchronousWrites),
    ] {
        let error = hosts.domain.migrate(&hosts.destination, MigrateParams::new(), flags).await.unwrap_err();
        assert!(matches!(&error, Error::Migration(error) if *error == expected), "{error:?}");
    }
    let text = MigrationError::Exclusive(disks).to_string();
    assert_eq!(text, "the flags NON_SHARED_DISK and NON_SHARED_INC exclude each other");
    assert!(hosts.log().is_empty());
    let flags = F::NON_SHARED_INC | F::NON_SHARED_SYNCHRONOUS_WRITES;
    hosts.domain.migrate(&hosts.destination, MigrateParams::new(), flags).await.unwrap();
}

#[tokio::test]
async fn a_step_takes_the_time_that_it_takes() {
    let ready = Arc::new(Notify::new());
    let set = |host: &mut Host| host.slow = Some(Arc::clone(&ready));
    let hosts = hosts_over(NEWEST, set, |builder| builder.call_timeout(Duration::from_millis(500))).await;
    let later = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        ready.notify_one();
    };
    let (migrated, ()) = tokio::join!(hosts.migrate(TypedParams::new()), later);
    assert_eq!(migrated.unwrap().id(), Some(9));
    assert_eq!(hosts.log().len(), 5);
}

#[tokio::test]
async fn a_migration_that_nobody_waits_for_is_given_up_and_cleaned_up() {
    let job = Arc::new(Notify::new());
    let hosts = hosts(NEWEST, |host| host.job = Some(Arc::clone(&job))).await;
    let migrating = hosts.migrate(TypedParams::new());
    tokio::time::timeout(Duration::from_millis(300), migrating).await.unwrap_err();
    let expected =
        ["source begin", "destination prepare", "source perform", "source abort", "destination finish"];
    let done = async {
        while hosts.log.lock().unwrap().len() < expected.len() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), done).await.expect("it is cleaned up");
    // And nothing more happens.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let log = hosts.log.lock().unwrap().clone();
    assert!(log[4].ends_with("cancelled=1"), "{log:?}");
    assert_eq!(hosts.steps(), expected);
}

#[tokio::test]
async fn a_destination_that_is_lost_lets_the_source_give_up() {
    let job = Arc::new(Notify::new());
    let hosts = hosts(NEWEST, |host| host.job = Some(Arc::clone(&job))).await;
    let lost = async {
        while hosts.log.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        hosts.servers[1].shutdown(Duration::ZERO).await;
    };
    let (migrated, ()) = tokio::join!(hosts.migrate(TypedParams::new()), lost);
    assert!(migrated.unwrap_err().is_closed());
    assert_eq!(hosts.steps(), ["source begin", "destination prepare", "source perform", "source abort"]);
}
