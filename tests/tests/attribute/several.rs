//! Several locks on one function.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use lockattr::{Error, Lease, LockPool, distributed_lock};
use lockattr_tests::eventually_async;

async fn pool() -> LockPool {
    LockPool::memory().await.expect("a thread can be started")
}

async fn is_free(pool: &LockPool, key: &str) -> bool {
    match pool.lock(key.to_owned()).try_acquire().await.unwrap() {
        Some(guard) => {
            guard.release().await;
            true
        }
        None => false,
    }
}

async fn is_held_soon(pool: &LockPool, key: &str) {
    eventually_async("it is held", async || !is_free(pool, key).await).await;
}

async fn is_free_soon(pool: &LockPool, key: &str) {
    eventually_async("it is free", async || is_free(pool, key).await).await;
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[distributed_lock(key = "from:{from}", bind = outer)]
#[distributed_lock(key("to:{to}", to = to.0), bind = inner)]
async fn transfer(from: u64, to: (u64, String)) -> Result<[Lease; 2], Error> {
    drop(to);
    let current = lockattr::current().expect("both are held");
    assert_eq!(current.key(), inner.key());
    lockattr::assert_held!("from:{from}");
    Ok([outer.clone(), inner.clone()])
}

#[tokio::test]
async fn the_topmost_lock_is_taken_first_and_all_see_the_arguments() {
    let pool = pool().await;
    let locks = pool.scope(transfer(1, (2, "x".to_owned()))).await.unwrap();
    assert_eq!(locks.each_ref().map(Lease::key), ["from:1", "to:2"]);
    assert!(locks.iter().all(|lease| !lease.is_valid()));
    assert!(locks[0].fencing_token() < locks[1].fencing_token());

    // While the inner lock is awaited, the outer one is held; and not the other way round.
    let inner = pool.lock("to:2").await.unwrap();
    let mut call = pin!(pool.scope(transfer(1, (2, String::new()))));
    tokio::select! {
        _ = &mut call => unreachable!("the inner lock is held"),
        () = is_held_soon(&pool, "from:1") => {}
    }
    inner.release().await;
    call.await.unwrap();

    let outer = pool.lock("from:1").await.unwrap();
    let waited = pool.stats().waited;
    let mut call = pin!(pool.scope(transfer(1, (2, String::new()))));
    tokio::select! {
        _ = &mut call => unreachable!("the outer lock is held"),
        () = eventually_async("it waits", async || pool.stats().waited > waited) => {}
    }
    assert!(is_free(&pool, "to:2").await);
    outer.release().await;
    call.await.unwrap();
}

/// Fails the test when it is dropped without both locks.
struct Witness<'a>(&'a Cell<u32>);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        lockattr::assert_held!("a");
        lockattr::assert_held!("b");
        self.0.set(self.0.get() + 1);
    }
}

#[distributed_lock(key = "a")]
#[distributed_lock(key = "b")]
async fn drops(
    _: Witness<'_>,
    (_, _part): (Witness<'_>, Witness<'_>),
    exit: Exit,
    has_entered: &Cell<bool>,
) -> Result<(), Error> {
    has_entered.set(true);
    match exit {
        Exit::Value => Ok(()),
        Exit::Failure => Err(Error::Closed),
        Exit::Panic => std::panic::resume_unwind(Box::new(())),
        Exit::Cancelled => pending().await,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Exit {
    Value,
    Failure,
    Panic,
    Cancelled,
}

#[tokio::test]
async fn arguments_are_dropped_under_all_locks_and_both_are_released() {
    let pool = pool().await;
    for exit in [Exit::Value, Exit::Failure, Exit::Panic, Exit::Cancelled] {
        let dropped = Cell::new(0);
        let has_entered = Cell::new(false);
        let new = || Witness(&dropped);
        {
            let call = drops(new(), (new(), new()), exit, &has_entered);
            let mut call = pin!(pool.scope(call));
            if exit == Exit::Cancelled {
                while !has_entered.get() {
                    assert!(poll_once(call.as_mut()).await.is_pending());
                    tokio::task::yield_now().await;
                }
            } else {
                assert_eq!(panics(call).await, exit == Exit::Panic);
            }
        }
        assert_eq!(dropped.get(), 3);
        is_free_soon(&pool, "a").await;
        is_free_soon(&pool, "b").await;
    }
}

async fn panics<F: Future>(mut call: Pin<&mut F>) -> bool {
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx).map(drop)));
        polled.map_or(Poll::Ready(true), |polled| polled.map(|()| false))
    })
    .await
}

/// Each attribute refuses in its own way.
#[distributed_lock(key = "a", wait = "0s", or_else = |_| format!("outer {n}"))]
#[distributed_lock(key = "b:{n}", on_busy = |busy| format!("{} {n}", busy.key()), wait = "0s", or_else = |_| String::new())]
async fn refuses(n: u8) -> String {
    format!("ran {n}")
}

#[tokio::test]
async fn each_lock_has_its_own_refusal() {
    let pool = pool().await;
    assert_eq!(pool.scope(refuses(1)).await, "ran 1");
    let inner = pool.lock("b:1").await.unwrap();
    assert_eq!(pool.scope(refuses(1)).await, "b:1 1");
    assert!(is_free(&pool, "a").await);
    let _outer = pool.lock("a").await.unwrap();
    assert_eq!(pool.scope(refuses(1)).await, "outer 1");
    inner.release().await;
}

