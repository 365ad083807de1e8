//! A lock service in memory that fails and answers late when a test says so.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::backend::memory::MemoryBackend;
use crate::backend::{
    Attempt, Backend, BackendError, BackendErrorKind, Capabilities, Event, Examination, Failure,
    Inspector,
};

/// What is wrong with the service now.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Now>>);

#[derive(Debug, Default)]
struct Now {
    fails: bool,
    delay: Duration,
    /// Called when the delay changes.
    waker: Option<Waker>,
}

impl Faults {
    pub(super) fn set_failing(&self, fails: bool) {
        self.now().fails = fails;
    }

    pub(super) fn set_delay(&self, delay: Duration) {
        let waker = {
            let mut now = self.now();
            now.delay = delay;
            now.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The service, with its faults.
#[derive(Debug)]
pub(super) struct FaultyService {
    memory: MemoryBackend,
    faults: Faults,
    /// The failures that are still to be told.
    failed: VecDeque<Event>,
    /// The answers on their way, and when they were sent.
    on_the_way: VecDeque<(Instant, Event)>,
    arrival: Pin<Box<Sleep>>,
}

impl FaultyService {
    pub(super) fn new(memory: MemoryBackend, faults: Faults) -> Self {
        Self {
            memory,
            faults,
            failed: VecDeque::new(),
            on_the_way: VecDeque::new(),
            arrival: Box::pin(sleep(Duration::ZERO)),
        }
    }
}

impl Backend for FaultyService {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    fn submit(&mut self, attempt: Attempt) {
        if !self.faults.now().fails {
            return self.memory.submit(attempt);
        }
        let message = "the test has told the lock service to fail";
        let error = BackendError::new(BackendErrorKind::Unavailable, message);
        let failed = Err(Failure::not_executed(error));
        self.failed.push_back(Event::Done(attempt.id(), failed));
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(failed) = self.failed.pop_front() {
            return Poll::Ready(failed);
        }
        while let Poll::Ready(event) = self.memory.poll_event(cx) {
            self.on_the_way.push_back((Instant::now(), event));
        }
        let Some((sent_at, _)) = self.on_the_way.front() else {
            return Poll::Pending;
        };
        let arrives_at = {
            let mut now = self.faults.now();
            now.waker = Some(cx.waker().clone());
            *sent_at + now.delay
        };
        if arrives_at > Instant::now() {
            self.arrival.as_mut().reset(arrives_at);
            ready!(self.arrival.as_mut().poll(cx));
        }
        let arrived = self.on_the_way.pop_front();
        arrived.map_or(Poll::Pending, |(_, event)| Poll::Ready(event))
    }

    fn examine(&self) -> Examination {
        self.memory.examine()
    }

    fn inspector(&self) -> Option<Inspector> {
        self.memory.inspector()
    }
}
