//! URIs as a list of cases.

mod config;
mod recorded;

use super::*;
use alloc::format;
use alloc::string::ToString;
use proptest::prelude::*;

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|error: UriError| panic!("{error}"))
}

/// A URI; its base, the URI for the remote helper, and the name for CONNECT_OPEN.
#[test]
fn base_helper_uri_and_name() {
    let cases = [
        ("qemu:///system", "qemu:///system", "qemu:///system", "qemu:///system"),
        ("qemu+unix:///system", "qemu+unix:///system", "qemu:///system", "qemu:///system"),
        ("qemu:///system?mode=legacy", "qemu:///system", "qemu:///system?mode=legacy", "qemu:///system"),
        (
            "qemu+unix:///system?mode=legacy",
            "qemu+unix:///system",
            "qemu:///system?mode=legacy",
            "qemu:///system",
        ),
        (
            "qemu+tcp://libvirt-host/system?mode=legacy",
            "qemu+tcp://libvirt-host/system",
            "qemu:///system?mode=legacy",
            "qemu:///system",
        ),
        ("qemu:///session", "qemu:///session", "qemu:///session", "qemu:///session"),
        ("qemu+unix:///session", "qemu+unix:///session", "qemu:///session", "qemu:///session"),
        ("qemu:///session?mode=legacy", "qemu:///session", "qemu:///session?mode=legacy", "qemu:///session"),
        (
            "qemu+unix:///session?mode=legacy",
            "qemu+unix:///session",
            "qemu:///session?mode=legacy",
            "qemu:///session",
        ),
        (
            "qemu+tcp://libvirt-host/session?mode=legacy",
            "qemu+tcp://libvirt-host/session",
            "qemu:///session?mode=legacy",
            "qemu:///session",
        ),
        (
            "qemu+tcp://libvirt-host:12345/session?mode=legacy",
            "qemu+tcp://libvirt-host:12345/session",
            "qemu:///session?mode=legacy",
            "qemu:///session",
        ),
        (
            "qemu+ext:///system?command=/opt/run-some-command%20my-arg",
            "qemu+ext:///system",
            "qemu:///system",
            "qemu:///system",
        ),
        (
            "qemu+ext:///system?command=/opt/run-some-command&argv=my-arg&argv=arg2",
            "qemu+ext:///system",
            "qemu:///system",
            "qemu:///system",
        ),
    ];
    for (text, base, helper, name) in cases {
        let parsed = uri(text);
        assert_eq!(parsed.base(), base, "{text}");
        assert_eq!(parsed.helper_uri(), helper, "{text}");
        assert_eq!(parsed.open_name(), name, "{text}");
        assert_eq!(parsed.driver(), "qemu");
    }
}

#[test]
fn the_parts_of_a_uri() {
    let parts = |text: &str| {
        let uri = uri(text);
        (uri.transport(), uri.host().map(ToString::to_string), uri.port(), uri.path().to_string())
    };
    let host = || Some("libvirt-host".to_string());
    for path in ["/system", "/session"] {
        assert_eq!(parts(&format!("qemu://{path}")), (Transport::Unix, None, None, path.into()));
        assert_eq!(parts(&format!("qemu+unix://{path}")), (Transport::Unix, None, None, path.into()));
        assert_eq!(
            parts(&format!("qemu+tcp://libvirt-host{path}?mode=legacy")),
            (Transport::Tcp, host(), None, path.into())
        );
    }
    assert_eq!(
        parts("qemu+tcp://libvirt-host:12345/session?mode=legacy"),
        (Transport::Tcp, host(), Some(12345), "/session".into())
    );
    let with_command = uri("qemu+ext:///system?command=/opt/run-some-command%20my-arg");
    assert_eq!(with_command.command().unwrap(), "/opt/run-some-command my-arg");
    assert!(with_command.argv().is_empty());
    let with_arguments = uri("qemu+ext:///system?command=/opt/run-some-command&argv=my-arg&argv=arg2");
    assert_eq!(with_arguments.command().unwrap(), "/opt/run-some-command");
    assert_eq!(with_arguments.argv(), ["my-arg", "arg2"]);
    assert_eq!(with_arguments.transport(), Transport::Ext);
}

