//! The attribute on plain functions, and the calls that block, on threads of every kind.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lockattr::{Error, LockPool, LossReason, distributed_lock};
use lockattr_tests::eventually;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

fn memory() -> LockPool {
    LockPool::builder()
        .url("memory://")
        .build_blocking()
        .unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn is_free(pool: &LockPool, key: &str) -> bool {
    let guard = pool.lock(key).try_acquire_blocking().unwrap();
    guard.is_some()
}

#[distributed_lock(key = "work:{id}", pool = *pool, wait = "30s")]
fn work(pool: &LockPool, id: u32) -> Result<u32, Error> {
    lockattr::assert_held!("work:{id}");
    Ok(id)
}

#[distributed_lock(key = "work:{id}", pool = *pool, wait = "100ms")]
fn hurry(pool: &LockPool, id: u32) -> Result<u32, Error> {
    Ok(id)
}

#[distributed_lock(key = "count", pool = *pool, wait = "30s", bind = lease)]
fn count(pool: &LockPool, inside: &AtomicU32, last: &AtomicU32) -> Result<u64, Error> {
    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two inside");
    thread::yield_now();
    last.fetch_add(1, Ordering::SeqCst);
    inside.fetch_sub(1, Ordering::SeqCst);
    Ok(lease.fencing_token())
}

#[test]
fn threads_without_a_runtime_exclude_each_other() {
    let server = lockattr_tests::RedisServer::start();
    let on_server = LockPool::builder()
        .url(server.url())
        .build_blocking()
        .unwrap();
    for pool in [memory(), on_server] {
        let (inside, done) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut last = 0;
                    for _ in 0..20 {
                        let token = count(&pool, &inside, &done).unwrap();
                        assert!(token > last);
                        last = token;
                    }
                });
            }
        });
        assert_eq!(done.load(Ordering::SeqCst), 160);
        pool.shutdown_blocking(Duration::from_secs(5)).unwrap();
    }
    assert!(server.locks().is_empty());
}

#[test]
fn a_blocking_thread_of_a_runtime_waits() {
    let pool = memory();
    for runtime in [multi_thread(), current_thread()] {
        runtime.block_on(async {
            let guard = pool.lock("work:1").acquire().await.unwrap();
            let theirs = pool.clone();
            let waiting = tokio::task::spawn_blocking(move || work(&theirs, 1));
            guard.release().await;
            assert_eq!(waiting.await.unwrap().unwrap(), 1);
        });
    }
}

/// The runtime has one worker, and the task that has the lock runs on it.
#[test]
fn a_worker_that_blocks_lets_its_other_tasks_run() {
    let pool = memory();
    multi_thread().block_on(async {
        let (held, is_held) = oneshot::channel();
        let (go_on, may_go_on) = oneshot::channel::<()>();
        let holder = tokio::spawn({
            let pool = pool.clone();
            async move {
                let guard = pool.lock("work:2").acquire().await.unwrap();
                held.send(()).unwrap();
                may_go_on.await.unwrap();
                guard.release().await;
            }
        });
        is_held.await.unwrap();
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move {
                go_on.send(()).unwrap();
                work(&pool, 2)
            }
        });
        assert_eq!(waiting.await.unwrap().unwrap(), 2);
        holder.await.unwrap();
    });
}

#[test]
fn one_thread_cannot_wait_for_itself_longer_than_wait() {
    let pool = memory();
    current_thread().block_on(async {
        let guard = pool.lock("work:3").acquire().await.unwrap();
        let error = hurry(&pool, 3).unwrap_err();
        assert!(error.is_busy(), "{error}");
        guard.release().await;
        assert_eq!(hurry(&pool, 3).unwrap(), 3);
    });
}

#[test]
fn a_local_set_blocks_without_a_panic() {
    let pool = memory();
    for runtime in [multi_thread(), current_thread()] {
        let local = LocalSet::new();
        runtime.block_on(local.run_until(async {
            let pool = pool.clone();
            let task = tokio::task::spawn_local(async move { work(&pool, 4) });
            assert_eq!(task.await.unwrap().unwrap(), 4);
        }));
    }
}

/// A task that has used up its budget is told by tokio's own futures to come again later.
#[test]
fn a_task_without_budget_gets_its_lock() {
    let pool = memory();
    for runtime in [multi_thread(), current_thread()] {
        let pool = pool.clone();
        let run = async move {
            std::future::poll_fn(|cx| {
                while let std::task::Poll::Ready(proceed) = tokio::task::coop::poll_proceed(cx) {
                    proceed.made_progress();
                }
                std::task::Poll::Ready(())
            })
            .await;
            work(&pool, 5)
        };
        assert_eq!(
            runtime
                .block_on(async { tokio::spawn(run).await.unwrap() })
                .unwrap(),
            5
        );
    }
}

