//! More slow calls at once than a real libvirtd works on for one client: which of them complete, and whether the
//! connection lives.
#![cfg(unix)]

#[path = "support/slow.rs"]
mod slow;

use slow::Slow;
use std::process::ExitCode;
use std::time::Duration;
use virtwire::proto::connection::CloseReason;
use virtwire::{Builder, Connection, Error, StorageVol};
use virtwire_testbed::{Config, Failed, Test, Testbed};

fn main() -> ExitCode {
    let limit = Duration::from_secs(300);
    virtwire_testbed::run_tests(vec![
        Test::new("fifty_slow_calls_complete_on_default_settings", on_default_settings).limit(limit),
        Test::new("a_daemon_that_reads_no_more_hangs_up_on_the_naive_cap_only", the_naive_cap).limit(limit),
        Test::new("a_raised_cap_is_used_where_the_daemon_allows_more", a_raised_cap).limit(limit),
    ])
}

/// Runs an asynchronous test in a runtime of its own.
fn run(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match tokio::time::timeout(Duration::from_secs(280), test).await {
            Ok(result) => result,
            Err(_) => Err("hangs".into()),
        }
    })
}

/// Makes so many slow calls at once on one connection, and gives what became of each.
async fn call(
    slow: &Slow,
    builder: Builder,
    pool: &str,
    count: usize,
) -> Result<(Connection, Vec<Result<StorageVol, Error>>), Failed> {
    let connection = builder.open().await?;
    let pool = slow.pool(&connection, pool).await?;
    let calls: Vec<_> = (0..count)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move { slow::call(&pool, format!("v{number}")).await })
        })
        .collect();
    let mut results = Vec::new();
    for call in calls {
        results.push(call.await?);
    }
    Ok((connection, results))
}

fn on_default_settings(testbed: &Testbed) -> Result<(), Failed> {
    let slow = Slow::start(testbed, Config::new(), "sleep 2.5")?;
    run(async {
        let begin = std::time::Instant::now();
        let (connection, results) = call(&slow, Connection::builder(&slow.uri()), "pool", 50).await?;
        for result in results {
            result?;
        }
        connection.lib_version().await?;
        println!("50 calls of 2.5 s each completed after {:?}", begin.elapsed());
        Ok(())
    })
}

/// A daemon that hears nothing from its client for 2 seconds takes it for dead. Where it works on five calls of the
/// client's it does not listen.
fn the_naive_cap(testbed: &Testbed) -> Result<(), Failed> {
    let impatient = Config::new().set("keepalive_interval", 1).set("keepalive_count", 1);
    let slow = Slow::start(testbed, impatient, "sleep 6")?;
    run(async {
        let naive = Connection::builder(&slow.uri()).max_calls_in_flight(50);
        let (connection, results) = call(&slow, naive, "naive", 50).await?;
        let dead = results.iter().filter(|result| matches!(result, Err(error) if error.is_closed())).count();
        assert!(dead > 0, "{results:?}");
        assert_eq!(connection.close_reason(), Some(CloseReason::Peer));

        let (connection, results) = call(&slow, Connection::builder(&slow.uri()), "pool", 8).await?;
        for result in results {
            result?;
        }
        connection.lib_version().await?;
        Ok(())
    })
}

/// Calls that wait for each other: each ends when ten have begun. With fewer at a time none does. The daemon has its
/// workers from the start: of calls that come together it starts hardly any workers more.
fn a_raised_cap(testbed: &Testbed) -> Result<(), Failed> {
    // Nobody waits for ever: then too few have begun, which is seen.
    let script = "mkdir -p $folder/begun; : >$folder/begun/$$; tries=0\n\
                  until [ $(ls $folder/begun | wc -l) -ge 10 ]; do\n\
                  sleep 0.1; tries=$((tries + 1)); if [ $tries -ge 600 ]; then exit 1; fi; done";
    let generous = Config::new()
        .set("max_client_requests", 20)
        .set("min_workers", 20)
        .set("keepalive_interval", 1)
        .set("keepalive_count", 1);
    let slow = Slow::start(testbed, generous, script)?;
    run(async {
        let raised = Connection::builder(&slow.uri()).max_calls_in_flight(19);
        let (connection, results) = call(&slow, raised, "pool", 30).await?;
        for result in results {
            result?;
        }
        connection.lib_version().await?;
        assert_eq!(std::fs::read_dir(slow.folder().join("begun"))?.count(), 30);
        Ok(())
    })
}
