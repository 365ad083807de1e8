//! Looking at locks from outside, and taking them away.

mod waiters;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, TryStreamExt};
use lockattr::{BackendErrorKind, Error, Guard, Holder, LockPool, LossReason, Mode};
use lockattr_tests::{RedisServer, Service, eventually_async};

/// One of each kind, whose user may look at locks.
fn services() -> [Service; 2] {
    let all = Service::all();
    for service in &all {
        if let Service::Redis(server) = service {
            server.allow_inspection();
        }
    }
    all
}

async fn hold(pool: &LockPool, key: &str) -> Guard {
    pool.lock(key).ttl(Service::LONG).acquire().await.unwrap()
}

/// Asks for a key that is held, and waits until it has its place in the queue.
async fn wait_for(pool: &LockPool, key: &'static str) -> tokio::task::JoinHandle<Guard> {
    let request = pool.lock(key).ttl(Service::LONG).wait(Service::LONG);
    let waiting = tokio::spawn(async move { request.acquire().await.unwrap() });
    eventually_async("it waits", || async {
        let holder = pool.holder(key).await.unwrap().expect("it is held");
        holder.waiters == 1
    })
    .await;
    waiting
}

async fn list(pool: &LockPool, prefix: &str) -> Vec<Vec<Holder>> {
    let (mut holders, mut pages) = (pool.holders(prefix), Vec::new());
    while let Some(page) = holders.next_page().await.unwrap() {
        assert!(!page.is_empty());
        pages.push(page);
    }
    assert_eq!(
        holders.next_page().await.unwrap(),
        None,
        "it stays at the end"
    );
    let stream = pool.holders(prefix).into_stream();
    let streamed: Vec<Holder> = stream.try_collect().await.unwrap();
    let key = |holder: &Holder| (holder.key.clone(), holder.fencing_token);
    let keys: BTreeSet<_> = pages.iter().flatten().map(key).collect();
    assert_eq!(streamed.iter().map(key).collect::<BTreeSet<_>>(), keys);
    pages
}

/// An owner id has 32 hexadecimal digits in a row, and nothing else here has.
fn assert_no_owner(holder: &Holder) {
    let text = format!("{holder:?} {holder}");
    let longest = text.split(|c: char| !c.is_ascii_hexdigit()).map(str::len);
    assert!(longest.max() < Some(32), "{text}");
}

#[tokio::test]
async fn a_holder_is_described() {
    for service in services() {
        let (pool, other) = (service.pool().await, service.pool().await);
        assert!(!other.is_locked("order:1").await.unwrap());
        assert_eq!(other.holder("order:1").await.unwrap(), None);
        let (asked_at, second) = (SystemTime::now(), Duration::from_secs(1));
        let guard = hold(&pool, "order:1").await;
        let waiting = wait_for(&other, "order:1").await;
        assert!(pool.is_locked("order:1").await.unwrap());
        let holder = other.holder("order:1").await.unwrap().unwrap();
        assert_no_owner(&holder);
        assert_eq!(&*holder.key, "order:1");
        assert!(holder.who.contains("inspection.rs:"), "{holder}");
        if let Service::Redis(_) = service {
            let process = format!("/{} ", std::process::id());
            assert!(holder.who.contains(&process), "{holder}");
        }
        let since = holder.since.unwrap();
        assert!(since + second >= asked_at && since <= SystemTime::now() + second);
        assert_eq!(holder.fencing_token, Some(guard.lease().fencing_token()));
        assert!(holder.ttl_left <= Service::LONG && holder.ttl_left > Service::LONG / 2);
        assert_eq!((holder.mode, holder.waiters), (Mode::Exclusive, 1));
        assert!(!holder.has_finished);
        guard.release().await;
        let next = waiting.await.unwrap();
        let holder = other.holder("order:1").await.unwrap().unwrap();
        assert_eq!(holder.fencing_token, Some(next.lease().fencing_token()));
        assert_eq!(holder.waiters, 0);
        next.release().await;
        assert!(!pool.is_locked("order:1").await.unwrap());
        let refused = pool.holder("").await.unwrap_err();
        assert!(matches!(refused, Error::InvalidKey { .. }), "{refused}");
    }
}

