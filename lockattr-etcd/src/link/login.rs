//! Who asks, and the token that proves it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lockattr::backend::{BackendError, BackendErrorKind};
use tonic::Code;
use tracing::warn;

use crate::address::Login;
use crate::rpc::{AuthenticateRequest, AuthenticateResponse, CallError, Token};

/// The token of a connection, which is replaced when it does not count any longer.
#[derive(Clone)]
pub(crate) struct Proof(Arc<Mutex<Option<Token>>>);

impl Proof {
    pub(super) fn new(token: Option<Token>) -> Self {
        Self(Arc::new(Mutex::new(token)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn token(&self) -> Option<Token> {
        self.lock().clone()
    }

    pub(crate) fn replace(&self, token: Option<Token>) {
        *self.lock() = token;
    }
}

impl Login {
    pub(crate) fn question(&self) -> AuthenticateRequest {
        AuthenticateRequest {
            name: self.user.clone(),
            password: self.password.clone(),
        }
    }
}

/// The token that came of a login. None, if etcd does not ask for one.
pub(crate) fn token_of(
    answer: Result<AuthenticateResponse, CallError>,
) -> Result<Option<Token>, BackendError> {
    match answer {
        Ok(answer) => {
            let mut token: Token = answer.token.parse().map_err(|_| {
                BackendError::new(BackendErrorKind::Malformed, "the token is no text")
            })?;
            token.set_sensitive(true);
            Ok(Some(token))
        }
        Err(CallError::Status(status))
            if status.code() == Code::FailedPrecondition
                && status.message().contains("not enabled") =>
        {
            warn!("etcd does not ask who it is: authentication is not enabled");
            Ok(None)
        }
        Err(error) => Err(error.into_problem().error()),
    }
}
