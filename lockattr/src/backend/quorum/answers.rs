//! What the answers of the servers mean for a ballot.

use std::time::Duration;

use super::ballot::Ballot;
use super::seat::{Answer, Asked, Seat, Vote, What};
use crate::backend::{AttemptId, BackendError, BackendErrorKind, Granted, Outcome, Reply};
use crate::clock::Time;

impl Ballot {
    /// Takes in the answer of a server, if it is the one that is waited for. Returns how long it took.
    pub(super) fn on_outcome(
        &mut self,
        now: Time,
        member: usize,
        id: AttemptId,
        outcome: Outcome,
    ) -> Option<Duration> {
        let seat = &mut self.seats[member];
        let is_asked = |asked: &mut Asked| asked.number == id.number;
        if seat.owner.lease != id.lease {
            return None;
        }
        let asked = seat.asked.take_if(is_asked)?;
        let answer = Self::answer(now, seat, asked, outcome);
        seat.answer = match (answer, asked.what) {
            // What the server was asked before is answered still.
            (Answer::Reserved { .. }, What::Raise) => seat.answer.take(),
            (answer, _) => Some(answer),
        };
        Some(now.since(asked.sent_at))
    }

    fn answer(now: Time, seat: &mut Seat, asked: Asked, outcome: Outcome) -> Answer {
        let reply = match outcome {
            Ok(reply) => reply,
            Err(failure) => {
                let is_acquire = matches!(asked.what, What::Acquire { .. });
                seat.unsure |= is_acquire && failure.maybe_executed;
                if is_acquire && !failure.maybe_executed && !asked.was_touched {
                    (seat.touched, seat.queued) = (false, false);
                }
                return Answer::Failed {
                    error: failure.error,
                    unknown: failure.maybe_executed,
                };
            }
        };
        match (asked.what, reply) {
            (What::Acquire { ttl }, Reply::Granted(granted)) => {
                seat.grant(Vote {
                    since: asked.sent_at,
                    ttl,
                    tokens: granted.tokens,
                    contended: granted.contended,
                    counts: false,
                });
                Answer::Granted
            }
            (What::Acquire { .. }, Reply::Held { ends_in, .. }) => {
                seat.vote = None;
                Answer::Held { ends_in }
            }
            (What::Renew { ttl }, Reply::Renewed { contended }) => {
                // The lease had not ended by now, so it has not ended before the renewal.
                let Some(vote) = seat.vote.as_mut().filter(|vote| vote.is_live(now)) else {
                    seat.vote = None;
                    return Answer::Gone;
                };
                if vote.ends() < asked.sent_at + ttl {
                    (vote.since, vote.ttl) = (asked.sent_at, ttl);
                }
                vote.contended = contended;
                Answer::Renewed
            }
            (What::Reserve | What::Raise, Reply::Reserved(granted)) => {
                seat.top = seat.top.max(granted.tokens.end - 1);
                Answer::Reserved {
                    tokens: granted.tokens,
                    contended: granted.contended,
                }
            }
            (What::Renew { .. } | What::Reserve | What::Raise, Reply::Gone) => {
                seat.vote = None;
                Answer::Gone
            }
            (What::Release, Reply::Released) => {
                seat.vote = None;
                (seat.touched, seat.queued) = (false, false);
                Answer::Released
            }
            (_, reply) => Answer::Failed {
                error: BackendError::new(
                    BackendErrorKind::Malformed,
                    format!("an answer to another question: {reply:?}"),
                ),
                unknown: true,
            },
        }
    }

    /// A server made this owner the holder there.
    pub(super) fn on_handoff(
        &mut self,
        member: usize,
        granted: Granted,
        since: Time,
        ttl: Duration,
    ) {
        let seat = &mut self.seats[member];
        if seat
            .vote
            .as_ref()
            .is_none_or(|old| old.ends() < since + ttl)
        {
            seat.grant(Vote {
                since,
                ttl,
                tokens: granted.tokens,
                contended: granted.contended,
                counts: false,
            });
        }
    }
}