#[test]
fn every_transport_and_the_two_that_are_chosen() {
    for transport in Transport::ALL {
        let parsed = uri(&format!("qemu+{transport}:///system"));
        assert_eq!((parsed.transport(), parsed.names_transport()), (transport, true));
        assert_eq!(parsed.scheme(), format!("qemu+{transport}"));
    }
    assert_eq!(uri("qemu+TcP://host/system").transport(), Transport::Tcp);
    assert_eq!(uri("qemu:///system").transport(), Transport::Unix);
    assert_eq!(uri("qemu://host/system").transport(), Transport::Tls);
    assert!(!uri("qemu://host/system").names_transport());
    assert_eq!(Transport::Tcp.default_port(), Some(16509));
    assert_eq!(Transport::Tls.default_port(), Some(16514));
    assert_eq!(Transport::Ssh.default_port(), None);
}

#[test]
fn any_driver_and_any_path() {
    for (text, driver, path) in [
        ("test:///default", "test", "/default"),
        ("test:///abs/node.xml", "test", "/abs/node.xml"),
        ("test:///a/../b", "test", "/a/../b"),
        ("test:////tmp//x", "test", "//tmp//x"),
        ("test:default", "test", "default"),
        ("test:/default", "test", "/default"),
        ("qemu:///embed?root=/some/dir", "qemu", "/embed"),
        ("xen:///", "xen", "/"),
        ("xen:", "xen", ""),
        ("esx://host/?no_verify=1&proxy=socks5://a:1080", "esx", "/"),
        ("vpx://host/dc/cluster/esx", "vpx", "/dc/cluster/esx"),
        ("frob-7.x:///some%20where", "frob-7.x", "/some where"),
        ("remote://", "remote", ""),
    ] {
        let parsed = uri(text);
        assert_eq!((parsed.driver(), &*parsed.path().to_string()), (driver, path), "{text}");
    }
    // A driver that is not ours may give a parameter a meaning of its own.
    let esx = uri("esx://host/?proxy=socks5://a:1080");
    assert!(esx.proxy().is_err());
    assert_eq!(esx.param("proxy").unwrap(), "socks5://a:1080");
}

#[test]
fn a_path_that_is_not_utf8_survives() {
    let parsed = uri("test:///tmp/%ff.xml");
    assert_eq!(parsed.path().as_bytes(), b"/tmp/\xff.xml");
    assert_eq!(parsed.to_string(), "test:///tmp/%FF.xml");
}

#[test]
fn users_hosts_and_ports() {
    let cases = [
        ("qemu://host", None, Some("host"), None),
        ("qemu://user@host:22/system", Some("user"), Some("host"), Some(22)),
        ("qemu://user:pass@host/system", Some("user:pass"), Some("host"), None),
        ("qemu://us%40er@host/system", Some("us@er"), Some("host"), None),
        ("qemu+unix://user@/system", Some("user"), None, None),
        ("qemu+tcp://:16509/system", None, None, None),
        ("qemu://host:0/system", None, Some("host"), None),
        ("qemu://host:00022/system", None, Some("host"), Some(22)),
        ("qemu://host:65535/system", None, Some("host"), Some(65535)),
        ("qemu+tcp://ho%20st/system", None, Some("ho st"), None),
        ("qemu+tcp://127.0.0.1:1/system", None, Some("127.0.0.1"), Some(1)),
        ("qemu+tcp://h!o$s&t'(x)*+,;=/system", None, Some("h!o$s&t'(x)*+,;="), None),
        ("qemu+tcp://[::1]:16509/system", None, Some("::1"), Some(16509)),
        ("qemu+tcp://[::ffff:1.2.3.4]/system", None, Some("::ffff:1.2.3.4"), None),
        ("qemu+tcp://me@[2001:db8::2]/system", Some("me"), Some("2001:db8::2"), None),
        ("qemu+tcp://[fe80::1%eth0]/system", None, Some("fe80::1%eth0"), None),
        ("qemu+tcp://[fe80::1%25eth0]:7/system", None, Some("fe80::1%eth0"), Some(7)),
        ("qemu+tcp://host?x=1", None, Some("host"), None),
        ("qemu+tcp://host#f", None, Some("host"), None),
    ];
    for (text, user, host, port) in cases {
        let parsed = uri(text);
        assert_eq!((parsed.user(), parsed.host(), parsed.port()), (user, host, port), "{text}");
        assert_eq!(parsed.to_string().parse(), Ok(parsed), "{text}");
    }
    assert_eq!(uri("qemu+tcp://[fe80::1%eth0]:7/x").base(), "qemu+tcp://[fe80::1%25eth0]:7/x");
}

