//! The loop of the I/O thread.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use super::call::Check;
use super::observe::{self, observe};
use super::shutdown::Shutdown;
use super::thread_end::Waits;
use super::{CallTrace, Caller, Command, Reply, WeakCommands, wake};
use crate::backend::{Backend, Event, Granted};
use crate::clock::Time;
use crate::key::Key;
use crate::lease::Tenure;
use crate::protocol::{Failures, Keeper, Notice, Order, Released};

/// How many commands and events are taken in before attempts are sent.
const BATCH: usize = 128;
/// The longest sleep: tokio's clock stops in suspend, the leases' clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// With nothing to keep there is no hurry to notice a suspend.
const LONGEST_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
/// A deadline that is noticed so much too late means that the process stood still.
const STANDSTILL: Duration = Duration::from_millis(2);
/// How many turns of the runtime it takes until an answer in the socket has come to this loop: the
/// reactor, the connection's task, the call's task.
const TURNS_OF_AN_ANSWER: usize = 4;

pub(super) struct Driver<B> {
    pub(super) keeper: Keeper,
    backend: B,
    inbox: UnboundedReceiver<Command>,
    pub(super) commands: WeakCommands,
    pub(super) entries: HashMap<u64, Entry>,
    pub(super) shutdowns: Vec<Shutdown>,
    pub(super) waits: Waits,
    extensions: u64,
}

/// What is asked for, or held, on behalf of callers.
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) tenure: Option<Arc<Tenure>>,
    /// The extensions that wait for an answer, by their numbers.
    extended: Vec<(u64, Reply)>,
    released: Option<oneshot::Sender<()>>,
    /// Whether the first attempt to release has failed: a holder waits for no other one.
    is_delayed: bool,
}

/// What wakes the loop.
#[derive(Default)]
struct Inputs {
    commands: Vec<Command>,
    events: Vec<Event>,
    all_callers_gone: bool,
}

impl<B: Backend> Driver<B> {
    pub(super) fn new(
        keeper: Keeper,
        backend: B,
        inbox: UnboundedReceiver<Command>,
        commands: WeakCommands,
    ) -> Self {
        Self {
            keeper,
            backend,
            inbox,
            commands,
            entries: HashMap::new(),
            shutdowns: Vec::new(),
            waits: Waits::new(),
            extensions: 0,
        }
    }

    /// Runs until all callers are gone and nothing is left to release.
    pub(super) async fn run(&mut self) {
        let mut sleep = pin!(tokio::time::sleep(LONGEST_SLEEP));
        let mut inputs = Inputs::default();
        while !(inputs.all_callers_gone && self.keeper.unfinished() == 0) {
            poll_fn(|cx| self.poll_inputs(cx, sleep.as_mut(), &mut inputs)).await;
            // A deadline that is due costs no budget by itself: with one in every round, the
            // connections would never have theirs.
            tokio::task::coop::consume_budget().await;
            self.catch_up(&mut inputs).await;
            let now = Time::now();
            for command in inputs.commands.drain(..) {
                self.on_command(now, command);
            }
            for event in inputs.events.drain(..) {
                self.keeper.on_event(now, event);
            }
            self.keeper.on_time(now);
            let (failures, offers) = {
                let mut queues = self.commands.shared.queues();
                (queues.expire(now), queues.offers_due(now))
            };
            self.fail(now, failures);
            self.check_offers(now, offers);
            for attempt in self.keeper.take_overdue() {
                self.backend.overdue(attempt);
            }
            self.go_on_with_shutdowns(now);
            while let Some((id, notice)) = self.keeper.next_notice() {
                self.pass_on(now, id, notice);
            }
            if !self.waits.is_empty() && !self.keeper.is_releasing() {
                self.waits.clear();
            }
            let now = Time::now();
            while let Some(attempt) = self.keeper.next_attempt(now) {
                self.backend.submit(attempt);
            }
            self.backend.flush();
        }
    }

