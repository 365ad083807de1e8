//! The servers of a quorum: which of them answer, and what their clocks show.

use std::time::Duration;

use tracing::{info, warn};

use super::majority::majority;
use crate::backend::BackendError;
use crate::clock::Time;

/// Added to the estimate of the latest clock, so that no server is ahead of it when the request arrives.
const MARGIN: Duration = Duration::from_micros(500);

#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
pub(super) struct Members(Vec<Member>);

#[derive(Debug, Clone)]
#[cfg_attr(test, derive(Hash))]
struct Member {
    /// As errors and traces show it.
    name: String,
    /// Whether its latest request was answered in time.
    answers: bool,
    /// The server's clock in microseconds, and a time on ours that is not later.
    clock: Option<(Time, u64)>,
    /// How long an answer takes, on average.
    takes: Duration,
}

impl Members {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let member = |name| Member {
            name,
            answers: true,
            clock: None,
            takes: Duration::ZERO,
        };
        Self(names.into_iter().map(member).collect())
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn majority(&self) -> usize {
        majority(self.0.len())
    }

    pub(super) fn name(&self, member: usize) -> &str {
        &self.0[member].name
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.iter().map(|member| member.name.clone()).collect()
    }

    pub(super) fn answers(&self, member: usize) -> bool {
        self.0[member].answers
    }

    /// Notes that a server was of no use: it failed, or did not answer in time.
    pub(super) fn note_silence(&mut self, member: usize, error: Option<&BackendError>) {
        let Member { name, answers, .. } = &mut self.0[member];
        if std::mem::replace(answers, false) {
            let error = error.map_or_else(|| "no answer in time".to_owned(), ToString::to_string);
            warn!(
                server = name,
                error, "a server of the quorum is of no use; the others go on"
            );
        }
    }

    /// Notes an answer that came in time. Returns whether it is the first one after a silence.
    pub(super) fn note_answer(&mut self, member: usize, took: Duration) -> bool {
        let member = &mut self.0[member];
        let was_silent = !std::mem::replace(&mut member.answers, true);
        if was_silent {
            info!(server = member.name, "a server of the quorum answers again");
        }
        member.takes = if member.takes.is_zero() {
            took
        } else {
            (member.takes * 7 + took) / 8
        };
        was_silent
    }

    pub(super) fn set_clock(&mut self, member: usize, clock: Option<(Time, u64)>) {
        self.0[member].clock = clock;
    }

    /// Returns a token that is greater than what the clock of any server shows when a request arrives there
    /// that is sent now; 0 if no clock is known. A wrong guess costs a round trip.
    pub(super) fn propose(&self, now: Time) -> u64 {
        let clocks = self.0.iter().filter_map(|member| member.clock);
        let latest = clocks
            .map(|(at, micros)| micros.saturating_add(micros_of(now.since(at))))
            .max();
        let takes = self.0.iter().filter(|it| it.answers).map(|it| it.takes);
        let ahead = takes.max().unwrap_or_default() + MARGIN;
        latest.map_or(0, |latest| latest.saturating_add(micros_of(ahead)))
    }

    /// Returns the servers in the order in which their queues are used for this key. It is the same in
    /// every process, and spreads the keys.
    pub(super) fn order(&self, key: &str) -> Vec<usize> {
        // FNV-1a, as in http://www.isthe.com/chongo/tech/comp/fnv/.
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let count = self.0.len();
        let first = usize::try_from(hash % count as u64).unwrap_or_default();
        (0..count).map(|n| (first + n) % count).collect()
    }
}

fn micros_of(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Members {
        Members::new(["a", "b", "c"].map(str::to_owned))
    }

    #[test]
    fn each_key_has_its_order_and_all_servers_are_used() {
        let members = members();
        let mut firsts = [0; 3];
        for n in 0..300 {
            let mut order = members.order(&format!("key:{n}"));
            assert_eq!(order, members.order(&format!("key:{n}")));
            firsts[order[0]] += 1;
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2]);
        }
        assert!(firsts.iter().all(|count| *count > 60), "{firsts:?}");
        // Other versions have to use the same.
        assert_eq!(members.order("order:1"), [0, 1, 2]);
    }

    #[test]
    fn the_proposal_is_ahead_of_the_latest_clock() {
        let mut members = members();
        let now = Time::from_nanos(5_000_000_000);
        assert_eq!(members.propose(now), 0);
        members.set_clock(0, Some((now, 1_000)));
        members.set_clock(2, Some((now, 70_000_000)));
        members.note_answer(0, Duration::from_micros(300));
        assert_eq!(members.propose(now), 70_000_800);
        let later = now + Duration::from_secs(1);
        assert_eq!(members.propose(later), 71_000_800);
    }
}
