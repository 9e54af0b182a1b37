//! SASL judged by a real libvirtd with Cyrus SASL's mechanisms.

use std::future::Future;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use virtwire::flags::{DomainDefineFlags, DomainXmlFlags, ListAllDomainsFlags};
use virtwire::proto::program::remote;
use virtwire::proto::typed_params::TypedParamsExt;
use virtwire::{AdminConnection, CallOptions, Connection, Credentials, Error};
use virtwire_testbed::{Config, Daemon, Drivers, Failed, Sasl, Test, Testbed, Tool, node_xml, tests};

/// All that Cyrus SASL has here, but for those that are for Kerberos and Windows.
const ALL: [&str; 7] =
    ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "DIGEST-MD5", "CRAM-MD5", "PLAIN", "ANONYMOUS"];
/// What no character set has all of, and no two forms of Unicode have alike.
const ODD_PASSWORD: &str = "p\u{e4}ss w\u{f6}rd=,\"\\\u{20ac}";

/// The variable that makes this program open the connection that it names, and say what comes of it: what else its
/// environment says counts for that alone.
const OPEN: &str = "VIRTWIRE_TEST_OPEN";

fn main() -> ExitCode {
    if let Ok(uri) = std::env::var(OPEN) {
        return open(&uri);
    }
    let tests = tests![
        each_mechanism_lets_in,
        the_best_mechanism_is_taken_and_the_daemon_knows_who_it_is,
        the_wrong_ones_are_refused,
        passwords_of_any_characters,
        everything_passes_through_the_layer,
        streams_pass_through_the_layer,
        a_layer_is_what_tcp_takes,
        credentials_are_found_in_files,
    ];
    virtwire_testbed::run_tests(tests.into_iter().map(|test: Test| test.needs(Tool::Sasl)).collect())
}

fn open(uri: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let opened = runtime.block_on(async {
        Connection::builder(uri).connect_timeout(Duration::from_secs(30)).open().await?.hostname().await
    });
    match opened {
        Ok(_) => println!("open"),
        Err(error) => println!("{error}"),
    }
    ExitCode::SUCCESS
}

/// Runs an asynchronous test in a runtime of its own.
fn run(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        match tokio::time::timeout(Duration::from_secs(90), test).await {
            Ok(result) => result,
            Err(_) => Err("hangs".into()),
        }
    })
}

fn sasl(mechanisms: &[&str]) -> Sasl {
    Sasl::new(mechanisms).user("fred", "secret").user("odd", ODD_PASSWORD)
}

fn fred() -> Credentials {
    Credentials::new("fred", "secret")
}

fn tcp_uri(daemon: &Daemon, path: &str) -> Result<String, Failed> {
    Ok(format!("test+tcp://127.0.0.1:{}{path}", daemon.tcp_port().ok_or("no port")?))
}

fn each_mechanism_lets_in(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().sasl(sasl(&ALL)))?;
    run(async {
        for mechanism in ALL {
            let uri = format!("{}&auth=sasl.{mechanism}", daemon.uri());
            let connection = Connection::builder(&uri)
                .credentials(fred())
                .open()
                .await
                .map_err(|error| format!("{mechanism}: {error}"))?;
            assert_eq!(*connection.domain_lookup_by_id(1).await?.name(), "test", "{mechanism}");
            connection.close().await?;
        }
        Ok(())
    })?;
    // A daemon that offers one alone: nothing needs to be named.
    for mechanism in ["SCRAM-SHA-256", "DIGEST-MD5", "ANONYMOUS"] {
        let daemon = Daemon::start(testbed, Config::new().sasl(sasl(&[mechanism])))?;
        run(async {
            let connection = Connection::builder(&daemon.uri()).credentials(fred()).open().await?;
            assert!(!connection.hostname().await?.is_empty(), "{mechanism}");
            Ok(())
        })?;
    }
    Ok(())
}

fn the_best_mechanism_is_taken_and_the_daemon_knows_who_it_is(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().sasl(sasl(&ALL)))?;
    run(async {
        // The name is the URI's; the program is asked again for each connection.
        let uri = daemon.uri().replace("unix:///", "unix://fred@/");
        let builder = Connection::builder(&uri).ask_credentials(|request| async move {
            assert_eq!((&*request.host, request.user.as_deref()), ("localhost", Some("fred")));
            assert_eq!(request.mechanisms[0], "SCRAM-SHA-512");
            Ok(Credentials::from_password("secret"))
        });
        let first = builder.clone().open().await?;
        let second = builder.open().await?;
        assert_ne!(first.hostname().await?, "");
        assert_ne!(second.hostname().await?, "");

        let socket = daemon.admin_socket();
        let admin =
            AdminConnection::open(&format!("libvirtd+unix:///system?socket={}", socket.display())).await?;
        let server = admin.lookup_server("libvirtd").await?;
        let mut names = Vec::new();
        for client in server.list_clients().await? {
            let info = client.info().await?;
            names.push(info.get_as::<&str>("sasl_user_name")?.ok_or("no SASL user")?.to_owned());
        }
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.iter().all(|name| name == "fred" || name.starts_with("fred@")), "{names:?}");
        Ok(())
    })
}

