//! Something to test against that is no daemon, and that many tasks use at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Barrier;
use virtwire::Connection;
use virtwire::proto::program::{PROGRAMS, Program, remote};
use virtwire_server::service::ServiceFuture;
use virtwire_server::{Client, Config, Reply, Request, Server, Service};

const TASKS: usize = 20;

#[cfg(feature = "embedded")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hypervisor_in_the_test_s_process_serves_many_tasks_at_once() {
    use virtwire::flags::{DomainCreateFlags, DomainDefineFlags, DomainDestroyFlags};

    let xml = |name: &str| {
        format!(
            "<domain type='test'><name>{name}</name><memory>1024</memory><os><type>hvm</type></os></domain>"
        )
    };
    // A node of the connection's own.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("node.xml");
    std::fs::write(&file, format!("<node>{}</node>", xml("first"))).unwrap();
    let connection = Connection::open(&format!("test://{}", file.display())).await.unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let connection = connection.clone();
            tokio::spawn(async move {
                let xml = xml(&format!("guest{number}"));
                let domain = connection.domain_define_xml(xml, DomainDefineFlags::empty()).await?;
                let domain = domain.create(DomainCreateFlags::empty()).await?;
                domain.destroy(DomainDestroyFlags::empty()).await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(connection.num_of_defined_domains().await.unwrap(), TASKS as u32);
}

/// A daemon of a test's own, which answers when all tasks have asked.
struct Fake {
    everyone: Barrier,
    asked: AtomicUsize,
}

impl Service for Fake {
    fn programs(&self) -> Vec<&'static Program> {
        PROGRAMS.to_vec()
    }

    fn call(self: Arc<Self>, _: Client, request: Request) -> ServiceFuture {
        Box::pin(async move {
            match request.procedure.name {
                "connect_open" => Reply::new(&()),
                "connect_supports_feature" => Reply::new(&remote::ConnectSupportsFeatureRet { supported: 0 }),
                _ => {
                    self.asked.fetch_add(1, Ordering::SeqCst);
                    self.everyone.wait().await;
                    Reply::new(&remote::ConnectGetHostnameRet { hostname: "fake".into() })
                }
            }
        })
    }
}

#[tokio::test]
async fn a_daemon_of_a_test_s_own_answers_many_tasks_at_once() {
    let fake = Arc::new(Fake { everyone: Barrier::new(TASKS), asked: AtomicUsize::new(0) });
    let config = Config::new().max_client_requests(TASKS);
    let server = Server::new(Arc::clone(&fake) as Arc<dyn Service>).with_config(config);
    let connection = Connection::builder("test:///fake")
        .max_calls_in_flight(TASKS)
        .open_on(server.connect().unwrap())
        .await
        .unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.hostname().await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), "fake");
    }
    assert_eq!(fake.asked.load(Ordering::SeqCst), TASKS);
}
