//! Whom the waiters of this process wait for: one stream of etcd for all of them.
//!
//! A waiter watches the one before it only, so that a release wakes one waiter. What is missed here is
//! healed by the pool, which asks again for each waiter from time to time.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use futures_util::future::{Either, select};
use futures_util::stream;
use lockattr::backend::{Event, OwnerId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{debug, warn};

use crate::attempts::{Core, Report};
use crate::link::Connection;
use crate::rpc::{
    self, CallError, Token, WatchCancelRequest, WatchCreateRequest, WatchOrder, WatchRequest,
    WatchResponse,
};

/// Only deletions are told.
const NO_PUTS: i32 = 0;

#[derive(Default)]
pub(crate) struct Watches {
    /// What goes to the present stream.
    orders: RefCell<Option<UnboundedSender<WatchRequest>>>,
    /// Where a stream finds its orders that is to be opened.
    unopened: RefCell<Option<UnboundedReceiver<WatchRequest>>>,
    by_owner: RefCell<HashMap<OwnerId, Followed>>,
    by_number: RefCell<HashMap<i64, OwnerId>>,
    last_number: Cell<i64>,
    /// Whether etcd has refused the last watch.
    is_refused: Cell<bool>,
}

struct Followed {
    number: i64,
    name: Vec<u8>,
    /// Whether it was the first, so that the follower comes next.
    is_holder: bool,
}

impl Watches {
    /// Tells the owner when this name is deleted, at this revision or later.
    pub(crate) fn follow(&self, owner: &OwnerId, name: &[u8], revision: i64, is_holder: bool) {
        if let Some(followed) = self.by_owner.borrow_mut().get_mut(owner)
            && followed.name == name
        {
            followed.is_holder |= is_holder;
            return;
        }
        self.unfollow(owner);
        let number = self.last_number.get() + 1;
        self.last_number.set(number);
        let followed = Followed {
            number,
            name: name.to_vec(),
            is_holder,
        };
        self.by_owner.borrow_mut().insert(owner.clone(), followed);
        self.by_number.borrow_mut().insert(number, owner.clone());
        self.order(WatchOrder::Create(WatchCreateRequest {
            key: name.to_vec(),
            start_revision: revision,
            filters: vec![NO_PUTS],
            watch_id: number,
        }));
    }

    pub(crate) fn unfollow(&self, owner: &OwnerId) {
        if let Some(followed) = self.by_owner.borrow_mut().remove(owner) {
            self.by_number.borrow_mut().remove(&followed.number);
            self.cancel(followed.number);
        }
    }

    fn cancel(&self, number: i64) {
        self.order(WatchOrder::Cancel(WatchCancelRequest { watch_id: number }));
    }

    fn order(&self, order: WatchOrder) {
        let mut orders = self.orders.borrow_mut();
        let sender = orders.get_or_insert_with(|| {
            let (sender, receiver) = unbounded_channel();
            *self.unopened.borrow_mut() = Some(receiver);
            sender
        });
        // A stream that is over is noticed where it is read.
        let _ = sender.send(WatchRequest { order: Some(order) });
    }

    /// The orders for a stream that has to be opened.
    pub(crate) fn take_unopened(&self) -> Option<UnboundedReceiver<WatchRequest>> {
        self.unopened.borrow_mut().take()
    }

    /// The stream is over, and with it all that was followed.
    fn reset(&self) {
        self.orders.borrow_mut().take();
        self.unopened.borrow_mut().take();
        self.by_owner.borrow_mut().clear();
        self.by_number.borrow_mut().clear();
    }

    /// Ends what was followed under this number. Returns who followed, and whether it comes next.
    fn take(&self, number: i64) -> Option<(OwnerId, bool)> {
        let owner = self.by_number.borrow_mut().remove(&number)?;
        let followed = self.by_owner.borrow_mut().remove(&owner)?;
        Some((owner, followed.is_holder))
    }
}

impl Core {
    /// Reads the stream until its end.
    pub(crate) async fn watch(
        self: Rc<Self>,
        connection: Rc<Connection>,
        orders: UnboundedReceiver<WatchRequest>,
    ) -> Report {
        let ended = connection.ended();
        let reading = std::pin::pin!(self.read_watches(&connection, orders));
        let (asks_again, read) = match select(reading, std::pin::pin!(ended)).await {
            Either::Left((read, _)) => read,
            Either::Right(((), _)) => (false, Err(CallError::GivenUp)),
        };
        match read {
            Ok(()) => debug!("the stream of watches has ended"),
            Err(error) => self.link.judge(&connection, error),
        }
        self.watches.reset();
        let is_there = self
            .link
            .present()
            .is_some_and(|it| Rc::ptr_eq(&it, &connection));
        if asks_again && is_there {
            self.tell(Event::Reconnected);
        }
        Report::Told
    }

    /// Returns whether the pool should ask again: a stream that cannot be opened would be asked for again and
    /// again.
    async fn read_watches(
        self: &Rc<Self>,
        connection: &Rc<Connection>,
        mut orders: UnboundedReceiver<WatchRequest>,
    ) -> (bool, Result<(), CallError>) {
        let orders = stream::poll_fn(move |cx| orders.poll_recv(cx));
        let token = connection.proof().token();
        let opening = rpc::converse(connection.channel(), token.as_ref(), orders);
        let mut answers = match opening.await {
            Ok(answers) => answers,
            Err(error) => return (false, Err(error)),
        };
        let mut has_heard = false;
        loop {
            match answers.message().await {
                Ok(Some(answer)) => {
                    connection.heard();
                    if answer.created && answer.canceled {
                        let is_first = !self.watches.is_refused.replace(true);
                        self.on_refused(connection, token, &answer).await;
                        return (has_heard || is_first, Ok(()));
                    }
                    if answer.created {
                        self.watches.is_refused.set(false);
                    }
                    has_heard |= !answer.canceled;
                    self.on_watched(&answer);
                }
                Ok(None) => return (has_heard, Ok(())),
                Err(status) => return (has_heard, Err(CallError::Status(status))),
            }
        }
    }

    /// A stream has one token, for ever. Older versions tell of no token that has ended, but of a missing
    /// right.
    async fn on_refused(
        &self,
        connection: &Rc<Connection>,
        token: Option<Token>,
        answer: &WatchResponse,
    ) {
        let reason = &*answer.cancel_reason;
        warn!(reason, "etcd refuses a watch; all are begun anew");
        if token.is_some()
            && let Err(failure) = self.link.renew_token(connection, token).await
        {
            debug!(error = %failure.error(), "there is no new token");
        }
    }

    fn on_watched(self: &Rc<Self>, answer: &WatchResponse) {
        let is_deleted = answer.events.iter().any(|event| event.kind == 1);
        if !is_deleted && !answer.canceled {
            return;
        }
        let Some((owner, is_next)) = self.watches.take(answer.watch_id) else {
            return;
        };
        if answer.canceled {
            let reason = &*answer.cancel_reason;
            let compacted_at = answer.compact_revision;
            warn!(
                reason,
                compacted_at, "etcd has ended a watch; its waiter asks instead"
            );
        } else {
            // It saw what it was for.
            self.watches.cancel(answer.watch_id);
        }
        let turn = Rc::clone(self).turn(owner, is_next && is_deleted);
        self.spawn(Box::pin(turn));
    }
}
