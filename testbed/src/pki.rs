//! Certificates for tests: an authority, and what it has signed.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, RevokedCertParams, SerialNumber, SignatureAlgorithm, date_time_ymd,
};

use crate::error::{Context, Result};

/// An authority that signs certificates. Whatever it makes was valid since 2020 and stays so for longer than tests
/// are run.
pub struct Authority {
    issuer: Issuer<'static, Key>,
    pem: String,
}

/// A certificate and its key.
pub struct Certificate {
    /// The certificate, in PEM.
    pub pem: String,
    /// Its key (PKCS#8), in PEM.
    pub key: String,
    serial: SerialNumber,
}

impl Authority {
    /// A new one.
    pub fn new(name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = Key::new();
        let pem = params.self_signed(&key).expect("what can be signed").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for the server with these names and addresses.
    pub fn server(&self, names: &[&str]) -> Certificate {
        self.sign(params("server", names), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for the client that libvirt calls `CN=name`.
    pub fn client(&self, name: &str) -> Certificate {
        self.sign(params(name, &[]), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// The list of revoked certificates, in PEM: these alone.
    pub fn revoke(&self, certificates: &[&Certificate]) -> String {
        let revoked = certificates.iter().map(|certificate| RevokedCertParams {
            serial_number: certificate.serial.clone(),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::PreSpecified(vec![1]),
        };
        params.signed_by(&self.issuer).and_then(|list| list.pem()).expect("what can be signed")
    }

    /// Fills the folder as libvirt's clients look for it with `?pkipath=`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_client(&self, folder: &Path, client: Option<&Certificate>) -> Result<()> {
        fs::create_dir_all(folder).context(|| folder.display().to_string())?;
        let mut files = vec![("cacert.pem", &self.pem)];
        if let Some(client) = client {
            files.extend([("clientcert.pem", &client.pem), ("clientkey.pem", &client.key)]);
        }
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).context(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn sign(&self, mut params: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Certificate {
        params.is_ca = IsCa::ExplicitNoCa;
        // libvirtd asks for both of its own certificate.
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![purpose];
        let key = Key::new();
        let pem = params.signed_by(&key, &self.issuer).expect("what can be signed").pem();
        Certificate { pem, key: key.pem(), serial: params.serial_number.expect("it has one") }
    }
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    static SERIAL: AtomicU64 = AtomicU64::new(1);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names of servers");
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    params.serial_number = Some(serial.into());
    params.key_identifier_method = KeyIdMethod::PreSpecified(serial.to_be_bytes().into());
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

struct Key {
    key: SigningKey<P256>,
    public: Vec<u8>,
}

impl Key {
    fn new() -> Self {
        // A point of this curve, in full, ends the public key's encoding.
        const POINT: usize = 65;
        let key = SigningKey::generate().expect("the system's randomness");
        let mut space = [0; 256];
        let encoded = key.to_spki_der(&mut space).expect("room enough");
        let public = encoded[encoded.len() - POINT..].to_vec();
        Self { key, public }
    }

    fn pem(&self) -> String {
        let mut space = [0; 512];
        let der = self.key.to_pkcs8_der(&mut space).expect("room enough");
        pem::encode(&pem::Pem::new("PRIVATE KEY", der))
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, rcgen::Error> {
        let mut space = [0; 128];
        let signature = self.key.sign_asn1::<Sha256>(&[message], &mut space);
        Ok(signature.map_err(|_| rcgen::Error::RemoteKeyError)?.to_vec())
    }
}
