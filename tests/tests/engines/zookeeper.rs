//! Locks on real servers of `ZooKeeper`.

mod faults;
mod sessions;
mod waiting;

use std::time::Duration;

use lockattr::conformance::{Conformance, Violations};
use lockattr::{Error, LockPool, LockPoolBuilder, Severity};
use lockattr_tests::{CANARY, ZooKeepers};
use lockattr_zookeeper::ZooKeeper;

fn builder(url: &str) -> LockPoolBuilder {
    LockPool::builder().engine(ZooKeeper::new()).url(url)
}

async fn pool(url: &str) -> LockPool {
    builder(url).build().await.expect("a pool")
}

#[tokio::test]
async fn it_conforms_on_one_server() -> Result<(), Violations> {
    let servers = ZooKeepers::start(1);
    let checks = Conformance::of(builder(&servers.url()));
    checks.ttl(Duration::from_millis(800)).check().await
}

#[tokio::test]
async fn it_conforms_on_three_servers() -> Result<(), Violations> {
    let servers = ZooKeepers::start(3);
    let checks = Conformance::of(builder(&servers.url()));
    checks.ttl(Duration::from_millis(800)).check().await
}

/// With a user in the URL, no other user sees or changes the nodes.
#[tokio::test]
async fn it_conforms_for_a_user_and_others_are_refused() -> Result<(), Violations> {
    let servers = ZooKeepers::start(1);
    let hosts = servers.url().replace("zookeeper://", "");
    let url = format!("zk://me:{CANARY}@{hosts}/safe/locks");
    let checks = Conformance::of(builder(&url));
    checks.ttl(Duration::from_millis(800)).check().await?;
    let pool = pool(&url).await;
    let guard = pool.lock("mine").acquire().await.unwrap();
    for stranger in [
        format!("zk://other:{CANARY}@{hosts}/safe/locks"),
        format!("zk://{hosts}/safe/locks"),
    ] {
        let refused = builder(&stranger).build().await.unwrap_err();
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("user:password@"), "{text}");
        assert!(!text.contains(CANARY), "{text}");
    }
    assert!(guard.release().await.is_none());
    Ok(())
}

#[tokio::test]
async fn a_ttl_that_no_session_lasts_for_is_refused() {
    let servers = ZooKeepers::start_with(1, &["maxSessionTimeout=2000"]);
    let builder = builder(&servers.url()).default_ttl(Duration::from_secs(1));
    let pool = builder.build().await.unwrap();
    let refused = pool.lock("k").ttl(Duration::from_secs(2)).acquire().await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("at most 1s") && refused.contains("maxSessionTimeout"),
        "{refused}"
    );
    let short = pool.lock("k").ttl(Duration::from_secs(1));
    let guard = short.acquire().await.unwrap();
    let refused = guard.lease().extend(Duration::from_secs(9)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("least_session_timeout"), "{refused}");
    assert!(guard.lease().is_valid(), "the lease stays as it was");
    guard.release().await;
}

#[tokio::test]
async fn who_has_a_key_is_told_and_it_can_be_taken_away() {
    let servers = ZooKeepers::start(1);
    let [one, other] = [pool(&servers.url()).await, pool(&servers.url()).await];
    let keys = ["a/b", "a.b", "zookeeper", "..", "ü b"];
    let mut guards = Vec::new();
    for key in keys {
        guards.push(one.lock(key).acquire().await.unwrap());
    }
    for (key, guard) in keys.into_iter().zip(&guards) {
        let holder = other.holder(key).await.unwrap().expect("it is held");
        assert_eq!(&*holder.key, key);
        assert_eq!(holder.fencing_token, Some(guard.lease().fencing_token()));
        assert!(holder.who.contains("zookeeper.rs"), "{holder}");
    }
    let found = other.holders("a").next_page().await.unwrap().unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    let waiting = tokio::spawn(other.lock("a/b").acquire());
    lockattr_tests::eventually_async("it waits", async || {
        other.queue("a/b", 9).await.unwrap().len() == 1
    })
    .await;
    one.force_release("a/b").await.unwrap();
    let next = waiting.await.unwrap().unwrap();
    guards[0].lease().lost().await;
    assert!(next.lease().fencing_token() > guards[0].lease().fencing_token());
}

#[tokio::test]
async fn doctor_says_what_the_ensemble_promises() {
    let servers = ZooKeepers::start(3);
    let pool = pool(&servers.url()).await;
    let diagnosis = lockattr::doctor(&pool).await.unwrap();
    let text = diagnosis.to_string();
    assert!(diagnosis.worst() < Severity::Warning, "{text}");
    for part in ["3.8.0", "leader", "sessions of", "forceSync"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let one = servers.url().split(',').next().unwrap().to_owned();
    let pool = self::pool(&one).await;
    let text = lockattr::doctor(&pool).await.unwrap().to_string();
    assert!(text.contains("names one server"), "{text}");
}

/// A session that goes on with another server gets that server's timeout, and nobody is told.
#[tokio::test]
async fn doctor_warns_of_servers_that_differ() {
    let [one, other] = ["20000", "40000"].map(|longest| {
        let setting = format!("maxSessionTimeout={longest}");
        ZooKeepers::start_with(1, &[&setting])
    });
    let url = format!("{},127.0.0.1:{}", one.url(), other.node(0).port());
    let builder = builder(&url).default_ttl(Duration::from_secs(5));
    let pool = builder.build().await.unwrap();
    let diagnosis = lockattr::doctor(&pool).await.unwrap();
    let text = diagnosis.to_string();
    assert_eq!(diagnosis.worst(), Severity::Warning, "{text}");
    for part in ["a ttl is at most 10s", "differ in maxSessionTimeout"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn no_server_is_an_error_at_the_start() {
    let builder = builder("zookeeper://127.0.0.1:1").connect_timeout(Duration::from_millis(300));
    let error = builder.build().await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(
        error.to_string().contains("no server answered in time"),
        "{error}"
    );
}
