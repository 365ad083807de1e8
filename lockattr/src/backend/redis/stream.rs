//! The way to the server: TCP, TLS on top of it, or a unix socket.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;
use std::{fmt, io};

use redis::aio::AsyncStream;
use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;

use super::failure;
use crate::backend::BackendError;

/// Firewalls and NATs forget connections after minutes of silence.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// How long the system keeps a connection on which nothing is acknowledged.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) type Stream = Pin<Box<dyn AsyncStream + Send>>;

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Address {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16 },
    Unix(PathBuf),
}

impl Address {
    /// Another server, reached in the same manner; the same host if it is not named.
    pub(super) fn with(&self, host: &str, port: u16) -> Self {
        let host = match (host, self) {
            ("", Self::Tcp { host, .. } | Self::Tls { host, .. }) => host.clone(),
            _ => host.to_owned(),
        };
        Self::over_tcp(host, port, matches!(self, Self::Tls { .. }))
    }

    pub(super) fn over_tcp(host: String, port: u16, is_tls: bool) -> Self {
        if is_tls {
            Self::Tls { host, port }
        } else {
            Self::Tcp { host, port }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port } if host.contains(':') => {
                write!(f, "[{host}]:{port}")
            }
            Self::Tcp { host, port } | Self::Tls { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A way that can be gone many times.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) address: Address,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<super::tls::Connector>,
}

impl Way {
    pub(super) async fn open(&self) -> Result<Stream, BackendError> {
        match &self.address {
            Address::Unix(path) => unix(path).await,
            Address::Tcp { host, port } => {
                let stream = tcp(host, *port)
                    .await
                    .map_err(|e| failure::unreachable(&e))?;
                Ok(Box::pin(stream))
            }
            Address::Tls { host, port } => self.encrypted(host, *port).await,
        }
    }

    #[cfg(feature = "tls")]
    async fn encrypted(&self, host: &str, port: u16) -> Result<Stream, BackendError> {
        let connector = self
            .tls
            .as_ref()
            .ok_or_else(failure::no_certificate_for_host)?;
        let stream = tcp(host, port)
            .await
            .map_err(|e| failure::unreachable(&e))?;
        Ok(Box::pin(connector.handshake(stream).await?))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "as with the feature")]
    async fn encrypted(&self, _: &str, _: u16) -> Result<Stream, BackendError> {
        unreachable!("`rediss://` is refused without the feature")
    }
}

#[cfg(unix)]
async fn unix(path: &PathBuf) -> Result<Stream, BackendError> {
    let stream = tokio::net::UnixStream::connect(path)
        .await
        .map_err(|e| failure::unreachable(&e))?;
    Ok(Box::pin(stream))
}

#[cfg(not(unix))]
#[expect(clippy::unused_async, reason = "as where there are such sockets")]
async fn unix(_: &PathBuf) -> Result<Stream, BackendError> {
    let error = io::Error::from(io::ErrorKind::Unsupported);
    Err(failure::unreachable(&error))
}

/// All addresses of the host are tried at once: one that is closed costs no time.
async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in lookup_host((host, port)).await? {
        attempts.spawn(TcpStream::connect(address));
    }
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(stream) => {
                prepare(&stream)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_looks_after_idle_connections() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Nobody listens at the first address that the name may have.
        let stream = tcp("localhost", port).await.unwrap();
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
        }
    }
}
