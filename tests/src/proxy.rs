//! A TCP proxy in front of a server, which delays, withholds and cuts.
//!
//! All proxies run on threads of their own, so they go on when a test's runtime is blocked or ends.

use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("proxy")
        .enable_all()
        .build()
        .expect("threads for the proxies")
});

/// What happens to the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// They pass.
    Pass,
    /// They arrive later by this time, in order; the bandwidth stays the same.
    Delay(Duration),
    /// They are kept until the policy changes, on a connection that stays open.
    Stall,
    /// They are not even read from their sender, whose buffers fill.
    Clog,
    /// They are swallowed.
    Drop,
    /// They arrive one at a time.
    Drip,
    /// Other bytes arrive instead, as many, which make no sense.
    Garble,
}

/// The direction of bytes that a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Replies,
}

/// The proxy; it ends when this value is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    controls: Arc<Controls>,
}

#[derive(Debug)]
struct Controls {
    requests: watch::Sender<Policy>,
    replies: watch::Sender<Policy>,
    /// Counts the cuts: a connection ends when it changes.
    cuts: watch::Sender<u64>,
    /// Counts how often the connections were forgotten: an older connection swallows everything.
    forgotten: AtomicU64,
    target: AtomicU16,
    refuses: watch::Sender<bool>,
    ends: watch::Sender<bool>,
    /// How many bytes may pass until the connections are cut, by direction; negative for no limit.
    budgets: [AtomicI64; 2],
}

impl Controls {
    fn policy(&self, direction: Direction) -> &watch::Sender<Policy> {
        match direction {
            Direction::Requests => &self.requests,
            Direction::Replies => &self.replies,
        }
    }

    /// Returns how many of these bytes may pass, and whether the connections are cut then.
    fn spend(&self, direction: Direction, wanted: usize) -> (usize, bool) {
        let budget = &self.budgets[direction as usize];
        let wanted_bytes = i64::try_from(wanted).expect("a buffer");
        let left = budget.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| match left {
            ..0 => None,
            // The budget is spent: the next connection has no limit.
            left if left <= wanted_bytes => Some(-1),
            left => Some(left - wanted_bytes),
        });
        match left {
            Ok(left) if left <= wanted_bytes => {
                (usize::try_from(left).expect("not negative"), true)
            }
            _ => (wanted, false),
        }
    }

    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Proxy {
    /// Starts a proxy in front of a local port.
    ///
    /// # Panics
    ///
    /// When no port or thread is available.
    #[must_use]
    pub fn start(target: u16) -> Self {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let port = listener.local_addr().expect("a port").port();
        let controls = Arc::new(Controls {
            requests: watch::Sender::new(Policy::Pass),
            replies: watch::Sender::new(Policy::Pass),
            cuts: watch::Sender::new(0),
            forgotten: AtomicU64::new(0),
            target: AtomicU16::new(target),
            refuses: watch::Sender::new(false),
            ends: watch::Sender::new(false),
            budgets: [AtomicI64::new(-1), AtomicI64::new(-1)],
        });
        RUNTIME.spawn(serve(listener, Arc::clone(&controls)));
        Self { port, controls }
    }

    /// Returns the port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets the policy of one direction, for present and future connections.
    pub fn set(&self, direction: Direction, policy: Policy) {
        self.controls.policy(direction).send_replace(policy);
    }

    /// Sets the policy of both directions.
    pub fn set_both(&self, policy: Policy) {
        self.set(Direction::Requests, policy);
        self.set(Direction::Replies, policy);
    }

    /// Closes every present connection.
    pub fn cut(&self) {
        self.controls.cut();
    }

    /// Forgets every present connection, as a NAT or firewall does: its bytes are swallowed,
    /// neither side is told, and it stays open. Later connections work.
    pub fn forget(&self) {
        self.controls.forgotten.fetch_add(1, Ordering::AcqRel);
    }

    /// Closes every connection, once, after this number of further bytes in this direction.
    ///
    /// # Panics
    ///
    /// When the number exceeds an `i64`.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        let bytes = i64::try_from(bytes).expect("a few bytes");
        self.controls.budgets[direction as usize].store(bytes, Ordering::Release);
    }

    /// Returns whether the bytes of [`cut_after`](Self::cut_after) have passed.
    #[must_use]
    pub fn has_cut(&self) -> bool {
        let spent = |budget: &AtomicI64| budget.load(Ordering::Acquire) < 0;
        self.controls.budgets.iter().all(spent)
    }

    /// Forwards later connections to another port.
    pub fn lead_to(&self, target: u16) {
        self.controls.target.store(target, Ordering::Release);
    }

    /// Sets whether new connections are closed at once.
    pub fn refuse(&self, refuses: bool) {
        self.controls.refuses.send_replace(refuses);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.controls.ends.send_replace(true);
        self.cut();
    }
}

async fn serve(listener: StdListener, controls: Arc<Controls>) {
    let listener = TcpListener::from_std(listener).expect("a socket for this runtime");
    let mut ends = controls.ends.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ends.wait_for(|ends| *ends) => return,
        };
        let Ok((client, _)) = accepted else { continue };
        if *controls.refuses.borrow() {
            continue;
        }
        let target = controls.target.load(Ordering::Acquire);
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
            continue;
        };
        // Otherwise small messages would wait for each other's acknowledgement.
        for socket in [&client, &server] {
            drop(socket.set_nodelay(true));
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut cuts = controls.cuts.subscribe();
        let age = controls.forgotten.load(Ordering::Acquire);
        let controls = Arc::clone(&controls);
        tokio::spawn(async move {
            tokio::select! {
                () = pump(from_client, to_server, Direction::Requests, &controls, age) => {}
                () = pump(from_server, to_client, Direction::Replies, &controls, age) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

/// Forwards one direction until either side ends.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    controls: &Controls,
    age: u64,
) {
    let is_forgotten = || controls.forgotten.load(Ordering::Acquire) > age;
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let policy = controls.policy(direction);
    let (mut clogged, mut stalled) = (policy.subscribe(), policy.subscribe());
    let reading = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            // An error means that the proxy has ended.
            drop(clogged.wait_for(|policy| *policy != Policy::Clog).await);
            let Ok(count @ 1..) = from.read(&mut buffer).await else {
                return;
            };
            if is_forgotten() {
                continue;
            }
            let bytes = &mut buffer[..count];
            let delay = match *policy.borrow() {
                Policy::Delay(delay) => delay,
                Policy::Drop => continue,
                Policy::Garble => {
                    bytes.fill(b'?');
                    Duration::ZERO
                }
                Policy::Pass | Policy::Stall | Policy::Clog | Policy::Drip => Duration::ZERO,
            };
            if queue
                .send((Instant::now() + delay, bytes.to_vec()))
                .is_err()
            {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = queued.recv().await {
            tokio::time::sleep_until(due).await;
            let passing = stalled.wait_for(|policy| *policy != Policy::Stall).await;
            let Ok(policy) = passing.map(|policy| *policy) else {
                return;
            };
            if is_forgotten() {
                continue;
            }
            let (count, is_last) = controls.spend(direction, bytes.len());
            let size = if policy == Policy::Drip {
                1
            } else {
                count.max(1)
            };
            for part in bytes[..count].chunks(size) {
                if to.write_all(part).await.is_err() {
                    return;
                }
                // Mostly lets the other side see each part alone.
                tokio::task::yield_now().await;
            }
            if is_last {
                return controls.cut();
            }
        }
    };
    tokio::join!(reading, writing);
}
