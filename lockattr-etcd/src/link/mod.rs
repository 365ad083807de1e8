//! The way to etcd: a connection to one member, and another one when that is lost or silent.
//!
//! A connection is judged by its own silence, never by the patience of one attempt.

mod connection;
mod dial;
mod login;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use lockattr::backend::{BackendError, Failure};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::failure::{self, Blame, Problem};
use crate::rpc::{CallError, Method, Token};
pub(crate) use connection::Connection;
pub(crate) use dial::Dialer;
pub(crate) use login::{Proof, token_of};

pub(crate) struct Link {
    pub(crate) dialer: Dialer,
    patience: Duration,
    connection: RefCell<Option<Rc<Connection>>>,
    /// The member of the present connection, or of the next one.
    member: Cell<usize>,
    is_dialling: Cell<bool>,
    /// Whether another connection is wanted beside one that is there.
    is_doubted: Cell<bool>,
    /// How many dials failed, one after the other.
    failures: Cell<u32>,
    /// The same of those beside a connection, since it was last heard.
    failures_beside: Cell<u32>,
    last_error: RefCell<BackendError>,
    lost_at: Cell<Instant>,
    /// Tells that a dial is over, or that the connection was lost.
    changed: Notify,
}

impl Link {
    /// Connects to the first member that answers.
    ///
    /// # Errors
    ///
    /// That of the last member.
    pub(crate) async fn connect(dialer: Dialer, patience: Duration) -> Result<Self, BackendError> {
        let link = Self {
            dialer,
            patience,
            connection: RefCell::new(None),
            member: Cell::new(0),
            is_dialling: Cell::new(false),
            is_doubted: Cell::new(false),
            failures: Cell::new(0),
            failures_beside: Cell::new(0),
            last_error: RefCell::new(failure::unreachable("no member was asked")),
            lost_at: Cell::new(Instant::now()),
            changed: Notify::new(),
        };
        for member in 0..link.dialer.address.members.len() {
            link.member.set(member);
            match link.dialer.dial(member).await {
                Ok(connection) => {
                    *link.connection.borrow_mut() = Some(Rc::new(connection));
                    return Ok(link);
                }
                Err(error) => *link.last_error.borrow_mut() = error,
            }
        }
        Err(link.last_error.into_inner())
    }

