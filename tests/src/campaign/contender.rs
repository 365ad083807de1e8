//! One process of a campaign: many calls that want keys, and record what happens to them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use lockattr::{Error, Lease, LockPool, LockRequest, Mode, OnLost};

use super::{aftermath, places};
use crate::history::{Event, OF_OTHER_KEY, Recorder, now};
use crate::{Deployment, FencedStore, Host};

/// The longest time for which a body blocks the other calls of its process: they must still be answered within
/// the campaign's margin.
const LONGEST_BLOCK: Duration = Duration::from_millis(500);
/// How long a process may take to connect.
const STARTUP: Duration = Duration::from_secs(20);
/// The default; a longer ttl gets a longer window, so that the claim, two fifths of it, is a whole
/// ttl.
const CLAIM_WINDOW: Duration = Duration::from_secs(1);
/// How long a pool may take to release everything at the end.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// The settings of a process.
#[derive(Debug, Clone)]
pub struct Contender {
    /// What it locks on.
    pub deployment: Deployment,
    /// The URL of the deployment.
    pub url: String,
    /// The folder for histories and counters.
    pub dir: PathBuf,
    /// The process' number.
    pub process: u32,
    /// The seed of its random choices.
    pub seed: u64,
    /// How many calls run at a time.
    pub tasks: usize,
    /// How many keys there are.
    pub keys: u32,
    /// For how long a lease is granted, in milliseconds.
    pub ttl: u64,
    /// How many calls of the process may have a lease one after the other.
    pub batch_size: u32,
    /// The longest time of most bodies, in milliseconds.
    pub dwell: u64,
    /// Whether most leases are renewed.
    pub renews: bool,
    /// Whether some keys have readers and writers, and some have permits.
    pub modes: bool,
}

