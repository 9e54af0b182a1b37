//! The hypervisor as a daemon: `cargo run --example serve -- /tmp/libvirt-sock`, then
//! `virsh -c 'test+unix:///default?socket=/tmp/libvirt-sock' list`.

use virtwire_embedded::Hypervisor;
use virtwire_server::Listener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "libvirt-sock".into());
    let server = Hypervisor::new().server();
    let listener = Listener::unix(path, 0o700)?;
    println!("listening on {}", listener.address());
    server.listen(listener);
    std::future::pending().await
}
