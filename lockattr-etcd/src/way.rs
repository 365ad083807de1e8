//! A way to etcd for questions past the attempts.

use std::time::Duration;

use lockattr::backend::BackendError;
use tonic::transport::Channel;

use crate::address::Login;
use crate::attempts::Core;
use crate::failure::{self, Blame};
use crate::link::{self, Proof};
use crate::names::Names;
use crate::rpc::{self, CallError, Method};

/// The connection that there was when the question came up.
#[derive(Clone)]
pub(crate) struct Way {
    channel: Channel,
    proof: Proof,
    login: Option<Login>,
    patience: Duration,
    pub(crate) names: Names,
}

impl Way {
    pub(crate) fn of(core: &Core) -> Option<Self> {
        let connection = core.link.present()?;
        Some(Self {
            channel: connection.channel().clone(),
            proof: connection.proof().clone(),
            login: core.link.dialer.address.login.clone(),
            patience: core.link.patience(),
            names: core.names.clone(),
        })
    }

    pub(crate) async fn ask<Q: Method + Clone>(
        &self,
        question: Q,
    ) -> Result<Q::Answer, BackendError> {
        let answered = tokio::time::timeout(self.patience, self.try_ask(question)).await;
        answered.map_err(|_| failure::silent())?
    }

    async fn try_ask<Q: Method + Clone>(&self, question: Q) -> Result<Q::Answer, BackendError> {
        let told = |error: CallError| error.into_problem().error();
        let token = self.proof.token();
        let answer = rpc::ask(&self.channel, token.as_ref(), question.clone()).await;
        let login = match (&answer, &self.login) {
            (Err(error), Some(login)) if error.blame() == Blame::Token => login,
            _ => return answer.map_err(told),
        };
        // No attempt has come since the token ended.
        let answer = rpc::ask(&self.channel, None, login.question()).await;
        let token = link::token_of(answer)?;
        self.proof.replace(token.clone());
        let answer = rpc::ask(&self.channel, token.as_ref(), question).await;
        answer.map_err(told)
    }
}
