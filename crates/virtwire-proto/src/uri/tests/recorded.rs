//! What virsh does with a URI, recorded with a socket that takes its CONNECT_OPEN, or from its log where it
//! does not come that far. virsh 9.0.0 and 12.8.0 agree on everything here that does not say otherwise.

use super::super::*;
use alloc::string::ToString;

/// A URI, and the name that virsh sends in CONNECT_OPEN.
const OPEN_NAMES: &[(&str, &str)] = &[
    ("qemu+unix:///system?socket=/run/s", "qemu:///system"),
    ("qemu:///system?socket=/run/s", "qemu:///system"),
    ("qemu:///session?socket=/run/s", "qemu:///session"),
    ("test+unix:///default?socket=/run/s", "test:///default"),
    ("test+unix:///tmp/a%20b.xml?socket=/run/s", "test:///tmp/a%20b.xml"),
    ("test+unix:///tmp/%c3%a9.xml?socket=/run/s", "test:///tmp/%C3%A9.xml"),
    ("test+unix:///tmp/%ff.xml?socket=/run/s", "test:///tmp/%FF.xml"),
    ("test+unix:///tmp/a:b@c.xml?socket=/run/s", "test:///tmp/a%3Ab@c.xml"),
    ("test+unix:///tmp/a%2fb%3fc%23d%25e?socket=/run/s", "test:///tmp/a/b%3Fc%23d%25e"),
    ("test+unix:///tmp/a!b*c'd(e)f~g,h;i=j&k$l+m?socket=/run/s", "test:///tmp/a!b*c'd(e)f~g,h;i=j&k$l+m"),
    ("test+unix:///tmp/%5bx%5d%7c?socket=/run/s", "test:///tmp/%5Bx%5D%7C"),
    ("test+unix:////tmp//x?socket=/run/s", "test:////tmp//x"),
    ("test+unix:default?socket=/run/s", "test://default"),
    ("test+unix:/default?socket=/run/s", "test:///default"),
    ("test+unix:?socket=/run/s", "test://"),
    ("test+unix://?socket=/run/s", "test://"),
    ("test+unix:///?socket=/run/s", "test:///"),
    ("qemu+UNIX:///system?socket=/run/s", "qemu:///system"),
    ("QEMU+unix:///system?socket=/run/s", "QEMU:///system"),
    ("frob+unix:///system?socket=/run/s", "frob:///system"),
    ("remote+unix:///system?socket=/run/s", ""),
    ("remote:///?socket=/run/s", ""),
    ("remote:///?socket=/run/s&name=qemu%3a///session", "qemu:///session"),
    ("Remote+unix:///system?socket=/run/s", "Remote:///system"),
    ("remotex+unix:///system?socket=/run/s", "remotex:///system"),
    ("qemu+unix:///system?socket=/run/s&name=test:///default", "test:///default"),
    ("qemu+unix:///system?name=a&name=b&socket=/run/s", "b"),
    ("qemu+unix:///system?name=&socket=/run/s", ""),
    ("qemu+unix:///system?name&socket=/run/s", ""),
    ("qemu+unix:///system?socket=/nonexistent&socket=/run/s", "qemu:///system"),
    ("qemu+unix:///system?SOCKET=/run/s", "qemu:///system"),
    ("qemu+unix:///system?socket=/run/s&Foo=Bar", "qemu:///system?Foo=Bar"),
    ("qemu+unix:///system?foo=one&socket=/run/s&bar=two", "qemu:///system?foo=one&bar=two"),
    ("qemu+unix:///system?foo=one&socket=/run/s&foo=two", "qemu:///system?foo=one&foo=two"),
    ("qemu+unix:///system?foo&socket=/run/s", "qemu:///system?foo="),
    ("qemu+unix:///system?foo=&socket=/run/s", "qemu:///system?foo="),
    ("qemu+unix:///system?&&foo=1&&socket=/run/s&&", "qemu:///system?foo=1"),
    ("qemu+unix:///system?=lost&socket=/run/s", "qemu:///system"),
    ("qemu+unix:///system?foo=a+b&socket=/run/s", "qemu:///system?foo=a%2Bb"),
    ("qemu+unix:///system?foo=a%2bb%20c&socket=/run/s", "qemu:///system?foo=a%2Bb%20c"),
    ("qemu+unix:///system?foo=a=b=c&socket=/run/s", "qemu:///system?foo=a%3Db%3Dc"),
    (
        "qemu+unix:///system?foo=/a/b:c@d?e!f$g'h(i)j*k,l&socket=/run/s",
        "qemu:///system?foo=%2Fa%2Fb%3Ac%40d%3Fe%21f%24g%27h%28i%29j%2Ak%2Cl",
    ),
    ("qemu+unix:///system?foo=-._~&socket=/run/s", "qemu:///system?foo=-._~"),
    ("qemu+unix:///system?foo=%26%3b%3d%ff%c3%a9&socket=/run/s", "qemu:///system?foo=%26%3B%3D%FF%C3%A9"),
    ("qemu+unix:///system?f:o/o?=1&socket=/run/s", "qemu:///system?f:o/o?=1"),
    ("qemu+unix:///system?foo=1;socket=/run/s", "qemu:///system?foo=1"),
    ("qemu+unix:///system?foo=1;bar=2&socket=/run/s", "qemu:///system?foo=1%3Bbar%3D2"),
    ("qemu+unix:///system?socket=/run/s&foo=1;bar=2", "qemu:///system?foo=1&bar=2"),
    ("qemu+unix:///system?socket=/run/s#frag", "qemu:///system#frag"),
    ("qemu+unix:///system?socket=/run/s#fr%20ag%23%25", "qemu:///system#fr%20ag%23%25"),
    ("qemu+unix:///system?socket=/run/s#a[b]", "qemu:///system#a[b]"),
    ("qemu+unix:///system?mode=legacy&socket=/run/s", "qemu:///system"),
    ("qemu+unix:///system?mode=direct&socket=/run/s", "qemu:///system"),
    ("qemu+unix:///system?mode=auto&socket=/run/s", "qemu:///system"),
    ("qemu+unix:///system?proxy=netcat&socket=/run/s", "qemu:///system"),
    ("qemu+unix:///system?no_tty=1&no_verify=0&no_sanity=%20-5&socket=/run/s", "qemu:///system"),
    ("qemu+unix:///system?command=a&auth=none&socket=/run/s", "qemu:///system"),
    (
        "qemu+unix:///system?command=a&netcat=c&keyfile=d&pkipath=e&known_hosts=f&known_hosts_verify=g&tls_priority=h&sshauth=i&authfile=/tmp/nonexist&socket=/run/s",
        "qemu:///system",
    ),
    ("qemu+unix:///system?authfile=&socket=/run/s", "qemu:///system"),
    ("qemu+unix://user@/system?socket=/run/s", "qemu:///system"),
    ("qemu+tcp://127.0.0.1:16509/system", "qemu:///system"),
    ("qemu+tcp://user@127.0.0.1:16509/system?foo=1", "qemu:///system?foo=1"),
    ("qemu+tcp://[::1]:16509/system", "qemu:///system"),
    ("qemu+tcp://localhost:16509/system?mode=legacy&socket=/x", "qemu:///system"),
    ("qemu+tcp://127.0.0.1:16509", "qemu://"),
    ("qemu+tcp://127.0.0.1:16509/", "qemu:///"),
    ("test+tcp://127.0.0.1:16509/default", "test:///default"),
    ("remote+tcp://127.0.0.1:16509/system", ""),
    ("qemu+tcp://127.0.0.1:016509/session", "qemu:///session"),
    ("qemu+ext:///system", "qemu:///system"),
    ("qemu+ext://some-host/system?command=/opt/cmd%20my-arg", "qemu:///system"),
    ("qemu+ssh://host/system?command=/opt/cmd", "qemu:///system"),
    ("qemu+ssh://user@host:2222/system?command=/opt/cmd&mode=legacy&foo=1", "qemu:///system?foo=1"),
    ("qemu+ssh://host/system?command=/opt/cmd&socket=/run/my-sock&foo=a%27b", "qemu:///system?foo=a%27b"),
    ("qemu+ssh://host/session?command=/opt/cmd&proxy=native", "qemu:///session"),
    (
        "qemu+ssh://host/system?command=/opt/cmd&netcat=/bin/nc&keyfile=/k&no_tty=1&no_verify=1",
        "qemu:///system",
    ),
    ("qemu+ssh://host/system?command=/opt/cmd&proxy=netcat", "qemu:///system"),
    ("qemu+ssh://[fe80::1%25eth0]/system?command=/opt/cmd&proxy=native", "qemu:///system"),
    ("qemu+ssh:///system?command=/opt/cmd&proxy=native", "qemu:///system"),
    ("remote+ssh://host/?command=/opt/cmd&proxy=native", ""),
    ("qemu+ssh://host/system?command=/opt/cmd&proxy=native&name=test:///default", "test:///default"),
    ("qemu+ssh://-oProxyCommand=x/system?command=/opt/cmd&proxy=native", "qemu:///system"),
    ("qemu+ssh://host/system?command=/opt/cmd&mode=direct", "qemu:///system"),
    ("qemu+ssh://host:22/system?command=/opt/cmd&proxy=native&mode=direct&MODE=auto", "qemu:///system"),
    ("qemu+tcp://system", "qemu://"),
    ("qemu:///system?mode=legacy", "qemu:///system"),
    ("qemu:///system?mode=direct", "qemu:///system"),
    ("qemu:///session", "qemu:///session"),
    ("test+unix:///default", "test:///default"),
    ("network:///system?mode=direct", "network:///system"),
    ("xen:///?mode=direct", "xen:///"),
    ("remote:///system", ""),
    // Not sent on by 12.8.0; 9.0.0 and 11.3.0 do not know argv and send it on.
    ("qemu+unix:///system?argv=x&argv=y&socket=/run/s", "qemu:///system"),
    ("qemu+ext:///system?command=/opt/cmd&argv=my-arg&argv=arg2", "qemu:///system"),
];

