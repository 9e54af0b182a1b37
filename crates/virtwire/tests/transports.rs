//! The transports that reach a real libvirtd from afar, and a session's daemon that the client starts.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use virtwire::flags::{DomainDestroyFlags, ListAllDomainsFlags};
use virtwire::{Connection, Domain, Error};
use virtwire_testbed::{
    Authority, Config, Daemon, Failed, Signal, Sshd, Test, Testbed, Tool, run_for, tests, wait_until,
};

/// What makes this program open a URI and say what it finds, in place of its tests.
const OPEN: &str = "VIRTWIRE_TEST_OPEN";

fn main() -> ExitCode {
    if let Ok(uri) = std::env::var(OPEN) {
        return open_and_tell(&uri);
    }
    let mut all = tests![
        tls_carries_calls_and_streams,
        tls_certificates_that_the_daemon_does_not_take,
        tls_servers_that_the_client_does_not_trust,
        a_session_starts_its_daemon,
    ];
    all.push(Test::new("ext_runs_a_command", ext_runs_a_command).needs(Tool::Netcat));
    for (name, body) in [
        ("ssh_reaches_the_daemon_by_its_helper", ssh_reaches_the_daemon_by_its_helper as fn(&Testbed) -> _),
        ("ssh_reaches_the_daemon_by_netcat", ssh_reaches_the_daemon_by_netcat),
        ("ssh_says_why_it_failed", ssh_says_why_it_failed),
        ("ssh_takes_what_its_user_has_configured", ssh_takes_what_its_user_has_configured),
    ] {
        all.push(Test::new(name, body).needs(Tool::Sshd));
    }
    virtwire_testbed::run_tests(all)
}

/// Runs an asynchronous test in a runtime of its own.
fn run(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        match tokio::time::timeout(Duration::from_secs(100), test).await {
            Ok(result) => result,
            Err(_) => Err("hangs".into()),
        }
    })
}

/// Ten calls one after the other, ten at once, and a stream.
async fn use_it(connection: &Connection) -> Result<Domain, Failed> {
    let domain = connection.domain_lookup_by_name("test").await?;
    for _ in 0..10 {
        assert!(domain.info().await?.memory > 0);
    }
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let connection = connection.clone();
            tokio::spawn(async move { connection.list_all_domains(ListAllDomainsFlags::empty()).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await??.len(), 1);
    }
    let (_, mut screenshot) = domain.screenshot(0).await?;
    let mut picture = Vec::new();
    screenshot.read_to_end(&mut picture).await?;
    assert!(picture.starts_with(b"\x89PNG"), "{} bytes", picture.len());
    Ok(domain)
}

struct Tls {
    authority: Authority,
    daemon: Daemon,
    port: u16,
}

impl Tls {
    fn start(testbed: &Testbed, names: &[&str]) -> Result<Self, Failed> {
        let authority = Authority::new("authority");
        let server = authority.server(names);
        let config = Config::new()
            .listen_tls(authority.pem(), &server.pem, &server.key)
            .set("tls_allowed_dn_list", ["CN=fred"]);
        let daemon = Daemon::start(testbed, config)?;
        let port = daemon.tls_port().ok_or("no port")?;
        Ok(Self { authority, daemon, port })
    }

    /// A folder for the client that has this name.
    fn client(&self, name: &str) -> Result<PathBuf, Failed> {
        let folder = self.daemon.folder().join(name);
        self.authority.write_client(&folder, Some(&self.authority.client(name)))?;
        Ok(folder)
    }

    fn uri(&self, host: &str, folder: &Path) -> String {
        format!("test+tls://{host}:{}/default?pkipath={}", self.port, folder.display())
    }
}

fn tls_carries_calls_and_streams(testbed: &Testbed) -> Result<(), Failed> {
    let tls = Tls::start(testbed, &["localhost", "127.0.0.1"])?;
    let fred = tls.client("fred")?;
    run(async {
        for host in ["localhost", "127.0.0.1"] {
            let connection = Connection::open(&tls.uri(host, &fred)).await?;
            use_it(&connection).await?;
            connection.close().await?;
        }
        Ok(())
    })
}

fn tls_certificates_that_the_daemon_does_not_take(testbed: &Testbed) -> Result<(), Failed> {
    let tls = Tls::start(testbed, &["localhost", "127.0.0.1"])?;
    let mary = tls.client("mary")?;
    let nobody = tls.daemon.folder().join("nobody");
    tls.authority.write_client(&nobody, None)?;
    let stranger = tls.daemon.folder().join("stranger");
    tls.authority.write_client(&stranger, Some(&Authority::new("other").client("fred")))?;
    run(async {
        for folder in [mary, nobody, stranger] {
            let error = Connection::open(&tls.uri("localhost", &folder)).await.unwrap_err();
            assert!(matches!(error, Error::Authentication(_)), "{error:?}");
            assert!(error.to_string().contains(&format!("localhost:{} refused", tls.port)), "{error}");
        }
        Ok(())
    })
}

