//! TLS, where the feature `tls` is there.

use tonic::transport::{Endpoint, Error};

/// Whether and how connections are encrypted.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    #[cfg(feature = "tls")]
    config: Option<tonic::transport::ClientTlsConfig>,
}

/// What the program says about certificates. Keys are in it, so it must not be printed.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    /// The certificate of an authority, as PEM.
    pub(crate) authority: Option<String>,
    /// The program's own certificate and key, as PEM.
    pub(crate) identity: Option<(String, String)>,
}

impl Tls {
    /// # Errors
    ///
    /// When it is wanted and not built in, or the other way round.
    #[cfg(feature = "tls")]
    pub(crate) fn new(is_wanted: bool, trust: &Trust) -> Result<Self, String> {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};
        if !is_wanted {
            return unused(trust).map(|()| Self::default());
        }
        let config = ClientTlsConfig::new();
        let config = match &trust.authority {
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_native_roots(),
        };
        let config = match &trust.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        };
        Ok(Self {
            config: Some(config),
        })
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) fn new(is_wanted: bool, trust: &Trust) -> Result<Self, String> {
        if is_wanted {
            return Err("etcds:// needs the feature `tls` of lockattr-etcd".to_owned());
        }
        unused(trust).map(|()| Self::default())
    }

    #[cfg(feature = "tls")]
    pub(crate) fn apply(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        match &self.config {
            Some(config) => endpoint.tls_config(config.clone()),
            None => Ok(endpoint),
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with TLS")]
    pub(crate) fn apply(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        Ok(endpoint)
    }
}

/// A certificate that nothing is checked by would look like safety.
fn unused(trust: &Trust) -> Result<(), String> {
    if trust.authority.is_some() || trust.identity.is_some() {
        return Err("a certificate is given, and etcd:// uses none; write etcds://".to_owned());
    }
    Ok(())
}