#[tokio::test]
async fn holders_that_share_a_key_are_told_apart() {
    for service in services() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let slots = |pool: &LockPool, weight| {
            let request = pool.lock("slots").ttl(Service::LONG).permits(5);
            request.weight(weight)
        };
        let one = slots(&pool, 2).acquire().await.unwrap();
        let two = slots(&other, 3)
            .min_hold(Service::LONG)
            .acquire()
            .await
            .unwrap();
        let tokens = [&one, &two].map(|guard| Some(guard.lease().fencing_token()));
        two.release().await;
        let holders = pool.holders_of("slots").await.unwrap();
        holders.iter().for_each(assert_no_owner);
        let found: Vec<_> = holders
            .iter()
            .map(|it| (it.fencing_token, it.has_finished))
            .collect();
        assert_eq!(found, [(tokens[0], false), (tokens[1], true)]);
        let weights = holders.iter().map(|it| match it.mode {
            Mode::Permits {
                permits: 5, weight, ..
            } => weight,
            mode => panic!("{mode}"),
        });
        assert_eq!(weights.collect::<Vec<_>>(), [2, 3]);
        let first = pool.holder("slots").await.unwrap().unwrap();
        assert_eq!(first.fencing_token, tokens[0]);
        let reader = pool.lock("prices").shared().acquire().await.unwrap();
        let found = other.holders_of("prices").await.unwrap();
        assert_eq!(
            found.iter().map(|it| it.mode).collect::<Vec<_>>(),
            [Mode::Shared]
        );
        reader.release().await;
        one.release().await;
    }
}

/// More than a server looks at for one question.
#[tokio::test]
async fn all_locks_are_listed_page_by_page() {
    const MANY: usize = 700;
    for service in services() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let mut guards = Vec::new();
        for id in 0..MANY {
            guards.push(hold(&pool, &format!("order:{id}")).await);
        }
        for key in ["cart:1", "order", "o*er:1", "o[r]der:1", r"back\slash"] {
            guards.push(hold(&pool, key).await);
        }
        let readers = [&pool, &other].map(|pool| pool.lock("order:shared").shared());
        for reader in readers {
            guards.push(reader.ttl(Service::LONG).acquire().await.unwrap());
        }
        let pages = list(&other, "order:").await;
        assert!(pages.len() > 1, "{}", pages.len());
        let found: BTreeSet<(String, Option<u64>)> = pages
            .into_iter()
            .flatten()
            .map(|holder| {
                assert_no_owner(&holder);
                (holder.key.to_string(), holder.fencing_token)
            })
            .collect();
        let held = guards
            .iter()
            .filter(|guard| guard.key().starts_with("order:"));
        let held = held.map(|guard| (guard.key().to_owned(), Some(guard.lease().fencing_token())));
        assert_eq!(found, held.collect());
        for literal in ["o*er", "o[r]der:", r"back\"] {
            assert_eq!(list(&other, literal).await.concat().len(), 1, "{literal}");
        }
        assert_eq!(list(&other, "nothing:").await.len(), 0);
        assert!(list(&other, "").await.concat().len() >= guards.len());
        for guard in guards {
            guard.release().await;
        }
        assert_eq!(list(&other, "").await.len(), 0);
    }
}

#[tokio::test]
async fn a_lock_that_is_taken_away_goes_to_the_first_waiter() {
    for service in services() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let ttl = Duration::from_secs(2);
        let stuck = pool.lock("job").ttl(ttl).acquire().await.unwrap();
        let waiting = wait_for(&other, "job").await;
        assert!(pool.force_release("job").await.unwrap());
        let next = waiting.await.unwrap();
        assert!(next.lease().fencing_token() > stuck.lease().fencing_token());
        assert_eq!(stuck.lease().lost().await, LossReason::Gone);
        // The late release is nobody's.
        stuck.release().await;
        let holder = pool.holder("job").await.unwrap().unwrap();
        assert_eq!(holder.fencing_token, Some(next.lease().fencing_token()));
        next.release().await;
        assert!(service.is_free("job").await);
    }
}

