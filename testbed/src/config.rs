//! What a private daemon is started with.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::sync::Arc;

use crate::daemon::Daemon;
use crate::error::{Context, Error, Result};
use crate::sasl::Sasl;

/// What to start a [`Daemon`](crate::Daemon) with. The default: the test driver alone, UNIX sockets without
/// authentication.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub(crate) drivers: Drivers,
    pub(crate) tcp: bool,
    pub(crate) sasl: Option<Sasl>,
    /// The authority's certificate, the daemon's own, and the key of that.
    pub(crate) tls: Option<[String; 3]>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) network: Option<Arc<File>>,
    settings: BTreeMap<String, Setting>,
}

/// The drivers that a daemon loads. The test driver is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drivers {
    /// The test driver alone: quiet and fast.
    #[default]
    Test,
    /// Also storage, secrets, network filters, interfaces and networks: real volumes and streams without QEMU.
    Storage,
    /// Everything that is installed, QEMU included; guests run as root, without cgroups and security labels. Networks,
    /// bridges and ports, its own TCP port too, are in a network namespace of the daemon's; sockets in the file system
    /// are reached from outside.
    All,
}

/// Settings that name a file for TLS, and the file below the daemon's folder.
pub(crate) const TLS_FILES: [(&str, &str); 3] =
    [("ca_file", "cacert.pem"), ("cert_file", "servercert.pem"), ("key_file", "serverkey.pem")];

impl Config {
    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads `drivers`.
    #[must_use]
    pub fn drivers(mut self, drivers: Drivers) -> Self {
        self.drivers = drivers;
        self
    }

    /// Also listens on a TCP port of 127.0.0.1 that the system picks ([`Daemon::tcp_port`](crate::Daemon::tcp_port)),
    /// without encryption and, unless `auth_tcp` is [set](Config::set), authentication.
    #[must_use]
    pub fn listen_tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Lets a daemon with [all drivers](Drivers::All) share the network namespace of another one: for guests that
    /// migrate between them. The namespace lasts as long as one of the two, or this.
    ///
    /// # Errors
    /// `daemon` has ended.
    pub fn network_of(mut self, daemon: &Daemon) -> Result<Self> {
        let path = format!("/proc/{}/ns/net", daemon.pid());
        self.network = Some(Arc::new(File::open(&path).context(|| path)?));
        Ok(self)
    }

    /// Asks clients for SASL.
    #[must_use]
    pub fn sasl(mut self, sasl: Sasl) -> Self {
        self.sasl = Some(sasl);
        self
    }

    /// Also listens for TLS on a port of 127.0.0.1 that the system picks
    /// ([`Daemon::tls_port`](crate::Daemon::tls_port)), and asks clients for a certificate of the authority's.
    /// Certificates and key are given in PEM.
    #[must_use]
    pub fn listen_tls(mut self, authority: &str, certificate: &str, key: &str) -> Self {
        self.tls = Some([authority, certificate, key].map(str::to_owned));
        self
    }

    /// Sets `name` in libvirtd.conf, in place of what the testbed sets there itself.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<Setting>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// Gives the daemon an environment variable, such as `SASL_CONF_PATH`.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The text of libvirtd.conf for a daemon that lives below `folder`.
    pub(crate) fn render(&self, folder: &str) -> Result<String> {
        let asked = if self.sasl.is_some() { "sasl" } else { "none" };
        let mut settings = BTreeMap::from([
            ("unix_sock_dir".to_owned(), Setting::from(format!("{folder}/run"))),
            ("unix_sock_group".to_owned(), "root".into()),
            ("unix_sock_ro_perms".to_owned(), "0777".into()),
            ("unix_sock_rw_perms".to_owned(), "0770".into()),
            ("unix_sock_admin_perms".to_owned(), "0700".into()),
            // Distributions build with polkit as the default, which nothing answers here.
            ("auth_unix_ro".to_owned(), "none".into()),
            ("auth_unix_rw".to_owned(), asked.into()),
            ("auth_tcp".to_owned(), asked.into()),
            ("listen_tls".to_owned(), self.tls.is_some().into()),
            ("listen_tcp".to_owned(), self.tcp.into()),
            ("listen_addr".to_owned(), "127.0.0.1".into()),
            // The kernel picks a free one.
            ("tcp_port".to_owned(), "0".into()),
            ("tls_port".to_owned(), "0".into()),
            ("log_outputs".to_owned(), format!("3:file:{folder}/log/libvirtd.log").into()),
            // Otherwise from the machine's firmware, which a virtual machine may not have.
            ("host_uuid".to_owned(), "5f0e6a1c-0000-4000-8002-000000000001".into()),
        ]);
        if self.tls.is_some() {
            for (name, file) in TLS_FILES {
                settings.insert(name.to_owned(), format!("{folder}/{file}").into());
            }
        }
        settings.extend(self.settings.clone());
        let mut text = String::new();
        for (name, value) in &settings {
            text.push_str(&format!("{name} = {}\n", value.render(name)?));
        }
        Ok(text)
    }
}

/// A value in libvirtd.conf; made from what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A number; a yes or no is 1 or 0.
    Number(i64),
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

impl Setting {
    fn render(&self, name: &str) -> Result<String> {
        // The format has two kinds of quotes and no escapes.
        let quoted = |text: &String| match (text.contains('"'), text.contains('\''), text.contains('\n')) {
            (false, _, false) => Ok(format!("\"{text}\"")),
            (true, false, false) => Ok(format!("'{text}'")),
            _ => Err(Error::new(format!("{name}: libvirtd.conf cannot hold {text:?}"))),
        };
        Ok(match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => quoted(text)?,
            Self::List(items) => {
                format!("[ {} ]", items.iter().map(quoted).collect::<Result<Vec<_>>>()?.join(", "))
            }
        })
    }
}

impl From<i64> for Setting {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Setting {
    fn from(yes: bool) -> Self {
        Self::Number(yes.into())
    }
}

impl From<&str> for Setting {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Setting {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<const N: usize> From<[&str; N]> for Setting {
    fn from(items: [&str; N]) -> Self {
        Self::List(items.map(str::to_owned).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_settings_replace_the_testbeds_and_appear_once() {
        let config = Config::new()
            .set("auth_unix_rw", "sasl")
            .set("max_clients", 10)
            .set("sasl_allowed_username_list", ["a", "b@*"]);
        let text = config.render("/tmp/x").unwrap();
        assert_eq!(text.matches("auth_unix_rw").count(), 1);
        for line in [
            "auth_unix_rw = \"sasl\"\n",
            "max_clients = 10\n",
            "sasl_allowed_username_list = [ \"a\", \"b@*\" ]\n",
            "listen_tcp = 0\n",
            "unix_sock_dir = \"/tmp/x/run\"\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
    }

    #[test]
    fn text_is_quoted_with_the_quote_it_does_not_contain() {
        let rendered = |text: &str| {
            Config::new().set("name", text).render("/x").map(|all| all.contains("name = 'say \"hi\"'\n"))
        };
        assert!(rendered("say \"hi\"").unwrap());
        assert!(Config::new().set("name", "\"'").render("/x").is_err());
    }
}
