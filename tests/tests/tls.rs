//! `rediss://` to a real server, with an authority of our own.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use lockattr::{BackendErrorKind, Error, LockPool, LockPoolBuilder};
use lockattr_tests::{RedisServer, Service};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Certificate and key for a host, as PEM.
    fn sign(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

/// A server with a port for TLS.
struct Secured {
    server: RedisServer,
    port: u16,
    dir: PathBuf,
}

impl Secured {
    fn start(authority: &Authority, host: &str) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|socket| socket.local_addr())
            .unwrap()
            .port();
        let dir = std::env::temp_dir().join(format!("lockattr-tls-{}-{port}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (certificate, key) = authority.sign(host);
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let server = RedisServer::start_with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &file("server.pem", &certificate),
            "--tls-key-file",
            &file("server.key", &key),
            "--tls-ca-cert-file",
            &file("authority.pem", &authority.pem()),
            "--tls-auth-clients",
            "no",
        ]);
        Self { server, port, dir }
    }

    fn url(&self) -> String {
        let url = self.server.url_at(self.port);
        url.replace("redis://", "rediss://")
    }

    fn builder(&self, authority: &Authority) -> LockPoolBuilder {
        let builder = LockPool::builder().url(self.url());
        builder.tls_root_certificates(authority.pem())
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

async fn refused(builder: LockPoolBuilder) -> String {
    let error = builder.build().await.unwrap_err();
    let Error::Connect { source, .. } = &error else {
        panic!("{error}")
    };
    let said = error.to_string();
    assert!(
        matches!(
            source.kind(),
            BackendErrorKind::Unreachable | BackendErrorKind::Refused | BackendErrorKind::Timeout
        ),
        "{said}"
    );
    said
}

#[tokio::test]
async fn the_right_authority_passes() {
    let authority = Authority::new("ours");
    let secured = Secured::start(&authority, "127.0.0.1");
    let ttl = Duration::from_millis(300);
    let first = secured.builder(&authority).build().await.unwrap();
    let second = secured.builder(&authority).build().await.unwrap();
    let guard = first.lock("k").ttl(ttl).acquire().await.unwrap();
    let waiting = second.lock("k").wait(Service::LONG).acquire();
    let waiting = tokio::spawn(waiting);
    lockattr_tests::eventually_async("it is renewed while the other waits", || async {
        first.stats().renewed > 1 && second.stats().waited > 0
    })
    .await;
    guard.release().await;
    waiting.await.unwrap().unwrap().release().await;
    assert!(secured.server.locks().is_empty());
}

#[tokio::test]
async fn another_authority_or_name_does_not() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let secured = Secured::start(&ours, "127.0.0.1");
    let wrong_authority = refused(secured.builder(&theirs)).await;
    assert!(wrong_authority.contains("certificate"), "{wrong_authority}");
    let platform = refused(LockPool::builder().url(secured.url())).await;
    assert!(platform.contains("certificate"), "{platform}");
    let elsewhere = Secured::start(&ours, "redis.example.org");
    let wrong_name = refused(elsewhere.builder(&ours)).await;
    assert!(wrong_name.contains("certificate"), "{wrong_name}");
    let nonsense = LockPool::builder().url(secured.url());
    let nonsense = nonsense.tls_root_certificates("no certificate").build();
    assert!(nonsense.await.is_err());
}

#[tokio::test]
async fn whoever_speaks_plainly_to_a_secured_port_is_told_in_time() {
    let authority = Authority::new("ours");
    let secured = Secured::start(&authority, "127.0.0.1");
    let plain = LockPool::builder().url(secured.server.url_at(secured.port));
    refused(plain.connect_timeout(Duration::from_secs(2))).await;
    let reverse = LockPool::builder().url(secured.server.url().replace("redis:", "rediss:"));
    refused(reverse.connect_timeout(Duration::from_secs(2))).await;
}