impl Contender {
    /// Starts the contender as a process, which ends when its input ends.
    pub(super) fn spawn(&self, program: &Path, host: &Host) -> Child {
        Command::new(program)
            .envs(host.environment())
            .args(["contend", &self.deployment.to_string()])
            .args([&self.url, &self.dir.display().to_string()])
            .args([self.process.to_string(), self.seed.to_string()])
            .args([self.tasks.to_string(), self.keys.to_string()])
            .args([self.ttl.to_string(), self.batch_size.to_string()])
            .args([self.dwell.to_string(), self.renews.to_string()])
            .arg(self.modes.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .expect("a process")
    }

    /// Reads the arguments with which a campaign starts the process.
    ///
    /// # Panics
    ///
    /// When the arguments are wrong.
    #[must_use]
    pub fn from_args(args: &[String]) -> Self {
        let [
            deployment,
            url,
            dir,
            process,
            seed,
            tasks,
            keys,
            ttl,
            batch_size,
            dwell,
            renews,
            modes,
        ] = args
        else {
            panic!(
                "contend DEPLOYMENT URL DIR PROCESS SEED TASKS KEYS TTL BATCH_SIZE DWELL RENEWS MODES"
            )
        };
        Self {
            deployment: deployment.parse().expect("a deployment"),
            url: url.clone(),
            dir: dir.into(),
            process: process.parse().expect("a number"),
            seed: seed.parse().expect("a number"),
            tasks: tasks.parse().expect("a number"),
            keys: keys.parse().expect("a number"),
            ttl: ttl.parse().expect("a number"),
            batch_size: batch_size.parse().expect("a number"),
            dwell: dwell.parse().expect("a number"),
            renews: renews.parse().expect("true or false"),
            modes: modes.parse().expect("true or false"),
        }
    }
}

/// Contends until the end of the input.
///
/// # Errors
///
/// When the pool cannot be built, or does not release everything at the end.
///
/// # Panics
///
/// When files cannot be written.
pub async fn contend(contender: Contender) -> Result<(), Error> {
    let recorder = Recorder::create(&contender.dir, contender.process);
    let recorder = Arc::new(recorder.expect("a file for the history"));
    places::record(&recorder);
    let builder = contender.deployment.builder(&contender.url);
    let builder = builder
        .default_ttl(Duration::from_millis(contender.ttl))
        .batch_size(contender.batch_size)
        .connect_timeout(STARTUP)
        .claim_window(CLAIM_WINDOW.max(Duration::from_millis(contender.ttl * 5 / 2)));
    let started = Instant::now();
    // A supervisor starts a service again that cannot connect; here servers are disturbed meanwhile.
    let pool = loop {
        match builder.clone().build().await {
            Err(Error::Connect { .. }) if started.elapsed() < STARTUP => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            built => break built?,
        }
    };
    recorder.record(0, Event::Ready);
    let ends = Arc::new(AtomicBool::new(false));
    let to_end = Arc::clone(&ends);
    thread::spawn(move || {
        // Returns at any byte, or when the parent process has ended.
        let _ = io::stdin().read(&mut [0]);
        to_end.store(true, Ordering::Relaxed);
    });
    let site = Rc::new(Site {
        store: FencedStore::new(&contender.dir),
        recorder,
        ttl: Duration::from_millis(contender.ttl),
        dwell: Duration::from_millis(contender.dwell),
        renews: contender.renews,
        modes: contender.modes,
        keys: contender.keys,
        pool: pool.clone(),
        ends,
    });
    let mut random = fastrand::Rng::with_seed(contender.seed);
    // All in one thread: no other call runs between the record of a request and its place in the
    // queue.
    let local = tokio::task::LocalSet::new();
    for task in 0..contender.tasks as u64 {
        let (site, mut random) = (Rc::clone(&site), random.fork());
        local.spawn_local(async move {
            let mut call = task + 1;
            while !site.ends.load(Ordering::Relaxed) {
                site.call(call, &mut random).await;
                call += contender.tasks as u64;
            }
        });
    }
    local.await;
    site.recorder.record(0, Event::Ended);
    for key in 0..contender.keys {
        let permits = match kind_of(key, contender.modes) {
            Kind::Permits => Some(PERMITS),
            _ => None,
        };
        aftermath::takes(&pool, &key_of(key), permits, contender.deployment).await?;
    }
    pool.shutdown(SHUTDOWN).await
}

fn key_of(key: u32) -> String {
    format!("contended:{key}")
}

/// How the calls of a key use it.
enum Kind {
    Exclusive,
    ReadersAndWriters,
    Permits,
}

const PERMITS: u32 = 3;

fn kind_of(key: u32, modes: bool) -> Kind {
    match key % 3 {
        1 if modes => Kind::ReadersAndWriters,
        2 if modes => Kind::Permits,
        _ => Kind::Exclusive,
    }
}

struct Site {
    pool: LockPool,
    recorder: Arc<Recorder>,
    store: FencedStore,
    ttl: Duration,
    dwell: Duration,
    renews: bool,
    modes: bool,
    keys: u32,
    ends: Arc<AtomicBool>,
}

impl Site {
    async fn call(&self, call: u64, random: &mut fastrand::Rng) {
        let key = random.u32(..self.keys);
        let wait = self.ttl.mul_f64([0.0, 0.5, 2.0, 4.0][random.usize(..4)]);
        let patience = if random.u8(..8) == 0 {
            wait.mul_f64(random.f64())
        } else {
            Duration::from_secs(3600)
        };
        // Mostly zero, as in practice; sometimes longer than the lease.
        let stay = match random.u16(..1000) {
            0..2 => self.ttl.mul_f64(2.5 * random.f64()),
            2..10 => self.ttl.mul_f64(0.3 * random.f64()),
            10..50 => Duration::from_micros(random.u64(..2000)),
            _ => self.dwell.mul_f64(random.f64()),
        };
        let blocks = random.u16(..500) == 0;
        let request = self
            .pool
            .lock(key_of(key))
            .wait(wait)
            .renew(self.renews && random.u8(..6) > 0)
            .on_lost([OnLost::Cancel, OnLost::Finish][random.usize(..2)]);
        let mode = match kind_of(key, self.modes) {
            Kind::ReadersAndWriters if random.u8(..3) > 0 => Mode::Shared,
            Kind::Permits => Mode::permits(PERMITS, random.u32(1..3)),
            _ => Mode::Exclusive,
        };
        let request = match mode {
            Mode::Shared => request.shared(),
            Mode::Permits {
                permits, weight, ..
            } => request.permits(permits).weight(weight),
            _ => request,
        };
        let other = self
            .other_key(key, random)
            .filter(|_| mode == Mode::Exclusive);
        let request = match other {
            Some(other) => self.together(key, other, wait),
            None => request,
        };
        // Each key of a call has a history of its own.
        let calls = [(call, Some(key)), (call + OF_OTHER_KEY, other)];
        let calls = calls
            .into_iter()
            .filter_map(|(call, key)| Some((call, key?)));
        let calls: Vec<(u64, u32)> = calls.collect();
        for (call, key) in &calls {
            let (key, call) = (*key, *call);
            self.recorder
                .record(call, Event::Requested { key, wait, mode });
        }
        let run = request.run(|lease| self.body(&calls, lease, stay, blocks));
        let event = match tokio::time::timeout(patience, run).await {
            Ok(Ok(())) => Event::Released,
            Ok(Err(error)) => Event::Failed(kind(&error).to_owned()),
            Err(_) => Event::Cancelled,
        };
        let is_refused = matches!(event, Event::Failed(_));
        for (call, _) in &calls {
            self.recorder.record(*call, event.clone());
        }
        if is_refused {
            // After a refusal, ask again a little later.
            tokio::time::sleep(self.ttl.mul_f64(0.1 * random.f64())).await;
        }
    }

