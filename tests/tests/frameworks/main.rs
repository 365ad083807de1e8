//! Services on real frameworks and a real Redis, asked by real clients: what a client is told when another
//! call has the lock, when the lock is lost, and when there is no server.

mod actix_web;
mod axum;
mod tonic;
mod tower;

use std::sync::Arc;
use std::time::Duration;

use lockattr::LockPool;
use lockattr_tests::RedisServer;
use tokio::sync::Semaphore;

/// What a client made of its answer.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Done,
    /// To be asked again after this time.
    Busy(Option<Duration>),
    Lost,
    Unavailable(Option<Duration>),
}

/// A shop whose orders take as long as the test wants.
#[derive(Clone)]
struct Shop {
    locks: LockPool,
    begun: Arc<Semaphore>,
    may_end: Arc<Semaphore>,
}

impl Shop {
    async fn open(server: &RedisServer) -> Self {
        let builder = LockPool::builder().url(server.url());
        Self {
            locks: builder.build().await.unwrap(),
            begun: Arc::new(Semaphore::new(0)),
            may_end: Arc::new(Semaphore::new(0)),
        }
    }

    /// What a handler does.
    async fn order(&self) {
        self.begun.add_permits(1);
        self.may_end.acquire().await.unwrap().forget();
    }

    async fn has_begun(&self) {
        self.begun.acquire().await.unwrap().forget();
    }
}

/// The handlers lock one key with a short ttl, and do not wait for it.
async fn clients_learn_what_happened<F>(
    mut server: RedisServer,
    shop: Shop,
    ask: impl Fn() -> F,
    most: Duration,
) where
    F: Future<Output = Answer> + 'static,
{
    let asks = || tokio::task::spawn_local(ask());
    let a_while = |after: Option<Duration>| {
        let range = Duration::from_secs(1)..=most;
        assert!(
            after.is_some_and(|after| range.contains(&after)),
            "{after:?}"
        );
    };
    tokio::task::LocalSet::new()
        .run_until(async {
            let first = asks();
            shop.has_begun().await;
            let Answer::Busy(after) = ask().await else {
                panic!("two orders at once")
            };
            a_while(after);
            shop.may_end.add_permits(1);
            assert_eq!(first.await.unwrap(), Answer::Done);

            let loses = asks();
            shop.has_begun().await;
            server.raw(&["FLUSHALL"]).unwrap();
            assert_eq!(loses.await.unwrap(), Answer::Lost);

            server.kill();
            let Answer::Unavailable(after) = ask().await else {
                panic!("an order without a lock")
            };
            a_while(after);
        })
        .await;
}

/// Reads an answer by HTTP, and checks that it tells nothing that a client need not know.
async fn read(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    if status == 200 {
        return Answer::Done;
    }
    let header = |name| {
        response
            .headers()
            .get(name)
            .map(|v| v.to_str().unwrap().to_owned())
    };
    let retry_after =
        header("retry-after").map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    assert_eq!(header("content-type").unwrap(), "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(problem["status"], status);
    assert!(problem["title"].is_string(), "{problem}");
    for private in ["order:7", "127.0.0.1", "frameworks"] {
        assert!(!problem.to_string().contains(private), "{problem}");
    }
    match status {
        409 | 423 => Answer::Busy(retry_after),
        503 => Answer::Unavailable(retry_after),
        500 => Answer::Lost,
        _ => panic!("{status} {problem}"),
    }
}
