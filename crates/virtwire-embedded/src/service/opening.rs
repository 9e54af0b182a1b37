//! CONNECT_OPEN: from the name that a client asks for to its node.

use super::{Opened, Session};
use crate::error;
use virtwire_proto::enums::{ErrorDomain, ErrorNumber};
use virtwire_proto::uri::{Transport, Uri};
use virtwire_proto::xdr::Text;
use virtwire_server::{Error, Result};

impl Session {
    /// Opens the node that is meant by `name`.
    ///
    /// # Errors
    /// It is no URI of the test driver, or the node cannot be made.
    pub(super) async fn open(&self, name: Option<Text>) -> Result<()> {
        let name = name.unwrap_or_default();
        let path = path(&name)?;
        let hypervisor = self.hypervisor.clone();
        // A node file is read and may be large.
        let opened = tokio::task::spawn_blocking(move || hypervisor.open(&path)).await;
        let node = opened.map_err(Error::internal)??;
        // The connection is opened once; the server sees to that.
        let _ = self.opened.set(Opened { name, node });
        Ok(())
    }
}

/// The path in a URI of the test driver. It may have parameters, which mean nothing.
fn path(name: &Text) -> Result<String> {
    let uri: Option<Uri> = name.to_str().ok().and_then(|name| name.parse().ok());
    let uri = uri.filter(|uri| uri.scheme() == "test" && uri.host().is_none());
    let Some(uri) = uri else { return Err(no_driver(name)) };
    debug_assert_eq!(uri.transport(), Transport::Unix, "what the scheme says without a host");
    match uri.path().to_str() {
        Ok(path) => Ok(path.to_owned()),
        Err(_) => {
            let message = format!("'{}' is not a path in UTF-8", uri.path());
            Err(error::error(ErrorDomain::TEST, ErrorNumber::INVALID_ARG, message).into())
        }
    }
}

/// The answer of a libvirtd that has the test driver alone.
fn no_driver(name: &Text) -> Error {
    let name = if name.is_empty() { "<null>".to_owned() } else { name.to_string() };
    Error::raised(ErrorNumber::NO_CONNECT, ErrorDomain::NONE, "no connection driver available for %s", &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_uri_of_the_test_driver() {
        let path =
            |name: &str| path(&Text::from(name)).map_err(|error| (error.message().code, error.to_string()));
        assert_eq!(path("test:///default").as_deref(), Ok("/default"));
        assert_eq!(path("test:///default?x=1").as_deref(), Ok("/default"));
        assert_eq!(path("test:///a%20b.xml").as_deref(), Ok("/a b.xml"));
        assert_eq!(path("test://").as_deref(), Ok(""));
        for (name, shown) in [
            ("", "<null>"),
            ("qemu:///system", "qemu:///system"),
            ("test://host/default", "test://host/default"),
            ("test+unix:///default", "test+unix:///default"),
            ("default", "default"),
        ] {
            assert_eq!(path(name), Err((5, format!("no connection driver available for {shown}"))));
        }
        assert_eq!(path("test:///%ff").map_err(|(code, _)| code), Err(8));
    }
}
