//! Sentinels: they say which of several servers is the master, and when another one becomes it.
//!
//! One task for each sentinel keeps a connection to it, on which it asks every second, and at once when
//! a link is dialled or any of the sentinels tells of a switch. What they say is gathered in the
//! [`Council`]; where the master is by that word is reported to the backend, whose links follow.

mod council;
mod follow;
mod line;
mod target;

use std::sync::Arc;
use std::time::Duration;

use redis::RedisConnectionInfo;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::hello::Refusal;
use super::stream::{Address, Way};
use super::{RedisSettings, Report, failure};
use crate::Error;
use council::{Council, Opinion};
pub(super) use follow::Following;
use line::Line;

/// How often the sentinels are asked, because a subscription may be lost.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the answers of the other sentinels are waited for once one has answered, unless most of
/// them have: one that is cut off from the others may have missed a failover.
const GRACE: Duration = Duration::from_millis(100);

pub(super) fn is_meant_by(url: &str) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.to_ascii_lowercase().ends_with("+sentinel")
}

pub(super) struct Sentinels {
    master_name: String,
    members: Vec<Way>,
    login: RedisConnectionInfo,
    /// How long connecting to one of them may take, its first answer included.
    patience: Duration,
    /// The number of the latest question.
    questions: watch::Sender<u64>,
    council: watch::Sender<Council>,
}

impl Sentinels {
    /// Returns the login for the master too.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a URL or certificates that do not parse.
    pub(super) fn new(settings: &RedisSettings) -> Result<(Self, RedisConnectionInfo), Error> {
        let target = target::parse(&settings.url)?;
        let members = target
            .sentinels
            .into_iter()
            .map(|address| {
                Ok(Way {
                    #[cfg(feature = "tls")]
                    tls: settings.options.tls.connector(&address)?,
                    address,
                })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let sentinels = Self {
            master_name: target.master_name,
            login: target.sentinel_login,
            // So that there is time to say who has not answered.
            patience: settings.connect_timeout / 2,
            questions: watch::Sender::new(0),
            council: watch::Sender::new(Council::new(members.len())),
            members,
        };
        Ok((sentinels, target.login))
    }

    /// Starts to listen to the sentinels, until the tasks are dropped.
    pub(super) fn watch(self: &Arc<Self>, inbox: &UnboundedSender<Report>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for member in 0..self.members.len() {
            // Before the task runs, so that no question is missed.
            let questions = self.questions.subscribe();
            tasks.spawn(Arc::clone(self).listen_to(member, questions, inbox.clone()));
        }
        tasks
    }

    async fn listen_to(
        self: Arc<Self>,
        member: usize,
        mut questions: watch::Receiver<u64>,
        inbox: UnboundedSender<Report>,
    ) {
        let mut line = None;
        loop {
            // The end of the time is a question too.
            let _ = timeout(INTERVAL, questions.changed()).await;
            let question = *questions.borrow_and_update();
            let asking = self.ask(member, line.take());
            let said = asking.await.map(|(opinion, open)| {
                line = Some(open);
                opinion
            });
            self.council
                .send_modify(|council| council.hear(member, question, said));
            if let Some(address) = self.known_master() {
                // Nobody listens when the pool has ended meanwhile.
                drop(inbox.send(Report::Master { address }));
            }
        }
    }

    /// Asks one sentinel, by the connection that is there if it still works.
    async fn ask(&self, member: usize, open: Option<Line>) -> Result<(Opinion, Line), Refusal> {
        if let Some(mut line) = open
            && let Ok(Ok(opinion)) = timeout(INTERVAL, line.ask(&self.master_name)).await
        {
            return Ok((opinion, line));
        }
        let opening = async {
            let way = &self.members[member];
            let mut line = Line::open(way, &self.login, self.questions.clone()).await?;
            let opinion = line.ask(&self.master_name).await?;
            Ok((opinion, line))
        };
        timeout(self.patience, opening)
            .await
            .unwrap_or_else(|_| Err(failure::no_answer(self.patience).into()))
    }

    /// Asks all sentinels at once for the way to the master.
    pub(super) async fn way_to_master(&self) -> Result<Way, Refusal> {
        let mut council = self.council.subscribe();
        let mut question = 0;
        self.questions.send_modify(|latest| {
            *latest += 1;
            question = *latest;
        });
        let any = council.wait_for(|c| c.has_answered(question) || c.is_over(question));
        any.await.expect("its sender is in this struct");
        let enough = council.wait_for(|c| c.is_settled(question));
        // Those that are silent are not waited for.
        let _ = timeout(GRACE, enough).await;
        if !self.council.borrow().has_answered(question) {
            return Err(self.refusal());
        }
        let address = self.known_master().expect("a sentinel has answered");
        Ok(Way {
            #[cfg(feature = "tls")]
            tls: match &self.members[0].tls {
                Some(connector) => Some(connector.to(&address)?),
                None => None,
            },
            address,
        })
    }

    fn known_master(&self) -> Option<Address> {
        let council = self.council.borrow();
        let Opinion { host, port, .. } = council.known()?;
        let is_tls = matches!(self.members[0].address, Address::Tls { .. });
        Some(Address::over_tcp(host.clone(), *port, is_tls))
    }

    fn refusal(&self) -> Refusal {
        let names = self.members.iter().map(|way| &way.address);
        self.council.borrow().refusal(names)
    }

    /// Why there was no connection in time.
    pub(super) fn no_connection(&self, within: Duration) -> Refusal {
        match self.known_master() {
            Some(master) => Refusal::from(failure::no_connection(within)).at_master(&master),
            None => self.refusal(),
        }
    }
}
