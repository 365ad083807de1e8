//! A worker that takes messages from a queue, which delivers each of them more than once. What a message asks
//! for is done once, and SIGTERM leaves neither half of a message nor a lock behind.
//!
//! Look at the deliveries: most find their message done. Then comes SIGTERM in the middle of a message: the
//! worker finishes what it has, takes nothing new, and gives its locks back last. The next process goes on
//! with the rest of the queue.
//!
//! Two things make a message's effect happen once. The lock keeps a second delivery out until the first one is
//! done, so that it finds the message done. The fencing token is for a worker that was paused for too long and
//! does not know that it lost its lock: the database refuses what it writes. A stream of Redis, Kafka or SQS
//! would take the queue's place; acknowledge a message after the call, also if it was done before.

use std::collections::HashMap;
use std::ops::Range;
use std::process::{self, Command};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lockattr::{LockPool, distributed_lock};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const MESSAGES: u32 = 30;
const DELIVERIES_OF_EACH: usize = 3;
/// SIGTERM comes in the middle of this message. It and all later ones last until the signal has come.
const LAST: u32 = 15;
const CONSUMERS: usize = 4;

#[derive(Clone, Debug, Default)]
struct Row {
    fence: u64,
    effects: u32,
}

/// Stands for a database with the table `message(id, fence, effects)`.
#[derive(Debug, Default)]
struct Database(Mutex<HashMap<u32, Row>>);

impl Database {
    /// `UPDATE message SET fence = $token WHERE id = $id AND fence <= $token RETURNING effects > 0`
    fn is_done(&self, id: u32, token: u64) -> anyhow::Result<bool> {
        self.update(id, token, |row| row.effects > 0)
    }

    /// `UPDATE message SET effects = effects + 1 … WHERE id = $id AND fence <= $token`: what the message asks
    /// for, and that it is done, in one transaction.
    fn apply(&self, id: u32, token: u64) -> anyhow::Result<()> {
        self.update(id, token, |row| row.effects += 1)
    }

    fn update<R>(&self, id: u32, token: u64, update: impl Fn(&mut Row) -> R) -> anyhow::Result<R> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let row = rows.entry(id).or_default();
        anyhow::ensure!(row.fence <= token, "message {id} has a newer worker");
        row.fence = token;
        Ok(update(row))
    }

    fn row(&self, id: u32) -> Row {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.get(&id).cloned().unwrap_or_default()
    }
}

/// Returns whether there was something to do.
#[distributed_lock(key = "message:{id}", ttl = "10s", wait = "60s", bind = lease)]
async fn handle(db: &Database, id: u32, signal: watch::Receiver<bool>) -> anyhow::Result<bool> {
    let token = lease.fencing_token();
    if db.is_done(id, token)? {
        return Ok(false);
    }
    work(id, signal).await?;
    db.apply(id, token)?;
    Ok(true)
}

/// What takes time before the effect.
async fn work(id: u32, mut signal: watch::Receiver<bool>) -> anyhow::Result<()> {
    if id == LAST {
        println!("message {id} has begun; now comes SIGTERM");
        let pid = process::id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
    }
    if id >= LAST {
        signal.wait_for(|has_come| *has_come).await?;
    } else {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// The queue, as far as a worker needs it.
type Queue = tokio::sync::Mutex<mpsc::UnboundedReceiver<u32>>;

/// A process of the fleet.
#[derive(Clone)]
struct Worker {
    locks: LockPool,
    queue: Arc<Queue>,
    db: Arc<Database>,
    /// Whether SIGTERM has come.
    signal: watch::Receiver<bool>,
}

impl Worker {
    fn start(&self, ends: &watch::Receiver<bool>) -> JoinSet<anyhow::Result<(u32, u32)>> {
        let consumers = (0..CONSUMERS).map(|_| {
            let (worker, ends) = (self.clone(), ends.clone());
            let locks = self.locks.clone();
            locks.scope(async move { worker.consume(ends).await })
        });
        consumers.collect()
    }

    /// Takes messages until it has to end, or the queue is closed. Returns how many there were, and how many
    /// of them were not done yet.
    async fn consume(&self, mut ends: watch::Receiver<bool>) -> anyhow::Result<(u32, u32)> {
        let (mut deliveries, mut effects) = (0, 0);
        loop {
            // Dropped in the middle, this takes nothing out of the queue.
            let next = async { self.queue.lock().await.recv().await };
            let id = tokio::select! {
                biased;
                _ = ends.wait_for(|ends| *ends) => break,
                id = next => id,
            };
            let Some(id) = id else { break };
            // Outside of `select!`, so that a message that was begun is finished.
            let was_new = handle(&self.db, id, self.signal.clone()).await?;
            deliveries += 1;
            effects += u32::from(was_new);
        }
        Ok((deliveries, effects))
    }
}

/// Waits for all consumers, and sums up what they did.
async fn finish(mut consumers: JoinSet<anyhow::Result<(u32, u32)>>) -> anyhow::Result<(u32, u32)> {
    let (mut deliveries, mut effects) = (0, 0);
    while let Some(consumer) = consumers.join_next().await {
        let (more, new) = consumer??;
        deliveries += more;
        effects += new;
    }
    Ok((deliveries, effects))
}

/// All messages, each of them several times; those that are for the next process come last.
fn deliveries() -> Vec<u32> {
    let several = |ids: Range<u32>| ids.collect::<Vec<_>>().repeat(DELIVERIES_OF_EACH);
    let (mut early, mut late) = (several(0..LAST), several(LAST + 1..MESSAGES));
    fastrand::shuffle(&mut early);
    fastrand::shuffle(&mut late);
    [early, several(LAST..LAST + 1), late].concat()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let locks = examples::install().await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = mpsc::unbounded_channel();
    for id in deliveries() {
        sender.send(id)?;
    }
    // A real queue stays open.
    drop(sender);
    let queue = Arc::new(Queue::new(receiver));
    let db = Arc::new(Database::default());

    let (stop, stops) = watch::channel(false);
    let worker = Worker {
        locks: locks.clone(),
        queue: Arc::clone(&queue),
        db: Arc::clone(&db),
        signal: stops.clone(),
    };
    let mut consumers = worker.start(&stops);
    tokio::select! {
        _ = terminate.recv() => {}
        Some(ended) = consumers.join_next() => anyhow::bail!("a consumer ended: {:?}", ended?),
    }
    stop.send(true)?;
    let (first, effects) = finish(consumers).await?;
    locks.shutdown(Duration::from_secs(5)).await?;
    println!("the first process ends: {first} deliveries, {effects} effects");
    anyhow::ensure!(db.row(LAST).effects == 1, "it was not finished");
    let left = queue.lock().await.len();
    println!("{left} deliveries are left in the queue");
    anyhow::ensure!(left > 0, "it took new ones after the signal");

    let locks = examples::other_process().await?;
    let next = Worker {
        locks: locks.clone(),
        ..worker
    };
    let (_goes_on, never) = watch::channel(false);
    let (second, effects) = finish(next.start(&never)).await?;
    println!("the next process: {second} deliveries, {effects} effects");

    for id in 0..MESSAGES {
        let Row { effects, .. } = db.row(id);
        anyhow::ensure!(effects == 1, "message {id} had {effects} effects");
        let lock = locks.lock(lockattr::key!("message:{id}"));
        let is_free = lock.try_acquire().await?.is_some();
        anyhow::ensure!(is_free, "message {id} is still locked");
    }
    println!("{MESSAGES} messages, one effect of each, and no lock is left");
    locks.shutdown(Duration::from_secs(5)).await?;
    Ok(())
}
