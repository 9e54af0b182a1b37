//! The smallest server that virsh can ask for something:
//!
//! ```text
//! cargo run -p virtwire-server --example hostname -- /tmp/hostname-sock
//! virsh -c 'test+unix:///default?socket=/tmp/hostname-sock' hostname
//! ```

use std::sync::Arc;
use std::time::Duration;
use virtwire_proto::program::remote::{
    ConnectGetHostnameArgs, ConnectGetHostnameRet, ConnectOpenArgs, DomainGetInfoArgs, DomainGetInfoRet,
};
use virtwire_server::{Client, Listener, Programs, RemoteService, Result, Server};

struct Hypervisor;

impl RemoteService for Hypervisor {
    async fn connect_open(&self, _: &Client, _: ConnectOpenArgs) -> Result<()> {
        Ok(())
    }

    async fn connect_get_hostname(
        &self,
        _: &Client,
        _: ConnectGetHostnameArgs,
    ) -> Result<ConnectGetHostnameRet> {
        Ok(ConnectGetHostnameRet { hostname: "example".into() })
    }

    async fn domain_get_info(&self, _: &Client, _: DomainGetInfoArgs) -> Result<DomainGetInfoRet> {
        Ok(DomainGetInfoRet { state: 1, max_mem: 2048, memory: 1024, nr_virt_cpu: 2, cpu_time: 7 })
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "/tmp/hostname-sock".to_owned());
    let server = Server::new(Arc::new(Programs::new().remote(Arc::new(Hypervisor))));
    let listener = Listener::unix(&path, 0o700)?;
    println!("listening on {}", listener.address());
    server.listen(listener);
    // Enter, or the end of the input, ends it: the socket is removed.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    server.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
