//! Confirmed replication: attempts whose answers count only after `WAIT` or `WAITAOF`.
//!
//! These commands block their connection, so such attempts have links of their own, beside those of
//! all other attempts: one for each server and each number of copies, dialled when the first attempt
//! asks for it. What is due while one of these links is blocked is gathered, and sent with one `WAIT`
//! for all. A link's `WAIT` covers everything that its server has written up to the link's own latest
//! write; therefore whatever is answered with success has written (`lua/attempts.lua`).

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tracing::warn;

use super::hello::Refusal;
use super::link::{LARGEST_BATCH, Link};
use super::scripts::{Call, Caller};
use super::{Answer, RedisBackend, RedisOptions, cluster, connect, failure};
use crate::backend::{Attempt, Confirmation, Event, Outcome, Reply};
use crate::clock::Time;

/// The copies that a link waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copies {
    replicas: u8,
    fsync: bool,
}

impl Copies {
    /// What the calls of a pool ask for that do not say so themselves.
    pub(super) fn by_default_of(options: &RedisOptions) -> Option<Self> {
        let (replicas, fsync) = (options.confirm_replicas, options.confirm_fsync);
        (replicas > 0 || fsync).then_some(Self { replicas, fsync })
    }

    /// Returns the command that blocks until these copies are there. A time of 0 would be for ever.
    fn wait(self, within: Duration) -> Cmd {
        let mut command = redis::cmd(if self.fsync { "WAITAOF" } else { "WAIT" });
        if self.fsync {
            command.arg(1);
        }
        let millis = within.as_millis().max(1).to_string();
        command.arg(self.replicas).arg(millis);
        command
    }

    fn wanted(self) -> u32 {
        u32::from(self.replicas) + u32::from(self.fsync)
    }

    /// Reads how many of these copies there are, of all that the server has.
    fn read(self, answer: &Value) -> Option<u32> {
        let number = |value: &Value| match value {
            Value::Int(number) => u32::try_from(*number).ok(),
            _ => None,
        };
        let (local, replicas) = match (answer, self.fsync) {
            (Value::Array(numbers), true) => match &numbers[..] {
                [local, replicas] => (number(local)?.min(1), number(replicas)?),
                _ => return None,
            },
            (answer, false) => (0, number(answer)?),
            _ => return None,
        };
        Some(local + replicas.min(self.replicas.into()))
    }
}

/// The place of a link that waits for confirmations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beside {
    /// The link to the same server for all other attempts.
    pub(super) home: usize,
    pub(super) copies: Copies,
}

/// What became of a confirmation.
pub(super) type Verdict = (Confirmation, RedisResult<Value>);

/// Asks for what the confirmations need, without waiting for any.
///
/// # Errors
///
/// For a server that lacks the command, or has no append-only file.
pub(super) async fn probe(
    connection: &mut MultiplexedConnection,
    copies: Copies,
) -> Result<(), Refusal> {
    let none = Copies {
        replicas: 0,
        ..copies
    };
    let answer = connection
        .send_packed_command(&none.wait(Duration::ZERO))
        .await
        .and_then(Value::extract_error)
        .map_err(|error| explain(&error))?;
    let all = Copies {
        replicas: u8::MAX,
        ..copies
    };
    let found = all.read(&answer).unwrap_or_default();
    if found < copies.wanted() {
        warn!(
            "the server has {found} of the {} copies that calls ask to be confirmed",
            copies.wanted()
        );
    }
    Ok(())
}

fn explain(error: &RedisError) -> Refusal {
    let text = error.to_string();
    let text = failure::without_args(&text);
    let reason = if text.to_ascii_lowercase().contains("unknown command") {
        "the server has no WAITAOF; Redis has it since 7.2, and Valkey".to_owned()
    } else if text.contains("appendonly") {
        "the server has no append-only file; set `appendonly yes` there".to_owned()
    } else {
        return failure::classify(error).error.into();
    };
    Refusal::Unfit {
        setting: "confirm_fsync",
        reason,
    }
}

impl RedisBackend {
    /// The link for attempts with this confirmation, to the server to which `home` leads. It is dialled
    /// if there is none.
    pub(super) fn link_beside(&mut self, home: usize, asked: Confirmation) -> usize {
        let Confirmation {
            replicas, fsync, ..
        } = asked;
        let copies = Copies { replicas, fsync };
        // Several links may lead to one server that is no cluster.
        let home = if self.cluster.is_some() { home } else { 0 };
        let beside = Some(Beside { home, copies });
        if let Some(link) = self.links.iter().position(|link| link.beside == beside) {
            if self.links[link].is_retired {
                self.links[link].is_retired = false;
                self.redial(link);
            }
            return link;
        }
        let link = self.links.len();
        let dialer = Arc::new(self.links[home].dialer.confirming(copies));
        let channel = connect::channel(&self.owners, link);
        let mut new = Link::undialled(dialer, channel, failure::disconnected());
        new.beside = beside;
        self.links.push(new);
        if let Some(cluster) = &mut self.cluster {
            cluster.has_link_beside(home);
        }
        self.redial(link);
        link
    }