/// Readers, one of which has finished, and a writer that waits for them.
#[tokio::test]
async fn a_writer_gets_what_is_taken_away_from_readers() {
    for service in services() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let read = |pool: &LockPool| pool.lock("prices").shared().ttl(Service::LONG);
        let reader = read(&pool).acquire().await.unwrap();
        let kept = read(&other)
            .min_hold(Service::LONG)
            .acquire()
            .await
            .unwrap();
        let last_token = kept.lease().fencing_token();
        kept.release().await;
        let waiting = wait_for(&other, "prices").await;
        assert!(other.force_release("prices").await.unwrap());
        let writer = waiting.await.unwrap();
        assert!(writer.lease().fencing_token() > last_token);
        let holders = other.holders_of("prices").await.unwrap();
        assert_eq!(
            holders.iter().map(|it| it.mode).collect::<Vec<_>>(),
            [Mode::Exclusive]
        );
        writer.release().await;
        reader.release().await;
        assert!(service.is_free("prices").await);
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_free_at_once() {
    for service in services() {
        let pool = service.pool().await;
        let request = |key| pool.lock(key).ttl(Service::LONG);
        let _stuck = hold(&pool, "only").await;
        let _permit = request("permits").permits(2).acquire().await.unwrap();
        let kept = request("kept")
            .min_hold(Service::LONG)
            .acquire()
            .await
            .unwrap();
        kept.release().await;
        for key in ["only", "permits", "kept"] {
            assert!(pool.is_locked(key).await.unwrap(), "{key}");
            assert!(pool.force_release(key).await.unwrap(), "{key}");
            assert!(!pool.is_locked(key).await.unwrap(), "{key}");
            assert!(!pool.force_release(key).await.unwrap(), "{key}");
        }
    }
}

#[tokio::test]
async fn a_foreign_value_is_seen_and_removed() {
    let server = RedisServer::start();
    server.allow_inspection();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    hold(&pool, "order:1").await.release().await;
    let guard = hold(&pool, "order:1").await;
    let name = &server.locks()[0];
    guard.release().await;
    for value in [
        &["SET", name, "hello"][..],
        &["RPUSH", name, "hello"],
        &["HSET", name, "a", "b"],
    ] {
        server.raw(value).unwrap();
        let holder = pool.holder("order:1").await.unwrap().unwrap();
        assert_eq!((&*holder.who, holder.fencing_token), ("", None));
        assert_eq!(holder.ttl_left, Duration::MAX);
        assert_eq!(list(&pool, "order:").await, [[holder]]);
        assert!(pool.force_release("order:1").await.unwrap());
        hold(&pool, "order:1").await.release().await;
    }
}

#[tokio::test]
async fn a_missing_right_is_named() {
    let server = RedisServer::start();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let _guard = hold(&pool, "order:1").await;
    let key = pool.holder("order:1").await.unwrap_err();
    let page = pool.holders("order:").next_page().await.unwrap_err();
    let force = pool.force_release("order:1").await.unwrap_err();
    for (error, key) in [(key, "order:1"), (page, "order:"), (force, "order:1")] {
        let text = error.to_string();
        let Error::Inspection { source, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(source.kind(), BackendErrorKind::Refused, "{text}");
        assert_eq!(error.key(), Some(key));
        for part in ["+llen", "+lrange", "+scan", "docs/operations.md"] {
            assert!(text.contains(part), "{text}");
        }
    }
    let stream = pool.holders("order:").into_stream();
    let items: Vec<_> = stream.collect().await;
    assert!(
        matches!(items[..], [Err(Error::Inspection { .. })]),
        "{items:?}"
    );
    let holder = server.locks();
    assert_eq!(holder.len(), 1, "nothing was taken away");
    server.allow_inspection();
    assert!(pool.is_locked("order:1").await.unwrap());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_an_error() {
    let server = RedisServer::start();
    server.allow_inspection();
    let patience = Duration::from_millis(300);
    let builder = LockPool::builder()
        .url(server.url())
        .response_timeout(patience);
    let pool = builder.build().await.unwrap();
    server.pause();
    let error = pool.is_locked("order:1").await.unwrap_err();
    assert!(matches!(error, Error::Inspection { .. }), "{error}");
    server.resume();
    eventually_async("it answers again", || async {
        pool.is_locked("order:1").await.is_ok()
    })
    .await;
}