fn tls_servers_that_the_client_does_not_trust(testbed: &Testbed) -> Result<(), Failed> {
    let tls = Tls::start(testbed, &["host.example.com"])?;
    let fred = tls.client("fred")?;
    // One that trusts another authority.
    let stranger = tls.daemon.folder().join("stranger");
    Authority::new("other").write_client(&stranger, Some(&tls.authority.client("fred")))?;
    run(async {
        for (host, folder, reason) in [
            ("localhost", &fred, "not valid for name"),
            ("127.0.0.1", &fred, "not valid for name"),
            ("localhost", &stranger, "UnknownIssuer"),
        ] {
            let uri = tls.uri(host, folder);
            let error = Connection::open(&uri).await.unwrap_err();
            assert!(matches!(error, Error::Connect { .. }), "{error:?}");
            assert!(error.to_string().contains(reason), "{error}");
            use_it(&Connection::open(&format!("{uri}&no_verify=1")).await?).await?;
        }
        Ok(())
    })
}

fn ext_runs_a_command(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let socket = daemon.socket();
    run(async {
        let uri = format!("test+ext:///default?command=nc&argv=-U&argv={}", socket.display());
        let connection = Connection::open(&uri).await?;
        use_it(&connection).await?;
        connection.close().await?;

        // A script, as libvirt's own client needs it, which takes no arguments.
        let script = daemon.folder().join("script");
        std::fs::write(&script, format!("#!/bin/sh\nexec nc -U {}\n", socket.display()))?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
        let connection =
            Connection::open(&format!("test+ext:///default?command={}", script.display())).await?;
        use_it(&connection).await?;
        // With the daemon the command ends, and says so.
        daemon.kill(Signal::KILL)?;
        let reason = connection.closed().await.to_string();
        assert!(reason.contains("script has ended (exit status: "), "{reason}");

        let error = Connection::open("test+ext:///default").await.unwrap_err();
        assert!(error.to_string().contains("takes the parameter command"), "{error}");
        Ok(())
    })
}

/// What every URI for this server has, and the rest of it.
fn ssh_uri(sshd: &Sshd, rest: &str) -> String {
    let (port, key, hosts) = (sshd.port(), sshd.key(), sshd.known_hosts());
    let (key, hosts) = (key.display(), hosts.display());
    format!("test+ssh://root@127.0.0.1:{port}/default?keyfile={key}&known_hosts={hosts}&no_tty=1{rest}")
}

fn ssh_reaches_the_daemon_by_its_helper(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let sshd = Sshd::start(testbed, &daemon)?;
    run(async {
        for proxy in ["", "&proxy=native", "&mode=legacy"] {
            let connection = Connection::open(&ssh_uri(&sshd, proxy)).await?;
            use_it(&connection).await?;
            connection.close().await?;
        }
        reads_only(&ssh_uri(&sshd, "&proxy=native")).await
    })
}

fn ssh_reaches_the_daemon_by_netcat(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let sshd = Sshd::start(testbed, &daemon)?;
    run(async {
        let socket = format!("&socket={}", daemon.socket().display());
        for proxy in ["&proxy=netcat", "&netcat=/bin/nc", &socket] {
            let connection = Connection::open(&ssh_uri(&sshd, proxy)).await?;
            use_it(&connection).await?;
            connection.close().await?;
        }
        reads_only(&ssh_uri(&sshd, "&proxy=netcat")).await
    })
}

/// A read-only connection comes by the socket for that.
async fn reads_only(uri: &str) -> Result<(), Failed> {
    let connection = Connection::builder(uri).read_only(true).open().await?;
    let domain = connection.domain_lookup_by_name("test").await?;
    let error = domain.destroy(DomainDestroyFlags::empty()).await.unwrap_err();
    assert!(error.to_string().contains("read only access prevents"), "{error}");
    Ok(())
}