    /// Sends what has been gathered for a link that waits for confirmations, unless it is blocked.
    pub(super) fn flush_beside(&mut self, link: usize) {
        let to = &mut self.links[link];
        let is_blocked = to.connection.as_ref().is_some_and(|by| by.is_asked());
        if is_blocked || !to.is_due(self.response_timeout) {
            return;
        }
        let mut outgoing = std::mem::take(&mut to.outgoing);
        let calls = if self.cluster.is_some() {
            cluster::by_slot(outgoing)
        } else {
            let mut calls = Vec::new();
            while !outgoing.is_empty() {
                let rest = outgoing.split_off(outgoing.len().min(LARGEST_BATCH));
                calls.push(std::mem::replace(&mut outgoing, rest));
            }
            calls
        };
        self.send_beside(link, calls, 0, false);
    }

    /// Sends these calls and one command for each kind of confirmation that they ask for.
    pub(super) fn send_beside(
        &mut self,
        link: usize,
        mut calls: Vec<Vec<Attempt>>,
        hops: u8,
        asks: bool,
    ) {
        let to = &mut self.links[link];
        let (Some(by), Some(Beside { copies, .. })) = (&mut to.connection, to.beside) else {
            return self.send(link, calls.concat());
        };
        let mut asked: Vec<Confirmation> = Vec::new();
        for confirmation in calls.iter().flatten().filter_map(|it| it.confirmation) {
            if !asked.contains(&confirmation) {
                asked.push(confirmation);
            }
        }
        // Who has little time is answered first.
        asked.sort_by_key(|confirmation| confirmation.within);
        let generation = by.generation;
        let mut shared = by.shared.clone();
        let caller = Caller {
            names: &self.names,
            channel: &to.channel,
            is_node: self.cluster.is_some(),
        };
        let mut sent: Vec<Call> = Vec::with_capacity(calls.len());
        let mut numbers = Vec::with_capacity(calls.len());
        for attempts in &mut calls {
            by.sent();
            self.sent += 1;
            numbers.push(self.sent);
            sent.push(Call::new(&caller, attempts, self.sent, &mut by.known));
            for attempt in attempts {
                self.in_flight.insert(attempt.id, link);
            }
        }
        by.blocks_for = asked.iter().map(|confirmation| confirmation.within).sum();
        let sent_at = Time::now();
        self.confirming.push(Box::pin(async move {
            let waits: Vec<Cmd> = asked.iter().map(|it| copies.wait(it.within)).collect();
            let (values, verdicts) = invoke(&mut shared, &sent, &waits, asks).await;
            let verdicts: Arc<[Verdict]> = asked.into_iter().zip(verdicts).collect();
            let answers = calls.into_iter().zip(numbers).zip(values);
            let answers = answers.map(|((attempts, number), value)| Answer {
                link,
                generation,
                number,
                sent_at,
                attempts,
                hops,
                value,
                verdicts: Some(Arc::clone(&verdicts)),
            });
            answers.collect()
        }));
    }

    /// Takes in the answers that came with one confirmation.
    pub(super) fn on_confirmed(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            self.on_answer(answer);
        }
        if self.done.is_empty() {
            self.done.push_back(Event::Room);
        }
    }
}

/// Turns successes into failures that were not confirmed.
pub(super) fn confirmed(
    attempts: &[Attempt],
    outcomes: Vec<Outcome>,
    verdicts: &[Verdict],
) -> Vec<Outcome> {
    let pairs = attempts.iter().zip(outcomes);
    let judged = pairs.map(
        |(attempt, outcome)| match (&outcome, attempt.confirmation) {
            (Ok(Reply::Renewed { .. } | Reply::Reserved(_) | Reply::Granted(_)), Some(asked)) => {
                judge(asked, verdicts).and(outcome)
            }
            _ => outcome,
        },
    );
    judged.collect()
}

fn judge(asked: Confirmation, verdicts: &[Verdict]) -> Result<(), crate::backend::Failure> {
    let Confirmation {
        replicas, fsync, ..
    } = asked;
    let copies = Copies { replicas, fsync };
    let verdict = verdicts.iter().find(|(of, _)| *of == asked);
    match verdict.map(|(_, answer)| answer) {
        Some(Ok(answer)) => match copies.read(answer) {
            Some(confirmed) if confirmed >= copies.wanted() => Ok(()),
            Some(confirmed) => Err(failure::unconfirmed(asked, confirmed, copies.wanted())),
            None => Err(failure::malformed()),
        },
        // The script was executed.
        Some(Err(error)) => Err(crate::backend::Failure {
            maybe_executed: true,
            ..failure::classify(error)
        }),
        None => Err(failure::malformed()),
    }
}

type Values = Vec<RedisResult<Value>>;

