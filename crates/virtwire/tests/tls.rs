//! TLS with a server that says what the test wants, before the daemon is there and where it is.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::Peer;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use virtwire::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use virtwire::rustls::server::WebPkiClientVerifier;
use virtwire::rustls::{ClientConfig, RootCertStore, ServerConfig};
use virtwire::{Connection, Error};
use virtwire_testbed::{Authority, Certificate};

/// An authority, what it has signed, and a folder for clients.
struct Pki {
    authority: Authority,
    server: Certificate,
    client: Certificate,
    folder: tempfile::TempDir,
}

impl Pki {
    fn new() -> Self {
        Self::for_server(&["localhost", "127.0.0.1"])
    }

    fn for_server(names: &[&str]) -> Self {
        Self::of(Authority::new("authority"), names)
    }

    fn of(authority: Authority, names: &[&str]) -> Self {
        let (server, client) = (authority.server(names), authority.client("client"));
        let folder = tempfile::tempdir().unwrap();
        authority.write_client(folder.path(), Some(&client)).unwrap();
        Self { authority, server, client, folder }
    }

    fn uri(&self, port: u16) -> String {
        uri(port, self.folder.path())
    }
}

fn uri(port: u16, folder: &Path) -> String {
    format!("test+tls://localhost:{port}/scripted?pkipath={}", folder.display())
}

fn roots(authority: &Authority) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    roots
}

/// A server that asks for a certificate of the authority's. It takes one client, and does with it what is wanted.
async fn serve<F>(pki: &Pki, what: impl FnOnce(TlsStream<TcpStream>) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let provider = Arc::new(rustls_graviola::default_provider());
    let roots = Arc::new(roots(&pki.authority));
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(pki.server.pem.as_bytes()).unwrap()];
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(pki.server.key.as_bytes()).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        if let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(socket).await {
            what(stream).await;
        }
    });
    port
}

/// A server that accepts the client, and then is a daemon.
async fn daemon(pki: &Pki) -> u16 {
    serve(pki, |mut stream| async move {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let _peer = Peer::start(theirs);
        stream.write_all(&[1]).await.unwrap();
        stream.flush().await.unwrap();
        tokio::io::copy_bidirectional(&mut stream, &mut ours).await.ok();
    })
    .await
}

async fn open(uri: &str) -> virtwire::Result<Connection> {
    let builder = Connection::builder(uri).no_keepalive().connect_timeout(Duration::from_secs(30));
    builder.open().await
}

async fn error(uri: &str) -> Error {
    open(uri).await.expect_err(uri)
}

#[tokio::test]
async fn a_server_that_says_1_is_opened() {
    let pki = Pki::new();
    for host in ["localhost", "127.0.0.1"] {
        let port = daemon(&pki).await;
        let uri = pki.uri(port).replace("localhost", host);
        assert!(open(&uri).await.unwrap().is_alive());
    }
}

