//! The hypervisor as a server offers it: which node a client gets, and connections within the process.

use crate::error::Result;
use crate::node::Node;
use crate::service::Session;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use virtwire_server::{Programs, Server, Service};

/// What stands behind a server: the nodes that clients open.
///
/// Clients that open `test:///default` share one node, which is made for the first of them and gone with the last,
/// as with libvirtd; `test:///path/of/a/node.xml` gives each client a node of its own. Any other driver is refused.
/// The file is read by this process, with its rights.
///
/// It is cheap to clone: clones stand for the same nodes.
///
/// # Examples
/// ```no_run
/// use virtwire_embedded::Hypervisor;
/// use virtwire_server::Listener;
///
/// # async fn example() -> std::io::Result<()> {
/// let server = Hypervisor::new().server();
/// server.listen(Listener::unix("/tmp/libvirt-sock", 0o700)?);
/// // virsh -c 'test+unix:///default?socket=/tmp/libvirt-sock' list
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Hypervisor {
    default: Arc<DefaultNode>,
}

/// The node of `test:///default`.
#[derive(Debug)]
enum DefaultNode {
    /// There as long as a client has it.
    Shared(Mutex<Weak<Node>>),
    /// There as long as the hypervisor.
    Kept(Arc<Node>),
}

impl Hypervisor {
    /// A hypervisor whose `test:///default` is the node of [`Node::default`].
    #[must_use]
    pub fn new() -> Self {
        Self { default: Arc::new(DefaultNode::Shared(Mutex::default())) }
    }

    /// A hypervisor whose `test:///default` is this node. It stays when its last client goes.
    #[must_use]
    pub fn with_node(node: Arc<Node>) -> Self {
        Self { default: Arc::new(DefaultNode::Kept(node)) }
    }

    /// A server that offers it, and that listens nowhere yet.
    #[must_use]
    pub fn server(&self) -> Server {
        let hypervisor = self.clone();
        Server::per_client(move |_| hypervisor.service())
    }

    /// What answers one client: for a server of one's own ([`Server::per_client`]). The nodes that the client has
    /// opened are its own as long as this.
    #[must_use]
    pub fn service(&self) -> Arc<dyn Service> {
        Arc::new(Programs::new().remote(Arc::new(Session::new(self.clone()))))
    }

    /// The node that `path` of a `test` URI names.
    ///
    /// # Errors
    /// As [`Builder::open`](crate::Builder::open).
    pub(crate) fn open(&self, path: &str) -> Result<Arc<Node>> {
        if path != "/default" {
            return Node::builder().open(path).map(Arc::new);
        }
        match &*self.default {
            DefaultNode::Kept(node) => Ok(Arc::clone(node)),
            DefaultNode::Shared(shared) => {
                // Nothing but this assignment happens under the lock.
                let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(node) = shared.upgrade() {
                    return Ok(node);
                }
                let node = Arc::new(Node::default());
                *shared = Arc::downgrade(&node);
                Ok(node)
            }
        }
    }
}

impl Default for Hypervisor {
    fn default() -> Self {
        Self::new()
    }
}

/// Connects to the hypervisor of this process: gives the client's end of a UNIX socket, whose other end is served
/// on the current tokio runtime.
///
/// The client opens its connection on it as with any daemon, under the name `test:///default` or
/// `test:///path/of/a/node.xml`. All connections of the process share one default node while one of them is open.
///
/// # Errors
/// There is no current tokio runtime, or no socket is left.
///
/// # Panics
/// The current runtime was built without I/O.
#[cfg(unix)]
pub fn connect() -> io::Result<tokio::net::UnixStream> {
    static SERVER: LazyLock<Server> = LazyLock::new(|| Hypervisor::new().server());
    tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
    SERVER.connect()
}
