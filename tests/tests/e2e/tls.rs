//! `rediss://`: which certificates are trusted, and the errors for the others.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use lockattr::{BackendErrorKind, Error, LockPool, LockPoolBuilder, RedisOptions};
use lockattr_tests::{
    Authority, CANARY, Proxy, RedisServer, Service, eventually, eventually_async,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that speaks only TLS, as 127.0.0.1, and its files.
struct TlsServer {
    server: RedisServer,
    dir: PathBuf,
}

impl TlsServer {
    fn start(authority: &Authority, asks_clients: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-tls-{}-{number}", process::id()));
        let args = authority.server_args(&dir, asks_clients);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let server = RedisServer::start_with(&args);
        Self { server, dir }
    }

    /// Returns the settings of a pool for it.
    fn builder(&self) -> LockPoolBuilder {
        self.builder_at(self.server.port())
    }

    fn builder_at(&self, port: u16) -> LockPoolBuilder {
        LockPool::builder()
            .url(self.server.url_at(port).replace("redis://", "rediss://"))
            .default_ttl(Service::LONG)
            .connect_timeout(CONNECT_TIMEOUT)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Expects that the pool is refused, with these parts in the error.
async fn refused(builder: LockPoolBuilder, kind: BackendErrorKind, parts: &[&str]) {
    let start = Instant::now();
    let error = builder.build().await.unwrap_err();
    assert!(start.elapsed() < CONNECT_TIMEOUT, "{error}");
    let text = format!("{error} {error:?}");
    println!("{error}");
    let Error::Connect { source, .. } = error else {
        panic!("{text}");
    };
    assert_eq!(source.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "not said: {part}: {text}");
    }
    assert!(!text.contains(CANARY));
}

/// Acquires, renews, hands over and releases.
async fn expect_locks(builder: &LockPoolBuilder, server: &RedisServer) {
    // Needs a handoff: asking again would come too late.
    let builder = builder.clone().claim_window(Service::LONG);
    let (pool, other) = (
        builder.clone().build().await.unwrap(),
        builder.build().await.unwrap(),
    );
    let short = Duration::from_millis(300);
    let guard = pool.lock("k").ttl(short).acquire().await.unwrap();
    eventually("it is renewed", || pool.stats().renewed > 2);
    let waiting = tokio::spawn(other.lock("k").acquire());
    eventually_async("it waits", || async { other.stats().waited == 1 }).await;
    guard.release().await;
    let handed = waiting.await.unwrap().unwrap();
    assert!(handed.lease().is_valid());
    handed.release().await;
    assert!(server.locks().is_empty());
}

#[tokio::test]
async fn the_right_authority_is_enough() {
    let authority = Authority::new();
    let tls = TlsServer::start(&authority, false);
    let builder = tls
        .builder()
        .redis(RedisOptions::new().tls_root_certificates(&authority.pem));
    expect_locks(&builder, &tls.server).await;
}

/// Only `main` chooses the process' provider of cryptography, before or after the pool.
#[tokio::test]
async fn a_pool_chooses_no_provider_for_the_process() {
    let authority = Authority::new();
    let tls = TlsServer::start(&authority, false);
    let builder = tls
        .builder()
        .redis(RedisOptions::new().tls_root_certificates(&authority.pem));
    expect_locks(&builder, &tls.server).await;
    let plain = RedisServer::start();
    LockPool::builder().url(plain.url()).build().await.unwrap();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn a_connection_that_is_cut_is_dialled_anew() {
    let authority = Authority::new();
    let tls = TlsServer::start(&authority, false);
    let proxy = Proxy::start(tls.server.port());
    let builder = tls.builder_at(proxy.port());
    let pool = builder.redis(RedisOptions::new().tls_root_certificates(&authority.pem));
    let pool = pool.build().await.unwrap();
    let guard = pool.lock("k").acquire().await.unwrap();
    proxy.cut();
    guard.release().await;
    eventually("it is released", || tls.server.locks().is_empty());
}

#[tokio::test]
async fn another_authority_is_not_trusted() {
    let tls = TlsServer::start(&Authority::new(), false);
    let parts = ["UnknownIssuer", "`tls_root_certificates`"];
    let other = tls
        .builder()
        .redis(RedisOptions::new().tls_root_certificates(Authority::new().pem));
    refused(other, BackendErrorKind::Untrusted, &parts).await;
    // The platform's certificates do not include this one either.
    refused(tls.builder(), BackendErrorKind::Untrusted, &parts).await;
}

#[tokio::test]
async fn another_host_is_not_trusted() {
    let authority = Authority::new();
    let tls = TlsServer::start(&authority, false);
    let url = format!("rediss://locker:{CANARY}@localhost:{}/", tls.server.port());
    let builder = tls
        .builder()
        .url(url)
        .redis(RedisOptions::new().tls_root_certificates(authority.pem));
    let parts = ["localhost", "127.0.0.1", "as the certificate names it"];
    refused(builder, BackendErrorKind::Untrusted, &parts).await;
}

#[tokio::test]
async fn plain_text_does_not_reach_a_tls_port_nor_tls_a_plain_one() {
    let authority = Authority::new();
    let tls = TlsServer::start(&authority, false);
    let plain = tls.builder().url(tls.server.url());
    refused(plain, BackendErrorKind::Unreachable, &["rediss://"]).await;

    let server = RedisServer::start();
    let url = server.url().replace("redis://", "rediss://");
    let builder = tls
        .builder()
        .redis(RedisOptions::new().tls_root_certificates(authority.pem));
    let builder = builder.url(url);
    // Redis takes the bytes for a line, and waits for its end.
    let impatient = builder.clone().connect_timeout(Duration::from_millis(300));
    refused(impatient, BackendErrorKind::Timeout, &["port without TLS"]).await;

    let talkative = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = talkative.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut client, _) = talkative.accept().unwrap();
        client.write_all(b"-ERR max number of clients reached\r\n")
    });
    let builder = builder.url(format!("rediss://127.0.0.1:{port}/"));
    refused(builder, BackendErrorKind::Malformed, &["redis://"]).await;
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_it() {
    let authority = Authority::new();
    let tls = TlsServer::start(&authority, true);
    let options = RedisOptions::new().tls_root_certificates(&authority.pem);
    let with = |options| tls.builder().redis(options);
    let asked = ["`tls_client_identity`"];
    refused(with(options.clone()), BackendErrorKind::Refused, &asked).await;
    let (certificate, key) = Authority::new().issue("client");
    let foreign = options.clone().tls_client_identity(certificate, key);
    refused(with(foreign), BackendErrorKind::Refused, &asked).await;
    let (certificate, key) = authority.issue("client");
    let with = with(options.tls_client_identity(certificate, key));
    expect_locks(&with, &tls.server).await;
}

#[tokio::test]
async fn settings_that_are_wrong_are_named() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("client");
    let plain = || LockPool::builder().url("redis://127.0.0.1/");
    let tls = || LockPool::builder().url("rediss://127.0.0.1/");
    let (roots, identity) = ("tls_root_certificates", "tls_client_identity");
    let broken = authority.pem.replace("MII", "AAA");
    for (builder, named) in [
        (
            plain().redis(RedisOptions::new().tls_root_certificates(&authority.pem)),
            roots,
        ),
        (
            plain().redis(RedisOptions::new().tls_client_identity(&certificate, &key)),
            identity,
        ),
        (
            tls().redis(RedisOptions::new().tls_root_certificates("")),
            roots,
        ),
        (
            tls().redis(RedisOptions::new().tls_root_certificates(&key)),
            roots,
        ),
        (
            tls().redis(RedisOptions::new().tls_root_certificates(&broken)),
            roots,
        ),
        (
            tls().redis(RedisOptions::new().tls_client_identity("", &key)),
            identity,
        ),
        (
            tls().redis(RedisOptions::new().tls_client_identity(&certificate, "")),
            identity,
        ),
        (
            LockPool::builder().url("rediss://127.0.0.1/#insecure"),
            "url",
        ),
    ] {
        let error = builder.build().await.unwrap_err();
        assert!(
            matches!(&error, Error::Config { setting, .. } if *setting == named),
            "{named}: {error}"
        );
        println!("{error}");
    }
}
