//! A master is lost, and its only replica takes its place.

use std::path::Path;
use std::time::Duration;
use std::{env, fs, process};

use lockattr::{LockPool, LockPoolBuilder, RedisOptions};
use lockattr_tests::campaign::Contender;
use lockattr_tests::history::{Event, Recorder, Rules, Summary, check, read_all};
use lockattr_tests::replicated::{CONFIRM_RIGHTS, may_confirm, online};
use lockattr_tests::{Deployment, FencedStore, Sentinels, Service, eventually, eventually_async};

use super::unconfirmed;

fn start() -> Sentinels {
    let deployment = Sentinels::start();
    for node in &deployment.nodes {
        may_confirm(node, &[CONFIRM_RIGHTS]);
    }
    deployment
}

fn builder(deployment: &Sentinels, replicas: u8) -> LockPoolBuilder {
    let options = RedisOptions::new().confirm_replicas(replicas);
    LockPool::builder().url(deployment.url()).redis(options)
}

/// Restarts the first node as a replica of the second.
fn comes_back(deployment: &mut Sentinels) {
    let port = deployment.nodes[1].port().to_string();
    deployment.nodes[0].restart();
    deployment.nodes[0]
        .raw(&["REPLICAOF", "127.0.0.1", &port])
        .unwrap();
    eventually("it follows", || online(&deployment.nodes[1]) == 1);
}

#[tokio::test]
async fn a_lease_survives_the_master() {
    let mut deployment = start();
    let old = deployment.nodes[0].port();
    let pool = builder(&deployment, 1).build().await.unwrap();
    let held = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    deployment.nodes[0].kill();
    assert_eq!(deployment.new_master(old, &[0, 1, 2]), 1);
    assert_eq!(deployment.nodes[1].locks().len(), 1);
    let other = builder(&deployment, 0).build().await.unwrap();
    assert!(other.lock("k").try_acquire().await.unwrap().is_none());
    // Without a replica the new master can confirm nothing.
    let once = pool.lock("other").wait(Duration::ZERO).acquire().await;
    assert_eq!(unconfirmed(&once.unwrap_err()), (0, 1));
    comes_back(&mut deployment);
    // The sentinels may let it follow once more.
    eventually_async("it confirms", || async {
        held.lease().extend(Service::LONG).await.is_ok()
    })
    .await;
    held.release().await;
    let next = other.lock("k").acquire().await.unwrap();
    next.release().await;
}

/// A master that is cut off from its replica and sentinels, and still answers the pool.
#[tokio::test]
async fn an_isolated_master_grants_nothing() {
    let deployment = start();
    let old = deployment.nodes[0].port();
    let pool = builder(&deployment, 1).build().await.unwrap();
    let held = pool.lock("k").ttl(Service::LONG).acquire().await.unwrap();
    deployment.isolate(0);
    let once = pool.lock("new").wait(Duration::ZERO).acquire().await;
    assert_eq!(unconfirmed(&once.unwrap_err()), (0, 1));
    // By now the sentinels may have named the other one, which has no replica either.
    held.lease().extend(Service::LONG).await.unwrap_err();
    assert_eq!(deployment.new_master(old, &[0, 1, 2]), 1);
    let other = builder(&deployment, 0).build().await.unwrap();
    assert!(other.lock("k").try_acquire().await.unwrap().is_none());
    assert!(held.lease().is_valid());
}

/// Processes compete, while the master is cut off, goes on, and is killed; then its replica, which does
/// not have what was granted last, is the master.
#[test]
fn no_two_leases_are_valid_over_a_failover() {
    let (summary, _) = contend_over_a_failover(1);
    assert_eq!(summary.both_valid, 0, "{summary:?}");
}

/// The same without a confirmation, so that the test above shows something.
#[test]
fn without_a_confirmation_two_leases_are_valid_and_the_token_protects() {
    for round in 1..=5 {
        let (summary, _) = contend_over_a_failover(0);
        if summary.both_valid > 0 {
            return;
        }
        println!("round {round}: {summary:?}");
    }
    panic!("it never happened that two leases were valid");
}

/// Returns what happened, with how many grants after the failover.
fn contend_over_a_failover(confirm_replicas: u8) -> (Summary, usize) {
    const KEYS: u32 = 6;
    const PROCESSES: u32 = 3;
    let mut deployment = start();
    let old = deployment.nodes[0].port();
    let name = format!("lockattr-confirmed-{}-{confirm_replicas}", process::id());
    let dir = env::temp_dir().join(name);
    // What an earlier round may have left.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let recorder = Recorder::create(&dir, 0).unwrap();
    let mut children: Vec<_> = (1..=PROCESSES)
        .map(|process| {
            let contender = Contender {
                deployment: Deployment::Sentinel,
                url: deployment.url(),
                dir: dir.clone(),
                process,
                seed: u64::from(process),
                tasks: 6,
                keys: KEYS,
                // Shorter than the failover: what the replica has of released leases ends before.
                ttl: 800,
                batch_size: 256,
                dwell: 400,
                renews: true,
                confirm_replicas,
            };
            contender.spawn(Path::new(env!("CARGO_BIN_EXE_campaign")), None)
        })
        .collect();
    let granted = || {
        let records = read_all(&dir).unwrap_or_default();
        let is_grant = |event: &Event| matches!(event, Event::Granted { .. });
        records.iter().filter(|it| is_grant(&it.event)).count()
    };
    eventually("they compete", || granted() > 30);
    recorder.record(0, Event::Fault("the master is cut off".to_owned()));
    deployment.isolate(0);
    let calls = deployment.nodes[0].script_calls();
    eventually("it goes on", || {
        deployment.nodes[0].script_calls() > calls + 3
    });
    assert_eq!(deployment.new_master(old, &[0, 1, 2]), 1);
    deployment.nodes[0].kill();
    comes_back(&mut deployment);
    let before = granted();
    eventually("they compete again", || granted() > before + 30);
    for child in &mut children {
        drop(child.stdin.take());
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let after = granted() - before;
    let records = read_all(&dir).unwrap();
    let store = FencedStore::new(&dir);
    let stored = (0..KEYS).map(|key| (key, store.value(key).unwrap()));
    let rules = Rules {
        exclusion: confirm_replicas > 0,
        tokens: confirm_replicas > 0,
        margin: Duration::from_secs(5),
        turns: None,
    };
    let verdict = check(&records, &stored.collect(), &rules);
    println!("{:?}, {after} after the failover", verdict.summary);
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    fs::remove_dir_all(&dir).unwrap();
    (verdict.summary, after)
}
