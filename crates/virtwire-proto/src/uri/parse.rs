//! Takes a URI apart, as libxml2 and libvirt do.

use super::percent;
use super::{Transport, Uri, UriError, UriErrorKind, UriParam, UriPart};
use crate::xdr::Text;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

/// Reads a URI.
pub(super) fn parse(uri: &str) -> Result<Uri, UriError> {
    let source = Source(uri);
    let (scheme, rest) = split_scheme(uri).ok_or_else(|| source.error(uri, UriErrorKind::NoDriver))?;

    let (rest, fragment) = split_off(rest, '#');
    let (rest, query) = split_off(rest, '?');
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (Some(authority), path)
        }
        None => (None, rest),
    };

    let Authority { user, host, port } =
        authority.map_or(Ok(Authority::default()), |it| source.authority(it))?;
    source.check(UriPart::Path, path, percent::is_path_input)?;
    let params = match query {
        Some(query) => {
            source.check(UriPart::Query, query, percent::is_query)?;
            split_params(query)
        }
        None => Vec::new(),
    };
    if let Some(fragment) = fragment {
        source.check(UriPart::Fragment, fragment, percent::is_fragment)?;
    }

    let (driver_len, transport) = source.transport(scheme, host.as_deref())?;
    source.check_slash(scheme, authority, host.as_deref())?;
    Ok(Uri {
        scheme: scheme.to_owned(),
        driver_len,
        transport,
        user,
        host,
        port,
        path: percent::decode(path).into(),
        params,
        fragment: fragment.map(|fragment| percent::decode(fragment).into()),
    })
}

/// The parameters of a query that has been checked.
///
/// libvirt's rule: a parameter ends at the next `&`; only where there is none any more, at the next `;`.
/// Nothing between two separators is no parameter, nor is one without a name; one without a value has an
/// empty one; `+` is a plus.
fn split_params(mut query: &str) -> Vec<UriParam> {
    let mut params = Vec::new();
    while !query.is_empty() {
        let end = query.find('&').or_else(|| query.find(';')).unwrap_or(query.len());
        let (name, value) = query[..end].split_once('=').unwrap_or((&query[..end], ""));
        if !name.is_empty() {
            let decode = |part| Text::from(percent::decode(part));
            params.push(UriParam { name: decode(name), value: decode(value) });
        }
        query = query.get(end + 1..).unwrap_or_default();
    }
    params
}

/// The scheme and what follows its colon.
fn split_scheme(uri: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.split_once(':')?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let begins_well = scheme.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    (begins_well && scheme.bytes().all(is_scheme)).then_some((scheme, rest))
}

/// What stands in front of the first `mark`, and what behind it where there is one.
fn split_off(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(front, back)| (front, Some(back)))
}

/// An IPv6 address, decoded, and its zone id if it has one: a host that is written in brackets. A host that merely has
/// colons, which were escaped, is none.
pub(super) fn ipv6_with_zone(host: &str) -> Option<(&str, Option<&str>)> {
    let (address, zone) = split_off(host, '%');
    (address.parse::<Ipv6Addr>().is_ok() && zone != Some("")).then_some((address, zone))
}

/// What stands between the two slashes and the path.
#[derive(Default)]
struct Authority {
    user: Option<String>,
    host: Option<String>,
    port: Option<u16>,
}

/// The whole text, to say where a part of it stands.
#[derive(Clone, Copy)]
struct Source<'a>(&'a str);

impl<'a> Source<'a> {
    /// An error about `part`, which is a slice of the whole text.
    fn error(self, part: &str, kind: UriErrorKind) -> UriError {
        let offset = (part.as_ptr() as usize).saturating_sub(self.0.as_ptr() as usize);
        UriError { uri: self.0.to_owned(), offset, kind }
    }

    /// Refuses characters that may not stand in a part, and escapes that are none.
    fn check(self, part: UriPart, text: &str, is_allowed: impl Fn(u8) -> bool) -> Result<(), UriError> {
        let mut skip = 0;
        for (at, found) in text.char_indices() {
            let kind = match percent::escape(&text.as_bytes()[at..]) {
                _ if at < skip => continue,
                Some(0) => UriErrorKind::Nul { part },
                Some(_) => {
                    skip = at + 3;
                    continue;
                }
                None if found == '%' => UriErrorKind::Escape { part },
                None if u8::try_from(found).is_ok_and(|byte| byte.is_ascii() && is_allowed(byte)) => continue,
                None => UriErrorKind::Character { part, found },
            };
            return Err(self.error(&text[at..], kind));
        }
        Ok(())
    }

