//! Jobs of apalis: the attribute is on the handler.
//!
//! A queue gives a job to one worker, but two jobs of the same account go to two workers at once. The lock lets
//! them run one after the other, whatever queue, worker or process they are in; jobs of other accounts run
//! beside them. Look at the balances: no booking is lost.
//!
//! Both workers are in this process, and would be processes of a fleet. The handler waits for its lock, so it
//! takes one of the `concurrency` of its worker meanwhile. With `wait = "0s"` it fails at once instead, and
//! apalis tries again later: `.retry(…)`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use apalis::prelude::*;
use lockattr::distributed_lock;
use tokio::sync::{mpsc, watch};

const ACCOUNTS: usize = 3;
const BOOKINGS_OF_EACH: u32 = 20;

/// The job: one unit for an account.
#[derive(Clone, Copy, Debug)]
struct Booking {
    account: usize,
}

/// The balance of each account.
type Books = Arc<[AtomicU32; ACCOUNTS]>;

#[distributed_lock(key = "account:{booking.account}", ttl = "10s", wait = "60s")]
async fn book(booking: Booking, books: Data<Books>) -> Result<(), lockattr::Error> {
    // Like a program that reads the balance and writes it back later.
    let balance = books[booking.account].load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1)).await;
    books[booking.account].store(balance + 1, Ordering::SeqCst);
    Ok(())
}

/// What became of a job.
type Ended = Result<(), String>;

/// Works off its own queue until it has to stop.
async fn worker(
    name: &str,
    books: Books,
    ended: mpsc::UnboundedSender<Ended>,
    mut stops: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut queue = MemoryStorage::new();
    for _ in 0..BOOKINGS_OF_EACH / 2 {
        for account in 0..ACCOUNTS {
            queue.push(Booking { account }).await?;
        }
    }
    let worker = WorkerBuilder::new(name)
        .backend(queue)
        .concurrency(8)
        .parallelize(tokio::spawn)
        .data(books)
        .on_event(move |_, event| {
            let _ = match event {
                Event::Success(_) => ended.send(Ok(())),
                Event::Error(error) => ended.send(Err(error.to_string())),
                _ => Ok(()),
            };
        })
        .build(book);
    let stop = async move {
        // It also stops when there is nobody left to say so.
        let _ = stops.wait_for(|stops| *stops).await;
        Ok::<_, WorkerError>(())
    };
    worker.run_until(stop).await?;
    println!("{name} has stopped");
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pool = examples::install().await?;
    let books = Books::default();
    let (sender, mut ended) = mpsc::unbounded_channel();
    let (stop, stops) = watch::channel(false);
    let shared = Arc::clone(&books);
    let [first, second] = ["the first worker", "the second worker"]
        .map(move |name| worker(name, Arc::clone(&shared), sender.clone(), stops.clone()));
    let until_done = async {
        for _ in 0..ACCOUNTS * BOOKINGS_OF_EACH as usize {
            let job = ended.recv().await.context("the workers are gone")?;
            job.map_err(anyhow::Error::msg)?;
        }
        Ok(stop.send(true)?)
    };
    tokio::try_join!(first, second, until_done)?;

    for (account, balance) in books.iter().enumerate() {
        let balance = balance.load(Ordering::SeqCst);
        println!("account {account}: {balance} of {BOOKINGS_OF_EACH} bookings");
        anyhow::ensure!(balance == BOOKINGS_OF_EACH, "bookings were lost");
    }
    pool.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