#[derive(Clone, Copy)]
enum Exit {
    Value,
    Return,
    Question,
    Panic,
}

#[distributed_lock(key = "exit", pool = *pool)]
fn exit(pool: &LockPool, how: Exit) -> Result<u8, Error> {
    match how {
        Exit::Value => {}
        Exit::Return => return Ok(2),
        Exit::Question => Err(Error::Closed)?,
        Exit::Panic => panic!("on purpose"),
    }
    Ok(1)
}

#[test]
fn every_exit_releases() {
    let pool = memory();
    assert_eq!(exit(&pool, Exit::Value).unwrap(), 1);
    assert!(is_free(&pool, "exit"));
    assert_eq!(exit(&pool, Exit::Return).unwrap(), 2);
    assert!(is_free(&pool, "exit"));
    assert!(matches!(exit(&pool, Exit::Question), Err(Error::Closed)));
    assert!(is_free(&pool, "exit"));
    catch_unwind(AssertUnwindSafe(|| exit(&pool, Exit::Panic))).unwrap_err();
    eventually("the panic has released", || is_free(&pool, "exit"));
    assert!(lockattr::current().is_none());
}

thread_local! {
    static DROPPED: RefCell<Vec<(&'static str, bool)>> = const { RefCell::new(Vec::new()) };
}

struct Noted(&'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        let is_held = lockattr::current().is_some_and(|lease| lease.is_valid());
        DROPPED.with_borrow_mut(|dropped| dropped.push((self.0, is_held)));
    }
}

#[distributed_lock(key = "drops", pool = *pool)]
fn drops(
    pool: &LockPool,
    a: Noted,
    _: Noted,
    (_b, _): (Noted, Noted),
    c: Noted,
) -> Result<(), Error> {
    let _local = Noted("local");
    drop(a);
    if c.0.is_empty() {
        drop(c);
    }
    Ok(())
}

fn drops_plain(a: Noted, _: Noted, (_b, _): (Noted, Noted), c: Noted) {
    let _local = Noted("local");
    drop(a);
    if c.0.is_empty() {
        drop(c);
    }
}

#[test]
fn arguments_are_dropped_under_the_lock_in_their_order() {
    let noted = || {
        let pair = (Noted("b"), Noted("rest"));
        (Noted("a"), Noted("unnamed"), pair, Noted("c"))
    };
    let (a, unnamed, pair, c) = noted();
    drops_plain(a, unnamed, pair, c);
    let plain: Vec<_> = DROPPED.take().into_iter().map(|(name, _)| name).collect();
    let (a, unnamed, pair, c) = noted();
    drops(&memory(), a, unnamed, pair, c).unwrap();
    let locked = DROPPED.take();
    assert!(locked.iter().all(|(_, is_held)| *is_held), "{locked:?}");
    let locked: Vec<_> = locked.into_iter().map(|(name, _)| name).collect();
    assert_eq!(locked, plain);
}

#[distributed_lock(key = "lost", pool = *pool, ttl = "60ms", renew = false, bind = lease)]
#[expect(clippy::needless_pass_by_value, reason = "its drop is noted")]
fn outlive(pool: &LockPool, done: &AtomicU32, noted: Noted) -> Result<&'static str, Error> {
    let _ = &noted;
    eventually("the lease ends", || !lease.is_valid());
    done.fetch_add(1, Ordering::SeqCst);
    Ok("value")
}

#[distributed_lock(key = "lost", pool = *pool, ttl = "60ms", renew = false, on_lost = "finish", bind = lease)]
fn finish(pool: &LockPool) -> Result<&'static str, Error> {
    eventually("the lease ends", || !lease.is_valid());
    Ok("value")
}

#[distributed_lock(key = "lost", pool = *pool, ttl = "60ms", renew = false, bind = lease, or_else = |error| format!("{name}: {}", error.is_busy()))]
fn handled(pool: &LockPool, name: String) -> String {
    drop(name);
    eventually("the lease ends", || !lease.is_valid());
    "value".to_owned()
}

