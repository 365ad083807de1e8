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

use super::observe::{self, observe};
use super::thread_end::Waits;
use super::{CallTrace, Caller, Command, WeakCommands};
use crate::Error;
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
/// How long holders may take to notice a shutdown, before their leases are released under them.
const LONGEST_GRACE: Duration = Duration::from_millis(250);

pub(super) struct Driver<B> {
    pub(super) keeper: Keeper,
    backend: B,
    inbox: UnboundedReceiver<Command>,
    pub(super) commands: WeakCommands,
    pub(super) entries: HashMap<u64, Entry>,
    shutdown: Option<Shutdown>,
    pub(super) waits: Waits,
}

/// What is asked for, or held, on behalf of callers.
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) tenure: Option<Arc<Tenure>>,
    extended: Option<oneshot::Sender<Result<(), Error>>>,
    released: Option<oneshot::Sender<()>>,
}

struct Shutdown {
    force_at: Time,
    give_up_at: Time,
    reply: oneshot::Sender<Result<(), Error>>,
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
            shutdown: None,
            waits: Waits::new(),
        }
    }

    /// Runs until all callers are gone and nothing is left to release.
    pub(super) async fn run(&mut self) {
        let mut sleep = pin!(tokio::time::sleep(LONGEST_SLEEP));
        let mut inputs = Inputs::default();
        while !(inputs.all_callers_gone && self.keeper.unfinished() == 0) {
            poll_fn(|cx| self.poll_inputs(cx, sleep.as_mut(), &mut inputs)).await;
            let now = Time::now();
            for command in inputs.commands.drain(..) {
                self.on_command(now, command);
            }
            for event in inputs.events.drain(..) {
                self.keeper.on_event(now, event);
            }
            self.keeper.on_time(now);
            let failures = self.commands.shared.queues().expire(now);
            self.fail(now, failures);
            for attempt in self.keeper.take_overdue() {
                self.backend.overdue(attempt);
            }
            self.go_on_with_shutdown(now);
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

    fn poll_inputs(
        &mut self,
        cx: &mut Context<'_>,
        mut sleep: Pin<&mut Sleep>,
        inputs: &mut Inputs,
    ) -> Poll<()> {
        let mut is_ready = false;
        if !inputs.all_callers_gone
            && let Poll::Ready(count) = self.inbox.poll_recv_many(cx, &mut inputs.commands, BATCH)
        {
            inputs.all_callers_gone = count == 0;
            is_ready = true;
        }
        while inputs.events.len() < BATCH {
            let Poll::Ready(event) = self.backend.poll_event(cx) else {
                break;
            };
            inputs.events.push(event);
            is_ready = true;
        }
        if is_ready {
            return Poll::Ready(());
        }
        let shutdown = self
            .shutdown
            .as_ref()
            .map_or(Time::NEVER, |shutdown| shutdown.force_at);
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

    fn on_command(&mut self, now: Time, command: Command) {
        match command {
            Command::Order(order) => {
                // Sent outside of the queues' mutex, so it may come after what took it back.
                if self.commands.shared.queues().is_due(&order) {
                    self.follow(now, [order]);
                }
            }
            Command::Release { id, done } => {
                if let Some(entry) = self.entries.get_mut(&id) {
                    entry.released = done;
                }
                self.keeper.release(now, id);
            }
            Command::Extend { id, ttl, reply } => {
                let Some(entry) = self.entries.get_mut(&id) else {
                    return;
                };
                entry.extended = Some(reply);
                self.commands.shared.queues().extended(&entry.key, id);
                self.keeper.extend(now, id, ttl);
            }
            Command::Wake => {}
            Command::AwaitReleases { waits } => self.waits.push(waits),
            Command::Shutdown { within, reply } => {
                self.keeper.close(now);
                let grace = (within / 4).min(LONGEST_GRACE);
                self.shutdown = Some(Shutdown {
                    force_at: now + grace,
                    give_up_at: now + within,
                    reply,
                });
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
                        extended: None,
                        released: None,
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
        // Without a way back there is no caller either.
        let Some(commands) = self.commands.upgrade() else {
            return self.keeper.release(now, id);
        };
        let key = &entry.key;
        let mut queues = self.commands.shared.queues();
        let adopted = queues
            .adopt(key, id)
            .and_then(|terms| self.keeper.adopt(now, id, terms));
        let valid_until = adopted.unwrap_or(valid_until);
        let tenure = Tenure::new(id, key.clone(), valid_until, commands.clone());
        let tenure = Arc::clone(entry.tenure.insert(Arc::new(tenure)));
        let released = queues.granted(now, key, id, granted, valid_until);
        drop(queues);
        let next = match released {
            Released::Passed {
                waiter,
                token,
                order,
            } => {
                self.follow(now, order);
                if commands.deliver(&tenure, waiter, token) {
                    return;
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
        let trace = entry
            .tenure
            .as_ref()
            .map_or_else(CallTrace::none, |tenure| tenure.holder_trace());
        observe(&shared.counters, &trace, key, &notice);
        match notice {
            Notice::Acquired {
                granted,
                valid_until,
            } => self.on_acquired(now, id, granted, valid_until),
            Notice::Waiting { ends_in } => {
                let mut queues = shared.queues();
                let (first, failures) = queues.held(now, key, id, ends_in);
                if let Some(waiter) = first {
                    let trace = &waiter.caller.trace;
                    observe::waiting(&shared.counters, trace, key, Some(ends_in));
                }
                drop(queues);
                self.fail(now, failures);
            }
            Notice::Trouble(error) => {
                let failures = shared.queues().troubled(now, key, id, error);
                self.fail(now, failures);
            }
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
            Notice::Extended(answer) => {
                if let Some(extended) = entry.extended.take() {
                    drop(extended.send(answer));
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

    fn go_on_with_shutdown(&mut self, now: Time) {
        let Some(mut shutdown) = self.shutdown.take() else {
            return;
        };
        if now >= shutdown.force_at {
            self.keeper.release_all(now);
            shutdown.force_at = shutdown.give_up_at;
        }
        let leases = self.keeper.unfinished();
        let answer = match leases {
            0 => Ok(()),
            _ if now >= shutdown.give_up_at => Err(Error::Unreleased { leases }),
            _ => {
                self.shutdown = Some(shutdown);
                return;
            }
        };
        drop(shutdown.reply.send(answer));
    }
}

impl<B> Drop for Driver<B> {
    /// Nobody waits for a thread that is gone.
    fn drop(&mut self) {
        // Their callers hear of it by the end of their channels.
        drop(self.commands.shared.queues().close());
    }
}

fn tell_released(waiting: Option<oneshot::Sender<()>>) {
    // Whoever does not wait any longer need not be told.
    let _gone = waiting.is_some_and(|waiting| waiting.send(()).is_err());
}
