//! The way to a server: a connection, or the effort to get one, and how long it may be silent.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::confirm::Beside;
use super::connection::{Connection, FAR};
use super::dial::Dialer;
use super::stream::Address;
use crate::backend::{Attempt, BackendError};
use crate::clock::Time;

/// After so long a silence the server is asked for its time: a way that is closed without a word is
/// noticed before a caller meets it, and one that is not used is not forgotten.
const IDLE: Duration = Duration::from_secs(10);
/// For what has come to be read: after a stall of this thread the answers are in the socket.
const GRACE: Duration = Duration::from_millis(10);
/// A script runs undisturbed, so a batch is bounded: 64 attempts keep the server for some 0.2 ms.
pub(super) const LARGEST_BATCH: usize = 64;
/// So many calls keep the server at work while the answer to another one is read. More attempts wait
/// in the pool meanwhile, since one call for many costs the server less.
const BUSY: usize = 2;
/// Where an answer takes longer than this at best, it is the way that takes time and not the server, and
/// attempts do not wait for each other.
const NEAR: Duration = Duration::from_millis(1);
pub(super) struct Link {
    pub(super) dialer: Arc<Dialer>,
    pub(super) connection: Option<Connection>,
    /// The generation of the connection that is being dialled: it may come before this one is
    /// given up.
    pub(super) dialling: Option<u64>,
    /// The task that dials.
    pub(super) dial: Option<AbortHandle>,
    /// Counts the connections, so that reports about older ones are noticed.
    pub(super) generations: u64,
    /// The channel of the handoffs to this connection's waiters.
    pub(super) channel: String,
    /// Attempts to be sent with the next batch.
    pub(super) outgoing: Vec<Attempt>,
    /// What our clock said when a batch was sent by this connection, and what the server's said
    /// when it ran: the second is not before the first.
    pub(super) clocks: Option<(Time, u64)>,
    /// Dials that failed since the last connection.
    pub(super) failures: u32,
    pub(super) last_error: BackendError,
    /// When the connection was lost.
    pub(super) lost_at: Instant,
    /// Whether its node has no locks any longer, so that it is not dialled.
    pub(super) is_retired: bool,
    /// If its attempts are to be confirmed.
    pub(super) beside: Option<Beside>,
}

/// What is to be done about a link that is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alarm {
    /// Nothing was asked for a while: ask something.
    Ask,
    /// An answer is late: dial another connection, and take the one that answers first.
    Doubt,
    /// Nothing came for the whole of the patience.
    GiveUp,
    /// The attempts that wait for the first dial after a loss have waited enough.
    FailHeld,
}

impl Link {
    pub(super) fn new(
        dialer: Arc<Dialer>,
        connection: Connection,
        channel: String,
        last_error: BackendError,
    ) -> Self {
        let generations = connection.generation;
        Self {
            generations,
            connection: Some(connection),
            ..Self::undialled(dialer, channel, last_error)
        }
    }

    /// A link whose first connection is still to be dialled.
    pub(super) fn undialled(
        dialer: Arc<Dialer>,
        channel: String,
        last_error: BackendError,
    ) -> Self {
        Self {
            dialer,
            generations: 0,
            connection: None,
            dialling: None,
            dial: None,
            channel,
            outgoing: Vec::new(),
            clocks: None,
            failures: 0,
            last_error,
            lost_at: Instant::now(),
            is_retired: false,
            beside: None,
        }
    }

    /// Gives the connection up for good.
    pub(super) fn retire(&mut self) {
        self.connection = None;
        self.dialling = None;
        self.is_retired = true;
    }

    /// Which server it leads to, where that may change.
    pub(super) fn server(&self) -> Option<&Address> {
        self.connection.as_ref()?.server.as_ref()
    }

    /// The connection of this generation, if it is the present one.
    pub(super) fn current(&mut self, generation: u64) -> Option<&mut Connection> {
        self.connection
            .as_mut()
            .filter(|connection| connection.generation == generation)
    }

    /// How many of the attempts that wait are to be sent now.
    pub(super) fn room(&self, waiting: usize) -> usize {
        let is_busy = self.connection.as_ref().is_some_and(|connection| {
            connection.unanswered >= BUSY && connection.round_trip < NEAR
        });
        if is_busy {
            // No more would be gathered for one call.
            waiting - waiting % LARGEST_BATCH
        } else {
            waiting
        }
    }

    /// Whether there is something to be sent now.
    pub(super) fn is_due(&self, patience: Duration) -> bool {
        !self.outgoing.is_empty() && !self.holds(patience)
    }

    /// Whether attempts wait for the connection that is being dialled: the first dial after a loss
    /// mostly succeeds, and a caller who tries once only has lost nothing by it.
    fn holds(&self, patience: Duration) -> bool {
        self.connection.is_none() && self.failures == 0 && self.lost_at.elapsed() < patience
    }

    /// What is to be done next, and when.
    pub(super) fn alarm(&self, patience: Duration) -> Option<(Instant, Alarm)> {
        let patience = patience.min(FAR);
        let Some(connection) = &self.connection else {
            let is_held = self.failures == 0 && !self.outgoing.is_empty();
            return is_held.then(|| (self.lost_at + patience, Alarm::FailHeld));
        };
        let since = connection.silent_since;
        if connection.unanswered == 0 {
            return Some((since + IDLE, Alarm::Ask));
        }
        let doubtful_after = connection.suspicious_after(patience);
        let patience = patience + connection.blocks_for;
        let (after, alarm) = if self.dialling.is_none() && doubtful_after < patience {
            (doubtful_after, Alarm::Doubt)
        } else {
            (patience, Alarm::GiveUp)
        };
        Some((since + after, alarm))
    }

