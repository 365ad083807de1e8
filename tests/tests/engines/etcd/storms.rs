//! Nothing is left of calls that were dropped.

use std::time::Duration;

use lockattr::LockPool;
use lockattr_tests::storm::{Length, Storm};
use lockattr_tests::{Etcd, eventually};

use super::builder;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_leaves_nothing_but_tombstones() {
    let etcd = Etcd::start(1);
    let storm = Storm {
        length: Length::Calls(6400),
        patience: Duration::from_millis(250),
        modes: false,
    };
    let damage = storm.run(builder(etcd.url())).await;
    assert!(damage.entered > 100 && damage.dropped > 100, "{damage:?}");
    eventually("every lock is released", || etcd.locks().is_empty());
    for (name, lease) in etcd.places() {
        assert!(name.starts_with("lockattr/tombstones/"), "{name} is left");
        assert!(lease != 0, "{name} has no end");
    }
    let stats: Vec<_> = damage.pools.iter().map(LockPool::stats).collect();
    let all_released = stats
        .iter()
        .all(|it| it.release_abandoned == 0 && it.lost == 0);
    assert!(all_released, "{stats:?}");
}
