//! Confirmed replication: attempts whose answers count only after `WAIT` or `WAITAOF`.
//!
//! These commands block their connection, so such attempts have links of their own, beside those of
//! all other attempts: one for each server and each number of copies, dialled when the first attempt
//! asks for it. What is due while one of these links is blocked is gathered, and sent with one `WAIT`
//! for all. A link's `WAIT` covers everything that its server has written up to the link's own latest
//! write; therefore whatever is answered with success has written (`lua/attempts.lua`).

mod copies;

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

use super::connection::Connection;
use super::link::Link;
use super::scripts::{Call, Caller};
use super::{Answer, RedisBackend, connect, failure};
use crate::backend::{Attempt, Confirmation, Event};
use crate::clock::Time;
pub(super) use copies::{Copies, Verdict, confirmed, probe};

/// The place of a link that waits for confirmations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beside {
    /// The link to the same server for all other attempts.
    pub(super) home: usize,
    pub(super) copies: Copies,
}

impl RedisBackend {
    /// The link for attempts with this confirmation, to the server to which `home` leads. It is dialled
    /// if there is none.
    pub(super) fn link_beside(&mut self, home: usize, asked: Confirmation) -> usize {
        let copies = Copies::of(asked);
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
        let is_blocked = to.connection.as_ref().is_some_and(Connection::is_asked);
        if is_blocked || !to.is_due(self.response_timeout) {
            return;
        }
        let outgoing = std::mem::take(&mut to.outgoing);
        let calls = self.calls_of(outgoing);
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
            voice: self.voice,
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
    let answers: Values = match answers {
        Ok(answers) if answers.len() == expected => {
            answers.into_iter().map(Value::extract_error).collect()
        }
        Ok(_) => {
            let lost = RedisError::from((ErrorKind::Parse, "an answer is missing"));
            vec![Err(lost); expected]
        }
        Err(error) => vec![Err(error); expected],
    };
    let mut answers = answers.into_iter();
    let values = answers.by_ref().take(count * step);
    let values = values.skip(step - 1).step_by(step).collect();
    (values, answers.collect())
}