    /// What is to be done now. What was noticed just now is looked at once more after a moment, in
    /// which the answers that are there are read.
    pub(super) fn take_alarm(&mut self, now: Instant, patience: Duration) -> Option<Alarm> {
        let (_, alarm) = self.alarm(patience).filter(|(at, _)| *at <= now)?;
        let is_silence = matches!(alarm, Alarm::Doubt | Alarm::GiveUp);
        match self.connection.as_mut().filter(|_| is_silence) {
            Some(connection) => match connection.noticed {
                Some(noticed) if now >= noticed + GRACE => {
                    connection.noticed = None;
                    Some(alarm)
                }
                Some(_) => None,
                None => {
                    connection.noticed = Some(now);
                    None
                }
            },
            None => Some(alarm),
        }
    }

    /// When to look at this link again.
    pub(super) fn wakeup(&self, patience: Duration) -> Option<Instant> {
        let (at, alarm) = self.alarm(patience)?;
        let is_silence = matches!(alarm, Alarm::Doubt | Alarm::GiveUp);
        let noticed = self.connection.as_ref().and_then(|c| c.noticed);
        match noticed.filter(|_| is_silence) {
            Some(noticed) => Some(at.max(noticed + GRACE)),
            None => Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::RedisConnectionInfo;
    use redis::aio::MultiplexedConnection;

    use super::*;
    use crate::backend::redis::failure;

    const PATIENCE: Duration = Duration::from_millis(500);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A link to nowhere, with such a round trip.
    async fn link(round_trip: Duration) -> Link {
        let (ours, _theirs) = tokio::net::UnixStream::pair().unwrap();
        // Nothing has to be said to set up such a connection.
        let login = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = redis::AsyncConnectionConfig::new();
        let connecting = MultiplexedConnection::new_with_config(&login, ours, config);
        let (shared, driver) = connecting.await.unwrap();
        let mut connection = Connection::new(shared, 0, &tokio::spawn(driver));
        connection.round_trip = round_trip;
        let dialer = Arc::new(Dialer::nowhere());
        Link::new(
            dialer,
            connection,
            "channel".to_owned(),
            failure::disconnected(),
        )
    }

    impl Link {
        fn present(&mut self) -> &mut Connection {
            self.connection.as_mut().unwrap()
        }

        /// What is to be done after so long a silence.
        fn after(&mut self, silence: Duration) -> Option<Alarm> {
            let now = self.present().silent_since + silence;
            self.take_alarm(now, PATIENCE)
        }
    }

    /// After a stall of the thread the answers are in the socket, and nobody has read them yet.
    #[tokio::test]
    async fn silence_is_looked_at_twice_so_that_a_stall_is_none() {
        let mut link = link(millis(1)).await;
        link.present().sent();
        assert_eq!(link.after(millis(3000)), None);
        assert_eq!(link.after(millis(3009)), None);
        link.present().answered();
        assert_eq!(link.after(millis(9000)), None, "it was read meanwhile");
        link.present().sent();
        assert_eq!(link.after(millis(3000)), None);
        assert_eq!(link.after(millis(3010)), Some(Alarm::Doubt));
        link.dialling = Some(1);
        assert_eq!(link.after(millis(3011)), None);
        assert_eq!(link.after(millis(3021)), Some(Alarm::GiveUp));
    }

    #[tokio::test]
    async fn an_answer_is_late_after_a_quarter_of_the_patience_or_two_round_trips() {
        for (round_trip, late) in [(1, 125), (50, 125), (100, 200), (249, 498)] {
            let mut link = link(millis(round_trip)).await;
            link.present().sent();
            let since = link.present().silent_since;
            let expected = Some((since + millis(late), Alarm::Doubt));
            assert_eq!(link.alarm(PATIENCE), expected, "{round_trip}");
            link.dialling = Some(1);
            let expected = Some((since + PATIENCE, Alarm::GiveUp));
            assert_eq!(link.alarm(PATIENCE), expected, "{round_trip}");
        }
        let mut far = link(millis(300)).await;
        far.present().sent();
        let since = far.present().silent_since;
        assert_eq!(far.alarm(PATIENCE), Some((since + PATIENCE, Alarm::GiveUp)));
    }

    #[tokio::test]
    async fn attempts_gather_while_the_server_is_busy() {
        const MANY: usize = 3 * LARGEST_BATCH + 1;
        let mut near = link(Duration::from_micros(100)).await;
        let mut far = link(millis(20)).await;
        for unanswered in 0..4 {
            let is_busy = unanswered >= BUSY;
            assert_eq!(near.room(5), if is_busy { 0 } else { 5 });
            assert_eq!(near.room(MANY), if is_busy { MANY - 1 } else { MANY });
            assert_eq!(far.room(5), 5, "it is the way that takes time");
            near.present().sent();
            far.present().sent();
        }
        near.connection = None;
        assert_eq!(near.room(5), 5, "they fail, or wait for the dial");
    }

    #[tokio::test]
    async fn an_idle_connection_is_asked() {
        let mut link = link(millis(1)).await;
        assert_eq!(link.after(millis(9_999)), None);
        assert_eq!(link.after(IDLE), Some(Alarm::Ask));
        link.present().sent();
        link.present().sent();
        link.present().answered();
        assert_eq!(link.after(millis(124)), None);
        // One more answer is owed.
        link.after(millis(125));
        assert_eq!(link.after(millis(135)), Some(Alarm::Doubt));
        // The longest patience there is does not overflow.
        assert!(link.wakeup(Duration::MAX).is_some());
    }
}
