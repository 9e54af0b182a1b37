//! Socket paths as a list of cases.

use super::*;
use crate::uri::Mode;
use alloc::vec::Vec;

const NOTHING: fn(&str) -> bool = |_| false;

fn path(finder: &SocketFinder) -> String {
    finder.find(NOTHING).unwrap().path.to_string()
}

fn qemu() -> SocketFinder {
    SocketFinder::new().driver("qemu")
}

fn user() -> Environment {
    Environment::new(false, |name| (name == "XDG_RUNTIME_DIR").then(|| "/run/user/7".into()))
}

fn root() -> Environment {
    Environment { root: true, ..user() }
}

fn for_uri(uri: &str, environment: &Environment) -> Result<SocketFinder, SocketPathError> {
    SocketFinder::for_uri(Some(&uri.parse().unwrap()), environment)
}

#[test]
fn nothing_said() {
    assert_eq!(path(&SocketFinder::new()), "/run/libvirt/libvirt-sock");
}

#[test]
fn a_prefix() {
    let finder = SocketFinder::new().scope(Scope::System { prefix: "/var".into() });
    assert_eq!(path(&finder), "/var/run/libvirt/libvirt-sock");
}

#[test]
fn read_only() {
    assert_eq!(path(&SocketFinder::new().read_only(true)), "/run/libvirt/libvirt-sock-ro");
}

#[test]
fn a_driver_without_a_mode() {
    assert_eq!(path(&qemu()), "/run/libvirt/libvirt-sock");
}

#[test]
fn a_driver_in_mode_direct() {
    assert_eq!(path(&qemu().mode(Mode::Direct)), "/run/libvirt/virtqemud-sock");
}

#[test]
fn a_driver_in_mode_direct_and_read_only() {
    assert_eq!(path(&qemu().mode(Mode::Direct).read_only(true)), "/run/libvirt/virtqemud-sock-ro");
}

#[test]
fn a_session_has_no_read_only_socket() {
    let finder = qemu().scope(user().session().unwrap()).read_only(true);
    assert_eq!(path(&finder), "/run/user/7/libvirt/libvirt-sock");
    assert_eq!(path(&finder.mode(Mode::Direct)), "/run/user/7/libvirt/virtqemud-sock");
}

/// What exists; whether libvirt prefers the drivers' own daemons; the daemon that mode=auto chooses.
#[test]
fn mode_auto_takes_what_is_there() {
    const LEGACY: &str = "/run/libvirt/libvirt-sock";
    const DIRECT: &str = "/run/libvirt/virtqemud-sock";
    let cases: [(&[&str], bool, &str); 8] = [
        (&[], false, "libvirtd"),
        (&[], true, "virtqemud"),
        (&[LEGACY], false, "libvirtd"),
        (&[LEGACY], true, "libvirtd"),
        (&[DIRECT], false, "virtqemud"),
        (&[DIRECT], true, "virtqemud"),
        (&[LEGACY, DIRECT], false, "virtqemud"),
        (&[LEGACY, DIRECT], true, "virtqemud"),
    ];
    for (there, prefer_direct, daemon) in cases {
        let found = qemu().prefer_direct(prefer_direct).find(|path| there.contains(&path)).unwrap();
        assert_eq!(found.daemon.as_deref(), Some(daemon), "{there:?} {prefer_direct}");
    }
}

#[test]
fn mode_auto_looks_for_the_socket_that_it_would_take() {
    let found = qemu().read_only(true).find(|path| path == "/run/libvirt/virtqemud-sock").unwrap();
    assert_eq!(found.path, "/run/libvirt/libvirt-sock-ro");
    let found = qemu().read_only(true).find(|path| path == "/run/libvirt/virtqemud-sock-ro").unwrap();
    assert_eq!(found.path, "/run/libvirt/virtqemud-sock-ro");
}

