//! A way to etcd for questions past the attempts.

use std::time::Duration;

use lockattr::backend::BackendError;
use tonic::transport::Channel;

use crate::attempts::Core;
use crate::failure;
use crate::names::Names;
use crate::rpc::{self, Method, Token};

/// The connection that there was when the question came up.
#[derive(Clone)]
pub(crate) struct Way {
    channel: Channel,
    token: Option<Token>,
    patience: Duration,
    pub(crate) names: Names,
}

impl Way {
    pub(crate) fn of(core: &Core) -> Option<Self> {
        let connection = core.link.present()?;
        Some(Self {
            channel: connection.channel().clone(),
            token: connection.token(),
            patience: core.link.patience(),
            names: core.names.clone(),
        })
    }

    pub(crate) async fn ask<Q: Method>(&self, question: Q) -> Result<Q::Answer, BackendError> {
        let asking = rpc::ask(&self.channel, self.token.as_ref(), question);
        let answered = tokio::time::timeout(self.patience, asking).await;
        let answer = answered.map_err(|_| failure::silent())?;
        answer.map_err(|error| error.into_problem().error())
    }
}
