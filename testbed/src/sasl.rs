//! What a daemon needs to ask its clients for SASL.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::error::{Context, Error, Result};
use crate::root::Root;

/// The mechanisms that a daemon offers, and the users that it knows. Both its UNIX socket for full access and its TCP
/// port, where it has one, then let nobody in without. A test that uses it [needs](crate::Test::needs)
/// [`Tool::Sasl`](crate::Tool::Sasl).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sasl {
    mechanisms: Vec<String>,
    users: Vec<(String, String)>,
}

impl Sasl {
    /// Offers these mechanisms, such as `SCRAM-SHA-256`; of them, on each transport, those that hide enough.
    pub fn new(mechanisms: &[&str]) -> Self {
        Self { mechanisms: mechanisms.iter().map(|&name| name.to_owned()).collect(), users: Vec::new() }
    }

    /// Knows a user with a password. Its realm is the machine's name.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Writes the daemon's settings and its users into `folder`, which is to be its `SASL_CONF_PATH`.
    pub(crate) fn prepare(&self, root: &Root, folder: &Path) -> Result<()> {
        let users = folder.join("users");
        let settings = format!(
            "mech_list: {}\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\n",
            self.mechanisms.join(" "),
            users.display()
        );
        let file = folder.join("libvirt.conf");
        fs::write(&file, settings).context(|| file.display().to_string())?;
        self.users.iter().try_for_each(|(name, password)| add_user(root, &users, name, password))
    }
}

fn add_user(root: &Root, users: &Path, name: &str, password: &str) -> Result<()> {
    let doing = || format!("saslpasswd2 {name}");
    let mut command = root.command("saslpasswd2");
    command.args(["-p", "-c", "-a", "libvirt", "-f"]).arg(users).arg(name);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().context(doing)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(password.as_bytes()).context(doing)?;
    }
    let output = child.wait_with_output().context(doing)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("{}: {}: {}", doing(), output.status, String::from_utf8_lossy(&output.stderr))))
}