#[distributed_lock(key = "lost", ttl = "50ms", renew = false)]
#[distributed_lock(key = "kept", or_else = |_| Ok(()))]
async fn loses_the_outer_lock() -> Result<(), Error> {
    pending().await
}

#[tokio::test]
async fn the_loss_of_the_outer_lock_ends_the_inner_call() {
    let pool = pool().await;
    let lost = pool.scope(loses_the_outer_lock()).await.unwrap_err();
    assert_eq!((lost.is_lost(), lost.key()), (true, Some("lost")));
    is_free_soon(&pool, "kept").await;
}

struct Account {
    id: u64,
    locks: LockPool,
}

impl Account {
    #[distributed_lock(key = "account:{self.id}", pool = self.locks, reentrant = true)]
    #[tracing::instrument(skip_all)]
    #[distributed_lock(key = "account:{other.id}", pool = self.locks, when = other.id != self.id, bind = lease)]
    async fn merge(&self, Shared(other): Shared<&Self>) -> Result<Option<String>, Error> {
        lockattr::assert_held!("account:{}", self.id);
        Ok(lease.map(|lease| lease.key().to_owned()))
    }
}

struct Shared<T>(T);

/// Another attribute stays on the function, around all locks.
#[tokio::test]
async fn locks_are_taken_around_another_attribute_too() {
    let locks = pool().await;
    let account = |id| Account {
        id,
        locks: locks.clone(),
    };
    let (a, b) = (account(1), account(2));
    assert_eq!(
        a.merge(Shared(&b)).await.unwrap().as_deref(),
        Some("account:2")
    );
    assert_eq!(a.merge(Shared(&a)).await.unwrap(), None);
}

trait Jobs {
    async fn nightly(&self, day: u8) -> Result<[String; 3], Error>;
}

struct Shop;

impl Jobs for Shop {
    #[distributed_lock(key = "day:{day}", bind = day_lock)]
    #[distributed_lock(key = "shop", bind = shop_lock, release = "background")]
    #[distributed_lock(key = "slot:{day}", bind = slot_lock)]
    async fn nightly(&self, day: u8) -> Result<[String; 3], Error> {
        Ok([day_lock, shop_lock, slot_lock].map(|lease| lease.key().to_owned()))
    }
}

#[tokio::test]
async fn three_locks_on_a_method_of_a_trait() {
    let keys = pool().await.scope(Shop.nightly(7)).await.unwrap();
    assert_eq!(keys, ["day:7", "shop", "slot:7"]);
}

#[distributed_lock(key = "order:{a}")]
#[distributed_lock(key = "order:{b}")]
async fn pair(a: u8, b: u8) -> Result<(), Error> {
    Ok(())
}

#[tokio::test]
async fn two_templates_that_give_one_key_are_refused() {
    let pool = pool().await;
    pool.scope(pair(1, 2)).await.unwrap();
    let refused = pool.scope(pair(1, 1)).await.unwrap_err();
    assert!(matches!(refused, Error::Reentrant { .. }), "{refused}");
}

#[distributed_lock(keys = ["account:{from}", "account:{to}"], bind = lease)]
async fn pay(from: u64, to: u64) -> Result<[Option<u64>; 2], Error> {
    lockattr::assert_held!("account:{from}");
    lockattr::assert_held!("account:{to}");
    tokio::task::yield_now().await;
    let token = |account: u64| lease.token_of(&format!("account:{account}"));
    Ok([token(from), token(to)])
}

#[tokio::test]
async fn several_keys_of_one_attribute_are_locked_together() {
    let pool = pool().await;
    let [from, to] = pool.scope(pay(1, 2)).await.unwrap();
    assert!(from.is_some() && to.is_some() && from != to);
    let [one, same] = pool.scope(pay(3, 3)).await.unwrap();
    assert!(one.is_some() && one == same, "one key, locked once");
    assert!(is_free(&pool, "account:1").await && is_free(&pool, "account:2").await);

    let busy = pool.lock("account:2").await.unwrap();
    let mut call = pin!(pool.scope(pay(1, 2)));
    assert!(poll_once(call.as_mut()).await.is_pending());
    is_free_soon(&pool, "account:1").await;
    busy.release().await;
    call.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_in_both_directions_do_not_wait_for_each_other_for_ever() {
    let pool = pool().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (from, to) = [(1, 2), (2, 1), (2, 3), (3, 1)][n % 4];
        tasks.spawn(pool.scope(pay(from, to)));
    }
    while let Some(paid) = tasks.join_next().await {
        paid.unwrap().unwrap();
    }
    for account in 1..4 {
        assert!(is_free(&pool, &format!("account:{account}")).await);
    }
}

#[distributed_lock(keys = ["shelf:{shelf}", "order:{order}"], wait = "0s", on_busy = "skip")]
#[distributed_lock(key = "warehouse", shared = true)]
async fn pick(shelf: u64, order: u64) -> Result<Option<u64>, Error> {
    Ok(Some(shelf + order))
}

#[tokio::test]
async fn several_keys_go_with_other_locks_and_options() {
    let pool = pool().await;
    assert_eq!(pool.scope(pick(1, 2)).await.unwrap(), Some(3));
    let busy = pool.lock("order:2").await.unwrap();
    assert_eq!(pool.scope(pick(1, 2)).await.unwrap(), None);
    assert!(is_free(&pool, "shelf:1").await);
    busy.release().await;
}
