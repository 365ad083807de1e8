//! A TCP proxy that delays both directions as precisely as the machine can.
//!
//! The tests' proxy uses tokio's timers, which tick in milliseconds: a delay of 0.5 ms becomes 1 to
//! 2 ms. Here each direction of a connection has a thread that sleeps until shortly before bytes
//! are due, and spins for the rest.

use std::hint::spin_loop;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::set_current_timer_slack;

/// Nearly every sleep is late by at most this.
const SPIN: Duration = Duration::from_micros(60);

/// The proxy; it accepts no more connections after it is dropped.
pub(crate) struct DelayProxy {
    port: u16,
    ends: Arc<AtomicBool>,
}

impl DelayProxy {
    /// Starts a proxy in front of a local port, with this delay in each direction.
    pub(crate) fn start(target: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a port").port();
        let ends = Arc::new(AtomicBool::new(false));
        let has_ended = Arc::clone(&ends);
        thread::spawn(move || {
            for client in listener.incoming() {
                if has_ended.load(Ordering::Relaxed) {
                    return;
                }
                let client = client.expect("a connection");
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target));
                join(
                    &client,
                    &server.expect("the server takes connections"),
                    delay,
                );
            }
        });
        Self { port, ends }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts connections.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn join(client: &TcpStream, server: &TcpStream, delay: Duration) {
    for (from, to) in [(client, server), (server, client)] {
        to.set_nodelay(true).expect("a TCP socket");
        let mut from = from.try_clone().expect("a descriptor");
        let to = to.try_clone().expect("a descriptor");
        let (queue, queued) = channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let due = Instant::now() + delay;
                if queue.send((due, buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
        });
        thread::spawn(move || deliver(&queued, to));
    }
}

/// Forwards until either side closes its end.
fn deliver(queued: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    // By default the kernel may let a thread sleep 50 µs longer, to wake several at once.
    set_current_timer_slack(NonZeroU64::new(1)).expect("a thread may set its own");
    for (due, bytes) in queued {
        let rest = due.saturating_duration_since(Instant::now());
        thread::sleep(rest.saturating_sub(SPIN));
        while Instant::now() < due {
            spin_loop();
        }
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The remaining side has noticed the end already, or notices it now.
    let _ = to.shutdown(Shutdown::Both);
}

/// Returns the median round trip of a bare command in microseconds: the real delay.
pub(crate) fn round_trip(url: &str) -> f64 {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_connection().expect("a server");
    let times = (0..500)
        .map(|_| {
            let start = Instant::now();
            let answer: String = redis::cmd("PING")
                .query(&mut connection)
                .expect("an answer");
            assert_eq!(answer, "PONG");
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    crate::rounds::percentile(times, 50)
}