#[test]
fn only_ipv6_addresses_are_written_in_brackets() {
    for (text, host, written) in [
        ("qemu+ssh://a%3Ab/system", "a:b", "qemu+ssh://a%3Ab/system"),
        ("qemu+ssh://%3A%3A1/system", "::1", "qemu+ssh://[::1]/system"),
        ("qemu+ssh://%3A%3A1%25/system", "::1%", "qemu+ssh://%3A%3A1%25/system"),
        ("qemu+ssh://%3A%3A1%25a%2Fb/system", "::1%a/b", "qemu+ssh://[::1%25a%2Fb]/system"),
    ] {
        let uri = uri(text);
        assert_eq!((uri.host(), uri.to_string().as_str()), (Some(host), written));
        assert_eq!(written.parse(), Ok(uri));
    }
}

#[test]
fn queries_are_split_as_libvirt_splits_them() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("pool=a1&vol=b2", &[("pool", "a1"), ("vol", "b2")]),
        ("pool=a1&pool=b2", &[("pool", "a1"), ("pool", "b2")]),
        ("pool=a1&&pool=b2", &[("pool", "a1"), ("pool", "b2")]),
        ("pool=a1;pool=b2", &[("pool", "a1"), ("pool", "b2")]),
        ("pool=%26a1&vol=%26b2", &[("pool", "&a1"), ("vol", "&b2")]),
        ("pool", &[("pool", "")]),
        ("pool=", &[("pool", "")]),
        ("pool=&", &[("pool", "")]),
        ("pool=&&", &[("pool", "")]),
        ("pool=a1%20b2", &[("pool", "a1 b2")]),
        ("=lost&pool=a1", &[("pool", "a1")]),
        ("", &[]),
        ("&", &[]),
        (";", &[]),
        ("a=1;b=2&c=3;d", &[("a", "1;b=2"), ("c", "3"), ("d", "")]),
        ("a+b=c+d", &[("a+b", "c+d")]),
        ("a=b=c", &[("a", "b=c")]),
    ];
    for (query, expected) in cases {
        let parsed = uri(&format!("test://example.com/?{query}"));
        let pairs = parsed.params().iter().map(|param| (param.name.to_str(), param.value.to_str()));
        let expected = expected.iter().map(|(name, value)| (Ok(*name), Ok(*value)));
        assert!(pairs.eq(expected), "{query}: {:?}", parsed.params());
    }
}

#[test]
fn errors_say_what_was_expected_what_came_and_where() {
    let cases = [
        ("", 0, "expected a driver's name and a colon, as in qemu:///system"),
        ("qemu", 0, "expected a driver's name and a colon, as in qemu:///system"),
        (
            "qemu+odd:///system",
            5,
            "\"odd\" is no transport, expected unix, tcp, tls, ssh, ext, libssh or libssh2",
        ),
        ("qemu+unix://host/system", 5, "the transport unix does not reach the host \"host\""),
        ("qemu://system", 7, "\"system\" stands where a host does, did you mean qemu:///system?"),
        ("qemu://host:/system", 12, "expected a port from 0 to 65535, found \"\""),
        ("qemu://host:+1/system", 12, "expected a port from 0 to 65535, found \"+1\""),
        ("qemu://host:65536/system", 12, "expected a port from 0 to 65535, found \"65536\""),
        ("qemu://[::1]x/system", 12, "expected a port from 0 to 65535, found \"x\""),
        ("qemu://[::1/system", 7, "expected ] behind an IPv6 address"),
        ("qemu://[1.2.3.4]/system", 8, "expected an IPv6 address in brackets, found \"1.2.3.4\""),
        ("qemu://[::1%]/system", 8, "expected an IPv6 address in brackets, found \"::1%\""),
        ("test:///a b", 9, "expected the path, found ' ', which has to be written as an escape (%XX)"),
        ("test:///%zz", 8, "expected two hexadecimal digits behind % in the path"),
        ("test:///a%2", 9, "expected two hexadecimal digits behind % in the path"),
        ("test:///a?b=%00", 12, "the query cannot hold a byte 0"),
        ("test://%ff/", 7, "expected UTF-8 in the host"),
        ("test://%ff@host/", 7, "expected UTF-8 in the user"),
        (
            "test:///a?b#c#d",
            13,
            "expected the fragment, found '#', which has to be written as an escape (%XX)",
        ),
    ];
    for (text, offset, kind) in cases {
        let error = text.parse::<Uri>().unwrap_err();
        assert_eq!((error.offset, &*error.kind.to_string()), (offset, kind), "{text}");
        assert_eq!(error.to_string(), format!("the URI {text:?} is wrong at byte {offset}: {kind}"));
    }
}

