//! TLS: the certificates that libvirt's client takes, and whether the daemon takes ours.

use super::super::builder::is_root;
use super::Builder;
use super::tcp::Target;
use crate::transport::{Tls, Transport};
use crate::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, ClientConnection, RootCertStore};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use virtwire_proto::uri::{TLS_PORT, Uri};

/// The byte by which a daemon says that it takes the client's certificate.
const ACCEPTED: u8 = 1;

impl Builder {
    pub(super) async fn connect_tls(&self, uri: Option<&Uri>) -> Result<Arc<dyn Transport>> {
        let target = Target::of(uri, TLS_PORT);
        let failed = |source| Error::Connect { to: target.to_string(), source };
        let (config, identity) = match &self.tls_config {
            Some(config) => (Arc::clone(config), Identity::Unknown),
            None => {
                let no_verify =
                    uri.map_or(Ok(false), Uri::no_verify).map_err(|error| self.invalid(&error))?;
                if uri.and_then(Uri::tls_priority).is_some() {
                    return Err(self.invalid(&NO_PRIORITY));
                }
                let files = Files::of(uri);
                let (config, identity) = files.config(no_verify).map_err(failed)?;
                (Arc::new(config), identity)
            }
        };
        let name = server_name(target.host).map_err(failed)?;
        let session = ClientConnection::new(config, name).map_err(|error| failed(io::Error::other(error)))?;
        let tls = Tls::connect(target.connect().await?, session).await;
        let tls = tls.map_err(|error| identity.explain(&target, error))?;
        match tls.read_byte().await {
            Ok(Some(ACCEPTED)) => Ok(Arc::new(tls)),
            Ok(Some(other)) => {
                let what = format!("expected the byte 1 that takes it, got {other}");
                Err(identity.refused(&target, &what))
            }
            Ok(None) => Err(identity.refused(&target, &"it closed the connection")),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                Err(identity.refused(&target, &error))
            }
            Err(error) => Err(identity.explain(&target, error)),
        }
    }
}

const NO_PRIORITY: &str = "tls_priority is in GnuTLS's notation, which is not read here: choose algorithms by a \
    configuration of rustls (Builder::tls_config)";

/// The name that the server's certificate is to have.
fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    // A zone id is about this host's network, not about the peer.
    let name = match host.split_once('%') {
        Some((address, _)) if address.contains(':') => address,
        _ => host,
    };
    ServerName::try_from(name.to_owned()).map_err(|error| {
        io::Error::new(ErrorKind::InvalidInput, format!("a certificate cannot be for {name:?}: {error}"))
    })
}

/// What this client shows of itself.
enum Identity {
    /// The certificate in this file.
    Certificate(PathBuf),
    /// None, for there is no certificate in this file, or no key for it.
    Anonymous(PathBuf),
    /// Whatever the user's configuration has.
    Unknown,
}

impl Identity {
    /// The daemon does not take it.
    fn refused(&self, to: &Target<'_>, why: &dyn std::fmt::Display) -> Error {
        let what = match self {
            Self::Certificate(file) => format!("the certificate {}", file.display()),
            Self::Anonymous(missing) => {
                format!("a client without certificate (there is no {})", missing.display())
            }
            Self::Unknown => "this client's certificate".to_owned(),
        };
        Error::Authentication(format!("{to} refused {what}, or this host's address: {why}"))
    }

    /// The session did not come about; where that is since the daemon says that our certificate is not good, it is
    /// a refusal.
    fn explain(&self, to: &Target<'_>, error: io::Error) -> Error {
        use AlertDescription as Alert;
        let cause = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::AlertReceived(
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired
                | Alert::NoCertificate,
            )) => self.refused(to, &error),
            _ => Error::Connect { to: to.to_string(), source: error },
        }
    }
}