/// A URI, and the one that virsh 12.8.0 gives to virt-ssh-helper.
const HELPER_URIS: &[(&str, &str)] = &[
    ("qemu+ssh://host/system?command=/opt/cmd", "qemu:///system"),
    (
        "qemu+ssh://user@host:2222/system?command=/opt/cmd&mode=legacy&foo=1",
        "qemu:///system?mode=legacy&foo=1",
    ),
    ("qemu+ssh://host/session?command=/opt/cmd&proxy=native", "qemu:///session"),
    ("qemu+ssh:///system?command=/opt/cmd&proxy=native", "qemu:///system"),
    ("remote+ssh://host/?command=/opt/cmd&proxy=native", ""),
    ("qemu+ssh://host/system?command=/opt/cmd&proxy=native&name=test:///default", "test:///default"),
    (
        "qemu+ssh://host:22/system?command=/opt/cmd&proxy=native&mode=direct&MODE=auto",
        "qemu:///system?mode=direct&MODE=auto",
    ),
    ("qemu+ssh://host/system?proxy=native&socket=/run/s", "qemu:///system?socket=%2Frun%2Fs"),
];

/// URIs that virsh refuses before it connects anywhere.
const REFUSED: &[&str] = &[
    "qemu",
    "/system",
    "1qemu:///system",
    "q_mu:///system",
    " qemu:///system",
    "qemu:///system ",
    "qemu:///sys tem",
    "qemu+odd://host/system",
    "qemu+://host/system",
    "qemu+tcp+x://host/system",
    "qemu+unix://host/system?socket=/run/s",
    "qemu://system",
    "qemu://session/",
    "vbox://system",
    "vz://session",
    "qemu://host:/system",
    "qemu://host:2a/system",
    "qemu://host:99999999999/system",
    "qemu+tcp://[::1/system",
    "qemu+tcp://::1/system",
    "qemu+tcp://[::1]x/system",
    "qemu+tcp://a:b:16509/system",
    "qemu+tcp://user@host@x/system",
    "qemu+tcp://h\u{f6}st/system",
    "test:///tmp/a%zzb.xml",
    "test:///tmp/a%",
    "test:///tmp/\u{e9}.xml",
    "test:///tmp/a|b",
    "test:///tmp/a[b]",
    "test:///a?x=[y]",
    "test:///a?x=a b",
    "test:///a?x=%zz",
    "test:///a?x=\u{e9}",
    "test:///a#x#y",
];

