//! Slots of a Redis Cluster whose names are on two nodes.

use std::time::Duration;

use lockattr::{LockPool, LockPoolBuilder};
use lockattr_tests::{RedisCluster, eventually_async};
use tokio::sync::watch;
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(600);

fn builder(cluster: &RedisCluster) -> LockPoolBuilder {
    let builder = LockPool::builder().url(cluster.url()).default_ttl(LONG);
    builder
        .default_wait(LONG)
        .claim_window(Duration::from_secs(2))
}

/// Where a slot has gone, except for its fencing token.
struct Halfway {
    slot: u16,
    from: usize,
    to: usize,
    fence: String,
}

impl Halfway {
    fn begin(cluster: &RedisCluster) -> Self {
        let (slot, from) = cluster.owner(&cluster.locks()[0]);
        let to = (from + 1) % 3;
        cluster.begin_migration(slot, from, to);
        let names = cluster.names_in(slot, from);
        let (fences, others): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|it| it.ends_with("#fence"));
        for name in others {
            cluster.move_name(&name, from, to);
        }
        let fence = fences.into_iter().next().expect("a lock has a fence");
        Self {
            slot,
            from,
            to,
            fence,
        }
    }

    /// A name that is on both nodes could not move.
    fn end(self, cluster: &RedisCluster) {
        cluster.move_name(&self.fence, self.from, self.to);
        cluster.move_keys(self.slot, self.from, self.to);
        cluster.end_migration(self.slot, self.to);
    }
}

#[tokio::test]
async fn a_release_while_the_fence_is_elsewhere_makes_no_second_one() {
    let cluster = RedisCluster::start(3, 0);
    let pool = builder(&cluster).build().await.unwrap();
    let other = builder(&cluster).build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    let token = guard.lease().fencing_token();
    let waiter = tokio::spawn(other.lock("k").acquire());
    eventually_async("it waits", || async { other.stats().waited == 1 }).await;

    let halfway = Halfway::begin(&cluster);
    guard.release().await;
    halfway.end(&cluster);
    let guard = waiter.await.unwrap().unwrap();
    assert!(guard.lease().fencing_token() > token);
    guard.release().await;
    assert!(cluster.locks().is_empty());
}

/// The calls of a process have a lease one after the other, and need more tokens for that.
#[tokio::test]
async fn a_lease_passed_on_while_the_fence_is_elsewhere_makes_no_second_one() {
    let cluster = RedisCluster::start(3, 0);
    let settings = builder(&cluster).batch_size(4).batch_time(LONG);
    let pool = settings.build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    let gate = watch::Sender::new(false);
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let (call, mut opens) = (pool.lock("k").acquire(), gate.subscribe());
        calls.spawn(async move {
            let guard = call.await.unwrap();
            opens.wait_for(|is_open| *is_open).await.unwrap();
            let token = guard.lease().fencing_token();
            guard.release().await;
            token
        });
    }
    eventually_async("all wait", || async { pool.stats().waited == 8 }).await;

    let halfway = Halfway::begin(&cluster);
    let node = &cluster.nodes()[halfway.to];
    let asked = node.script_calls();
    let mut tokens = vec![guard.lease().fencing_token()];
    // Half of the tokens are used then.
    guard.release().await;
    eventually_async("it asks for more", || async { node.script_calls() > asked }).await;
    halfway.end(&cluster);
    gate.send_replace(true);
    while let Some(token) = calls.join_next().await {
        tokens.push(token.unwrap());
    }
    let granted = tokens.len();
    tokens.dedup();
    assert!(tokens.is_sorted() && tokens.len() == granted, "{tokens:?}");
    assert!(cluster.locks().is_empty());
}