/// Where certificates and keys are.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    authority: PathBuf,
    revoked: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn of(uri: Option<&Uri>) -> Self {
        if let Some(folder) = uri.and_then(Uri::pkipath) {
            return Self::below(&super::path(folder));
        }
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty() && !is_root());
        Self::of_user(home.as_ref().map(|home| Path::new(home).join(".pki/libvirt")), Path::exists)
    }

    /// The host's files, and in place of each that is there the user's own; certificate and key are a pair.
    fn of_user(folder: Option<PathBuf>, exists: impl Fn(&Path) -> bool) -> Self {
        let mut files = Self {
            authority: "/etc/pki/CA/cacert.pem".into(),
            revoked: "/etc/pki/CA/cacrl.pem".into(),
            certificate: "/etc/pki/libvirt/clientcert.pem".into(),
            key: "/etc/pki/libvirt/private/clientkey.pem".into(),
        };
        let Some(own) = folder.as_deref().map(Self::below) else { return files };
        if exists(&own.authority) {
            files.authority = own.authority;
        }
        if exists(&own.revoked) {
            files.revoked = own.revoked;
        }
        if exists(&own.certificate) && exists(&own.key) {
            (files.certificate, files.key) = (own.certificate, own.key);
        }
        files
    }

    /// All in one folder.
    fn below(folder: &Path) -> Self {
        Self {
            authority: folder.join("cacert.pem"),
            revoked: folder.join("cacrl.pem"),
            certificate: folder.join("clientcert.pem"),
            key: folder.join("clientkey.pem"),
        }
    }

    fn config(&self, no_verify: bool) -> io::Result<(ClientConfig, Identity)> {
        let provider = provider()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(provider, no_verify)?);
        // As libvirt: one without the other, or that this user may not see, is no certificate.
        if let Some(missing) = [&self.certificate, &self.key].into_iter().find(|file| !file.exists()) {
            return Ok((builder.with_no_client_auth(), Identity::Anonymous(missing.clone())));
        }
        let chain = read_all(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unreadable(&self.key, error))?;
        let config = builder.with_client_auth_cert(chain, key).map_err(|error| wrong(&self.key, &error))?;
        Ok((config, Identity::Certificate(self.certificate.clone())))
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
        no_verify: bool,
    ) -> io::Result<Arc<dyn ServerCertVerifier>> {
        if no_verify {
            return Ok(Arc::new(Anyone(provider)));
        }
        let mut roots = RootCertStore::empty();
        for certificate in read_all(&self.authority)? {
            roots.add(certificate).map_err(|error| wrong(&self.authority, &error))?;
        }
        let mut verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        if self.revoked.exists() {
            verifier = verifier
                .with_crls(read_all::<CertificateRevocationListDer<'_>>(&self.revoked)?)
                .allow_unknown_revocation_status()
                .enforce_revocation_expiration();
        }
        let built = verifier.build().map_err(|error| {
            let of_list = matches!(error, VerifierBuilderError::InvalidCrl(_));
            wrong(if of_list { &self.revoked } else { &self.authority }, &error)
        });
        Ok(built?)
    }
}

/// What the process has chosen, else what this crate brings along.
fn provider() -> io::Result<Arc<CryptoProvider>> {
    if let Some(chosen) = CryptoProvider::get_default() {
        return Ok(Arc::clone(chosen));
    }
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    if graviola::util::is_cpu_supported() {
        return Ok(Arc::new(rustls_graviola::default_provider()));
    }
    Err(io::Error::new(
        ErrorKind::Unsupported,
        "the cryptography of this build does not run on this processor: give a configuration of rustls \
         (Builder::tls_config), or install a CryptoProvider of rustls for the process",
    ))
}

fn read_all<T: PemObject>(file: &Path) -> io::Result<Vec<T>> {
    let all = T::pem_file_iter(file).and_then(Iterator::collect);
    let all: Vec<T> = all.map_err(|error| unreadable(file, error))?;
    if all.is_empty() {
        return Err(unreadable(file, pem::Error::NoItemsFound));
    }
    Ok(all)
}

fn unreadable(file: &Path, error: pem::Error) -> io::Error {
    match error {
        pem::Error::Io(error) => io::Error::new(error.kind(), format!("{}: {error}", file.display())),
        error => wrong(file, &error),
    }
}

fn wrong(file: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{}: {error}", file.display()))
}

/// Takes the certificate of anyone who has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_own_files_take_the_place_of_the_hosts_one_by_one_but_the_pair() {
        let own = || Some(PathBuf::from("/home/a/.pki/libvirt"));
        let host = Files::of_user(None, |_| true);
        assert_eq!(host.key, Path::new("/etc/pki/libvirt/private/clientkey.pem"));
        assert_eq!(Files::of_user(own(), |_| false), host);
        assert_eq!(Files::of_user(own(), |_| true), Files::below(&own().unwrap()));
        let without_key = Files::of_user(own(), |path| !path.ends_with("clientkey.pem"));
        assert_eq!(without_key.authority, Path::new("/home/a/.pki/libvirt/cacert.pem"));
        assert_eq!((without_key.certificate, without_key.key), (host.certificate, host.key));
    }

    #[test]
    fn names_of_servers() {
        let name = |host| server_name(host).map(|name| name.to_str().into_owned());
        assert_eq!(name("host.example.com").unwrap(), "host.example.com");
        assert_eq!(name("fe80::1%eth0").unwrap(), "fe80::1");
        assert_eq!(name("127.0.0.1").unwrap(), "127.0.0.1");
        assert!(name("a b").unwrap_err().to_string().contains("a certificate cannot be for \"a b\""));
    }
}
