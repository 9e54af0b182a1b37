//! libvirt's daemons: their names, what they serve, and their sockets.

use super::Scope;
use alloc::format;
use alloc::string::String;

/// One of libvirt's daemons.
///
/// # Examples
/// ```
/// use virtwire_proto::socket_path::{Daemon, Scope};
/// let session = Scope::Session { runtime_dir: "/run/user/1000/libvirt".into() };
/// assert_eq!(Daemon::VIRTLOGD.socket(&Scope::system()), "/run/libvirt/virtlogd-sock");
/// assert_eq!(Daemon::LIBVIRTD.admin_socket(&session), "/run/user/1000/libvirt/libvirt-admin-sock");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Daemon {
    name: &'static str,
    driver: Option<&'static str>,
    is_hypervisor: bool,
    has_read_only: bool,
}

macro_rules! daemons {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $driver:expr, $hypervisor:literal, $read_only:literal;)*) => {
        impl Daemon {
            $(
                $(#[$doc])*
                pub const $constant: Self = Self {
                    name: $name,
                    driver: $driver,
                    is_hypervisor: $hypervisor,
                    has_read_only: $read_only,
                };
            )*

            /// All daemons.
            pub const ALL: &[Self] = &[$(Self::$constant),*];
        }
    };
}

daemons! {
    /// All drivers in one daemon.
    LIBVIRTD = "libvirtd", None, false, true;
    /// Passes on to the drivers' own daemons, on libvirtd's sockets and on TCP and TLS.
    VIRTPROXYD = "virtproxyd", None, false, true;
    /// QEMU and KVM.
    VIRTQEMUD = "virtqemud", Some("qemu"), true, true;
    /// Xen.
    VIRTXEND = "virtxend", Some("xen"), true, true;
    /// Linux containers.
    VIRTLXCD = "virtlxcd", Some("lxc"), true, true;
    /// VirtualBox.
    VIRTVBOXD = "virtvboxd", Some("vbox"), true, true;
    /// bhyve.
    VIRTBHYVED = "virtbhyved", Some("bhyve"), true, true;
    /// Virtuozzo.
    VIRTVZD = "virtvzd", Some("vz"), true, true;
    /// Cloud Hypervisor.
    VIRTCHD = "virtchd", Some("ch"), true, true;
    /// Virtual networks.
    VIRTNETWORKD = "virtnetworkd", Some("network"), false, true;
    /// The host's network interfaces.
    VIRTINTERFACED = "virtinterfaced", Some("interface"), false, true;
    /// The host's devices.
    VIRTNODEDEVD = "virtnodedevd", Some("nodedev"), false, true;
    /// Network filters.
    VIRTNWFILTERD = "virtnwfilterd", Some("nwfilter"), false, true;
    /// Secrets.
    VIRTSECRETD = "virtsecretd", Some("secret"), false, true;
    /// Storage pools and volumes.
    VIRTSTORAGED = "virtstoraged", Some("storage"), false, true;
    /// Locks on disks: the lock program.
    VIRTLOCKD = "virtlockd", None, false, false;
    /// Consoles' logs: the log program.
    VIRTLOGD = "virtlogd", None, false, false;
}

impl Daemon {
    /// The daemon of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|daemon| daemon.name == name)
    }

    /// The daemon that has this driver and no other.
    #[must_use]
    pub fn of_driver(driver: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|daemon| daemon.driver == Some(driver))
    }

    /// The daemon's name, which is its program's too.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The driver that it alone has, as in a URI.
    #[must_use]
    pub fn driver(self) -> Option<&'static str> {
        self.driver
    }

    /// Whether its driver runs domains, rather than networks, storage and the like.
    #[must_use]
    pub fn is_hypervisor(self) -> bool {
        self.is_hypervisor
    }

    /// What its sockets' names begin with: `libvirt` for libvirtd and virtproxyd, its name for all others.
    #[must_use]
    pub fn socket_prefix(self) -> &'static str {
        match self {
            Self::LIBVIRTD | Self::VIRTPROXYD => "libvirt",
            other => other.name,
        }
    }

    /// The path of its socket.
    #[must_use]
    pub fn socket(self, scope: &Scope) -> String {
        format!("{}/{}-sock", scope.folder(), self.socket_prefix())
    }

    /// The path of its read-only socket: a session has none, nor do virtlockd and virtlogd.
    #[must_use]
    pub fn read_only_socket(self, scope: &Scope) -> Option<String> {
        let has_one = self.has_read_only && matches!(scope, Scope::System { .. });
        has_one.then(|| format!("{}/{}-sock-ro", scope.folder(), self.socket_prefix()))
    }

    /// The path of its administration socket.
    #[must_use]
    pub fn admin_socket(self, scope: &Scope) -> String {
        format!("{}/{}-admin-sock", scope.folder(), self.socket_prefix())
    }
}