#[test]
fn the_parameters_that_are_for_the_client() {
    let parsed = uri("qemu+ssh://host/system?name=a&command=b&socket=c&auth=sasl.SCRAM-SHA-256&sshauth=d\
         &netcat=e&keyfile=f&pkipath=g&known_hosts=h&known_hosts_verify=auto&tls_priority=i&mode=direct\
         &proxy=netcat&no_sanity=1&no_verify=0&no_tty=1&authfile=j&argv=k&argv=l");
    let text = |value: Option<&Text>| value.unwrap().to_string();
    assert_eq!(text(parsed.name()), "a");
    assert_eq!(text(parsed.command()), "b");
    assert_eq!(text(parsed.socket()), "c");
    assert_eq!(text(parsed.sshauth()), "d");
    assert_eq!(text(parsed.netcat()), "e");
    assert_eq!(text(parsed.keyfile()), "f");
    assert_eq!(text(parsed.pkipath()), "g");
    assert_eq!(text(parsed.known_hosts()), "h");
    assert_eq!(text(parsed.known_hosts_verify()), "auto");
    assert_eq!(text(parsed.tls_priority()), "i");
    assert_eq!(text(parsed.authfile()), "j");
    assert_eq!(parsed.argv(), ["k", "l"]);
    assert_eq!(parsed.auth(), Ok(Some(AuthMethod::Sasl { mechanism: Some("SCRAM-SHA-256") })));
    assert_eq!(parsed.mode(), Ok(Some(Mode::Direct)));
    assert_eq!(parsed.proxy(), Ok(Some(Proxy::Netcat)));
    assert_eq!((parsed.no_sanity(), parsed.no_verify(), parsed.no_tty()), (Ok(true), Ok(false), Ok(true)));
    assert!(parsed.params().iter().all(UriParam::is_for_client));

    let plain = uri("qemu+ssh://host/system?foo=1");
    assert_eq!((plain.name(), plain.socket(), plain.command()), (None, None, None));
    assert_eq!((plain.auth(), plain.mode(), plain.proxy()), (Ok(None), Ok(None), Ok(None)));
    assert_eq!((plain.no_sanity(), plain.no_verify(), plain.no_tty()), (Ok(false), Ok(false), Ok(false)));
    assert!(!plain.params()[0].is_for_client());
}

#[test]
fn authentication_methods_in_any_case() {
    let cases = [
        ("SASL", Some(AuthMethod::Sasl { mechanism: None })),
        ("sasl.", Some(AuthMethod::Sasl { mechanism: None })),
        ("Sasl.plain", Some(AuthMethod::Sasl { mechanism: Some("plain") })),
        ("Polkit", Some(AuthMethod::Polkit)),
        ("polkit.x", None),
        ("none", None),
    ];
    for (value, expected) in cases {
        let parsed = uri(&format!("qemu:///system?auth={value}"));
        assert_eq!(parsed.auth().ok().flatten(), expected, "{value}");
    }
}

