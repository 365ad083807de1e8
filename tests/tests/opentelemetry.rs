//! The spans as an OpenTelemetry collector gets them. Attributes and links are promised by
//! docs/observability.md.

use std::sync::LazyLock;
use std::time::Duration;

use lockattr::{Error, LockPool, distributed_lock};
use lockattr_tests::eventually_async;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tokio::sync::oneshot;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::set_global_default;
use tracing_subscriber::layer::SubscriberExt as _;

/// Collects the spans of this process.
fn collect() -> InMemorySpanExporter {
    static EXPORTER: LazyLock<InMemorySpanExporter> = LazyLock::new(|| {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let subscriber = tracing_subscriber::registry()
            .with(LevelFilter::DEBUG)
            .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("test")));
        set_global_default(subscriber).expect("it is set once");
        exporter
    });
    EXPORTER.clone()
}

/// The spans of calls that ended so far, by their keys.
fn ended(exporter: &InMemorySpanExporter, key: &str) -> Vec<SpanData> {
    let spans = exporter.get_finished_spans().unwrap();
    let is_it = |span: &SpanData| attribute(span, "lock.key").as_deref() == Some(key);
    spans.into_iter().filter(is_it).collect()
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let mut all = span.attributes.iter();
    let found = all.find(|it| it.key.as_str() == name)?;
    Some(found.value.to_string())
}

#[distributed_lock(key = "order:{id}", ttl = "20s", wait = "20s", pool = pool, bind = lease)]
async fn pay(pool: &LockPool, id: u64, until: oneshot::Receiver<()>) -> Result<u64, Error> {
    let _ = pool;
    drop(until.await);
    Ok(lease.fencing_token())
}

async fn spans(exporter: &InMemorySpanExporter, key: &str, count: usize) -> Vec<SpanData> {
    eventually_async("the spans end", || async {
        ended(exporter, key).len() == count
    })
    .await;
    ended(exporter, key)
}

#[tokio::test]
async fn a_span_has_the_documented_attributes() {
    let exporter = collect();
    let pool = LockPool::memory().await.unwrap();
    let (end, until) = oneshot::channel();
    drop(end);
    let token = pay(&pool, 1, until).await.unwrap();
    let span = &spans(&exporter, "order:1", 1).await[0];
    assert_eq!(span.name, "lock");
    for (name, value) in [
        ("lock.template", "order:{id}"),
        ("lock.mode", "exclusive"),
        ("lock.fencing_token", &token.to_string()),
        ("lock.function", "opentelemetry::pay"),
    ] {
        assert_eq!(attribute(span, name).as_deref(), Some(value), "{span:#?}");
    }
    assert_eq!(attribute(span, "error.type"), None);
    let events: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
    assert!(events.contains(&"lock acquired"), "{events:?}");
    assert!(events.contains(&"lock released"), "{events:?}");
}

#[tokio::test]
async fn a_refusal_and_a_loss_have_their_types() {
    let exporter = collect();
    let pool = LockPool::memory().await.unwrap();
    let guard = pool
        .lock("k")
        .ttl(Duration::from_millis(100))
        .await
        .unwrap();
    let refused = pool.lock("k").wait(Duration::ZERO).acquire().await;
    assert!(refused.unwrap_err().is_busy());
    let span = &spans(&exporter, "k", 1).await[0];
    assert_eq!(attribute(span, "error.type").as_deref(), Some("busy"));
    let function = attribute(span, "lock.function").expect("each has one");
    assert!(function.contains("opentelemetry.rs:"), "{function}");

    assert!(pool.force_release("k").await.unwrap());
    guard.lost().await;
    drop(guard);
    let both = spans(&exporter, "k", 2).await;
    let lost = both
        .iter()
        .find(|it| attribute(it, "lock.fencing_token").is_some());
    let lost = lost.expect("one was granted");
    assert_eq!(attribute(lost, "error.type").as_deref(), Some("lost"));
}

#[tokio::test]
async fn the_span_of_a_waiter_links_to_that_of_its_holder() {
    let exporter = collect();
    let pool = LockPool::memory().await.unwrap();
    let (end_first, until_first) = oneshot::channel();
    let (end_second, until_second) = oneshot::channel();
    drop(end_second);
    let first = pay(&pool, 2, until_first);
    let second = pay(&pool, 2, until_second);
    let (first, second, ()) = tokio::join!(first, second, async {
        eventually_async("one waits", || async { pool.stats().waited == 1 }).await;
        drop(end_first);
    });
    let (first, second) = (first.unwrap().to_string(), second.unwrap().to_string());
    let both = spans(&exporter, "order:2", 2).await;
    let of = |token: &str| {
        let is_it = |it: &&SpanData| attribute(it, "lock.fencing_token").as_deref() == Some(token);
        both.iter().find(is_it).expect("it was granted")
    };
    let (holder, waiter) = (of(&first), of(&second));
    let linked: Vec<_> = waiter
        .links
        .iter()
        .map(|link| link.span_context.span_id())
        .collect();
    assert_eq!(linked, [holder.span_context.span_id()]);
    assert!(holder.links.is_empty());
}
