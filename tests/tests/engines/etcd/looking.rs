//! What is told about locks and about etcd.

use std::time::Duration;

use lockattr::{LockPool, Severity, Topic};
use lockattr_tests::{Etcd, EtcdVersion, Service, eventually, eventually_async};
use serde_json::json;

use super::{builder, hold};

async fn listed(pool: &LockPool, prefix: &str) -> Vec<String> {
    let (mut holders, mut found) = (pool.holders(prefix), Vec::new());
    while let Some(page) = holders.next_page().await.unwrap() {
        found.extend(page.into_iter().map(|holder| holder.key.to_string()));
    }
    found
}

#[tokio::test]
async fn holders_are_listed_by_the_beginning_of_their_keys() {
    let etcd = Etcd::start(1);
    let pool = builder(etcd.url()).build().await.unwrap();
    let mut guards = Vec::new();
    let mut keys: Vec<String> = (0..1100).map(|number| format!("a/{number:04}")).collect();
    keys.extend(["a", "a%2F", "b/1", "c"].map(str::to_owned));
    for key in &keys {
        guards.push(hold(&pool, key).await);
    }
    assert_eq!(listed(&pool, "a/").await, keys[..1100]);
    assert_eq!(listed(&pool, "b").await, ["b/1"]);
    let mut all = listed(&pool, "").await;
    all.sort();
    keys.sort();
    assert_eq!(all, keys);
    for guard in guards {
        guard.release().await;
    }
}

#[tokio::test]
async fn a_lock_is_taken_away_and_goes_to_the_next() {
    let etcd = Etcd::start(1);
    let (one, other) = (
        builder(etcd.url()).build().await.unwrap(),
        builder(etcd.url()).build().await.unwrap(),
    );
    let stuck = hold(&one, "job").await;
    let request = other.lock("job").wait(Service::LONG);
    let waiting = tokio::spawn(async move { request.acquire().await.unwrap() });
    eventually_async("it waits", || async {
        let holder = one.holder("job").await.unwrap();
        holder.is_some_and(|holder| holder.waiters == 1)
    })
    .await;
    let queue = one.queue("job", 9).await.unwrap();
    assert!(queue.waiters[0].who.contains("looking.rs:"), "{queue:?}");
    let holder = one.holder("job").await.unwrap().unwrap();
    assert_eq!(holder.fencing_token, Some(stuck.lease().fencing_token()));
    assert!(holder.ttl_left < Duration::from_secs(60), "{holder:?}");
    assert!(one.force_release("job").await.unwrap());
    let next = waiting.await.unwrap();
    assert!(next.lease().fencing_token() > stuck.lease().fencing_token());
    next.release().await;
    stuck.release().await;
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong() {
    for (version, members, replication, of_version) in [
        (EtcdVersion::V35, 1, Severity::Limit, Severity::Good),
        (EtcdVersion::V34, 3, Severity::Good, Severity::Warning),
    ] {
        let etcd = Etcd::start_with(version, members, &[], None);
        let pool = builder(etcd.url()).build().await.unwrap();
        let diagnosis = lockattr::doctor(&pool).await.unwrap();
        let severity = |topic| {
            let found = diagnosis.findings().iter().find(|it| it.topic == topic);
            found.map(|it| it.severity)
        };
        assert_eq!(
            severity(Topic::Replication),
            Some(replication),
            "{diagnosis}"
        );
        assert_eq!(severity(Topic::Version), Some(of_version), "{diagnosis}");
        assert_eq!(severity(Topic::Rights), Some(Severity::Good), "{diagnosis}");
    }
}

#[tokio::test]
async fn an_alarm_is_told_and_locks_can_be_given_back_under_it() {
    let etcd = Etcd::start(1);
    let pool = builder(etcd.url()).build().await.unwrap();
    let guard = hold(&pool, "held").await;
    let status = etcd.ask("maintenance/status", &json!({}));
    let full = json!({
        "action": "ACTIVATE",
        "alarm": "NOSPACE",
        "memberID": status["header"]["member_id"],
    });
    let _ = etcd.ask("maintenance/alarm", &full);
    let refused = pool.lock("k").try_acquire().await.unwrap_err().to_string();
    assert!(refused.contains("space exceeded"), "{refused}");
    let diagnosis = lockattr::doctor(&pool).await.unwrap();
    assert_eq!(diagnosis.worst(), Severity::Broken, "{diagnosis}");
    assert!(diagnosis.to_string().contains("NOSPACE"), "{diagnosis}");
    guard.release().await;
    eventually("it is given back", || etcd.locks().is_empty());
}
