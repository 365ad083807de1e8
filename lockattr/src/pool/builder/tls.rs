//! The settings of a pool that are about certificates.

use crate::backend::redis::ClientIdentity;

use super::LockPoolBuilder;

impl LockPoolBuilder {
    /// The certificates, as PEM, that may have signed the server's, in place of the platform's
    /// (feature `tls`). For a server of a private CA. Defaults to the platform's, which the variables
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name too.
    ///
    /// Without one, with a broken one, and for a server without TLS (`redis://`),
    /// [`build`](Self::build) fails with [`Error::Config`](crate::Error::Config).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = lockattr::LockPool::builder()
    ///     .url("rediss://redis.internal:6380/")
    ///     .tls_root_certificates(std::fs::read("/etc/shop/ca.pem")?)
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tls_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.tls.root_certificates = Some(pem.as_ref().into());
        self
    }

    /// The certificate, or chain of them, that the server gets to see, and its private key, both as
    /// PEM (feature `tls`). For a server that asks for one; that is what Redis does unless its
    /// `tls-auth-clients` is `no`. Defaults to none. The key is never printed.
    ///
    /// Without a certificate or a key in the PEM, and for a server without TLS (`redis://`),
    /// [`build`](Self::build) fails with [`Error::Config`](crate::Error::Config).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = lockattr::LockPool::builder()
    ///     .url("rediss://redis.internal:6380/")
    ///     .tls_client_identity(
    ///         std::fs::read("/etc/shop/client.pem")?,
    ///         std::fs::read("/etc/shop/client.key")?,
    ///     )
    ///     .build()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tls_client_identity(
        mut self,
        certificates: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Self {
        self.tls.client_identity = Some(ClientIdentity {
            certificates: certificates.as_ref().into(),
            key: key.as_ref().into(),
        });
        self
    }
}
