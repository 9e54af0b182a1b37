//! The system's `ssh`, with what its user has configured.

use super::super::builder::is_root;
use super::Builder;
use crate::transport::{Command, Privacy, Transport};
use crate::{Error, Result};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use tokio::process::Command as Program;
use virtwire_proto::socket_path::{Environment, SocketFinder};
use virtwire_proto::uri::{self, Mode, Proxy, Uri};
use virtwire_proto::xdr::Text;

impl Builder {
    pub(super) fn connect_ssh(&self, uri: Option<&Uri>) -> Result<Arc<dyn Transport>> {
        let Some(uri) = uri else { return Err(self.invalid(&"there is no host for ssh")) };
        let command = uri.command().map_or_else(|| "ssh".into(), super::path);
        let config = self.client_config("libvirt.conf")?;
        let environment = Environment::new(is_root(), |name| std::env::var(name).ok());
        let arguments =
            arguments(uri, self.read_only, &config, environment).map_err(|reason| self.invalid(&reason))?;
        let to = uri.host().unwrap_or("localhost").to_owned();
        let mut program = Program::new(&command);
        program.args(arguments);
        match Command::start(program, command.display().to_string(), to, Privacy::Private) {
            Ok(started) => Ok(Arc::new(started)),
            Err(source) => Err(Error::Connect { to: command.display().to_string(), source }),
        }
    }
}

/// What `ssh` is told.
fn arguments(
    uri: &Uri,
    read_only: bool,
    config: &uri::ClientConfig,
    environment: Environment,
) -> Result<Vec<OsString>, String> {
    let mut arguments: Vec<OsString> = Vec::new();
    let mut option = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    if let Some(port) = uri.port() {
        option("-p", port.to_string().into());
    }
    if let Some(user) = uri.user() {
        option("-l", user.into());
    }
    if let Some(keyfile) = uri.keyfile() {
        option("-i", super::path(keyfile).into());
    }
    // Bytes pass as they are: no terminal, and no character with a meaning of its own.
    option("-e", "none".into());
    for setting in settings(uri)? {
        option("-o", setting);
    }
    arguments.extend(["-T".into(), "--".into(), uri.host().unwrap_or("localhost").into()]);
    arguments.push(far_side(uri, read_only, config, environment)?);
    Ok(arguments)
}

