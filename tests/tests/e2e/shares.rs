//! Readers and writers, and permits.

use std::time::Duration;

use lockattr::{Error, Guard, LockPool, LockRequest, LossReason, Mode};
use lockattr_tests::{RedisServer, Service, eventually_async};
use tokio::task::JoinHandle;

const TTL: Duration = Duration::from_millis(300);

/// Waits in a task of its own, until another call has the key.
async fn waiter(request: LockRequest, pool: &LockPool) -> JoinHandle<Result<Guard, Error>> {
    let waited = pool.stats().waited;
    let waiting = tokio::spawn(request.wait(Service::LONG).acquire());
    eventually_async("it waits", || async { pool.stats().waited > waited }).await;
    waiting
}

async fn granted(waiting: JoinHandle<Result<Guard, Error>>) -> Guard {
    waiting.await.unwrap().unwrap()
}

#[tokio::test]
async fn readers_have_it_together_and_a_writer_alone() {
    for service in Service::all() {
        let (a, b) = (service.pool().await, service.pool().await);
        let read = |pool: &LockPool| pool.lock("k").ttl(Service::LONG).shared();
        let readers = [
            read(&a).acquire().await.unwrap(),
            read(&a).acquire().await.unwrap(),
            read(&b).acquire().await.unwrap(),
        ];
        let greatest = readers.iter().map(|reader| reader.fencing_token()).max();
        assert!(readers.iter().all(|reader| reader.mode() == Mode::Shared));
        let writer = waiter(b.lock("k").ttl(Service::LONG), &b).await;
        // Nobody overtakes the writer, also in its own process.
        let behind = [waiter(read(&a), &a).await, waiter(read(&b), &b).await];
        assert!(read(&a).try_acquire().await.unwrap().is_none());
        for reader in readers {
            assert!(!writer.is_finished());
            reader.release().await;
        }
        let writer = granted(writer).await;
        assert!(Some(writer.fencing_token()) > greatest);
        assert!(behind.iter().all(|reader| !reader.is_finished()));
        let busy = a
            .lock("k")
            .wait(Duration::ZERO)
            .acquire()
            .await
            .unwrap_err();
        let Error::Busy {
            holder: Some(holder),
            ..
        } = &busy
        else {
            panic!("{busy:?}");
        };
        assert!(holder.contains("shares.rs"), "{holder}");
        writer.release().await;
        for reader in behind {
            granted(reader).await.release().await;
        }
        assert!(service.is_free("k").await);
    }
}

/// Those of one process, which it asks for in one request.
#[tokio::test]
async fn readers_and_writers_are_served_in_the_order_of_their_calls() {
    for service in Service::all() {
        let pool = service.pool().await;
        for round in 0..50 {
            let key = format!("k:{round}");
            let request = || pool.lock(key.as_str()).ttl(Service::LONG);
            let token = async |request: LockRequest| {
                let guard = request.acquire().await.unwrap();
                let token = guard.fencing_token();
                guard.release().await;
                token
            };
            let (reader, writer, last) = tokio::join!(
                token(request().shared()),
                token(request()),
                token(request().shared())
            );
            assert!(reader < writer && writer < last, "{reader} {writer} {last}");
        }
    }
}

#[tokio::test]
async fn no_more_permits_are_taken_than_there_are() {
    for service in Service::all() {
        let (a, b) = (service.pool().await, service.pool().await);
        let of_three = |pool: &LockPool| pool.lock("k").ttl(Service::LONG).permits(3);
        let two = of_three(&a).weight(2).acquire().await.unwrap();
        let one = of_three(&b).acquire().await.unwrap();
        assert_ne!(one.fencing_token(), two.fencing_token());
        assert!(of_three(&b).try_acquire().await.unwrap().is_none());
        // What wants all is not starved by what wants little.
        let all = waiter(of_three(&b).weight(3), &b).await;
        let little = waiter(of_three(&a), &a).await;
        one.release().await;
        assert!(of_three(&b).try_acquire().await.unwrap().is_none());
        two.release().await;
        let all = granted(all).await;
        assert!(!little.is_finished());
        all.release().await;
        granted(little).await.release().await;
        assert!(service.is_free("k").await);
    }
}

