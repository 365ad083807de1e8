//! Who waits for a key.

use futures_util::FutureExt as _;
use lockattr::{BackendErrorKind, Error, Guard, LockPool, LockRequest, Mode, Queue, Waiter};
use lockattr_tests::{RedisServer, Service, eventually_async};
use tokio::task::JoinHandle;

use super::{hold, services};

/// Lets a call wait, behind those that wait already.
async fn queue_up(pool: &LockPool, request: LockRequest, key: &str) -> JoinHandle<Guard> {
    let before = pool.queue(key, 0).await.unwrap().len();
    let request = request.ttl(Service::LONG).wait(Service::LONG);
    let waiting = tokio::spawn(async move { request.acquire().await.unwrap() });
    eventually_async("it waits", || async {
        pool.queue(key, 0).await.unwrap().len() == before + 1
    })
    .await;
    waiting
}

fn modes(queue: &Queue) -> Vec<Option<Mode>> {
    queue.waiters.iter().map(|waiter| waiter.mode).collect()
}

fn assert_no_owner(queue: &Queue) {
    let text = format!("{queue:?}");
    assert_eq!(lockattr_tests::find_secret(text.as_bytes()), None);
}

#[tokio::test]
async fn all_waiters_are_told_in_the_order_of_their_turn() {
    for service in services() {
        let (pool, other, third) = (
            service.pool().await,
            service.pool().await,
            service.pool().await,
        );
        assert_eq!(pool.queue("prices", 9).await.unwrap(), Queue::default());
        let writer = hold(&pool, "prices").await;
        let waiting = [
            queue_up(&pool, other.lock("prices").shared(), "prices").await,
            queue_up(
                &pool,
                third.lock("prices").caller("shop::reprice"),
                "prices",
            )
            .await,
            queue_up(&pool, other.lock("prices").shared(), "prices").await,
        ];
        let queue = pool.queue("prices", 9).await.unwrap();
        let (reader, exclusive) = (Some(Mode::Shared), Some(Mode::Exclusive));
        assert_eq!(modes(&queue), [reader, exclusive, reader]);
        assert_eq!((queue.more, queue.len()), (0, 3));
        assert_no_owner(&queue);
        for (waiter, function) in
            queue
                .waiters
                .iter()
                .zip(["waiters.rs:", "shop::reprice", "waiters.rs:"])
        {
            assert!(waiter.who.contains(function), "{waiter}");
            // Redis servers do not keep it.
            let is_memory = matches!(service, Service::Memory(_));
            assert_eq!(waiter.since.is_some(), is_memory, "{waiter:?}");
            let process = format!("/{} ", std::process::id());
            assert!(is_memory || waiter.who.contains(&process), "{waiter}");
        }
        let counted = pool.holder("prices").await.unwrap().unwrap().waiters;
        assert_eq!(counted, queue.len());
        let first = pool.queue("prices", 2).await.unwrap();
        assert_eq!(modes(&first), [reader, exclusive]);
        assert_eq!((first.more, first.len()), (1, 3));
        writer.release().await;
        for guard in waiting {
            guard.await.unwrap().release().await;
        }
        assert!(pool.queue("prices", 9).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn permits_that_are_waited_for_are_told() {
    for service in services() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let all = pool.lock("slots").permits(5).weight(5).ttl(Service::LONG);
        let all = all.acquire().await.unwrap();
        let two = other.lock("slots").permits(5).weight(2);
        let waiting = queue_up(&pool, two, "slots").await;
        let queue = other.queue("slots", 9).await.unwrap();
        assert_eq!(modes(&queue), [Some(Mode::permits(5, 2))]);
        all.release().await;
        waiting.await.unwrap().release().await;
    }
}

/// A process has one place for its exclusive calls.
#[tokio::test]
async fn calls_of_one_process_wait_behind_its_place() {
    for service in services() {
        let (pool, other) = (service.pool().await, service.pool().await);
        let guard = hold(&pool, "job").await;
        let first = queue_up(&pool, other.lock("job"), "job").await;
        let second = other.lock("job").ttl(Service::LONG).wait(Service::LONG);
        let mut second = Box::pin(second.acquire());
        assert!((&mut second).now_or_never().is_none(), "it waits");
        assert_eq!(pool.queue("job", 9).await.unwrap().len(), 1);
        guard.release().await;
        first.await.unwrap().release().await;
        second.await.unwrap().release().await;
    }
}

fn queue_of(server: &RedisServer) -> String {
    let names = server.keys("*#queue:*");
    assert_eq!(names.len(), 1, "{names:?}");
    names.into_iter().next().unwrap()
}

#[tokio::test]
async fn no_more_of_a_long_queue_is_read_than_was_asked_for() {
    const MANY: usize = 100_000;
    let server = RedisServer::start();
    server.allow_inspection();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let other = LockPool::builder().url(server.url()).build().await.unwrap();
    let _guard = hold(&pool, "job").await;
    let _waiting = queue_up(&pool, other.lock("job"), "job").await;
    let fill = "for i = 2, ARGV[1] do redis.call('RPUSH', KEYS[1], '2:' .. i) end";
    let name = queue_of(&server);
    server
        .raw(&["EVAL", fill, "1", &name, &MANY.to_string()])
        .unwrap();
    let queue = pool.queue("job", 50).await.unwrap();
    assert_eq!((queue.waiters.len(), queue.more), (50, MANY - 50));
    assert_eq!(queue.waiters[0].mode, Some(Mode::Exclusive));
    // In a format that this version does not know.
    assert_eq!(queue.waiters[1], Waiter::default());
    let most = pool.queue("job", usize::MAX).await.unwrap();
    assert_eq!((most.waiters.len(), most.len()), (Queue::MOST, MANY));
    let none = pool.queue("job", 0).await.unwrap();
    assert_eq!((none.waiters.len(), none.more), (0, MANY));
}

#[tokio::test]
async fn what_is_no_queue_has_no_waiters() {
    let server = RedisServer::start();
    server.allow_inspection();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let other = LockPool::builder().url(server.url()).build().await.unwrap();
    let _guard = hold(&pool, "job").await;
    let waiting = queue_up(&pool, other.lock("job"), "job").await;
    let name = queue_of(&server);
    waiting.abort();
    server.raw(&["SET", &name, "hello"]).unwrap();
    assert_eq!(pool.queue("job", 9).await.unwrap(), Queue::default());
    let refused = pool.queue("", 9).await.unwrap_err();
    assert!(matches!(refused, Error::InvalidKey { .. }), "{refused}");
}

/// With exactly the documented rights the server refuses nothing; with one less it is named.
#[tokio::test]
async fn it_needs_a_right_of_its_own() {
    let server = RedisServer::start();
    server.allow_inspection();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let _guard = hold(&pool, "job").await;
    assert!(pool.queue("job", 9).await.unwrap().is_empty());
    assert_eq!(server.refusals(), 0);
    server
        .raw(&["ACL", "SETUSER", "locker", "-lrange"])
        .unwrap();
    let refused = pool.queue("job", 9).await.unwrap_err();
    let Error::Inspection { source, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(source.kind(), BackendErrorKind::Refused);
    for part in ["+lrange", "docs/operations.md"] {
        assert!(refused.to_string().contains(part), "{refused}");
    }
    // The others do without it, and so does the number of waiters.
    assert!(pool.is_locked("job").await.unwrap());
    assert!(pool.queue("job", 0).await.unwrap().is_empty());
}
