//! A server is killed and started again in the middle of a held lease, which it has on its disk.
//!
//! Look at the second process: the key is taken for it, before and after. Without `appendonly yes` the
//! server would come back empty, and grant the key a second time.

use std::time::Duration;

use examples::servers::Server;
use lockattr::{Error, LockPool, distributed_lock};
use tokio::sync::oneshot;

/// The work: it says that it has begun, and ends when it is told to.
#[distributed_lock(key = "report:{day}", ttl = "30s", bind = lease)]
async fn write_report(
    day: u32,
    begun: oneshot::Sender<()>,
    end: oneshot::Receiver<()>,
) -> anyhow::Result<u64> {
    let _ = begun.send(());
    end.await?;
    anyhow::ensure!(lease.is_valid(), "the lease was lost");
    // A renewal, as the pool sends them by itself: the server that came back knows the lease.
    while let Err(error) = lease.extend(Duration::from_secs(30)).await {
        anyhow::ensure!(lease.is_valid(), "the lease was lost: {error}");
    }
    Ok(lease.fencing_token())
}

/// Whether another process gets the key now.
async fn is_free(other: &LockPool) -> Result<bool, Error> {
    let taken = other.lock(lockattr::key!("report:{}", 7)).try_acquire();
    Ok(match taken.await? {
        Some(guard) => {
            guard.release().await;
            true
        }
        None => false,
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    examples::trace();
    let durable = [
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ];
    let mut server = Server::start(&durable)?;
    let url = format!("redis://127.0.0.1:{}/", server.port());
    LockPool::builder().url(&url).install().await?;
    let other = LockPool::builder().url(&url).build().await?;

    let (begun, has_begun) = oneshot::channel();
    let (end, ends) = oneshot::channel();
    let report = tokio::spawn(write_report(7, begun, ends));
    has_begun.await?;
    println!(
        "the report is being written; free for others: {}",
        is_free(&other).await?
    );
    anyhow::ensure!(!is_free(&other).await?);

    server.kill()?;
    println!("the server was killed");
    server.restart()?;
    let is_free_now = loop {
        match is_free(&other).await {
            Ok(is_free) => break is_free,
            // It is connected again soon.
            Err(error) => println!("meanwhile: {error}"),
        }
    };
    println!("the server is back; free for others: {is_free_now}");
    anyhow::ensure!(!is_free_now, "the server forgot the lease");

    end.send(())
        .map_err(|()| anyhow::anyhow!("the report has ended"))?;
    let token = report.await??;
    println!("the report is written, under the token {token}");
    let next = other.lock(lockattr::key!("report:{}", 7)).acquire().await?;
    println!("the next token is {}", next.lease().fencing_token());
    anyhow::ensure!(next.lease().fencing_token() > token);
    next.release().await;
    Ok(())
}