#[test]
fn without_a_driver_the_first_daemon_that_is_there() {
    let there = |names: &'static [&'static str]| {
        move |path: &str| names.iter().any(|name| path == format!("/run/libvirt/{name}-sock"))
    };
    let daemon = |finder: &SocketFinder, names| finder.find(there(names)).unwrap().daemon.unwrap();
    let auto = SocketFinder::new();
    assert_eq!(daemon(&auto, &["libvirt", "virtqemud"]), "libvirtd");
    assert_eq!(daemon(&auto, &["virtlxcd", "virtqemud"]), "virtqemud");
    assert_eq!(daemon(&auto, &["virtxend", "virtqemud"]), "virtxend");
    assert_eq!(daemon(&auto, &[]), "libvirtd");
    let direct = SocketFinder::new().prefer_direct(true);
    assert_eq!(daemon(&direct, &["libvirt", "virtvzd"]), "virtvzd");
    assert_eq!(daemon(&direct, &["libvirt"]), "libvirtd");
    let error = direct.find(NOTHING).unwrap_err();
    assert_eq!(error, SocketFinder::new().mode(Mode::Direct).find(NOTHING).unwrap_err());
    assert!(error.to_string().contains("/run/libvirt/virtxend-sock, /run/libvirt/virtqemud-sock"), "{error}");
}

#[test]
fn without_a_uri_a_user_gets_the_session_whose_daemon_is_there_or_installed() {
    let finder = SocketFinder::for_uri(None, &user()).unwrap().prefer_direct(true);
    let found = finder.find(|path| path == "/run/user/7/libvirt/virtvboxd-sock").unwrap();
    assert_eq!(found.daemon.as_deref(), Some("virtvboxd"));
    let found = finder.find(|path| path == "/usr/sbin/virtqemud").unwrap();
    assert_eq!(found.path, "/run/user/7/libvirt/virtqemud-sock");
    assert_eq!(found.command.unwrap().program, "/usr/sbin/virtqemud");
    assert!(finder.find(NOTHING).is_err());
    // Root has no session.
    let found = SocketFinder::for_uri(None, &root()).unwrap().find(NOTHING).unwrap();
    assert_eq!((&*found.path.to_string(), found.command), ("/run/libvirt/libvirt-sock", None));
}

#[test]
fn the_mode_of_the_configuration_counts_where_the_uri_says_none() {
    let environment = Environment { mode: Mode::Direct, ..root() };
    assert_eq!(path(&for_uri("qemu:///system", &environment).unwrap()), "/run/libvirt/virtqemud-sock");
    assert_eq!(
        path(&for_uri("qemu:///system?mode=auto", &environment).unwrap()),
        "/run/libvirt/libvirt-sock"
    );
}

/// A URI; the socket for a user; the socket for root. As virsh 9.0.0 and 12.8.0 choose them, but for `/var` in
/// front of `/run`, which virsh has with the transport unix too.
#[test]
fn the_socket_of_a_uri() {
    let cases = [
        ("qemu:///system", "/run/libvirt/libvirt-sock", "/run/libvirt/libvirt-sock"),
        ("qemu:///system?mode=legacy", "/run/libvirt/libvirt-sock", "/run/libvirt/libvirt-sock"),
        ("qemu:///system?mode=direct", "/run/libvirt/virtqemud-sock", "/run/libvirt/virtqemud-sock"),
        ("qemu:///session", "/run/user/7/libvirt/libvirt-sock", "/run/libvirt/libvirt-sock"),
        ("qemu:///session?mode=direct", "/run/user/7/libvirt/virtqemud-sock", "/run/libvirt/virtqemud-sock"),
        ("test+unix:///default", "/run/user/7/libvirt/libvirt-sock", "/run/libvirt/libvirt-sock"),
        ("test+ssh://host/default", "/run/user/7/libvirt/libvirt-sock", "/var/run/libvirt/libvirt-sock"),
        ("qemu+ssh://host/session", "/run/user/7/libvirt/libvirt-sock", "/var/run/libvirt/libvirt-sock"),
        ("qemu+ssh://host/system", "/var/run/libvirt/libvirt-sock", "/var/run/libvirt/libvirt-sock"),
        ("network:///system?mode=direct", "/run/libvirt/virtnetworkd-sock", "/run/libvirt/virtnetworkd-sock"),
        ("xen:///?mode=direct", "/run/libvirt/virtxend-sock", "/run/libvirt/virtxend-sock"),
        ("remote:///system", "/run/libvirt/libvirt-sock", "/run/libvirt/libvirt-sock"),
        ("qemu:///session?socket=/x/y", "/x/y", "/x/y"),
        ("qemu+ssh://host/system?socket=@name&mode=direct", "@name", "@name"),
    ];
    for (uri, for_user, for_root) in cases {
        assert_eq!(path(&for_uri(uri, &user()).unwrap()), for_user, "{uri}");
        assert_eq!(path(&for_uri(uri, &root()).unwrap()), for_root, "{uri}");
    }
}