#[tokio::test]
async fn a_fleet_that_disagrees_is_told() {
    for service in Service::all() {
        let pool = service.pool().await;
        let permit = pool.lock("k").permits(5).acquire().await.unwrap();
        let others = [
            (pool.lock("k").permits(3), "permits = 3"),
            (pool.lock("k").shared(), "shared"),
            (pool.lock("k"), "exclusive"),
        ];
        for (other, asked) in others {
            let refused = other.wait(Service::LONG).acquire().await.unwrap_err();
            assert!(matches!(refused, Error::OtherMode { .. }), "{refused}");
            let text = refused.to_string();
            assert!(
                text.contains("permits = 5") && text.contains(asked),
                "{text}"
            );
        }
        permit.release().await;
        let writer = pool.lock("k").acquire().await.unwrap();
        let refused = pool.lock("k").permits(5).acquire().await.unwrap_err();
        assert!(refused.to_string().contains("`exclusive`"), "{refused}");
        writer.release().await;
        assert!(service.is_free("k").await);
    }
}

#[tokio::test]
async fn shares_are_renewed_and_extended() {
    for service in Service::all() {
        let pool = service.pool().await;
        let mut guards = Vec::new();
        for request in [pool.lock("r").shared(), pool.lock("p").permits(2)] {
            guards.push(request.ttl(TTL).acquire().await.unwrap());
        }
        eventually_async("each is renewed several times", || async {
            pool.stats().renewed >= 12
        })
        .await;
        for guard in guards {
            assert!(guard.is_valid());
            guard.extend(Service::LONG).await.unwrap();
            assert!(guard.remaining() > Service::LONG / 2);
            guard.release().await;
        }
        assert!(service.is_free("r").await && service.is_free("p").await);
    }
}

#[tokio::test]
async fn a_reader_hears_that_the_server_lost_its_lease() {
    let server = RedisServer::start();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let reader = pool.lock("k").ttl(TTL).shared().acquire().await.unwrap();
    let other = pool.lock("k").ttl(TTL).shared().acquire().await.unwrap();
    for name in server.locks() {
        server.raw(&["DEL", &name]).unwrap();
    }
    assert_eq!(reader.lost().await, LossReason::Gone);
    assert_eq!(other.lost().await, LossReason::Gone);
}

/// The reader's process is gone; another reader renews its own lease.
#[tokio::test]
async fn a_dead_reader_does_not_keep_a_writer_out() {
    let server = RedisServer::start();
    let proxy = lockattr_tests::Proxy::start(server.port());
    let url = server.url_at(proxy.port());
    let cut = LockPool::builder().url(url).build().await.unwrap();
    let pool = LockPool::builder().url(server.url()).build().await.unwrap();
    let request = |pool: &LockPool| pool.lock("k").ttl(TTL).permits(2);
    let dead = request(&cut).acquire().await.unwrap();
    let alive = request(&pool).acquire().await.unwrap();
    proxy.set_both(lockattr_tests::Policy::Stall);
    let next = request(&pool).wait(Service::LONG).acquire().await.unwrap();
    assert!(alive.is_valid());
    assert_eq!(dead.lost().await, LossReason::Expired);
    next.release().await;
    alive.release().await;
}

#[tokio::test]
async fn a_pool_without_modes_refuses_them_at_once() {
    let servers = lockattr_tests::Quorum::start(3);
    let pool = LockPool::builder()
        .url(servers.url())
        .build()
        .await
        .unwrap();
    for (request, setting) in [
        (pool.lock("k").shared(), "shared"),
        (pool.lock("k").permits(2), "permits"),
    ] {
        let refused = request.acquire().await.unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains(setting) && text.contains("one holder"),
            "{text}"
        );
    }
    for (mode, setting) in [(Mode::Shared, "shared"), (Mode::permits(2, 1), "permits")] {
        let builder = LockPool::builder().url(servers.url());
        let refused = builder.require(Mode::Exclusive).require(mode).build().await;
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains(setting) && text.contains("one holder"),
            "{text}"
        );
    }
}
