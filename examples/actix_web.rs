//! A locked handler of actix-web: `lockattr::Error` is an answer, with status and `Retry-After`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::{App, HttpServer, post, web};
use lockattr::distributed_lock;

/// How many reports of a name are written at present, as seen from outside of the lock.
static WRITERS: AtomicU32 = AtomicU32::new(0);

#[distributed_lock(key = "report:{name}", ttl = "10s", wait = "0s")]
#[post("/report/{name}")]
async fn report(name: web::Path<String>) -> Result<String, lockattr::Error> {
    assert_eq!(WRITERS.fetch_add(1, Ordering::SeqCst), 0, "two at once");
    tokio::time::sleep(Duration::from_millis(100)).await;
    WRITERS.fetch_sub(1, Ordering::SeqCst);
    Ok(format!("the report {name} is written"))
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let pool = examples::install().await?;
    let server = HttpServer::new(|| App::new().service(report)).bind("127.0.0.1:0")?;
    let url = format!("http://{}/report/daily", server.addrs()[0]);
    let server = server.run();
    let handle = server.handle();
    let serves = actix_web::rt::spawn(server);

    let client = reqwest::Client::new();
    let ask = async || {
        let response = client.post(&url).send().await?;
        let (status, again) = (
            response.status(),
            response.headers().get("retry-after").cloned(),
        );
        println!(
            "{status}, Retry-After {again:?}: {}",
            response.text().await?
        );
        anyhow::Ok(status.as_u16())
    };
    let mut statuses: [u16; 2] = tokio::try_join!(ask(), ask())?.into();
    statuses.sort_unstable();
    anyhow::ensure!(statuses == [200, 409], "{statuses:?}");
    handle.stop(true).await;
    serves.await??;
    pool.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
