//! Who may use etcd, and over what.

use std::fs;
use std::time::Duration;

use futures_util::future::join_all;
use lockattr::{BackendErrorKind, Error, LockPool, Severity, Topic, Wait};
use lockattr_etcd::Etcd as Engine;
use lockattr_tests::{
    Authority, CANARY, Etcd, EtcdVersion, Service, eventually_async, find_secret,
};
use serde_json::json;

use super::{builder, hold};

async fn refusal(url: &str) -> (BackendErrorKind, String) {
    match builder(url).build().await.unwrap_err() {
        Error::Connect { place, source, .. } => {
            assert_eq!(find_secret(place.as_bytes()), None);
            (source.kind(), source.to_string())
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_documented_rights_are_enough_and_a_password_is_needed() {
    for version in [EtcdVersion::V34, EtcdVersion::V35] {
        let etcd = Etcd::start_with(version, 1, &[], None);
        etcd.enable_auth();
        super::conforming::conforms(&etcd).await.unwrap();
        let (kind, said) = refusal(&etcd.url().replace(CANARY, "another")).await;
        assert_eq!(kind, BackendErrorKind::Refused, "{said}");
        let (kind, said) = refusal(&format!("etcd://127.0.0.1:{}", etcd.members[0].port())).await;
        assert_eq!(kind, BackendErrorKind::Refused, "{said}");
    }
}

/// Tokens end with the member that made them: these are `simple` ones.
#[tokio::test]
async fn a_token_that_is_refused_is_replaced() {
    let mut etcd = Etcd::start(1);
    etcd.enable_auth();
    let pool = builder(etcd.url()).build().await.unwrap();
    hold(&pool, "before").await.release().await;
    // It makes all tokens invalid, and no connection ends.
    etcd.change_auth();
    let after = pool.lock("after").try_acquire().await.unwrap();
    after.expect("it is free").release().await;
    etcd.members[0].restart();
    hold(&pool, "restarted").await.release().await;
}

/// The stream by which waiters are told was opened with a token that has ended since.
#[tokio::test]
async fn a_waiter_is_told_though_the_token_has_ended() {
    for version in [EtcdVersion::V34, EtcdVersion::V35] {
        let etcd = Etcd::start_with(version, 1, &[], None);
        etcd.enable_auth();
        let holder = builder(etcd.url()).default_ttl(Service::LONG);
        let holder = holder.build().await.unwrap();
        let pool = builder(etcd.url()).claim_window(Service::LONG);
        let pool = pool.default_ttl(Service::LONG).build().await.unwrap();
        let mut held = Vec::new();
        let mut waiting = Vec::new();
        for key in ["before", "after"] {
            held.push(hold(&holder, key).await);
            let places = etcd.locks().len();
            waiting.push(tokio::spawn(pool.lock(key).wait(Wait::Forever).acquire()));
            eventually_async("it waits", || async { etcd.locks().len() > places }).await;
            etcd.end_tokens();
        }
        for (guard, next) in held.into_iter().zip(waiting).rev() {
            guard.release().await;
            // Long before the pool would have asked again.
            eventually_async("it is told", async || next.is_finished()).await;
            next.await.unwrap().unwrap().release().await;
        }
    }
}

/// Nothing but questions about locks has come since the token ended.
#[tokio::test]
async fn questions_are_answered_though_the_token_has_ended() {
    let etcd = Etcd::start(1);
    etcd.enable_auth();
    let pool = builder(etcd.url()).default_ttl(Service::LONG);
    let pool = pool.build().await.unwrap();
    let guard = hold(&pool, "k").await;
    etcd.end_tokens();
    assert!(pool.holder("k").await.unwrap().is_some());
    etcd.end_tokens();
    let diagnosis = lockattr::doctor(&pool).await.unwrap();
    let rights = diagnosis
        .findings()
        .iter()
        .find(|it| it.topic == Topic::Rights);
    assert_eq!(rights.unwrap().severity, Severity::Good, "{diagnosis}");
    guard.release().await;
}

#[tokio::test]
async fn one_login_serves_all_that_find_their_token_ended() {
    let etcd = Etcd::start(1);
    etcd.enable_auth();
    // A connection that seems slow would be replaced, which takes another login.
    let pool = builder(etcd.url()).response_timeout(Service::LONG);
    let pool = pool.default_ttl(Service::LONG).build().await.unwrap();
    // The lease of etcd that all of them share.
    hold(&pool, "first").await.release().await;
    etcd.end_tokens();
    let before = etcd.members[0].logins();
    let locks = (0..100).map(|number| pool.lock(format!("k{number}")).acquire());
    for guard in join_all(locks).await {
        guard.unwrap().release().await;
    }
    assert_eq!(etcd.members[0].logins(), before + 1);
}

#[tokio::test]
async fn without_the_right_to_the_prefix_the_start_fails() {
    let etcd = Etcd::start(1);
    etcd.enable_auth();
    let elsewhere = LockPool::builder()
        .engine(Engine::new().prefix("elsewhere"))
        .url(etcd.url());
    let error = elsewhere.build().await.unwrap_err().to_string();
    assert!(error.contains("permission denied"), "{error}");
}

#[tokio::test]
async fn only_what_the_authority_signed_is_trusted() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("127.0.0.1");
    let dir = std::env::temp_dir().join(format!("lockattr-etcd-tls-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (cert_file, key_file) = (file("server.pem", &certificate), file("server.key", &key));
    let ca_file = file("ca.pem", &authority.pem);
    let etcd = Etcd::start_with(
        EtcdVersion::V35,
        1,
        &[
            "--cert-file",
            &cert_file,
            "--key-file",
            &key_file,
            "--trusted-ca-file",
            &ca_file,
            "--client-cert-auth",
        ],
        None,
    );
    let url = etcd.tls_url();
    let build = |engine: Engine| LockPool::builder().engine(engine).url(&url).build();
    let kind = |result: Result<LockPool, Error>| match result {
        Err(Error::Connect { source, .. }) => source.kind(),
        other => panic!("{other:?}"),
    };

    let (own, own_key) = authority.issue("client");
    let trusting = Engine::new().authority(authority.pem.clone());
    let pool = build(trusting.clone().identity(own.clone(), own_key.clone())).await;
    hold(&pool.unwrap(), "k").await.release().await;

    let without_certificate = kind(build(trusting).await);
    assert_ne!(without_certificate, BackendErrorKind::Timeout);
    let another = Engine::new()
        .authority(Authority::new().pem)
        .identity(own, own_key);
    assert_eq!(kind(build(another).await), BackendErrorKind::Untrusted);
    fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let etcd = Etcd::start(1);
    etcd.enable_auth();
    let pool = builder(etcd.url()).build().await.unwrap();
    let guard = hold(&pool, "k").await;
    let names = etcd.locks();
    assert!(
        find_secret(names[0].as_bytes()).is_some(),
        "the search knows an owner id"
    );
    let told = pool.holder("k").await.unwrap().unwrap();
    let diagnosis = lockattr::doctor(&pool).await.unwrap();
    let mut said = format!("{pool:?} {told:?} {diagnosis} {:?}", Engine::new());
    let busy = pool
        .lock("k")
        .wait(Duration::from_millis(10))
        .acquire()
        .await;
    said += &format!("{}", busy.unwrap_err());
    let revoked = json!({"role": "locks", "key": "bG9ja2F0dHIv", "range_end": "bG9ja2F0dHIw"});
    let _ = etcd.ask("auth/role/revoke", &revoked);
    said += &format!("{:?}", guard.lease().lost().await);
    said += &format!("{:?}", pool.lock("other").try_acquire().await.unwrap_err());
    assert_eq!(find_secret(said.as_bytes()), None);
}
