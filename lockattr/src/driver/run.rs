//! The loop of the I/O thread: it moves events and attempts between the coordinator and a backend.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, Sleep};

use super::questions::Question;
use super::tenure::Tenure;
use super::{Effect, WeakCommands};
use crate::backend::{Attempt, Backend, Event, LeaseId};
use crate::clock::Time;

/// The most events taken in before attempts are sent.
const BATCH: usize = 128;
/// The longest sleep: tokio's clock stops in suspend, the leases' clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Without leases the loop need not notice a suspend soon.
const LONGEST_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
/// A deadline that is noticed this much too late means that the process stood still.
const STANDSTILL: Duration = Duration::from_millis(2);
/// Enough turns of the runtime for an answer in the socket to reach this loop, through the reactor
/// and the connection's task.
const TURNS_OF_AN_ANSWER: usize = 4;

pub(super) struct Driver<B> {
    backend: B,
    questions: UnboundedReceiver<Question>,
    pub(super) commands: WeakCommands,
    /// The tenures of granted leases, until nothing of them is on the server.
    pub(super) tenures: HashMap<LeaseId, Arc<Tenure>>,
    /// The effects of the present round that are still to be performed.
    pub(super) effects: VecDeque<Effect>,
    pub(super) attempts: Vec<Attempt>,
    /// The earliest deadline at the end of the latest round.
    wakeup: Time,
}

/// What wakes the loop, besides the time.
struct Inputs<'a, 'n> {
    woken: Pin<&'a mut Notified<'n>>,
    wake: &'n Notify,
    events: Vec<Event>,
}

impl<B: Backend> Driver<B> {
    pub(super) fn new(
        backend: B,
        questions: UnboundedReceiver<Question>,
        commands: WeakCommands,
    ) -> Self {
        Self {
            backend,
            questions,
            commands,
            tenures: HashMap::new(),
            effects: VecDeque::new(),
            attempts: Vec::new(),
            wakeup: Time::NEVER,
        }
    }

    /// Runs until all callers are gone and nothing is left to release.
    pub(super) async fn run(&mut self) {
        let shared = Arc::clone(&self.commands.shared);
        let mut sleep = pin!(tokio::time::sleep(LONGEST_SLEEP));
        let mut inputs = Inputs {
            woken: pin!(shared.wake.notified()),
            wake: &shared.wake,
            events: Vec::new(),
        };
        let mut unfinished = 0;
        while self.commands.has_callers() || unfinished > 0 {
            poll_fn(|cx| self.poll_inputs(cx, sleep.as_mut(), &mut inputs)).await;
            // A deadline that is due costs no budget by itself: with one in every round, the
            // connections would never get to run.
            tokio::task::coop::consume_budget().await;
            self.catch_up(&mut inputs).await;
            unfinished = self.round(&mut inputs.events);
        }
    }

    /// Runs one round of the coordinator, and performs its effects. Returns how many leases are
    /// unfinished.
    fn round(&mut self, events: &mut Vec<Event>) -> usize {
        let now = self.commands.now();
        let (overdue, unfinished) = {
            let mut coordinator = self.commands.shared.coordinator();
            for event in events.drain(..) {
                coordinator.on_event(now, event);
            }
            coordinator.on_time(now);
            coordinator.swap_effects(&mut self.effects);
            let room = |lane, waiting| self.backend.room(lane, waiting);
            coordinator.send(now, room, &mut self.attempts);
            self.wakeup = coordinator.wakeup();
            (coordinator.take_overdue(), coordinator.unfinished())
        };
        for attempt in overdue {
            self.backend.overdue(attempt);
        }
        while let Some(effect) = self.effects.pop_front() {
            self.perform(now, effect);
        }
        for attempt in self.attempts.drain(..) {
            self.backend.submit(attempt);
        }
        self.backend.flush();
        unfinished
    }

    /// Takes in the events that came while the process stood still, before anything counts as
    /// overdue.
    async fn catch_up(&mut self, inputs: &mut Inputs<'_, '_>) {
        if self.commands.now().since(self.wakeup) < STANDSTILL {
            return;
        }
        for _ in 0..TURNS_OF_AN_ANSWER {
            tokio::task::yield_now().await;
            poll_fn(|cx| {
                let _has_any = self.poll_messages(cx, inputs);
                Poll::Ready(())
            })
            .await;
        }
    }

    fn poll_inputs(
        &mut self,
        cx: &mut Context<'_>,
        mut sleep: Pin<&mut Sleep>,
        inputs: &mut Inputs<'_, '_>,
    ) -> Poll<()> {
        if self.poll_messages(cx, inputs) {
            return Poll::Ready(());
        }
        let now = self.commands.now();
        let (wakeup, unfinished) = {
            let mut coordinator = self.commands.shared.coordinator();
            (coordinator.sleep(now), coordinator.unfinished())
        };
        let longest = if unfinished == 0 {
            LONGEST_IDLE
        } else {
            LONGEST_SLEEP
        };
        let pause = wakeup.since(now).min(longest);
        if pause.is_zero() {
            return Poll::Ready(());
        }
        // Registers the waker again; a sleep that is over is never polled twice.
        sleep.as_mut().reset(Instant::now() + pause);
        sleep.poll(cx)
    }

    /// Returns whether anything came.
    fn poll_messages(&mut self, cx: &mut Context<'_>, inputs: &mut Inputs<'_, '_>) -> bool {
        let mut has_any = false;
        if inputs.woken.as_mut().poll(cx).is_ready() {
            inputs.woken.set(inputs.wake.notified());
            has_any = true;
        }
        while let Poll::Ready(Some(question)) = self.questions.poll_recv(cx) {
            question.ask(&self.backend);
        }
        while inputs.events.len() < BATCH {
            let Poll::Ready(event) = self.backend.poll_event(cx) else {
                break;
            };
            inputs.events.push(event);
            has_any = true;
        }
        has_any
    }
}

impl<B> Drop for Driver<B> {
    /// A thread that is gone answers no request.
    fn drop(&mut self) {
        let forgotten = self.commands.shared.coordinator().end();
        // Each waiter is refused as it is dropped, outside of the mutex.
        drop(forgotten);
    }
}
