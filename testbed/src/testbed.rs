//! Which libvirt the tests run against, and what else is installed beside it.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

use crate::error::{Context, Error, Result};
use crate::process::run;
use crate::root::Root;

/// The libvirt that tests run against: where it is installed, and its version.
#[derive(Debug, Clone)]
pub struct Testbed {
    root: Root,
    version: Version,
}

impl Testbed {
    /// The environment variable that names the libvirt to use: `system` for the installed one, or the absolute
    /// path of a folder that holds another system. `cargo xtask test` sets it.
    pub const VARIABLE: &str = "VIRTWIRE_LIBVIRT";

    /// The libvirt that the environment names; `None` where it names none.
    ///
    /// # Errors
    /// A libvirt is named and cannot be used: not there, or a chroot without root's rights.
    pub fn from_env() -> Result<Option<Self>> {
        match env::var_os(Self::VARIABLE) {
            None => Ok(None),
            Some(value) if value.is_empty() => Ok(None),
            Some(value) => Self::named(&value).map(Some).context(|| format!("{}={value:?}", Self::VARIABLE)),
        }
    }

    /// The libvirt in `root`.
    ///
    /// # Errors
    /// `virsh --version` does not run there or `libvirtd` is missing.
    pub fn new(root: Root) -> Result<Self> {
        for program in ["libvirtd", "virsh"] {
            if !root.has_program(program) {
                return Err(Error::new(format!("{program} is not installed")));
            }
        }
        let version = run(root.command("virsh").arg("--version"))?.trim().parse()?;
        Ok(Self { root, version })
    }

    /// The version of this libvirt.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where it is installed.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// `virsh` of this version, without a connection URI; see also [`Daemon::virsh`](crate::Daemon::virsh).
    pub fn virsh(&self) -> Command {
        self.root.command("virsh")
    }

    /// `virt-admin` of this version, without a connection URI; see also
    /// [`Daemon::virt_admin`](crate::Daemon::virt_admin).
    pub fn virt_admin(&self) -> Command {
        self.root.command("virt-admin")
    }

    /// `tshark` with this version's dissector. A test that uses it [needs](crate::Test::needs) [`Tool::Tshark`].
    pub fn tshark(&self) -> Command {
        self.root.command("tshark")
    }

    /// The distribution's `python3`, which can import `libvirt`. A test that uses it
    /// [needs](crate::Test::needs) [`Tool::Python`].
    pub fn python3(&self) -> Command {
        self.root.command("python3")
    }

    /// Whether `tool` is installed beside this libvirt.
    pub fn has(&self, tool: Tool) -> bool {
        match tool {
            Tool::Tshark => {
                self.root.has_program("tshark")
                    && self.library("wireshark/plugins/*/epan/libvirt.so").is_some()
            }
            Tool::Python => self.root.outside("/usr/lib/python3/dist-packages/libvirt.py").is_file(),
            Tool::Sasl => {
                self.root.has_program("saslpasswd2")
                    && ["scram", "digestmd5", "crammd5", "plain", "anonymous", "sasldb"]
                        .iter()
                        .all(|module| self.library(&format!("sasl2/lib{module}.so")).is_some())
            }
            Tool::Sshd => {
                let here =
                    ["ssh", "ssh-keygen", "nsenter"].iter().all(|name| Root::system().has_program(name));
                // It reads the users' passwords and changes to another user; and its clients look for netcat.
                let there = ["sshd", "nc"].iter().all(|name| self.root.has_program(name));
                Root::may_enter() && here && there
            }
            Tool::Netcat => Root::system().has_program("nc"),
            Tool::Qemu => {
                ["qemu-system-x86_64", "qemu-img", "ip"].iter().all(|name| self.root.has_program(name))
                    && self.library("libvirt/connection-driver/libvirt_driver_qemu.so").is_some()
            }
        }
    }

    /// The first file `pattern` (`*` stands for any one name) in a folder for libraries, as the machine sees it.
    pub(crate) fn library(&self, pattern: &str) -> Option<PathBuf> {
        ["usr/lib/*", "usr/lib", "usr/lib64"]
            .iter()
            .find_map(|base| find(self.root.outside("/"), &format!("{base}/{pattern}")))
    }

    fn named(value: &OsStr) -> Result<Self> {
        if value == "system" {
            return Self::new(Root::system());
        }
        let folder = PathBuf::from(value);
        if !folder.is_absolute() || !folder.is_dir() {
            return Err(Error::new("neither \"system\" nor the absolute path of a folder"));
        }
        if !Root::may_enter() {
            return Err(Error::new("running programs in that folder takes root's rights"));
        }
        Self::new(Root::at(folder))
    }
}

/// A libvirt version. Ordered, so that a test can ask for `version() >= Version(11, 3, 0)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(
    /// Major.
    pub u32,
    /// Minor.
    pub u32,
    /// Micro.
    pub u32,
);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split('.').map(str::parse);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(micro)), None) => Ok(Self(major, minor, micro)),
            _ => Err(Error::new(format!("not a version of the form 12.8.0: {text:?}"))),
        }
    }
}

/// What a test may need beside `libvirtd`, `virsh` and `virt-admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `tshark` and libvirt's dissector for it.
    Tshark,
    /// The distribution's Python with libvirt's module.
    Python,
    /// Cyrus SASL's modules, and its program for users.
    Sasl,
    /// QEMU for x86-64 with its tool for images, libvirt's driver for it, and `ip`.
    Qemu,
    /// OpenSSH's client on this machine, and beside libvirt its server and a netcat for UNIX sockets; and root's rights.
    Sshd,
    /// A netcat for UNIX sockets on this machine.
    Netcat,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tshark => "tshark with libvirt's dissector",
            Self::Python => "python3 with libvirt's module",
            Self::Sasl => "Cyrus SASL's modules and saslpasswd2",
            Self::Qemu => "QEMU with libvirt's driver",
            Self::Sshd => "OpenSSH (client, server), netcat and root's rights",
            Self::Netcat => "netcat",
        })
    }
}

/// The first existing path that matches `pattern` below `folder`.
fn find(folder: PathBuf, pattern: &str) -> Option<PathBuf> {
    let (name, rest) = match pattern.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (pattern, None),
    };
    let mut candidates = match name {
        "*" => fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path()).collect(),
        name => vec![folder.join(name)],
    };
    candidates.sort();
    candidates.into_iter().filter(|path| path.exists()).find_map(|path| match rest {
        Some(rest) => find(path, rest),
        None => Some(path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        assert_eq!("12.8.0".parse::<Version>().unwrap(), Version(12, 8, 0));
        assert!(Version(9, 0, 0) < Version(11, 3, 0));
        assert!("12.8".parse::<Version>().is_err());
        assert!("12.8.x".parse::<Version>().is_err());
        assert_eq!(Version(12, 8, 0).to_string(), "12.8.0");
    }

    #[test]
    fn patterns_find_files_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/x/epan")).unwrap();
        fs::create_dir_all(folder.path().join("a/y/epan")).unwrap();
        fs::write(folder.path().join("a/y/epan/libvirt.so"), "").unwrap();
        let found = find(folder.path().to_owned(), "a/*/epan/libvirt.so");
        assert_eq!(found, Some(folder.path().join("a/y/epan/libvirt.so")));
        assert_eq!(find(folder.path().to_owned(), "b/*/libvirt.so"), None);
    }

    #[test]
    fn a_root_without_libvirt_is_an_error_that_says_so() {
        let error = Testbed::new(Root::at("/nonexistent")).unwrap_err();
        assert_eq!(error.to_string(), "libvirtd is not installed");
    }
}
