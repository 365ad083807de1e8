//! Certificates: the trusted ones, the client's own, and their errors.

use std::error::Error as _;
use std::io;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use redis::RedisError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::failure;
use super::stream::Address;
use crate::Error;
use crate::backend::{BackendError, BackendErrorKind};

type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// The platform's certificates: some hundred files, read once in a process. A failure is not kept,
/// which std's `OnceLock` cannot do yet.
static PLATFORM: OnceCell<RootCertStore> = OnceCell::new();

/// In PEM format.
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

/// TLS to one server, with its own settings: the process's choice of a rustls provider stays
/// unchanged.
#[derive(Clone)]
pub(super) struct Connector {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl Connector {
    /// Returns the same for another server.
    pub(super) fn to(&self, address: &Address) -> Result<Self, BackendError> {
        let server = address.tls_name().ok_or_else(|| {
            let said = format!("no certificate can be for the host of {address}");
            BackendError::new(BackendErrorKind::Untrusted, said)
        })?;
        Ok(Self {
            config: Arc::clone(&self.config),
            server,
        })
    }

    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, BackendError> {
        TlsConnector::from(Arc::clone(&self.config))
            .connect(self.server.clone(), stream)
            .await
            .map_err(|error| {
                let explained = error.get_ref().and_then(|cause| cause.downcast_ref());
                explained
                    .and_then(explain_tls)
                    .unwrap_or_else(|| failure::unreachable(&error))
            })
    }
}

impl Address {
    /// Returns what the server's certificate has to name.
    fn tls_name(&self) -> Option<ServerName<'static>> {
        match self {
            Self::Tls { host, .. } => ServerName::try_from(host.clone()).ok(),
            _ => None,
        }
    }
}

fn read_platform() -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    match found.errors.first() {
        Some(error) if store.is_empty() => {
            let reason = format!(
                "the platform's certificates cannot be read: {error}; name the server's CA"
            );
            Err(Error::config("tls_root_certificates", reason))
        }
        _ => Ok(store),
    }
}

impl TlsSettings {
    /// Returns `None` for a server without TLS.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming the setting that is wrong.
    pub(super) fn connector(&self, address: &Address) -> Result<Option<Connector>, Error> {
        self.check(matches!(address, Address::Tls { .. }))?;
        let Address::Tls { .. } = address else {
            return Ok(None);
        };
        let server = address
            .tls_name()
            .ok_or_else(|| Error::config("url", "no certificate can be for this host"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::config("url", error.to_string()))?
            .with_root_certificates(self.roots()?);
        let config = match &self.client_identity {
            None => config.with_no_client_auth(),
            Some(ours) => {
                let identity = |error: &dyn std::fmt::Display| {
                    Error::config("tls_client_identity", error.to_string())
                };
                let chain = CertificateDer::pem_slice_iter(&ours.certificates)
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| identity(&error))?;
                let key = PrivateKeyDer::from_pem_slice(&ours.key).map_err(|e| identity(&e))?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| identity(&error))?
            }
        };
        Ok(Some(Connector {
            config: Arc::new(config),
            server,
        }))
    }

    /// Returns the program's certificates, or the platform's.
    fn roots(&self) -> Result<RootCertStore, Error> {
        if let Some(pem) = &self.root_certificates {
            let mut store = RootCertStore::empty();
            let sound = CertificateDer::pem_slice_iter(pem).flatten();
            store.add_parsable_certificates(sound);
            return Ok(store);
        }
        PLATFORM.get_or_try_init(read_platform).cloned()
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

/// Returns what the error says of the certificates, if it is about them.
pub(super) fn explain(error: &RedisError) -> Option<BackendError> {
    // The client library wraps causes in an `Arc`, and an I/O error does not show what it wraps.
    let cause = error.source()?.downcast_ref::<Cause>()?;
    let error = match cause.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref()?.downcast_ref()?,
        None => cause.downcast_ref()?,
    };
    explain_tls(error)
}

fn explain_tls(error: &rustls::Error) -> Option<BackendError> {
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
        // The second error: an issuer of the same name with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "give its CA to `tls_root_certificates`, or add it to the platform's certificates"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "write the host in the URL as the certificate names it"
        }
        _ => "have the server's certificate issued anew",
    }
}
