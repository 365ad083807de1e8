//! What a Prometheus server scrapes, against a scripted run. The recorder is the whole process', so this is the
//! only test of its process.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use lockattr::{Error, LockPool, distributed_lock};
use lockattr_tests::{RedisServer, eventually_async};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::oneshot;

/// The samples by their names with labels, as they are scraped.
type Samples = BTreeMap<String, String>;

/// Serves the metrics as a service does. Returns the address.
async fn export() -> String {
    let handle = PrometheusBuilder::new().install_recorder().unwrap();
    let metrics = get(async move || handle.render());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let router = Router::new().route("/metrics", metrics);
    tokio::spawn(axum::serve(listener, router).into_future());
    url
}

async fn scrape(url: &str) -> Samples {
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(
        !text.contains("order:7"),
        "a filled-in key is a label: {text}"
    );
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Returns a sample of the function `pay`.
fn of_pay<'a>(samples: &'a Samples, name: &str, more: &str) -> Option<&'a str> {
    let name = format!(r#"{name}{{lock="order:{{id}}",function="metrics::pay"{more}}}"#);
    samples.get(&name).map(String::as_str)
}

const WAIT: Duration = Duration::from_secs(30);

/// Pays until it is told to end.
#[distributed_lock(key = "order:{id}", ttl = "3s", wait = WAIT, pool = pool)]
async fn pay(pool: &LockPool, id: u64, until: oneshot::Receiver<()>) -> Result<(), Error> {
    let _ = (pool, id);
    // The sender may be gone.
    drop(until.await);
    Ok(())
}

#[tokio::test]
async fn a_scrape_shows_what_has_happened() {
    let url = export().await;
    let server = RedisServer::start();
    // However long the first call takes, it passes its lease on.
    let builder = LockPool::builder().url(server.url()).batch_time(WAIT);
    let pool = builder.build().await.unwrap();
    let pays = |until| {
        let pool = pool.clone();
        tokio::spawn(async move { pay(&pool, 7, until).await })
    };
    let shows = async |name: &str, value: &str| {
        eventually_async(name, || async {
            let samples = scrape(&url).await;
            of_pay(&samples, name, "") == Some(value)
        })
        .await;
    };

    // The first one holds it; the second one gets it passed on; the third one leaves before.
    let (end, until) = oneshot::channel();
    let first = pays(until);
    shows("lockattr_held", "1").await;
    let (end_second, until) = oneshot::channel();
    let second = pays(until);
    shows("lockattr_waiting", "1").await;
    let (_, until) = oneshot::channel();
    let third = pays(until);
    shows("lockattr_waiting", "2").await;
    third.abort();
    shows("lockattr_waiting", "1").await;
    // By hand, so its labels are others.
    let refused = pool.lock("order:7").wait(Duration::ZERO).acquire().await;
    assert!(refused.unwrap_err().is_busy());
    end.send(()).unwrap();
    first.await.unwrap().unwrap();
    shows("lockattr_waiting", "0").await;
    // The second one loses it.
    server.raw(&["FLUSHALL"]).unwrap();
    assert!(second.await.unwrap().unwrap_err().is_lost());
    drop(end_second);
    shows("lockattr_held", "0").await;

    let samples = scrape(&url).await;
    for (name, more, expected) in [
        (
            "lockattr_acquire_seconds_count",
            r#",outcome="acquired""#,
            "2",
        ),
        (
            "lockattr_acquire_seconds_count",
            r#",outcome="cancelled""#,
            "1",
        ),
        ("lockattr_wait_seconds_count", r#",outcome="acquired""#, "1"),
        (
            "lockattr_wait_seconds_count",
            r#",outcome="cancelled""#,
            "1",
        ),
        ("lockattr_hold_seconds_count", "", "2"),
        ("lockattr_passed_on_total", "", "1"),
        ("lockattr_lost_total", r#",reason="gone""#, "1"),
    ] {
        assert_eq!(
            of_pay(&samples, name, more),
            Some(expected),
            "{name}{more}: {samples:#?}"
        );
    }
    let busy = samples
        .iter()
        .find(|(name, _)| name.starts_with("lockattr_busy_total"));
    let (labels, count) = busy.expect("one was refused");
    assert!(
        labels.contains(r#"lock="""#) && labels.contains("tests/metrics.rs:"),
        "{labels}"
    );
    assert_eq!(count, "1");
    assert_eq!(samples["lockattr_connections_up"], "1");
    // Both are clocks of this machine.
    let clock: f64 = samples["lockattr_clock_difference_seconds"]
        .parse()
        .unwrap();
    assert!(clock.abs() < 1.0, "{samples:#?}");

    pool.shutdown(Duration::from_secs(10)).await.unwrap();
    drop(pool);
    for name in ["lockattr_connections_up", "lockattr_requests_in_flight"] {
        eventually_async(name, || async { scrape(&url).await[name] == "0" }).await;
    }
}