    /// A user or a host: checked, decoded, and nothing where it is empty.
    fn name(
        self,
        part: UriPart,
        text: &str,
        is_allowed: impl Fn(u8) -> bool,
    ) -> Result<Option<String>, UriError> {
        self.check(part, text, is_allowed)?;
        let name = String::from_utf8(percent::decode(text))
            .map_err(|_| self.error(text, UriErrorKind::NotUtf8 { part }))?;
        Ok(Some(name).filter(|name| !name.is_empty()))
    }

    /// `[user@][host][:port]`.
    fn authority(self, authority: &'a str) -> Result<Authority, UriError> {
        let (user, server) = match authority.split_once('@') {
            Some((user, server)) => (self.name(UriPart::User, user, percent::is_user)?, server),
            None => (None, authority),
        };
        let (host, port) = if let Some(rest) = server.strip_prefix('[') {
            let (address, rest) =
                rest.split_once(']').ok_or_else(|| self.error(server, UriErrorKind::OpenBracket))?;
            let port = match rest.strip_prefix(':') {
                None if rest.is_empty() => None,
                None => return Err(self.error(rest, UriErrorKind::Port { found: rest.to_owned() })),
                port => port,
            };
            (Some(self.ipv6(address)?), port)
        } else {
            let (host, port) = split_off(server, ':');
            (self.name(UriPart::Host, host, percent::is_host)?, port)
        };
        let port = port.map(|port| self.port(port)).transpose()?.filter(|port| *port != 0);
        // libvirt reads a port without a host and does not keep it.
        let port = port.filter(|_| host.is_some());
        Ok(Authority { user, host, port })
    }

    /// What stands in brackets: an address, and a zone id behind `%` or `%25`.
    fn ipv6(self, text: &str) -> Result<String, UriError> {
        let wrong = || self.error(text, UriErrorKind::NotIpv6 { found: text.to_owned() });
        let (address, zone) = split_off(text, '%');
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(wrong());
        }
        let Some(zone) = zone else { return Ok(address.to_owned()) };
        let zone = match zone.strip_prefix("25") {
            Some(zone) => self.name(UriPart::Host, zone, percent::is_unreserved)?,
            None if zone.bytes().all(percent::is_unreserved) => Some(zone.to_owned()),
            None => None,
        };
        zone.filter(|zone| !zone.is_empty()).map(|zone| format!("{address}%{zone}")).ok_or_else(wrong)
    }

    fn port(self, text: &str) -> Result<u16, UriError> {
        // Digits alone: `parse` would take a sign as well.
        Some(text)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.error(text, UriErrorKind::Port { found: text.to_owned() }))
    }

    /// How long the driver is in the scheme, and the transport.
    fn transport(self, scheme: &str, host: Option<&str>) -> Result<(usize, Transport), UriError> {
        let Some((driver, name)) = scheme.split_once('+') else {
            let transport = if host.is_some() { Transport::Tls } else { Transport::Unix };
            return Ok((scheme.len(), transport));
        };
        let transport = Transport::ALL
            .into_iter()
            .find(|transport| transport.as_str().eq_ignore_ascii_case(name))
            .ok_or_else(|| self.error(name, UriErrorKind::UnknownTransport { found: name.to_owned() }))?;
        match host {
            Some(host) if transport == Transport::Unix => {
                let kind = UriErrorKind::HostWithLocalTransport { transport, host: host.to_owned() };
                Err(self.error(name, kind))
            }
            _ => Ok((driver.len(), transport)),
        }
    }

    /// Refuses what is nearly always a slash too few, for the drivers that have no other paths.
    fn check_slash(self, scheme: &str, authority: Option<&str>, host: Option<&str>) -> Result<(), UriError> {
        match (authority, host) {
            (Some(authority), Some(host @ ("system" | "session")))
                if matches!(scheme, "qemu" | "vbox" | "vz") =>
            {
                let suggestion = format!("{scheme}:///{host}");
                Err(self.error(authority, UriErrorKind::MissingSlash { host: host.to_owned(), suggestion }))
            }
            _ => Ok(()),
        }
    }
}