/// A URI that `virsh uri` shows in another form.
const SHOWN: &[(&str, &str)] = &[
    ("qemu+tcp://127.0.0.1:016509/session", "qemu+tcp://127.0.0.1:16509/session"),
    ("test+unix:///tmp/%c3%a9.xml", "test+unix:///tmp/%C3%A9.xml"),
    ("test+unix:///tmp/%ff.xml", "test+unix:///tmp/%FF.xml"),
    ("test+unix:///tmp/a:b@c.xml", "test+unix:///tmp/a%3Ab@c.xml"),
    ("test+unix:///tmp/a%2fb%3fc%23d%25e", "test+unix:///tmp/a/b%3Fc%23d%25e"),
    ("test+unix:///tmp/%5bx%5d%7c", "test+unix:///tmp/%5Bx%5D%7C"),
    ("test+unix:/default", "test+unix:///default"),
    ("test+unix:", "test+unix://"),
];

#[test]
fn open_name_is_what_virsh_sends() {
    for (uri, name) in OPEN_NAMES {
        let parsed: Uri = uri.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parsed.open_name(), *name, "{uri}");
    }
}

#[test]
fn helper_uri_is_what_virsh_gives_to_the_helper() {
    for (uri, helper) in HELPER_URIS {
        assert_eq!(uri.parse::<Uri>().unwrap().helper_uri(), *helper, "{uri}");
    }
}

