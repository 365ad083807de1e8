//! The conformance suite on a quorum of servers in memory, and what it does where some fail.

use std::task::{Context, Poll};
use std::time::Duration;

use super::{Member, Quorum};
use crate::backend::memory::MemoryBackend;
use crate::backend::{
    Attempt, Backend, BackendError, BackendErrorKind, Capabilities, Event, Failure, OwnerIds,
};
use crate::clock::Time;
use crate::conformance::Conformance;

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Good,
    /// Its answers never come.
    Mute,
    /// It cannot be reached.
    Gone,
}

struct Server {
    memory: MemoryBackend,
    mood: Mood,
    failed: Vec<Event>,
}

impl Backend for Server {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    fn submit(&mut self, attempt: Attempt) {
        match self.mood {
            Mood::Good => self.memory.submit(attempt),
            Mood::Mute => {}
            Mood::Gone => {
                let error = BackendError::new(BackendErrorKind::Unreachable, "connection refused");
                let failure = Failure::not_executed(error);
                self.failed.push(Event::Done(attempt.id, Err(failure)));
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        match self.failed.pop() {
            Some(event) => Poll::Ready(event),
            None => self.memory.poll_event(cx),
        }
    }
}

impl Member for Server {
    fn clock(&self) -> Option<(Time, u64)> {
        None
    }
}

/// Connects a process to servers that all processes of this name share.
fn connect(name: &str, moods: &[Mood]) -> Quorum<Server> {
    let server = |(number, mood): (usize, &Mood)| {
        let name = format!("quorum:{name}:{number}");
        let server = Server {
            memory: MemoryBackend::named(&name),
            mood: *mood,
            failed: Vec::new(),
        };
        (name, server)
    };
    let members = moods.iter().enumerate().map(server).collect();
    Quorum::new(members, PATIENCE, OwnerIds::random().unwrap())
}

async fn conforms(name: &'static str, moods: &'static [Mood]) {
    let all = Conformance::new(move |_| async move { Ok(connect(name, moods)) });
    all.check().await.unwrap();
}

#[tokio::test]
async fn three_servers_conform() {
    conforms("three", &[Mood::Good; 3]).await;
}

#[tokio::test]
async fn five_servers_conform_without_two_that_are_silent_or_gone() {
    use Mood::{Gone, Good, Mute};
    conforms("five", &[Good, Mute, Good, Gone, Good]).await;
}

#[tokio::test]
async fn one_server_and_an_even_number_conform() {
    conforms("one", &[Mood::Good]).await;
    conforms("four", &[Mood::Good; 4]).await;
}