/// What is set as in ssh_config.
fn settings(uri: &Uri) -> Result<Vec<OsString>, String> {
    let mut settings = Vec::new();
    if uri.no_tty().map_err(|error| error.to_string())? {
        settings.push("BatchMode=yes".into());
    }
    let no_verify = uri.no_verify().map_err(|error| error.to_string())?;
    match uri.known_hosts_verify().map(Text::as_bytes) {
        Some(b"ignore") => settings.push("StrictHostKeyChecking=no".into()),
        _ if no_verify => settings.push("StrictHostKeyChecking=no".into()),
        Some(b"auto") => settings.push("StrictHostKeyChecking=accept-new".into()),
        None | Some(b"normal") => {}
        Some(_) => return Err("known_hosts_verify is normal, auto or ignore".into()),
    }
    if let Some(file) = uri.known_hosts() {
        if file.as_bytes().iter().any(|byte| b"\"\\\n".contains(byte)) {
            return Err(
                "known_hosts: ssh cannot be told of a file with quotes or backslashes in its name".into()
            );
        }
        let mut setting = b"UserKnownHostsFile=\"".to_vec();
        for byte in file.as_bytes() {
            // ssh replaces what follows a %.
            setting.extend_from_slice(if *byte == b'%' { b"%%" } else { std::slice::from_ref(byte) });
        }
        setting.push(b'"');
        settings.push(OsString::from_vec(setting));
    }
    if let Some(ways) = uri.sshauth() {
        let mut methods: Vec<&str> = Vec::new();
        for way in ways.to_string_lossy().split(',') {
            let method = match way {
                "agent" | "privkey" => "publickey",
                "password" => "password",
                "keyboard-interactive" => "keyboard-interactive",
                _ => return Err("sshauth is a list of agent, privkey, password, keyboard-interactive".into()),
            };
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        settings.push(format!("PreferredAuthentications={}", methods.join(",")).into());
    }
    Ok(settings)
}

/// The command that reaches the daemon on the far side: a script for the POSIX shell, whatever the user's shell is.
fn far_side(
    uri: &Uri,
    read_only: bool,
    config: &uri::ClientConfig,
    mut environment: Environment,
) -> Result<OsString, String> {
    // As libvirt: where this user's own daemon is on the far side is known only there.
    let session = uri.is_session() || (uri.driver() == "test" && !environment.root);
    let mut proxy = uri.effective_proxy(session, config.remote_proxy).map_err(|error| error.to_string())?;
    environment.mode = config.remote_mode.unwrap_or_default();
    let mode = uri.mode().map_err(|error| error.to_string())?.unwrap_or(environment.mode);
    if uri.socket().is_some() {
        // virt-ssh-helper takes none.
        proxy = Proxy::Netcat;
    } else if mode == Mode::Direct && proxy == Proxy::Auto {
        // So is which of the drivers' daemons there are.
        proxy = Proxy::Native;
    }
    let mut helper = b"exec virt-ssh-helper ".to_vec();
    if read_only {
        helper.extend_from_slice(b"-r ");
    }
    quote(&mut helper, uri.helper_uri().as_bytes());
    let script = match proxy {
        Proxy::Native => helper,
        Proxy::Auto | Proxy::Netcat => {
            let socket = SocketFinder::for_uri(Some(uri), &environment)
                .and_then(|finder| finder.read_only(read_only).find(|_| false))
                .map_err(|error| error.to_string())?;
            let netcat = netcat(uri.netcat().map_or(b"nc", Text::as_bytes), socket.path.as_bytes());
            if proxy == Proxy::Netcat {
                netcat
            } else {
                let test = b"if command -v virt-ssh-helper >/dev/null 2>&1; then ";
                [&test[..], &helper, b"; else ", &netcat, b"; fi"].concat()
            }
        }
    };
    let mut command = b"sh -c ".to_vec();
    quote(&mut command, &script);
    Ok(OsString::from_vec(command))
}

/// Joins standard input and output to a socket; some netcats go on after the end of their input unless they are told.
fn netcat(program: &[u8], socket: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::new();
    quote(&mut quoted, program);
    let mut path = Vec::new();
    quote(&mut path, socket);
    [
        b"if LC_ALL=C ",
        &quoted[..],
        b" -q 2>&1 | grep -q 'requires an argument'; then exec ",
        &quoted,
        b" -q0 -U ",
        &path,
        b"; else exec ",
        &quoted,
        b" -U ",
        &path,
        b"; fi",
    ]
    .concat()
}

/// Writes the word so that a shell reads it as it is.
fn quote(out: &mut Vec<u8>, word: &[u8]) {
    out.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => out.extend_from_slice(br"'\''"),
            byte => out.push(*byte),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(uri: &str, read_only: bool) -> Result<Vec<String>, String> {
        let environment = Environment::new(true, |_| None);
        let arguments =
            arguments(&uri.parse().unwrap(), read_only, &uri::ClientConfig::default(), environment)?;
        Ok(arguments.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    /// The script that the shell on the far side runs, its words as that shell sees them.
    fn script(uri: &str, read_only: bool) -> String {
        let command = told(uri, read_only).unwrap().pop().unwrap();
        let inner = format!("sh() {{ printf '%s' \"$2\"; }}; {command}");
        let output = std::process::Command::new("sh").args(["-c", &inner]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn options_of_the_uri_are_options_of_ssh() {
        let told = |uri| {
            told(uri, false).map(|mut words| {
                words.pop();
                words.join(" ")
            })
        };
        assert_eq!(told("qemu+ssh://host/system").unwrap(), "-e none -T -- host");
        assert_eq!(
            told("qemu+ssh://fred@host:2222/system?keyfile=/k%20ey&no_tty=1&no_verify=1").unwrap(),
            "-p 2222 -l fred -i /k ey -e none -o BatchMode=yes -o StrictHostKeyChecking=no -T -- host"
        );
        assert_eq!(
            told("qemu+ssh://[fe80::1%25eth0]/system?known_hosts=/a%20b%25&known_hosts_verify=auto").unwrap(),
            "-e none -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=\"/a b%%\" -T -- fe80::1%eth0"
        );
        assert_eq!(
            told("qemu+ssh:///system?sshauth=agent,privkey,password").unwrap(),
            "-e none -o PreferredAuthentications=publickey,password -T -- localhost"
        );
        for (uri, reason) in [
            ("qemu+ssh://host/system?known_hosts_verify=odd", "known_hosts_verify"),
            ("qemu+ssh://host/system?known_hosts=a%22b", "known_hosts"),
            ("qemu+ssh://host/system?sshauth=magic", "sshauth"),
            ("qemu+ssh://host/system?no_tty=x", "no_tty"),
            ("qemu+ssh://host/system?proxy=native&netcat=nc", "netcat"),
            ("qemu+ssh://host/system?proxy=netcat&mode=direct", "mode=direct"),
        ] {
            let error = told(uri).unwrap_err();
            assert!(error.contains(reason), "{uri}: {error}");
        }
    }

    #[test]
    fn the_far_side_takes_the_helper_or_netcat() {
        let helper = script("qemu+ssh://host/session", false);
        assert_eq!(helper, "exec virt-ssh-helper 'qemu:///session'");
        assert_eq!(
            script("qemu+ssh://host/system?proxy=native&mode=legacy", true),
            "exec virt-ssh-helper -r 'qemu:///system?mode=legacy'"
        );
        assert_eq!(
            script("qemu+ssh://host/system?mode=direct", false),
            "exec virt-ssh-helper 'qemu:///system?mode=direct'"
        );
        let netcat = script("test+ssh://host/default?socket=/a%20b&netcat=/opt/n%27c", false);
        assert!(!netcat.contains("virt-ssh-helper"), "{netcat}");
        assert!(netcat.ends_with(r"exec '/opt/n'\''c' -U '/a b'; fi"), "{netcat}");
        let auto = script("qemu+ssh://host/system", true);
        assert!(auto.starts_with("if command -v virt-ssh-helper "), "{auto}");
        assert!(auto.contains("exec virt-ssh-helper -r 'qemu:///system'; else "), "{auto}");
        assert!(auto.ends_with("exec 'nc' -U '/var/run/libvirt/libvirt-sock-ro'; fi; fi"), "{auto}");
    }

    #[test]
    fn no_word_of_the_uri_is_run_by_a_shell() {
        let folder = tempfile::tempdir().unwrap();
        // A netcat with a name of all kinds of characters, which tells its arguments.
        let name = r#"n'c "$(exit 9)" `x` \ * ; & |"#;
        let netcat = folder.path().join(name);
        std::fs::write(&netcat, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
        std::fs::set_permissions(&netcat, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let socket = r#"/it's $HOME "here" `there` \ *"#;
        let uri: Uri = "qemu+ssh://host/system".parse().unwrap();
        let uri = uri.with_param("netcat", netcat.to_str().unwrap()).with_param("socket", socket);
        let command = told(&uri.to_string(), false).unwrap().pop().unwrap();
        let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("-U\n{socket}\n"), "{command}");
    }
}
