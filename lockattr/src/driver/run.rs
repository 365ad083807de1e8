//! The loop of the I/O thread.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use tracing::Span;

use super::observe::observe;
use super::{Command, Grant, WeakCommands};
use crate::Error;
use crate::backend::{Backend, Event};
use crate::clock::Time;
use crate::key::Key;
use crate::lease::Lease;
use crate::protocol::{Keeper, Notice};

/// How many commands and events are taken in before attempts are sent.
const BATCH: usize = 128;
/// The longest sleep: tokio's clock stops in suspend, the leases' clock does not.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// With nothing to keep there is no hurry to notice a suspend.
const LONGEST_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long holders may take to notice a shutdown, before their leases are released under them.
const LONGEST_GRACE: Duration = Duration::from_millis(250);

pub(super) struct Driver<B> {
    keeper: Keeper,
    backend: B,
    inbox: UnboundedReceiver<Command>,
    commands: WeakCommands,
    callers: HashMap<u64, Caller>,
    shutdown: Option<Shutdown>,
}

/// Whom to tell what becomes of an acquisition.
struct Caller {
    key: Key,
    span: Span,
    granted: Option<oneshot::Sender<Result<Grant, Error>>>,
    lease: Option<Lease>,
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
            callers: HashMap::new(),
            shutdown: None,
        }
    }

    /// Runs until all callers are gone and nothing is left to release.
    pub(super) async fn run(mut self) {
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
            for attempt in self.keeper.take_overdue() {
                self.backend.overdue(attempt);
            }
            self.go_on_with_shutdown(now);
            while let Some((id, notice)) = self.keeper.next_notice() {
                self.pass_on(id, notice);
            }
            let now = Time::now();
            while let Some(attempt) = self.keeper.next_attempt(now) {
                self.backend.submit(attempt);
            }
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
        let wakeup = self.keeper.wakeup().min(shutdown);
        let longest = if self.keeper.unfinished() == 0 {
            LONGEST_IDLE
        } else {
            LONGEST_SLEEP
        };
        let pause = wakeup.since(Time::now()).min(longest);
        if pause.is_zero() {
            return Poll::Ready(());
        }
        // Registers the waker anew; a sleep that is over is never asked twice.
        sleep.as_mut().reset(Instant::now() + pause);
        sleep.poll(cx)
    }

    fn on_command(&mut self, now: Time, command: Command) {
        match command {
            Command::Acquire {
                id,
                terms,
                span,
                reply,
            } => {
                let caller = Caller {
                    key: terms.key.clone(),
                    span,
                    granted: Some(reply),
                    lease: None,
                    extended: None,
                    released: None,
                };
                self.callers.insert(id, caller);
                self.keeper.acquire(now, id, terms);
            }
            Command::Release { id, done } => {
                if let Some(caller) = self.callers.get_mut(&id) {
                    caller.released = done;
                }
                self.keeper.release(now, id);
            }
            Command::Extend { id, ttl, reply } => {
                let Some(caller) = self.callers.get_mut(&id) else {
                    return;
                };
                caller.extended = Some(reply);
                self.keeper.extend(now, id, ttl);
            }
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

    fn pass_on(&mut self, id: u64, notice: Notice) {
        let Some(caller) = self.callers.get_mut(&id) else {
            return;
        };
        observe(
            &self.commands.shared.counters,
            &caller.span,
            &caller.key,
            &notice,
        );
        match notice {
            Notice::Acquired { token, valid_until } => {
                // Without a way back there is no caller either, and the keeper has been told.
                let Some(commands) = self.commands.upgrade() else {
                    return;
                };
                let (key, span) = (caller.key.clone(), caller.span.clone());
                let lease = Lease::new(id, key, token, valid_until, commands, span);
                caller.lease = Some(lease.clone());
                if let Some(granted) = caller.granted.take() {
                    // A grant that cannot be delivered is dropped here, and releases itself.
                    drop(granted.send(Ok(Grant::new(lease))));
                }
            }
            Notice::Failed(error) => {
                if let Some(granted) = caller.granted.take() {
                    drop(granted.send(Err(error)));
                }
            }
            Notice::Renewed { valid_until } => {
                if let Some(lease) = &caller.lease {
                    lease.prolong(valid_until);
                }
            }
            Notice::Extended(answer) => {
                if let Some(extended) = caller.extended.take() {
                    drop(extended.send(answer));
                }
            }
            Notice::Lost(reason) => {
                if let Some(lease) = &caller.lease {
                    lease.end(reason);
                }
            }
            Notice::Withdrawn | Notice::Released | Notice::ReleaseAbandoned => {
                let caller = self.callers.remove(&id);
                tell_released(caller.and_then(|caller| caller.released));
            }
            Notice::ReleaseDelayed(_) => {
                tell_released(caller.released.take());
            }
            Notice::Waiting { .. } | Notice::RenewalFailed(_) => {}
        }
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

fn tell_released(waiting: Option<oneshot::Sender<()>>) {
    // Whoever does not wait any longer need not be told.
    let _gone = waiting.is_some_and(|waiting| waiting.send(()).is_err());
}