fn ssh_says_why_it_failed(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let sshd = Sshd::start(testbed, &daemon)?;
    let wrong_hosts = format!("&known_hosts={}", sshd.wrong_known_hosts().display());
    let wrong_key = format!("&keyfile={}", sshd.other_key().display());
    run(async {
        for (rest, reason) in [
            (&*wrong_key, "Permission denied"),
            (&*wrong_hosts, "Host key verification failed"),
            ("&known_hosts=/nonexistent", "Host key verification failed"),
            ("&socket=/nonexistent", "/nonexistent"),
            ("&netcat=/no/such/nc&proxy=netcat", "/no/such/nc"),
            ("&command=/no/such/ssh", "No such file"),
        ] {
            let error = Connection::open(&ssh_uri(&sshd, rest)).await.unwrap_err();
            assert!(matches!(error, Error::Connect { .. }), "{rest}: {error:?}");
            assert!(error.to_string().contains(reason), "{rest}: {error}");
        }
        // Whom it does not know, it does take where that is wanted.
        let unknown = ssh_uri(&sshd, "&known_hosts=/dev/null&no_verify=1");
        use_it(&Connection::open(&unknown).await?).await?;

        // What goes wrong later is told as well.
        let connection = Connection::open(&ssh_uri(&sshd, "&proxy=netcat")).await?;
        daemon.kill(Signal::KILL)?;
        let reason = connection.closed().await.to_string();
        assert!(reason.contains("ssh has ended (exit status: "), "{reason}");
        Ok(())
    })
}

fn ssh_takes_what_its_user_has_configured(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new())?;
    let sshd = Sshd::start(testbed, &daemon)?;
    // ssh looks for its configuration in the home that the list of users says, which is not ours to write into: so
    // this one is told of it by a script in its place.
    let config = daemon.folder().join("ssh_config");
    let mut text = format!("Host alias\n  HostName 127.0.0.1\n  Port {}\n  User root\n", sshd.port());
    writeln!(
        text,
        "  IdentityFile {}\n  UserKnownHostsFile {}",
        sshd.key().display(),
        sshd.known_hosts().display()
    )?;
    std::fs::write(&config, text)?;
    let script = daemon.folder().join("ssh.sh");
    std::fs::write(&script, format!("#!/bin/sh\nexec ssh -F {} \"$@\"\n", config.display()))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    run(async {
        let uri = format!("test+ssh://alias/default?command={}&no_tty=1", script.display());
        use_it(&Connection::open(&uri).await?).await?;
        Ok(())
    })
}

fn a_session_starts_its_daemon(testbed: &Testbed) -> Result<(), Failed> {
    // Not the tests' own folder, which others may not enter.
    let folder = tempfile::Builder::new().prefix("virtwire-").tempdir_in("/tmp")?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777))?;
    let program = folder.path().join("open");
    std::fs::copy(std::env::current_exe()?, &program)?;
    let at = |name: &str| folder.path().join(name);
    let open = |variables: &[(&str, &str)]| {
        let mut command = testbed.root().command("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin",
        ]);
        command.arg(format!("HOME={}", at("home").display()));
        command.arg(format!("XDG_RUNTIME_DIR={}", at("run").display()));
        command.arg(format!("{OPEN}=test+unix:///default"));
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        run_for(command.arg(&program), Duration::from_secs(60))
    };
    struct Ends(PathBuf);
    impl Drop for Ends {
        fn drop(&mut self) {
            // In the background, with nobody left to wait for it but its own timeout.
            let text = std::fs::read_to_string(&self.0).unwrap_or_default();
            let Some(id) = text.trim().parse().ok().and_then(rustix::process::Pid::from_raw) else { return };
            let _ = rustix::process::kill_process(id, Signal::TERM);
            let process = Path::new("/proc").join(text.trim());
            wait_until(Instant::now() + Duration::from_secs(20), || !process.exists());
        }
    }
    let _ends = Ends(at("run/libvirt/libvirtd.pid"));

    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let refused = open(&[("LIBVIRT_AUTOSTART", "0")])?;
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    assert!(said.contains("cannot connect to ") && said.contains("No such file or directory"), "{said}");
    assert!(!at("run/libvirt/libvirt-sock").exists());

    let opened = open(&[])?;
    assert!(opened.status.success(), "{}", text(&opened.stderr));
    assert_eq!(text(&opened.stdout), "TEST test\n");
    let pid = std::fs::read_to_string(at("run/libvirt/libvirtd.pid"))?;
    assert!(!at("run/libvirt/libvirtd.lock").exists());
    // The daemon is there for the next one.
    assert!(open(&[])?.status.success());
    assert_eq!(std::fs::read_to_string(at("run/libvirt/libvirtd.pid"))?, pid);
    Ok(())
}

/// Opens the URI, and prints the kind of hypervisor and its domains.
fn open_and_tell(uri: &str) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let told = runtime.block_on(async {
        let connection = Connection::open(uri).await?;
        let mut line = connection.hypervisor_type().await?.to_string();
        for domain in connection.list_all_domains(ListAllDomainsFlags::empty()).await? {
            line.push(' ');
            line.push_str(&domain.name().to_string());
        }
        connection.close().await?;
        Ok::<_, Error>(line)
    });
    match told {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