    /// Sometimes a call wants two keys that are used alone.
    fn other_key(&self, key: u32, random: &mut fastrand::Rng) -> Option<u32> {
        let other = random.u32(..self.keys);
        let is_alone = matches!(kind_of(other, self.modes), Kind::Exclusive);
        let wants_both = self.modes && random.u8(..3) == 0;
        (wants_both && is_alone && other != key).then_some(other)
    }

    fn together(&self, one: u32, other: u32, wait: Duration) -> LockRequest {
        self.pool.lock_all([key_of(one), key_of(other)]).wait(wait)
    }

    /// Adds one to the counter of each key, with time between reading and writing.
    async fn body(&self, calls: &[(u64, u32)], lease: Lease, stay: Duration, blocks: bool) {
        let sections = calls.iter().map(|(call, key)| {
            let token = lease.token_of(&key_of(*key)).expect("it has the key");
            Section::enter(&self.recorder, *call, (&lease, token))
        });
        let sections: Vec<Section<'_>> = sections.collect();
        // The store is for those that have the key alone.
        let is_alone = lease.mode() == Mode::Exclusive;
        let read = |(section, (_, key)): (&Section<'_>, &(u64, u32))| {
            let value = self.store.read(*key, section.token);
            value.expect("the store is there")
        };
        let values: Vec<Option<u64>> = if is_alone {
            sections.iter().zip(calls).map(read).collect()
        } else {
            Vec::new()
        };
        if blocks {
            thread::sleep(stay.min(self.ttl / 2).min(LONGEST_BLOCK));
        } else if stay.is_zero() {
            tokio::task::yield_now().await;
        } else {
            for _ in 0..4 {
                tokio::time::sleep(stay / 4).await;
                sections.iter().for_each(Section::look);
            }
        }
        for ((section, (call, key)), value) in sections.iter().zip(calls).zip(values) {
            let accepted = value.is_some_and(|value| {
                self.recorder.record(*call, Event::Writing);
                let written = self.store.write(*key, section.token, value + 1);
                written.expect("the store is there")
            });
            self.recorder.record(*call, Event::Written { accepted });
        }
        sections.iter().for_each(Section::look);
    }
}

/// The time inside a body, however it ends.
struct Section<'a> {
    recorder: &'a Recorder,
    call: u64,
    lease: &'a Lease,
    token: u64,
}

impl<'a> Section<'a> {
    fn enter(recorder: &'a Recorder, call: u64, (lease, token): (&'a Lease, u64)) -> Self {
        let granted = Event::Granted {
            token,
            // Nothing is known of the end of a lease that is over already.
            valid_until: valid_until(lease).unwrap_or(0),
        };
        recorder.record(call, granted);
        Self {
            recorder,
            call,
            lease,
            token,
        }
    }

    /// Records how long the lease is still valid.
    fn look(&self) {
        if let Some(valid_until) = valid_until(self.lease) {
            self.recorder.record(self.call, Event::Seen { valid_until });
        }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        self.recorder.record(self.call, Event::Left);
    }
}

/// Returns at most the true end, or `None` if the lease is over: the clock is read before the remaining
/// time, and the lease is looked at once, since the process may be stopped anywhere.
fn valid_until(lease: &Lease) -> Option<u64> {
    let now = now();
    end_after(now, lease.remaining())
}

fn end_after(now: u64, remaining: Duration) -> Option<u64> {
    let nanos = u64::try_from(remaining.as_nanos()).unwrap_or(u64::MAX);
    (nanos > 0).then(|| now.saturating_add(nanos))
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Busy { .. } => "busy",
        Error::Lost { .. } => "lost",
        Error::Backend { .. } => "backend",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its end was before the clock was read, nobody knows by how much.
    #[test]
    fn a_lease_that_is_over_has_no_known_end() {
        assert_eq!(end_after(7, Duration::ZERO), None);
        assert_eq!(end_after(7, Duration::from_nanos(1)), Some(8));
        assert_eq!(end_after(7, Duration::MAX), Some(u64::MAX));
    }
}
