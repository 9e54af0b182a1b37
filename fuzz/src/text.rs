//! The targets `uri` and `config`: what people write.

use crate::memory::Bound;
use virtwire_proto::uri::{ClientConfig, Uri, UriParam};
use virtwire_proto::xdr::Text;

/// What reading a text may allocate: a parameter of two bytes becomes two texts.
const MEMORY: Bound = Bound { per_byte: 96, constant: 4096 };

/// Reads the input as a URI. One that can be read is written in one form, which reads as the same; what is sent on of
/// it is a URI again, of the same driver and path, without what is for the client.
///
/// # Panics
/// Where any of that does not hold.
pub fn uri(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let parsed = MEMORY.check("a URI", text.len(), || text.parse::<Uri>());
    let uri = match parsed {
        Ok(uri) => uri,
        Err(error) => {
            assert!(text.is_char_boundary(error.offset), "an error is at a character: {error:?}");
            return;
        }
    };
    let written = uri.to_string();
    let again: Uri = written.parse().unwrap_or_else(|error| panic!("{written:?} of {text:?}: {error}"));
    assert_eq!(again, uri, "{written:?} of {text:?}");
    assert_eq!(again.to_string(), written, "a URI is written in one form");
    let base: Uri = uri.base().parse().unwrap_or_else(|error| panic!("{}: {error}", uri.base()));
    assert_eq!((base.scheme(), base.path(), base.host()), (uri.scheme(), uri.path(), uri.host()));
    assert!(base.params().is_empty() && base.fragment().is_none());

    // Every value of a parameter is one or is refused.
    let _ = (uri.mode(), uri.proxy(), uri.auth(), uri.no_tty(), uri.no_verify(), uri.no_sanity(), uri.argv());
    let _ = uri.effective_proxy(uri.is_session(), None);
    for param in uri.params() {
        let name = param.name.to_string_lossy();
        assert!(uri.param(&name).is_some() || param.name.to_str().is_err());
    }

    // libvirt writes two slashes even before a path without one, whose first part then reads as a host.
    let path = uri.path().as_bytes();
    if uri.param("name").is_none() && uri.driver() != "remote" && (path.is_empty() || path[0] == b'/') {
        for (sent, stays) in [(uri.open_name(), [].as_slice()), (uri.helper_uri(), &["mode", "socket"])] {
            let sent = parse(&sent);
            assert_eq!((sent.driver(), sent.names_transport()), (uri.driver(), false));
            assert_eq!((sent.user(), sent.host(), sent.port()), (None, None, None));
            assert_eq!((sent.path(), sent.fragment()), (uri.path(), uri.fragment()));
            let is_sent = |param: &&UriParam| {
                let name = param.name.to_string().to_ascii_lowercase();
                !param.is_for_client() || stays.contains(&name.as_str())
            };
            assert!(sent.params().iter().eq(uri.params().iter().filter(is_sent)), "{text:?}");
        }
    }
}

fn parse(text: &Text) -> Uri {
    let text = text.to_str().expect("what is sent is ASCII");
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Reads the input as libvirt.conf, and looks up names in it.
///
/// # Panics
/// If an alias or a default that it gives is not what it says.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let parsed = MEMORY.check("a configuration", text.len(), || ClientConfig::parse(text));
    let config = match parsed {
        Ok(config) => config,
        Err(error) => {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&error.line), "line {} of {lines}: {error}", error.line);
            return;
        }
    };
    for alias in &config.uri_aliases {
        let Some((name, _)) = alias.split_once('=') else { continue };
        if let Ok(Some(uri)) = config.alias(name) {
            assert!(config.uri_aliases.iter().any(|alias| alias.ends_with(uri)), "{uri:?} is no alias' URI");
        }
        let _ = config.resolve(Some(name), None);
    }
    if let Ok(Some(resolved)) = config.resolve(None, None) {
        assert!(config.uri_default.is_some(), "{resolved} comes from nowhere");
    }
    let _ = config.resolve(Some("test:///default"), Some("test"));
}
