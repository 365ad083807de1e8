//! Calls dropped at random points leave nothing behind on the server.

use std::time::Duration;

use lockattr::LockPool;
use lockattr_tests::postgres::PostgresServer;
use lockattr_tests::storm::{Damage, Length, Storm};
use lockattr_tests::{Deployment, Etcd, Policy, Proxy, RedisServer, Service, ZooKeepers};

fn storm(calls: u64, patience: u64) -> Storm {
    Storm {
        length: Length::Calls(calls),
        patience: Duration::from_millis(patience),
        modes: true,
    }
}

/// Otherwise the test would show nothing.
#[track_caller]
fn expect_much(damage: &Damage, entered: u64) {
    assert!(
        damage.dropped >= 10_000 && damage.entered >= entered,
        "not much of a storm: {damage:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_random_drops_leave_no_lock() {
    let server = RedisServer::start();
    let builder = LockPool::builder().url(server.url());
    let damage = storm(25_600, 8).run(builder).await;
    expect_much(&damage, 500);
    damage.expect_nothing_left(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_far_from_the_server_leave_no_lock() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.set_both(Policy::Delay(Duration::from_millis(25)));
    let builder = LockPool::builder()
        .url(server.url_at(proxy.port()))
        .response_timeout(Duration::from_secs(10));
    let damage = storm(12_800, 160).run(builder).await;
    expect_much(&damage, 100);
    damage.expect_nothing_left(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_in_memory_leave_no_lock() {
    let builder = LockPool::builder().url("memory://storm");
    expect_much(&storm(25_600, 8).run(builder).await, 500);
    let service = Service::Memory("storm".to_owned());
    for key in Storm::keys() {
        service.becomes_free(&key).await;
    }
}

async fn storm_on(deployment: Deployment) {
    let damage = storm(25_600, 40).run_on(deployment).await;
    expect_much(&damage, 500);
    assert!(damage.changes > 0, "{damage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_while_a_server_stops_leave_no_lock() {
    storm_on(Deployment::Single).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_behind_sentinels_leave_no_lock() {
    storm_on(Deployment::Sentinel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_with_a_confirmation_leave_no_lock() {
    storm_on(Deployment::Confirmed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_on_one_postgres_leave_no_lock() {
    let server = PostgresServer::start();
    let builder = Deployment::Postgres.builder(&server.url());
    let damage = storm(12_800, 80).run(builder).await;
    expect_much(&damage, 500);
    damage.expect_nothing_left(&server);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_on_etcd_leave_no_lock() {
    let etcd = Etcd::start(1);
    let storm = Storm {
        modes: false,
        ..storm(6_400, 250)
    };
    let damage = storm.run(Deployment::Etcd.builder(&etcd.url())).await;
    assert!(damage.entered > 100 && damage.dropped > 100, "{damage:?}");
    damage.expect_nothing_left(&etcd);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_on_zookeeper_leave_no_lock() {
    let servers = ZooKeepers::start(3);
    let storm = Storm {
        length: Length::Time(Duration::from_secs(8)),
        ..storm(0, 200)
    };
    let damage = storm
        .run(Deployment::ZooKeeper.builder(&servers.url()))
        .await;
    assert!(damage.entered > 200 && damage.dropped > 500, "{damage:?}");
    damage.expect_nothing_left(&servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_on_postgres_leave_no_lock() {
    // Nothing is committed while the standby hangs, nor after a failover until the old primary follows the new one.
    let damage = storm(12_800, 200).run_on(Deployment::Postgres).await;
    expect_much(&damage, 40);
    assert!(damage.changes > 0, "{damage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_drops_on_a_cluster_leave_no_lock() {
    storm_on(Deployment::Cluster).await;
}
