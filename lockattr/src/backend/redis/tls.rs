//! Whose certificates are trusted, which one is shown, and what goes wrong with them.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisError, TlsCertificates};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError};

use crate::Error;
use crate::backend::{BackendError, BackendErrorKind};

type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// As PEM.
#[derive(Clone, Default)]
pub(crate) struct TlsSettings {
    pub(crate) root_certificates: Option<Arc<[u8]>>,
    pub(crate) client_identity: Option<ClientIdentity>,
}

#[derive(Clone)]
pub(crate) struct ClientIdentity {
    pub(crate) certificates: Arc<[u8]>,
    pub(crate) key: Arc<[u8]>,
}

impl TlsSettings {
    /// # Errors
    ///
    /// [`Error::Config`] naming the setting that is wrong.
    pub(super) fn client(&self, info: ConnectionInfo) -> Result<Client, Error> {
        // An error means that the program has chosen a provider, which is fine.
        drop(rustls::crypto::ring::default_provider().install_default());
        let is_tls = match info.addr() {
            // Another crate of the program may switch this on in the client library.
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                let reason = "`#insecure` would trust every server; name the CA with \
                              `tls_root_certificates` instead";
                return Err(Error::config("url", reason));
            }
            address => matches!(address, ConnectionAddr::TcpTls { .. }),
        };
        self.check(is_tls)?;
        let opened = if is_tls {
            Client::build_with_tls(info, self.certificates())
        } else {
            Client::open(info)
        };
        opened.map_err(|error| Error::config("url", error.to_string()))
    }

    fn check(&self, is_tls: bool) -> Result<(), Error> {
        let roots = "tls_root_certificates";
        let identity = "tls_client_identity";
        for (setting, is_set) in [
            (roots, self.root_certificates.is_some()),
            (identity, self.client_identity.is_some()),
        ] {
            if is_set && !is_tls {
                let reason = "the URL does not ask for TLS; begin it with rediss://";
                return Err(Error::config(setting, reason));
            }
        }
        if let Some(pem) = &self.root_certificates {
            check_certificates(roots, pem)?;
        }
        if let Some(ours) = &self.client_identity {
            check_certificates(identity, &ours.certificates)?;
            PrivateKeyDer::from_pem_slice(&ours.key).map_err(|_| {
                let reason = "there is no private key in it; give PEM: -----BEGIN PRIVATE KEY-----";
                Error::config(identity, reason)
            })?;
        }
        Ok(())
    }

    fn certificates(&self) -> TlsCertificates {
        TlsCertificates {
            client_tls: self.client_identity.as_ref().map(|ours| ClientTlsConfig {
                client_cert: ours.certificates.to_vec(),
                client_key: ours.key.to_vec(),
            }),
            root_cert: self.root_certificates.as_deref().map(<[u8]>::to_vec),
        }
    }
}

fn check_certificates(setting: &'static str, pem: &[u8]) -> Result<(), Error> {
    let mut store = rustls::RootCertStore::empty();
    let all_sound = CertificateDer::pem_slice_iter(pem)
        .all(|certificate| certificate.is_ok_and(|sound| store.add(sound).is_ok()));
    if all_sound && !store.is_empty() {
        return Ok(());
    }
    let reason = "there is no sound certificate in it; give PEM: -----BEGIN CERTIFICATE-----";
    Err(Error::config(setting, reason))
}

/// What the error says of the certificates, if it is about them.
pub(super) fn explain(error: &RedisError) -> Option<BackendError> {
    // The client library wraps causes in an `Arc`, and an I/O error does not show what it wraps.
    let cause = error.source()?.downcast_ref::<Cause>()?;
    let error = match cause.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref()?.downcast_ref()?,
        None => cause.downcast_ref()?,
    };
    let (kind, message) = match error {
        rustls::Error::InvalidCertificate(error) => (
            BackendErrorKind::Untrusted,
            format!(
                "the server's certificate is not trusted: {error}; {}",
                remedy(error)
            ),
        ),
        rustls::Error::InvalidMessage(_) => (
            BackendErrorKind::Malformed,
            "the server does not speak TLS on this port; take its TLS port, or redis://".to_owned(),
        ),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => (
            BackendErrorKind::Refused,
            "the server asks for a certificate; give it one with `tls_client_identity`".to_owned(),
        ),
        rustls::Error::AlertReceived(alert) => (
            BackendErrorKind::Refused,
            format!("the server ended the TLS handshake: {alert:?}; check `tls_client_identity`"),
        ),
        _ => return None,
    };
    Some(BackendError::new(kind, message))
}

fn remedy(error: &CertificateError) -> &'static str {
    match error {
        // The second: an issuer of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "give its CA to `tls_root_certificates`, or add it to the platform's certificates"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "write the host in the URL as the certificate names it"
        }
        _ => "have the server's certificate issued anew",
    }
}
