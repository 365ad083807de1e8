//! Answers and messages of the server.

use std::time::Duration;

use redis::Value;
use tracing::warn;

use super::cluster::Redirect;
use super::reply::Question;
use super::{Answer, RedisBackend, confirm, failure, reply};
use crate::backend::{Event, Failure, Outcome};
use crate::clock::Time;

impl RedisBackend {
    /// Splits an answer into outcomes. They are reported one by one, in order.
    pub(super) fn on_answer(&mut self, answer: Answer) {
        if let Err(error) = &answer.value
            && let Some(redirect) = Redirect::of(error)
            && self.cluster.is_some()
        {
            if let Some(by) = self.links[answer.link].current(answer.generation) {
                by.answered();
            }
            return self.send_on(answer, &redirect);
        }
        let Answer {
            link,
            generation,
            number,
            sent_at,
            attempts,
            value,
            verdicts,
            ..
        } = answer;
        let questions = || attempts.iter().map(Question::of);
        let current = self.links[link].current(generation);
        let is_current = current.is_some();
        if let Some(connection) = current {
            connection.answered();
        }
        let all = |failed: &Failure| attempts.iter().map(|_| Err(failed.clone())).collect();
        let outcomes: Vec<Outcome> = match value {
            Ok(value) => match reply::read_answer(questions(), &value) {
                _ if reply::read_call(&value).is_some_and(|call| call != number) => {
                    if is_current {
                        self.replace(link, failure::confused());
                    }
                    all(&failure::lost_on_the_way(failure::confused()))
                }
                Some(answer) => {
                    if let Some(time) = answer.time.filter(|_| is_current) {
                        self.links[link].clocks = Some((sent_at, time));
                        #[cfg(feature = "metrics")]
                        crate::metrics::connection::showed_its_clock(
                            time,
                            Time::now().since(sent_at),
                        );
                    }
                    answer.outcomes
                }
                None => all(&failure::malformed()),
            },
            Err(error) => {
                let failed = failure::classify(&error);
                if is_current && failure::spoils_the_connection(&error) {
                    self.replace(link, failed.error.clone());
                }
                all(&failed)
            }
        };
        let outcomes = match verdicts {
            Some(verdicts) => confirm::confirmed(&attempts, outcomes, &verdicts),
            None => outcomes,
        };
        // A server that has become a replica answers each attempt with an error.
        let spoilt = outcomes.iter().find_map(|outcome: &Outcome| {
            let failed = outcome.as_ref().err()?;
            failure::is_replica(failed).then(|| failed.error.clone())
        });
        for (id, outcome) in attempts.iter().map(|attempt| attempt.id).zip(outcomes) {
            // A late answer still measures the round trip.
            let is_late = is_current && outcome.is_ok();
            if self.in_flight.remove(&id).is_some() || is_late {
                self.done.push_back(Event::Done(id, outcome));
            }
        }
        if let Some(error) = spoilt.filter(|_| is_current) {
            self.replace(link, error);
        }
    }

    /// Ignores handoffs of a replaced connection, since its server may have another clock: waiters
    /// ask again.
    pub(super) fn on_message(
        &mut self,
        link: usize,
        generation: u64,
        message: &Value,
    ) -> Option<Event> {
        let Some(handoff) = reply::read_handoff(message, &self.owners) else {
            warn!(
                link,
                "a message that makes no sense on the channel of this pool"
            );
            return None;
        };
        let from = &mut self.links[link];
        from.current(generation)?.hears();
        let clocks = from.clocks?;
        let since = since(clocks, handoff.at);
        Some(Event::HandedOver {
            owner: handoff.owner,
            granted: handoff.granted,
            since,
            ttl: handoff.ttl,
        })
    }
}

/// Returns a time on our clock when the server's clock showed `at`, or earlier: the server's time
/// that has passed since a moment known on both clocks, less 1 % of it for the drift between them.
/// Never later than now, whatever the server's clock did.
pub(super) fn since((sent_at, then): (Time, u64), at: u64) -> Time {
    let micros = if at >= then {
        let passed = at - then;
        sent_at + Duration::from_micros(passed - passed / 100)
    } else {
        Time::from_nanos(
            sent_at
                .as_nanos()
                .saturating_sub((then - at).saturating_mul(1000)),
        )
    };
    micros.min(Time::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handoff_is_never_dated_too_late() {
        let second = Duration::from_secs(1);
        let sent_at = Time::from_nanos(Time::now().as_nanos() - 10 * 1_000_000_000);
        let known = (sent_at, 5_000_000);
        assert_eq!(since(known, 5_000_000), sent_at);
        assert_eq!(since(known, 6_000_000), sent_at + second * 99 / 100);
        assert_eq!(since(known, 4_000_000) + second, sent_at);
        // The server's clock was set forward by an hour.
        assert!(since(known, 3_605_000_000) <= Time::now());
    }
}