/// Sends all in one go. The text of a script that the server has forgotten is sent once more, as it is
/// without a confirmation.
async fn invoke(
    connection: &mut MultiplexedConnection,
    calls: &[Call],
    waits: &[Cmd],
    asks: bool,
) -> (Values, Values) {
    let commands = calls.iter().map(|call| call.command().clone());
    let (mut values, mut verdicts) = pass(connection, commands.collect(), waits, asks).await;
    let unknown = |value: &RedisResult<Value>| {
        let error = value.as_ref().err();
        error.is_some_and(|it| it.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
    };
    let forgotten: Vec<usize> = (0..values.len())
        .filter(|place| unknown(&values[*place]))
        .collect();
    if !forgotten.is_empty() {
        let texts = forgotten.iter().map(|place| calls[*place].by_text());
        let (again, later) = pass(connection, texts.collect(), waits, asks).await;
        for (place, value) in forgotten.into_iter().zip(again) {
            values[place] = value;
        }
        // It covers what was executed before, too.
        verdicts = later;
    }
    (values, verdicts)
}

async fn pass(
    connection: &mut MultiplexedConnection,
    calls: Vec<Cmd>,
    waits: &[Cmd],
    asks: bool,
) -> (Values, Values) {
    let (count, step) = (calls.len(), if asks { 2 } else { 1 });
    let mut pipeline = Pipeline::with_capacity(count * step + waits.len());
    for call in calls {
        if asks {
            pipeline.cmd("ASKING");
        }
        pipeline.add_command(call);
    }
    for wait in waits {
        pipeline.add_command(wait.clone());
    }
    let expected = count * step + waits.len();
    let answers = connection
        .send_packed_commands(&pipeline, 0, expected)
        .await;
    let mut answers = match answers {
        Ok(answers) if answers.len() == expected => answers.into_iter(),
        Ok(_) => {
            let lost = || Err(RedisError::from((ErrorKind::Parse, "an answer is missing")));
            return (
                (0..count).map(|_| lost()).collect(),
                waits.iter().map(|_| lost()).collect(),
            );
        }
        Err(error) => {
            let lost = || Err(error.clone());
            return (
                (0..count).map(|_| lost()).collect(),
                waits.iter().map(|_| lost()).collect(),
            );
        }
    };
    let values = answers.by_ref().take(count * step);
    let values = values.skip(step - 1).step_by(step);
    let values = values.map(Value::extract_error).collect();
    (values, answers.map(Value::extract_error).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Copies = Copies {
        replicas: 2,
        fsync: false,
    };
    const WAITAOF: Copies = Copies {
        replicas: 1,
        fsync: true,
    };

    fn text(command: &Cmd) -> String {
        String::from_utf8(command.get_packed_command()).unwrap()
    }

    fn both(local: i64, replicas: i64) -> Value {
        Value::Array(vec![Value::Int(local), Value::Int(replicas)])
    }

    #[test]
    fn the_command_never_blocks_for_ever() {
        let wait = text(&WAIT.wait(Duration::ZERO));
        assert_eq!(wait, "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$1\r\n1\r\n");
        let wait = text(&WAITAOF.wait(Duration::from_millis(250)));
        assert_eq!(
            wait,
            "*4\r\n$7\r\nWAITAOF\r\n$1\r\n1\r\n$1\r\n1\r\n$3\r\n250\r\n"
        );
    }

    #[test]
    fn copies_are_counted() {
        assert_eq!(WAIT.read(&Value::Int(1)), Some(1));
        assert_eq!(WAIT.read(&Value::Int(7)), Some(2));
        assert_eq!(WAITAOF.read(&both(1, 1)), Some(2));
        // More replicas are not instead of the server's own file.
        assert_eq!(WAITAOF.read(&both(0, 5)), Some(1));
        for nonsense in [Value::Nil, Value::Int(-1), both(1, 1), Value::Okay] {
            assert_eq!(WAIT.read(&nonsense), None);
        }
        for nonsense in [Value::Int(2), both(-1, 1), Value::Array(vec![])] {
            assert_eq!(WAITAOF.read(&nonsense), None);
        }
    }

    #[test]
    fn what_is_not_confirmed_does_not_count() {
        let asked = Confirmation {
            replicas: 2,
            fsync: false,
            within: Duration::from_millis(70),
        };
        judge(asked, &[(asked, Ok(Value::Int(2)))]).unwrap();
        let failed = judge(asked, &[(asked, Ok(Value::Int(1)))]).unwrap_err();
        assert!(failed.maybe_executed && failed.passing);
        let text = failed.error.to_string();
        for part in ["1 of 2 replicas", "70ms", "confirm_replicas"] {
            assert!(text.contains(part), "{text}");
        }
        // Nor is the confirmation of less.
        let less = Confirmation {
            replicas: 1,
            ..asked
        };
        judge(asked, &[(less, Ok(Value::Int(2)))]).unwrap_err();
        judge(asked, &[(asked, Ok(Value::Nil))]).unwrap_err();
        let refused = RedisError::from((ErrorKind::Io, "gone"));
        judge(asked, &[(asked, Err(refused))]).unwrap_err();
    }
}