#[test]
fn a_body_that_outlives_its_lease_runs_to_its_end() {
    let (pool, done) = (memory(), AtomicU32::new(0));
    let lost = outlive(&pool, &done, Noted("argument"));
    assert!(
        matches!(
            lost,
            Err(Error::Lost {
                reason: LossReason::Expired,
                ..
            })
        ),
        "{lost:?}"
    );
    assert_eq!(done.load(Ordering::SeqCst), 1);
    assert_eq!(finish(&pool).unwrap(), "value");
    assert_eq!(handled(&pool, "name".to_owned()), "name: false");
    let request = || {
        pool.lock("lost")
            .ttl(Duration::from_millis(60))
            .renew(false)
    };
    let run = |lease: lockattr::Lease| eventually("the lease ends", || !lease.is_valid());
    assert!(matches!(
        request().run_blocking(run),
        Err(Error::Lost { .. })
    ));
    request()
        .on_lost(lockattr::OnLost::Finish)
        .run_blocking(run)
        .unwrap();
}

#[distributed_lock(key = "nested", pool = *pool)]
fn outer(
    pool: &LockPool,
    inner: impl FnOnce(&LockPool) -> Result<u64, Error>,
) -> Result<bool, Error> {
    let token = lockattr::current().map(|lease| lease.fencing_token());
    Ok(inner(pool).map(Some)? == token)
}

#[distributed_lock(key = "nested", pool = *pool, reentrant = true, bind = lease)]
fn again(pool: &LockPool) -> Result<u64, Error> {
    Ok(lease.fencing_token())
}

#[distributed_lock(key = "nested", pool = *pool, reentrant = true, bind = lease)]
async fn again_async(pool: &LockPool) -> Result<u64, Error> {
    tokio::task::yield_now().await;
    Ok(lease.fencing_token())
}

#[distributed_lock(key = "nested", pool = *pool, bind = lease)]
async fn outer_async(pool: &LockPool) -> Result<bool, Error> {
    let refused = exclusive(pool);
    assert!(
        matches!(refused, Err(Error::Reentrant { .. })),
        "{refused:?}"
    );
    Ok(again(pool)? == lease.fencing_token())
}

#[distributed_lock(key = "nested", pool = *pool)]
fn exclusive(pool: &LockPool) -> Result<u64, Error> {
    Ok(0)
}

#[test]
fn plain_and_async_functions_nest_in_each_other() {
    let pool = memory();
    assert!(outer(&pool, again).unwrap());
    let refused = outer(&pool, exclusive);
    assert!(
        matches!(refused, Err(Error::Reentrant { .. })),
        "{refused:?}"
    );
    let runtime = current_thread();
    assert!(outer(&pool, |pool| runtime.block_on(again_async(pool))).unwrap());
    for runtime in [current_thread(), multi_thread()] {
        assert!(runtime.block_on(outer_async(&pool)).unwrap());
        let pool = pool.clone();
        let spawned = async move { tokio::spawn(async move { outer_async(&pool).await }).await };
        assert!(runtime.block_on(spawned).unwrap().unwrap());
    }
    assert!(is_free(&pool, "nested"));
}

#[distributed_lock(key = "busy", pool = *pool, on_busy = "skip", release = "background")]
fn skip(pool: &LockPool) -> Option<u8> {
    Some(1)
}

#[test]
fn a_busy_lock_is_skipped_or_waited_for() {
    let pool = memory();
    let guard = pool.lock("busy").acquire_blocking().unwrap();
    assert_eq!(skip(&pool), None);
    assert!(pool.lock("busy").try_acquire_blocking().unwrap().is_none());
    let start = Instant::now();
    let busy = pool
        .lock("busy")
        .wait(Duration::from_millis(50))
        .acquire_blocking();
    assert!(busy.unwrap_err().is_busy());
    assert!(start.elapsed() >= Duration::from_millis(50));
    guard.extend_blocking(Duration::from_secs(100)).unwrap();
    assert!(guard.remaining() > Duration::from_secs(50));
    guard.release_blocking();
    assert_eq!(skip(&pool), Some(1));
    eventually("the release in the background is done", || {
        is_free(&pool, "busy")
    });
}

/// The only test of this binary that installs: the global pool is one per process.
#[test]
fn a_program_without_a_runtime_installs_its_pool() {
    #[distributed_lock(key = "installed")]
    fn installed() -> Result<u8, Error> {
        Ok(1)
    }
    let builder = || LockPool::builder().url("memory://");
    assert!(matches!(installed(), Err(Error::NotConfigured { .. })));
    let scoped = memory();
    assert_eq!(scoped.scope_blocking(installed).unwrap(), 1);
    assert_eq!(scoped.stats().acquired, 1);
    builder().install_blocking().unwrap();
    builder().install_named_blocking("other").unwrap();
    assert_eq!(installed().unwrap(), 1);
    assert!(LockPool::named("other").is_ok());
}