#[test]
fn what_virsh_refuses_is_refused() {
    for uri in REFUSED {
        assert!(uri.parse::<Uri>().is_err(), "{uri}");
    }
}

#[test]
fn display_is_what_virsh_shows() {
    for (uri, shown) in SHOWN {
        assert_eq!(uri.parse::<Uri>().unwrap().to_string(), *shown, "{uri}");
    }
}

/// Each form that is written reads as what it was written from, whatever stands in the recorded URIs.
#[test]
fn display_reads_as_an_equal_uri() {
    for (uri, _) in OPEN_NAMES.iter().chain(HELPER_URIS).chain(SHOWN) {
        let parsed: Uri = uri.parse().unwrap();
        let shown = parsed.to_string();
        assert_eq!(shown.parse::<Uri>().as_ref(), Ok(&parsed), "{uri} shown as {shown}");
        assert_eq!(shown.parse::<Uri>().unwrap().to_string(), shown);
    }
}

/// Values that virsh refuses when it connects: the mode, the proxy, the authentication, the flags.
#[test]
fn values_that_virsh_refuses_are_refused() {
    let uri = |query: &str| -> Uri { alloc::format!("qemu+unix:///system?{query}").parse().unwrap() };
    for query in ["mode=odd", "mode=", "mode=Direct", "mode"] {
        assert!(uri(query).mode().is_err(), "{query}");
    }
    assert!(uri("proxy=odd").proxy().is_err());
    assert!(uri("auth=none").auth().is_err());
    for query in ["no_verify=", "no_verify=1%20", "no_verify=yes", "no_verify", "no_verify=x&no_verify=1"] {
        assert!(uri(query).no_verify().is_err(), "{query}");
    }
    assert_eq!(uri("no_verify=%20-5").no_verify(), Ok(true));
    assert_eq!(uri("no_verify=0").no_verify(), Ok(false));
}

/// Where virsh does worse, on purpose another way.
#[test]
fn what_differs_from_virsh() {
    // virsh sends test:///tmp/a and qemu:///system?foo=a.
    assert!("test+unix:///tmp/a%00b".parse::<Uri>().is_err());
    assert!("qemu+unix:///system?foo=a%00b".parse::<Uri>().is_err());
    // virsh sends qemu:///system?fo&o=1.
    let uri: Uri = "qemu+unix:///system?fo%26o=1".parse().unwrap();
    assert_eq!(uri.open_name(), "qemu:///system?fo%26o=1");
    // virsh takes "@host/system" as the user.
    let uri: Uri = "qemu+ssh://@host/system".parse().unwrap();
    assert_eq!((uri.user(), uri.host()), (None, Some("host")));
}