fn the_wrong_ones_are_refused(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().sasl(sasl(&ALL)))?;
    run(async {
        for mechanism in ALL.into_iter().filter(|&name| name != "ANONYMOUS") {
            let uri = format!("{}&auth=sasl.{mechanism}", daemon.uri());
            for credentials in [Credentials::new("fred", "wrong"), Credentials::new("nobody", "secret")] {
                let error =
                    Connection::builder(&uri).credentials(credentials.clone()).open().await.unwrap_err();
                let text = error.to_string();
                assert!(matches!(error, Error::Authentication(_)), "{mechanism}: {error:?}");
                let name = credentials.name().unwrap_or_default();
                let refused = format!(
                    "authentication failed: the daemon refuses \"{name}\" by {mechanism}: remote.auth_sasl_st"
                );
                assert!(text.starts_with(&refused), "{mechanism}: {text}");
                assert!(!text.contains("wrong") && !text.contains("secret"), "{text}");
            }
            let error =
                Connection::builder(&uri).credentials(Credentials::default()).open().await.unwrap_err();
            let lack = format!("{mechanism} takes a user name and a password: the program gives neither");
            assert_eq!(error.to_string(), format!("authentication failed: {lack}"));
        }
        // The daemon has taken no harm.
        assert!(Connection::builder(&daemon.uri()).credentials(fred()).open().await?.is_alive());
        Ok(())
    })
}

fn passwords_of_any_characters(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().sasl(sasl(&ALL)))?;
    run(async {
        for mechanism in ALL {
            let uri = format!("{}&auth=sasl.{mechanism}", daemon.uri());
            let credentials = Credentials::new("odd", ODD_PASSWORD);
            let opened = Connection::builder(&uri).credentials(credentials).open().await;
            opened.map_err(|error| format!("{mechanism}: {error}"))?;
        }
        Ok(())
    })
}

fn everything_passes_through_the_layer(testbed: &Testbed) -> Result<(), Failed> {
    const DOMAINS: u32 = 1500;
    let daemon = Daemon::start(testbed, Config::new().listen_tcp().sasl(sasl(&ALL)))?;
    let node = daemon.folder().join("node.xml");
    std::fs::write(&node, node_xml(DOMAINS))?;
    let uri = tcp_uri(&daemon, &format!("{}", node.display()))?;
    run(async {
        let connection = Connection::builder(&uri)
            .credentials(fred())
            .keepalive(Duration::from_millis(200), 10)
            .open()
            .await?;
        // Longer than one sealed packet, one way and the other.
        let domains = connection.list_all_domains(ListAllDomainsFlags::empty()).await?;
        assert_eq!(domains.len(), DOMAINS as usize);
        let text = "x".repeat(300_000);
        let xml = format!(
            "<domain type='test'><name>long</name><description>{text}</description><memory>1024</memory>\
             <os><type>hvm</type></os></domain>"
        );
        let long = connection.domain_define_xml(&xml, DomainDefineFlags::empty()).await?;
        assert!(long.xml_desc(DomainXmlFlags::empty()).await?.to_string().contains(&text));
        // Many at once.
        let calls: Vec<_> = domains
            .iter()
            .take(400)
            .cloned()
            .map(|domain| tokio::spawn(async move { domain.info().await.map(|info| info.memory) }))
            .collect();
        for call in calls {
            assert_eq!(call.await??, 1 << 20);
        }
        // Some PINGs later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!connection.hostname().await?.is_empty());
        assert!(connection.is_alive());
        connection.close().await?;
        Ok(())
    })
}

fn streams_pass_through_the_layer(testbed: &Testbed) -> Result<(), Failed> {
    let config = Config::new().listen_tcp().sasl(sasl(&["DIGEST-MD5"])).drivers(Drivers::Storage);
    let daemon = Daemon::start(testbed, config)?;
    let uri = tcp_uri(&daemon, "/system")?.replace("test+", "storage+");
    let folder = daemon.folder().join("pool");
    std::fs::create_dir(&folder)?;
    run(async {
        let connection = Connection::builder(&uri).credentials(fred()).open().await?;
        let target = folder.display();
        let xml = format!("<pool type='dir'><name>p</name><target><path>{target}</path></target></pool>");
        let args = remote::StoragePoolCreateXmlArgs { xml: xml.into(), flags: 0 };
        let pool = connection.call(&args).await?.pool;
        let xml = "<volume><name>v</name><capacity>1048576</capacity></volume>";
        let args = remote::StorageVolCreateXmlArgs { pool, xml: xml.into(), flags: 0 };
        let vol = connection.call(&args).await?.vol;

        let data: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
        let args =
            remote::StorageVolUploadArgs { vol: vol.clone(), offset: 0, length: data.len() as u64, flags: 0 };
        let ((), mut stream) = connection.open_stream(&args, CallOptions::new()).await?;
        stream.write_all(&data).await?;
        stream.finish().await?;
        let args = remote::StorageVolDownloadArgs { vol, offset: 0, length: 0, flags: 0 };
        let ((), mut stream) = connection.open_stream(&args, CallOptions::new()).await?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await?;
        assert!(all == data, "{} bytes of {}", all.len(), data.len());
        assert!(!connection.lib_version().await?.to_string().is_empty());
        Ok(())
    })
}