    /// For so long a connection may be silent.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) fn present(&self) -> Option<Rc<Connection>> {
        self.connection.borrow().clone()
    }

    /// The present connection, or the one that is being dialled: the first dial after a loss mostly
    /// succeeds, and a caller who tries once only has lost nothing by it.
    async fn connection(&self) -> Result<Rc<Connection>, Failure> {
        loop {
            let changed = self.changed.notified();
            if let Some(connection) = self.present() {
                return Ok(connection);
            }
            let end = self.lost_at.get() + self.patience;
            let comes =
                self.failures.get() == 0 && tokio::time::timeout_at(end, changed).await.is_ok();
            if !comes {
                return Err(Failure::not_executed(self.last_error.borrow().clone()));
            }
        }
    }

    /// Asks one thing.
    pub(crate) async fn ask<Q: Method + Clone>(&self, question: Q) -> Result<Q::Answer, Problem> {
        let mut is_renewed = false;
        loop {
            let connection = self.connection().await.map_err(Problem::NotExecuted)?;
            let token = connection.proof().token();
            let asked = connection.ask(token.as_ref(), question.clone());
            let error = match asked.await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match error.blame() {
                // Etcd has looked at nothing but the token, so the question can be asked again.
                Blame::Token if !is_renewed && token.is_some() => {
                    is_renewed = true;
                    let renewed = self.renew_token(&connection, token).await;
                    renewed.map_err(Problem::NotExecuted)?;
                }
                Blame::Question | Blame::Token => return Err(error.into_problem()),
                Blame::Connection => {
                    let problem = error.into_problem();
                    self.lose(&connection, problem.error());
                    return Err(problem);
                }
            }
        }
    }

    /// Logs in again, since this token does not count any longer. All that find it so wait for one login.
    pub(crate) async fn renew_token(
        &self,
        connection: &Rc<Connection>,
        old: Option<Token>,
    ) -> Result<(), Failure> {
        let logins = connection.logins.get();
        let mut last = connection.login.lock().await;
        if connection.logins.get() != logins {
            return last.clone();
        }
        if connection.proof().token() == old {
            *last = self.log_in(connection).await.map_err(Failure::not_executed);
            connection.logins.set(logins + 1);
            return last.clone();
        }
        // Another question has renewed it before.
        Ok(())
    }

    async fn log_in(&self, connection: &Rc<Connection>) -> Result<(), BackendError> {
        let Some(login) = &self.dialer.address.login else {
            return Ok(());
        };
        let token = match connection.ask(None, login.question()).await {
            Err(error) if error.blame() == Blame::Connection => {
                let error = error.into_problem().error();
                self.lose(connection, error.clone());
                return Err(error);
            }
            answer => token_of(answer)?,
        };
        connection.proof().replace(token);
        Ok(())
    }

    /// Gives a connection up. What is asked by it ends with an unknown outcome.
    pub(crate) fn lose(&self, connection: &Rc<Connection>, error: BackendError) {
        let mut present = self.connection.borrow_mut();
        if present
            .as_ref()
            .is_none_or(|it| !Rc::ptr_eq(it, connection))
        {
            return;
        }
        warn!(%error, member = self.member_name(), "etcd: the connection is given up");
        *present = None;
        drop(present);
        connection.end();
        *self.last_error.borrow_mut() = error;
        self.lost_at.set(Instant::now());
        self.failures.set(0);
        // The next one may be well, unless it was dialled already.
        let dialled = self.failures_beside.take();
        self.member.set(self.member.get() + 1 + dialled as usize);
        self.changed.notify_waiters();
    }

    /// Gives the connection up, if it is to blame for this.
    pub(crate) fn judge(&self, connection: &Rc<Connection>, error: CallError) {
        if error.blame() == Blame::Connection {
            self.lose(connection, error.into_problem().error());
        }
    }

    fn member_name(&self) -> &str {
        let members = &self.dialer.address.members;
        &members[self.member.get() % members.len()]
    }

    /// Whether the caller has to [dial](Self::redial).
    pub(crate) fn needs_dial(&self) -> bool {
        let is_wanted = self.is_doubted.get() || self.connection.borrow().is_none();
        is_wanted && !self.is_dialling.get()
    }

    /// Dials once. Returns whether there is a connection again.
    pub(crate) fn redial(self: Rc<Self>) -> impl Future<Output = bool> + 'static {
        self.is_dialling.set(true);
        async move { self.dial_once().await }
    }

    async fn dial_once(&self) -> bool {
        let failures = if self.is_doubted.replace(false) {
            self.failures_beside.get()
        } else {
            self.failures.get()
        };
        tokio::time::sleep(dial::pause(failures)).await;
        let beside = self
            .present()
            .map(|_| 1 + self.failures_beside.get() as usize);
        let member = self.member.get() + beside.unwrap_or(0);
        let dialled = self.dialer.dial(member).await;
        self.is_dialling.set(false);
        let old = self.present();
        let is_there = match (dialled, old) {
            // The old one was only slow.
            (Ok(_), Some(old)) if !self.is_suspicious(&old) => false,
            (Ok(connection), old) => {
                if let Some(old) = old {
                    self.lose(&old, failure::silent());
                }
                self.member.set(member);
                info!(member = self.member_name(), "connected to etcd again");
                *self.connection.borrow_mut() = Some(Rc::new(connection));
                self.failures.set(0);
                self.failures_beside.set(0);
                true
            }
            // The old one may answer yet; otherwise its patience ends soon.
            (Err(_), Some(_)) => {
                let failures = self.failures_beside.get();
                self.failures_beside.set(failures.saturating_add(1));
                false
            }
            (Err(error), None) => {
                warn!(%error, member = self.member_name(), "no connection to etcd; trying again");
                *self.last_error.borrow_mut() = error;
                self.failures.set(self.failures.get().saturating_add(1));
                self.member.set(member + 1);
                false
            }
        };
        self.changed.notify_waiters();
        is_there
    }

    fn is_suspicious(&self, connection: &Connection) -> bool {
        let at = connection.suspicious_at(self.patience);
        at.is_some_and(|at| at <= Instant::now())
    }

    /// When to look at the connection's silence.
    pub(crate) fn alarm(&self) -> Option<Instant> {
        let connection = self.present()?;
        let end = connection.silent_at(self.patience);
        let doubt = connection.suspicious_at(self.patience);
        let doubt = doubt.filter(|_| !self.is_dialling.get());
        [end, doubt].into_iter().flatten().min()
    }

    /// Gives a connection up that has been silent for too long, and wants another one before that.
    pub(crate) fn look_at_silence(&self) {
        let Some(connection) = self.present() else {
            return;
        };
        if connection.is_silent(self.patience) {
            self.lose(&connection, failure::silent());
        } else if !self.is_suspicious(&connection) {
            self.failures_beside.set(0);
        } else if !self.is_dialling.get() {
            self.is_doubted.set(true);
        }
    }
}