#[test]
fn a_wrong_value_says_which_and_what_can_stand_there() {
    let error = uri("qemu:///system?mode=odd").mode().unwrap_err();
    assert_eq!(error.to_string(), "the URI's parameter mode is \"odd\", expected auto, legacy or direct");
}

#[test]
fn the_proxy_follows_from_socket_netcat_and_session() {
    let proxy = |query: &str, session| {
        uri(&format!("qemu+ssh://host/system?{query}")).effective_proxy(session, None).ok()
    };
    assert_eq!(proxy("", false), Some(Proxy::Auto));
    assert_eq!(proxy("", true), Some(Proxy::Native));
    assert_eq!(proxy("socket=/s", true), Some(Proxy::Netcat));
    assert_eq!(proxy("netcat=/bin/nc", false), Some(Proxy::Netcat));
    assert_eq!(proxy("proxy=auto", true), Some(Proxy::Auto));
    assert_eq!(proxy("proxy=native&socket=/s", false), Some(Proxy::Native));
    assert_eq!(proxy("proxy=native&netcat=/bin/nc", false), None);
    let plain = uri("qemu+ssh://host/system");
    assert_eq!(plain.effective_proxy(true, Some(Proxy::Netcat)), Ok(Proxy::Netcat));
}

fn any_uri() -> impl Strategy<Value = Uri> {
    let bytes = || prop::collection::vec(1_u8.., 0..8);
    let scheme =
        ("[a-zA-Z][a-zA-Z0-9.-]{0,6}", prop::sample::select(&["", "+tcp", "+ssh", "+tls", "+EXT"][..]));
    let host = prop::option::of("[a-z\u{e9} @:/%+-]{1,8}".prop_filter("is IPv6", |host| !host.contains(':')));
    let params = prop::collection::vec((prop::collection::vec(1_u8.., 1..8), bytes()), 0..4);
    let parts = (scheme, prop::option::of("[a-z\u{e9}:@/]{1,8}"), host, any::<u16>(), bytes(), params);
    (parts, prop::option::of(bytes())).prop_map(|((scheme, user, host, port, path, params), fragment)| {
        let mut base = uri("a://h/");
        base.driver_len = scheme.0.len();
        base.transport = match scheme.1 {
            "" if host.is_none() => Transport::Unix,
            "" | "+tls" => Transport::Tls,
            "+tcp" => Transport::Tcp,
            "+ssh" => Transport::Ssh,
            _ => Transport::Ext,
        };
        base.scheme = format!("{}{}", scheme.0, scheme.1);
        base.port = (port != 0 && host.is_some()).then_some(port);
        (base.user, base.host) = (user, host);
        base.path = [b"/", &path[..]].concat().into();
        base.fragment = fragment.map(Text::from);
        base.params = params
            .into_iter()
            .map(|(name, value)| UriParam { name: name.into(), value: value.into() })
            .collect();
        base
    })
}

proptest! {
    /// Whatever the parts hold, the text that is written reads as the same parts.
    #[test]
    fn any_uri_reads_as_it_was_written(parts in any_uri()) {
        // Whole names that a text cannot mean.
        prop_assume!(!matches!(parts.host(), Some("system" | "session")));
        prop_assert_eq!(parts.to_string().parse(), Ok(parts));
    }

    #[test]
    fn any_text_reads_or_is_an_error_inside_it(text in "(qemu(\\+tcp)?:(//)?)?\\PC{0,20}") {
        match text.parse::<Uri>() {
            Ok(parsed) => {
                let shown = parsed.to_string();
                prop_assert_eq!(shown.parse::<Uri>(), Ok(parsed));
            }
            Err(error) => prop_assert!(error.offset <= text.len(), "{}", error),
        }
    }

    #[test]
    fn any_mix_of_marks_reads_or_is_an_error_inside_it(text in "a:(//)?[@:/?#&;=%\\[\\]1f+]{0,16}") {
        match text.parse::<Uri>() {
            Ok(parsed) => {
                let shown = parsed.to_string();
                prop_assert_eq!(shown.parse::<Uri>(), Ok(parsed));
            }
            Err(error) => prop_assert!(error.offset <= text.len(), "{}", error),
        }
    }
}
