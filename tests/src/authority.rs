//! Certificates for a test.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A CA that belongs to one test.
#[derive(Debug)]
pub struct Authority {
    /// Its certificate.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one with a key of its own.
    ///
    /// # Panics
    ///
    /// Never with a sound source of random bits.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        // Distinguished by its name: another CA of the same name would only have a wrong signature.
        let name = format!("authority {:?}", key.public_key_raw());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// Issues a certificate for this host, with its key.
    ///
    /// # Panics
    ///
    /// When no certificate can be for it.
    #[must_use]
    pub fn issue(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([host.to_owned()]).expect("a host");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    /// Returns the arguments of a server that speaks only TLS, as 127.0.0.1, with its files in `dir`.
    ///
    /// # Panics
    ///
    /// When the files cannot be written.
    #[must_use]
    pub fn server_args(&self, dir: &Path, asks_clients: bool) -> Vec<String> {
        fs::create_dir_all(dir).expect("a directory");
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).expect("the directory is ours");
            path.to_str().expect("it is text").to_owned()
        };
        let (certificate, key) = self.issue("127.0.0.1");
        let asks = if asks_clients { "yes" } else { "no" };
        [
            ("--tls-cert-file", file("server.pem", &certificate)),
            ("--tls-key-file", file("server.key", &key)),
            ("--tls-ca-cert-file", file("ca.pem", &self.pem)),
            ("--tls-auth-clients", asks.to_owned()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }
}