fn a_layer_is_what_tcp_takes(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().listen_tcp().sasl(sasl(&ALL)))?;
    let uri = tcp_uri(&daemon, "/default")?;
    run(async {
        let error = Connection::builder(&format!("{uri}?auth=sasl.PLAIN"))
            .credentials(fred())
            .open()
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("the URI asks for PLAIN, the daemon offers"), "{text}");
        for credentials in [Credentials::new("fred", "wrong"), Credentials::new("nobody", "secret")] {
            let error = Connection::builder(&uri).credentials(credentials).open().await.unwrap_err();
            assert!(error.to_string().contains(" by DIGEST-MD5: "), "{error}");
        }
        // Over a stream that nothing is known of, the daemon says what it takes.
        let socket =
            tokio::net::TcpStream::connect(("127.0.0.1", daemon.tcp_port().ok_or("no port")?)).await?;
        let connection = Connection::builder("test:///default").credentials(fred()).open_over(socket).await?;
        assert!(!connection.hostname().await?.is_empty());
        Ok(())
    })?;

    // Without one that has a layer, there is none.
    let daemon = Daemon::start(testbed, Config::new().listen_tcp().sasl(sasl(&["SCRAM-SHA-256"])))?;
    let uri = tcp_uri(&daemon, "/default")?;
    run(async {
        let error = Connection::builder(&uri).credentials(fred()).open().await.unwrap_err();
        assert!(matches!(error, Error::Authentication(_)), "{error:?}");
        Ok(())
    })
}

/// This program in an environment of its own, which says `uri`'s credentials.
fn opened(uri: &str, variables: &[(&str, &Path)]) -> Result<String, Failed> {
    let mut command = Command::new(std::env::current_exe()?);
    command.env_remove("LIBVIRT_AUTH_FILE").env(OPEN, uri).env("HOME", "/nonexistent");
    command.env("XDG_CONFIG_HOME", "/nonexistent").envs(variables.iter().copied());
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn credentials_are_found_in_files(testbed: &Testbed) -> Result<(), Failed> {
    let daemon = Daemon::start(testbed, Config::new().listen_tcp().sasl(sasl(&ALL)))?;
    let folder = daemon.folder();
    let write = |name: &str, password: &str, host: &str| {
        let text = format!(
            "[credentials-one]\nauthname=fred\npassword={password}\n\n[auth-libvirt-{host}]\ncredentials=one\n"
        );
        let path = folder.join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    std::fs::create_dir_all(folder.join("config/libvirt"))?;
    let right = write("right.conf", "secret", "default")?;
    let wrong = write("wrong.conf", "wrong", "default")?;
    let local = write("local.conf", "secret", "localhost")?;
    let of_user = write("config/libvirt/auth.conf", "secret", "127.0.0.1")?;
    let uri = daemon.uri();
    let with = |uri: &str, file: &Path| {
        let mark = if uri.contains('?') { '&' } else { '?' };
        format!("{uri}{mark}authfile={}", file.display())
    };
    assert_eq!(opened(&with(&uri, &right), &[])?, "open");
    assert_eq!(opened(&with(&uri, &local), &[])?, "open");
    assert_eq!(opened(&uri, &[("LIBVIRT_AUTH_FILE", &right)])?, "open");
    // The variable comes before the URI, as in libvirt's client.
    assert_eq!(opened(&with(&uri, &wrong), &[("LIBVIRT_AUTH_FILE", &right)])?, "open");
    assert!(opened(&with(&uri, &wrong), &[])?.contains("the daemon refuses \"fred\" by SCRAM-SHA-512"));

    let tcp = tcp_uri(&daemon, "/default")?;
    assert_eq!(opened(&tcp, &[("XDG_CONFIG_HOME", &folder.join("config"))])?, "open");
    // Another host's credentials are not this one's: there are none, and what needs none is there.
    assert_eq!(opened(&uri, &[("XDG_CONFIG_HOME", &folder.join("config"))])?, "open");
    let only = format!("{uri}&auth=sasl.SCRAM-SHA-256");
    let text = opened(&only, &[("XDG_CONFIG_HOME", &folder.join("config"))])?;
    let lack =
        format!("{} has neither [auth-libvirt-localhost] nor [auth-libvirt-default]", of_user.display());
    assert!(text.ends_with(&lack), "{text}");
    // What this machine's administrator has written would count.
    if !Path::new("/etc/libvirt/auth.conf").exists() {
        let text = opened(&only, &[])?;
        assert!(
            text.contains(": none are given, and there is no /nonexistent/libvirt/auth.conf and"),
            "{text}"
        );
    }
    let text = opened(&with(&only, &folder.join("missing.conf")), &[])?;
    assert!(text.contains("missing.conf: No such file"), "{text}");
    Ok(())
}
