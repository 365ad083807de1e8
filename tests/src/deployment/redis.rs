//! What campaigns do to a Redis server, and find on it.

use std::thread::sleep;
use std::time::Duration;

use super::server::own_methods;
use super::{Name, Purpose, Server};
use crate::RedisServer;
use crate::campaign::Disturbance;

impl Server for RedisServer {
    own_methods!();

    fn restart_empty(&mut self) {
        Self::restart_empty(self);
    }

    fn suffer(&self, what: Disturbance, a_while: Duration) {
        let tell = |command: &[&str]| {
            self.raw(command).expect("the server takes it");
        };
        match what {
            Disturbance::FlushAll => tell(&["FLUSHALL"]),
            Disturbance::FlushScripts => {
                for _ in 0..10 {
                    tell(&["SCRIPT", "FLUSH"]);
                }
            }
            Disturbance::KillClients => {
                for _ in 0..5 {
                    tell(&["CLIENT", "KILL", "TYPE", "normal"]);
                    sleep(a_while / 10);
                }
            }
            Disturbance::PauseClients => {
                let millis = a_while.as_millis().to_string();
                tell(&["CLIENT", "PAUSE", &millis, "ALL"]);
                sleep(a_while);
            }
            Disturbance::Sleep => {
                let seconds = a_while.as_secs_f64().to_string();
                tell(&["DEBUG", "SLEEP", &seconds]);
            }
            Disturbance::Busy => keep_busy(self, a_while),
            Disturbance::OutOfMemory => {
                tell(&["CONFIG", "SET", "maxmemory", "1"]);
                sleep(a_while);
                tell(&["CONFIG", "SET", "maxmemory", "0"]);
            }
            other => unreachable!("{other:?} is not done to a Redis server"),
        }
    }

    fn names(&self) -> Vec<Name> {
        let named = |text: String| Name {
            purpose: if text.ends_with("#fence") {
                Purpose::Fence
            } else if text.contains("#tomb:") {
                Purpose::Tombstone
            } else if text.contains("#queue:") {
                Purpose::Queue
            } else {
                Purpose::Lock
            },
            text,
        };
        self.keys("*").into_iter().map(named).collect()
    }

    /// Of a cluster only one master has the name; the others refuse the question.
    fn ends(&self, name: &Name) -> Option<bool> {
        let left = self.raw(&["PTTL", &name.text]).ok()?;
        let left: i64 = redis::from_redis_value(left).expect("a number");
        (left != -2).then_some(left != -1)
    }
}

/// Runs a script that never ends, and kills it again.
fn keep_busy(server: &RedisServer, a_while: Duration) {
    let tell = |command: &[&str]| server.raw(command);
    tell(&["CONFIG", "SET", "busy-reply-threshold", "20"]).expect("the server takes it");
    let spinning = server.begin_endless_script();
    sleep(a_while);
    while !spinning.is_finished() {
        // Refused until the server has noticed that the script is slow.
        let _ = tell(&["SCRIPT", "KILL"]);
        sleep(Duration::from_millis(2));
    }
}