#[tokio::test]
async fn a_server_that_says_another_byte_refuses() {
    let pki = Pki::new();
    for byte in [0, 2, 0xff] {
        let port = serve(&pki, move |mut stream| async move {
            stream.write_all(&[byte]).await.unwrap();
            stream.flush().await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let error = error(&pki.uri(port)).await;
        assert!(matches!(error, Error::Authentication(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&format!("localhost:{port} refused the certificate ")), "{text}");
        assert!(text.ends_with(&format!("expected the byte 1 that takes it, got {byte}")), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_closes_refuses() {
    let pki = Pki::new();
    for leave in [true, false] {
        let port = serve(&pki, move |mut stream| async move {
            if leave {
                stream.shutdown().await.unwrap();
            }
        })
        .await;
        let error = error(&pki.uri(port)).await;
        assert!(matches!(error, Error::Authentication(_)), "{error:?}");
        assert!(error.to_string().contains("refused the certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let pki = Pki::new();
    let port = serve(&pki, |stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let limited = Connection::builder(&pki.uri(port)).connect_timeout(Duration::from_millis(500));
    let error = limited.open().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_no_server() {
    let pki = Pki::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"220 hello\r\n").await.unwrap();
        drop(socket);
        let (socket, _) = listener.accept().await.unwrap();
        drop(socket);
    });
    for _ in 0..2 {
        let error = error(&pki.uri(port)).await;
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_client_without_a_certificate_that_the_server_takes_is_refused() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    pki.authority.write_client(folder.path(), None).unwrap();
    let port = daemon(&pki).await;
    let error = error(&uri(port, folder.path())).await;
    assert!(matches!(error, Error::Authentication(_)), "{error:?}");
    let missing =
        format!("a client without certificate (there is no {}/clientcert.pem)", folder.path().display());
    assert!(error.to_string().contains(&missing), "{error}");

    // Of another authority.
    let other = Authority::new("other").client("client");
    pki.authority.write_client(folder.path(), Some(&other)).unwrap();
    let port = daemon(&pki).await;
    let error = self::error(&uri(port, folder.path())).await;
    assert!(matches!(error, Error::Authentication(_)), "{error:?}");
    assert!(error.to_string().contains("clientcert.pem"), "{error}");
}

#[tokio::test]
async fn a_server_of_another_authority_or_name_is_not_trusted_unless_it_is_not_verified() {
    let stranger = Pki::new();
    // An authority of another name: of one with the same name the signature would be wrong.
    let elsewhere = Pki::of(Authority::new("elsewhere"), &["localhost"]);
    let other_name = Pki::for_server(&["host.example.com", "192.0.2.1"]);
    for (server, folder, host, reason) in [
        (&stranger, elsewhere.folder.path().to_owned(), "localhost", "UnknownIssuer"),
        (&other_name, other_name.folder.path().to_owned(), "localhost", "not valid for name"),
        (&other_name, other_name.folder.path().to_owned(), "127.0.0.1", "not valid for name"),
    ] {
        // Whose certificate it is does not matter here.
        server.authority.write_client(&folder.join("own"), Some(&server.client)).unwrap();
        for file in ["clientcert.pem", "clientkey.pem"] {
            std::fs::copy(folder.join("own").join(file), folder.join(file)).unwrap();
        }
        let to = |port| uri(port, &folder).replace("localhost", host);
        let error = error(&to(daemon(server).await)).await;
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
        let unverified = format!("{}&no_verify=1", to(daemon(server).await));
        assert!(open(&unverified).await.unwrap().is_alive());
    }
}

#[tokio::test]
async fn a_revoked_server_is_not_trusted() {
    let pki = Pki::new();
    let list = pki.folder.path().join("cacrl.pem");
    std::fs::write(&list, pki.authority.revoke(&[&pki.client])).unwrap();
    assert!(open(&pki.uri(daemon(&pki).await)).await.unwrap().is_alive());
    std::fs::write(&list, pki.authority.revoke(&[&pki.server])).unwrap();
    let error = error(&pki.uri(daemon(&pki).await)).await;
    assert!(error.to_string().contains("Revoked"), "{error}");
}

#[tokio::test]
async fn a_configuration_of_ones_own_takes_the_files_place() {
    let pki = Pki::new();
    let port = daemon(&pki).await;
    let provider = Arc::new(rustls_graviola::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(&pki.authority))
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(pki.client.pem.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(pki.client.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let uri = uri(port, Path::new("/nonexistent"));
    let opened = Connection::builder(&uri).tls_config(Arc::new(config)).no_keepalive().open().await;
    assert!(opened.unwrap().is_alive());
}

#[tokio::test]
async fn files_and_parameters_that_are_of_no_use_are_told_of() {
    let pki = Pki::new();
    let at = pki.folder.path().display();
    let to = |rest: &str| format!("test+tls://localhost:1/scripted?{rest}");
    let text = error(&to("pkipath=/nonexistent")).await.to_string();
    assert!(text.contains("/nonexistent/cacert.pem: No such file"), "{text}");
    let text = error(&to(&format!("pkipath={at}&tls_priority=NORMAL"))).await.to_string();
    assert!(text.contains("tls_priority is in GnuTLS's notation"), "{text}");
    let text = error(&to(&format!("pkipath={at}&no_verify=perhaps"))).await.to_string();
    assert!(text.contains("no_verify"), "{text}");
    std::fs::write(pki.folder.path().join("clientkey.pem"), &Authority::new("other").client("x").key)
        .unwrap();
    let text = error(&pki.uri(1)).await.to_string();
    assert!(text.contains("clientkey.pem: "), "{text}");
    std::fs::write(pki.folder.path().join("cacert.pem"), "no certificate").unwrap();
    let text = error(&pki.uri(1)).await.to_string();
    assert!(text.contains("cacert.pem: "), "{text}");
}