    /// Takes in what has come while the process stood still, before anything counts as overdue.
    async fn catch_up(&mut self, inputs: &mut Inputs) {
        if Time::now().since(self.keeper.wakeup()) < STANDSTILL {
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
        inputs: &mut Inputs,
    ) -> Poll<()> {
        if self.poll_messages(cx, inputs) {
            return Poll::Ready(());
        }
        let shutdowns = self.shutdowns.iter().map(Shutdown::due);
        let shutdown = shutdowns.min().unwrap_or(Time::NEVER);
        let now = Time::now();
        let deadline = self.commands.shared.queues().next_deadline(now);
        let wakeup = self.keeper.wakeup().min(shutdown).min(deadline);
        let longest = if self.keeper.unfinished() == 0 {
            LONGEST_IDLE
        } else {
            LONGEST_SLEEP
        };
        let pause = wakeup.since(now).min(longest);
        if pause.is_zero() {
            return Poll::Ready(());
        }
        // Registers the waker anew; a sleep that is over is never asked twice.
        sleep.as_mut().reset(Instant::now() + pause);
        sleep.poll(cx)
    }

    /// Returns whether there was any.
    fn poll_messages(&mut self, cx: &mut Context<'_>, inputs: &mut Inputs) -> bool {
        let mut has_any = false;
        if !inputs.all_callers_gone
            && let Poll::Ready(count) = self.inbox.poll_recv_many(cx, &mut inputs.commands, BATCH)
        {
            inputs.all_callers_gone = count == 0;
            has_any = true;
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

    fn on_command(&mut self, now: Time, command: Command) {
        match command {
            Command::Order(order) => {
                // Sent outside of the queues' mutex, so it may come after what took it back.
                let is_due = self.commands.shared.queues().is_due(&order);
                if is_due {
                    self.follow(now, [order]);
                }
            }
            Command::Release { id, done } => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    if entry.is_delayed {
                        tell_released(done);
                    } else {
                        entry.released = done;
                    }
                }
                self.keeper.release(now, id);
            }
            Command::Extend { id, ttl, reply } => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    self.extensions += 1;
                    entry.extended.push((self.extensions, reply));
                    self.keeper.extend(now, id, self.extensions, ttl);
                }
            }
            Command::Wake => {}
            Command::AwaitReleases { waits } => self.waits.push(waits),
            Command::Shutdown { within, reply } => {
                self.keeper.close(now);
                self.shutdowns.push(Shutdown::new(now, within, reply));
            }
        }
    }

    fn follow(&mut self, now: Time, orders: impl IntoIterator<Item = Order>) {
        for order in orders {
            match order {
                Order::Ask { id, terms, tokens } => {
                    let entry = Entry {
                        key: terms.key.clone(),
                        tenure: None,
                        extended: Vec::new(),
                        released: None,
                        is_delayed: false,
                    };
                    self.entries.insert(id, entry);
                    self.keeper.acquire(now, id, terms, tokens);
                }
                Order::Release { id } => self.keeper.release(now, id),
                Order::Refill { id, tokens } => self.keeper.refill(now, id, tokens),
            }
        }
    }

    /// A lease has come, for the one whose turn it is.
    fn on_acquired(&mut self, now: Time, id: u64, granted: Granted, valid_until: Time) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        // Every `Commands` handle is gone, so nobody can receive the grant.
        let Some(commands) = self.commands.upgrade() else {
            return self.keeper.release(now, id);
        };
        let key = &entry.key;
        let mut queues = self.commands.shared.queues();
        let adopted = queues
            .adopt(key, id)
            .and_then(|terms| self.keeper.adopt(now, id, terms));
        let valid_until = adopted.unwrap_or(valid_until);
        let tenure = Tenure::new(id, key.clone(), valid_until, self.commands.clone());
        let tenure = Arc::clone(entry.tenure.insert(Arc::new(tenure)));
        let released = queues.granted(now, key, id, granted, valid_until);
        drop(queues);
        let next = match released {
            Released::Passed {
                waiter,
                token,
                order,
                ..
            } => {
                self.follow(now, order);
                if let Ok(waker) = commands.deliver(&tenure, &waiter, token) {
                    return wake(waker);
                }
                match commands.pass_on(&tenure) {
                    Some(over) => over.next,
                    None => return,
                }
            }
            Released::Over { next } => next,
        };
        self.keeper.release(now, id);
        self.follow(now, next);
    }

    fn pass_on(&mut self, now: Time, id: u64, notice: Notice) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let shared = &self.commands.shared;
        let key = &entry.key;
        let trace = if let Some(tenure) = &entry.tenure {
            tenure.holder_trace()
        } else {
            // It is asked for on behalf of the first that waits.
            let first = shared.queues().first(key, id, |first| Arc::clone(&first.0));
            first.map_or_else(CallTrace::none, |first| first.trace().clone())
        };
        observe(&shared.counters, &trace, key, &notice);
        match notice {
            Notice::Acquired {
                granted,
                valid_until,
            } => self.on_acquired(now, id, granted, valid_until),
            Notice::Waiting { ends_in } => {
                let call = |caller: &Caller| Arc::clone(&caller.0);
                let (first, failures) = shared.queues().held(now, key, id, ends_in, call);
                if let Some(call) = first {
                    observe::waiting(&shared.counters, call.trace(), key, Some(ends_in));
                }
                self.fail(now, failures);
            }
            Notice::Trouble(error) => shared.queues().troubled(now, key, id, error),
            Notice::Failed(error) => {
                let failures = shared.queues().failed(key, id, error);
                self.fail(now, failures);
            }
            Notice::Renewed {
                granted,
                valid_until,
            } => {
                if let Some(tenure) = &entry.tenure {
                    tenure.prolong(valid_until);
                }
                shared.queues().renewed(now, key, id, granted, valid_until);
            }
            Notice::Extended { number, answer } => {
                let place = entry
                    .extended
                    .iter()
                    .position(|(asked, _)| *asked == number);
                if let Some(place) = place {
                    let (_, reply) = entry.extended.swap_remove(place);
                    // An error means that its caller waits no longer.
                    drop(reply.send(answer));
                }
            }
            Notice::Lost(reason) => {
                if let Some(tenure) = &entry.tenure {
                    tenure.end(reason);
                }
                let order = shared.queues().lost(key, id);
                self.follow(now, order);
            }
            Notice::Withdrawn | Notice::Released | Notice::ReleaseAbandoned => {
                let entry = self.entries.remove(&id);
                tell_released(entry.and_then(|entry| entry.released));
            }
            Notice::ReleaseDelayed(_) => {
                entry.is_delayed = true;
                tell_released(entry.released.take());
            }
            Notice::RenewalFailed(_) => {}
        }
    }

    /// Tells those who get no lease.
    fn fail(&mut self, now: Time, failures: Failures<Caller>) {
        for (waiter, error) in failures.callers {
            let key = waiter.key().clone();
            waiter
                .caller
                .refuse(&self.commands.shared.counters, &key, error);
        }
        self.follow(now, failures.orders);
    }

    /// Takes back the leases whose callers did not look for a claim window: they go to the next.
    fn check_offers(&mut self, now: Time, due: Vec<(Key, u64)>) {
        for (key, id) in due {
            let tenure = self
                .entries
                .get(&id)
                .and_then(|entry| entry.tenure.as_ref());
            let Some(holder) = tenure.and_then(|tenure| tenure.holder()) else {
                continue;
            };
            match holder.take_back(now, self.keeper.claim_window()) {
                Check::Over => {}
                Check::Since(since) => {
                    let mut queues = self.commands.shared.queues();
                    queues.check_offer(&key, id, since);
                }
                Check::TakenBack(grant) => {
                    observe::missed(&self.commands.shared.counters, holder.trace(), &key);
                    // As if its holder had finished.
                    drop(grant);
                }
            }
        }
    }
}

impl<B> Drop for Driver<B> {
    /// Nobody waits for a thread that is gone.
    fn drop(&mut self) {
        let waiting = self.commands.shared.queues().close();
        // Each is refused as it is dropped, outside of the mutex.
        drop(waiting);
    }
}

fn tell_released(waiting: Option<oneshot::Sender<()>>) {
    // An error means that the holder waits no longer.
    let _gone = waiting.is_some_and(|waiting| waiting.send(()).is_err());
}