#[test]
fn uris_that_lead_to_no_socket() {
    for uri in ["qemu+tcp://host/system", "qemu://host/system", "qemu+ext:///system?command=x"] {
        assert!(matches!(for_uri(uri, &root()), Err(SocketPathError::NoSocket { .. })), "{uri}");
    }
    let error = for_uri("qemu+ssh://host/system?mode=direct", &root()).unwrap().find(NOTHING).unwrap_err();
    assert_eq!(error, SocketPathError::DirectOverTransport { transport: Transport::Ssh });
    assert!(matches!(for_uri("qemu:///system?mode=odd", &root()), Err(SocketPathError::Param(_))));
    let nowhere = Environment::new(false, |_| None);
    assert_eq!(for_uri("qemu:///session", &nowhere), Err(SocketPathError::NoRuntimeDir));
    assert!(for_uri("qemu:///system", &nowhere).is_ok());
    assert!(for_uri("qemu:///session?socket=/x", &nowhere).is_ok());
}

#[test]
fn a_session_daemon_is_started_only_for_a_user_on_this_host() {
    let command =
        |uri, environment: &Environment| for_uri(uri, environment).unwrap().find(NOTHING).unwrap().command;
    let started = command("qemu:///session", &user()).unwrap();
    assert_eq!(started.program, "/usr/sbin/libvirtd");
    assert_eq!(started.arguments, ["--timeout=120"]);
    assert_eq!(started.lock_path, "/run/user/7/libvirt/libvirtd.lock");
    assert_eq!(started.variables, ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"]);
    assert_eq!(command("qemu:///session?mode=direct", &user()).unwrap().program, "/usr/sbin/virtqemud");
    assert!(command("test+unix:///default", &user()).is_some());

    assert_eq!(command("qemu:///system", &user()), None);
    assert_eq!(command("qemu:///session", &root()), None);
    assert_eq!(command("qemu:///session?socket=/x", &user()), None);
    assert_eq!(command("qemu+ssh://host/session", &user()), None);
    assert_eq!(command("qemu:///session", &Environment { autostart: false, ..user() }), None);
}

#[test]
fn the_environment() {
    type Variables = &'static [(&'static str, &'static str)];
    let environment = |variables: Variables| {
        Environment::new(false, |name| {
            assert!(Environment::VARIABLES.contains(&name), "{name}");
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
        })
    };
    let runtime_dir: [(Variables, Option<&str>); 6] = [
        (&[], None),
        (&[("HOME", "/home/a")], Some("/home/a/.cache/libvirt")),
        (&[("HOME", "/home/a/"), ("XDG_CACHE_HOME", "")], Some("/home/a/.cache/libvirt")),
        (&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/c")], Some("/c/libvirt")),
        (&[("XDG_CACHE_HOME", "/c"), ("XDG_RUNTIME_DIR", "/r")], Some("/r/libvirt")),
        (&[("XDG_CACHE_HOME", "/c"), ("XDG_RUNTIME_DIR", "")], Some("/c/libvirt")),
    ];
    for (variables, expected) in runtime_dir {
        assert_eq!(environment(variables).runtime_dir.as_deref(), expected, "{variables:?}");
    }
    let daemon_dir: [(Variables, &str); 4] = [
        (&[], "/usr/sbin"),
        (&[("LIBVIRTD_PATH", "/a")], "/a"),
        (&[("VIRTD_PATH", "/b")], "/b"),
        (&[("LIBVIRTD_PATH", "/a"), ("VIRTD_PATH", "/b")], "/b"),
    ];
    for (variables, expected) in daemon_dir {
        assert_eq!(environment(variables).daemon_dir, expected, "{variables:?}");
    }
    assert!(environment(&[]).autostart);
    assert!(environment(&[("LIBVIRT_AUTOSTART", "1")]).autostart);
    assert!(!environment(&[("LIBVIRT_AUTOSTART", "0")]).autostart);
}

#[test]
fn the_sockets_of_each_daemon() {
    let system = Scope::system();
    let session = user().session().unwrap();
    assert_eq!(Daemon::LIBVIRTD.socket(&system), "/run/libvirt/libvirt-sock");
    assert_eq!(Daemon::LIBVIRTD.admin_socket(&system), "/run/libvirt/libvirt-admin-sock");
    assert_eq!(Daemon::VIRTPROXYD.socket(&system), "/run/libvirt/libvirt-sock");
    assert_eq!(Daemon::VIRTQEMUD.admin_socket(&system), "/run/libvirt/virtqemud-admin-sock");
    assert_eq!(Daemon::VIRTQEMUD.read_only_socket(&system).unwrap(), "/run/libvirt/virtqemud-sock-ro");
    assert_eq!(Daemon::VIRTQEMUD.read_only_socket(&session), None);
    assert_eq!(Daemon::VIRTLOCKD.socket(&system), "/run/libvirt/virtlockd-sock");
    assert_eq!(Daemon::VIRTLOCKD.socket(&session), "/run/user/7/libvirt/virtlockd-sock");
    assert_eq!(Daemon::VIRTLOGD.socket(&system), "/run/libvirt/virtlogd-sock");
    assert_eq!(Daemon::VIRTLOGD.read_only_socket(&system), None);
    assert_eq!(Daemon::VIRTLOGD.admin_socket(&session), "/run/user/7/libvirt/virtlogd-admin-sock");
}

#[test]
fn each_driver_has_its_daemon() {
    let drivers: Vec<_> = Daemon::ALL.iter().filter_map(|daemon| daemon.driver()).collect();
    let expected = "qemu xen lxc vbox bhyve vz ch network interface nodedev nwfilter secret storage";
    assert!(drivers.iter().copied().eq(expected.split(' ')), "{drivers:?}");
    for driver in drivers {
        let daemon = Daemon::of_driver(driver).unwrap();
        assert_eq!(daemon.name(), format!("virt{driver}d"));
        assert_eq!(Daemon::named(daemon.name()), Some(daemon));
        // The finder and the list of daemons agree.
        let found = SocketFinder::new().driver(driver).mode(Mode::Direct).find(NOTHING).unwrap();
        assert_eq!(found.path, *daemon.socket(&Scope::system()));
    }
    assert_eq!(Daemon::of_driver("test"), None);
    assert_eq!(Daemon::ALL.iter().filter(|daemon| daemon.is_hypervisor()).count(), 7);
}

#[test]
fn administration_sockets() {
    let socket = |uri: &str| {
        admin_socket(&uri.parse().unwrap(), &user())
            .map(|path| path.to_string())
            .map_err(|error| error.to_string())
    };
    assert_eq!(socket("libvirtd:///system").unwrap(), "/run/libvirt/libvirt-admin-sock");
    assert_eq!(socket("libvirtd+unix:///session").unwrap(), "/run/user/7/libvirt/libvirt-admin-sock");
    assert_eq!(socket("virtqemud:///system").unwrap(), "/run/libvirt/virtqemud-admin-sock");
    assert_eq!(socket("virtproxyd:///system").unwrap(), "/run/libvirt/libvirt-admin-sock");
    assert_eq!(socket("virtlogd:///session").unwrap(), "/run/user/7/libvirt/virtlogd-admin-sock");
    assert_eq!(socket("virtnewd:///system").unwrap(), "/run/libvirt/virtnewd-admin-sock");
    assert_eq!(socket("anything:///?socket=/x").unwrap(), "/x");
    assert_eq!(
        socket("qemu:///system").unwrap_err(),
        "expected libvirtd or a daemon virt…d in a URI for administration, found \"qemu\""
    );
    assert_eq!(
        socket("libvirtd:///default").unwrap_err(),
        "expected /system or /session in a URI for administration, found \"/default\""
    );
    assert_eq!(
        socket("libvirtd:///system?mode=x").unwrap_err(),
        "expected no parameter but socket in a URI for administration, found \"mode\""
    );
}
