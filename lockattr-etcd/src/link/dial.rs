//! New connections.

use std::time::Duration;

use lockattr::backend::{BackendError, BackendErrorKind, Time};
use tonic::transport::{Channel, Endpoint};

use super::Connection;
use super::login::token_of;
use crate::address::Address;
use crate::failure;
use crate::rpc::{self, RangeRequest};
use crate::tls::Tls;

/// How often a connection with something open is asked whether it is there: etcd ends those that ask more
/// often than each 5 s, or that ask with nothing open.
const IDLE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Dialer {
    pub(crate) address: Address,
    pub(crate) tls: Tls,
    pub(crate) within: Duration,
    /// A name that may be read, to see whether the member can answer.
    pub(crate) probe: Vec<u8>,
}

/// The pause before the next try, after so many that failed.
pub(super) fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        _ => (FIRST_PAUSE * (1 << (failures - 1).min(8))).min(LONGEST_PAUSE),
    }
}

impl Dialer {
    /// Connects to this member, and sees that it can answer.
    pub(crate) async fn dial(&self, member: usize) -> Result<Connection, BackendError> {
        let dialling = tokio::time::timeout(self.within, self.try_dial(member)).await;
        dialling.unwrap_or_else(|_| {
            let message = format!("no connection within {:?}", self.within);
            Err(BackendError::new(BackendErrorKind::Timeout, message))
        })
    }

    async fn try_dial(&self, member: usize) -> Result<Connection, BackendError> {
        let channel = self.channel(member).await?;
        let token = match &self.address.login {
            Some(login) => token_of(rpc::ask(&channel, None, login.question()).await)?,
            None => None,
        };
        let probe = RangeRequest {
            key: self.probe.clone(),
            ..RangeRequest::default()
        };
        let asked_at = Time::now();
        // By the majority, not from the member's own memory: one that was cut off has no answer.
        let probed = rpc::ask(&channel, token.as_ref(), probe).await;
        probed.map_err(|error| error.into_problem().error())?;
        Ok(Connection::new(channel, token, Time::now().since(asked_at)))
    }

    /// A way to this member, without a look at it.
    async fn channel(&self, member: usize) -> Result<Channel, BackendError> {
        let uri = self.address.endpoint(member);
        let invalid = |error: tonic::transport::Error| failure::unreachable(&rpc::in_full(&error));
        let endpoint = Endpoint::from_shared(uri).map_err(invalid)?;
        let endpoint = endpoint
            .connect_timeout(self.within)
            .http2_keep_alive_interval(IDLE)
            .keep_alive_timeout(self.within)
            .keep_alive_while_idle(false);
        let endpoint = self.tls.apply(endpoint).map_err(invalid)?;
        endpoint.connect().await.map_err(invalid)
    }
}
