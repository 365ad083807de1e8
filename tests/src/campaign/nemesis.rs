//! Disturbs a campaign, from a seed.

use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Campaign, Contender, Disturbance, is_ready};
use crate::history::{Event, Recorder};
use crate::{Direction, Policy, Proxy, RedisServer};

pub(super) struct Nemesis<'a> {
    campaign: &'a Campaign,
    dir: &'a Path,
    server: &'a mut RedisServer,
    recorder: Recorder,
    random: fastrand::Rng,
    places: Vec<Place>,
    started: u32,
    strikes: usize,
}

/// One process at a time, behind a proxy of its own.
struct Place {
    proxy: Proxy,
    number: u32,
    child: Child,
}

impl<'a> Nemesis<'a> {
    pub(super) fn new(
        campaign: &'a Campaign,
        dir: &'a Path,
        server: &'a mut RedisServer,
        recorder: Recorder,
    ) -> Self {
        let mut nemesis = Self {
            campaign,
            dir,
            server,
            recorder,
            random: fastrand::Rng::with_seed(campaign.seed),
            places: Vec::new(),
            started: 0,
            strikes: 0,
        };
        for _ in 0..campaign.processes {
            let proxy = Proxy::start(nemesis.server.port());
            let (number, child) = nemesis.start(&proxy);
            nemesis.places.push(Place {
                proxy,
                number,
                child,
            });
        }
        for place in &nemesis.places {
            is_ready(dir, place.number);
        }
        nemesis
    }

    fn start(&mut self, proxy: &Proxy) -> (u32, Child) {
        self.started += 1;
        let millis = |span: Duration| u64::try_from(span.as_millis()).expect("a short one");
        let contender = Contender {
            url: self.server.url_at(proxy.port()),
            dir: self.dir.to_owned(),
            process: self.started,
            seed: self.random.u64(..),
            tasks: self.campaign.tasks,
            keys: self.campaign.keys,
            ttl: millis(self.campaign.ttl),
            dwell: millis(self.campaign.dwell),
            renews: self.campaign.renews,
            batch_size: if self.campaign.passes_on { 256 } else { 1 },
            confirm_replicas: 0,
        };
        (self.started, contender.spawn(&self.campaign.program))
    }

    /// Disturbs one thing for a while, and then lets everything work for a while.
    pub(super) fn strike(&mut self) {
        let ttl = self.campaign.ttl;
        if let Some(what) = self.random.choice(&self.campaign.disturbances) {
            self.disturb(*what);
            self.strikes += 1;
        }
        sleep(ttl.mul_f64(self.random.f64()));
    }

    fn disturb(&mut self, what: Disturbance) {
        let ttl = self.campaign.ttl;
        let a_while = ttl.mul_f64(3.0 * self.random.f64() * self.random.f64());
        let place = self.random.usize(..self.places.len());
        let direction = [Direction::Requests, Direction::Replies][self.random.usize(..2)];
        let late = Policy::Delay(ttl.mul_f64(0.6 * self.random.f64()));
        let who = self.places[place].number;
        let text = format!("{what:?} for {a_while:?}, process {who}, {direction:?}, {late:?}");
        self.recorder.record(0, Event::Fault(text));
        let proxy = &self.places[place].proxy;
        match what {
            Disturbance::Cut => proxy.cut(),
            Disturbance::DelayRequests => proxy.set(Direction::Requests, late),
            Disturbance::DelayReplies => proxy.set(Direction::Replies, late),
            Disturbance::Stall => proxy.set(direction, Policy::Stall),
            Disturbance::Swallow => proxy.set(direction, Policy::Drop),
            Disturbance::Drip => proxy.set(direction, Policy::Drip),
            Disturbance::HalfOpen => proxy.set_both(Policy::Drop),
            Disturbance::Refuse => {
                proxy.refuse(true);
                proxy.cut();
            }
            Disturbance::StopProcess => return self.stop_process(place, a_while),
            Disturbance::KillProcess => return self.kill_process(place),
            Disturbance::StopServer => {
                self.server.pause();
                sleep(a_while);
                self.server.resume();
            }
            Disturbance::RestartServer => self.server.restart(),
            Disturbance::LoseData => self.server.restart_empty(),
            Disturbance::FlushAll => self.tell(&["FLUSHALL"]),
            Disturbance::FlushScripts => {
                for _ in 0..10 {
                    self.tell(&["SCRIPT", "FLUSH"]);
                }
            }
            Disturbance::KillClients => {
                for _ in 0..5 {
                    self.tell(&["CLIENT", "KILL", "TYPE", "normal"]);
                    sleep(a_while / 10);
                }
            }
            Disturbance::PauseClients => {
                let millis = a_while.as_millis().to_string();
                self.tell(&["CLIENT", "PAUSE", &millis, "ALL"]);
            }
            Disturbance::Sleep => {
                let seconds = a_while.as_secs_f64().to_string();
                self.tell(&["DEBUG", "SLEEP", &seconds]);
            }
            Disturbance::Busy => self.keep_busy(a_while),
            Disturbance::OutOfMemory => {
                self.tell(&["CONFIG", "SET", "maxmemory", "1"]);
                sleep(a_while);
                self.tell(&["CONFIG", "SET", "maxmemory", "0"]);
            }
        }
        sleep(a_while);
        let proxy = &self.places[place].proxy;
        proxy.set_both(Policy::Pass);
        proxy.refuse(false);
        if matches!(
            what,
            Disturbance::Swallow | Disturbance::HalfOpen | Disturbance::Drip
        ) {
            // Bytes swallowed in the middle of an answer make nonsense of the rest.
            proxy.cut();
        }
    }

    /// Runs a script that never ends, and kills it again.
    fn keep_busy(&mut self, a_while: Duration) {
        self.tell(&["CONFIG", "SET", "busy-reply-threshold", "20"]);
        let mut connection = self.server.connection();
        let spinning = std::thread::spawn(move || {
            let spin = redis::cmd("EVAL")
                .arg("while true do end")
                .arg(0)
                .to_owned();
            // Returns when the script is killed.
            let _ = spin.exec(&mut connection);
        });
        sleep(a_while);
        while !spinning.is_finished() {
            // Refused until the server has noticed that the script is slow.
            let _ = self.server.raw(&["SCRIPT", "KILL"]);
            sleep(Duration::from_millis(2));
        }
    }

    fn stop_process(&mut self, place: usize, a_while: Duration) {
        let Place { number, child, .. } = &self.places[place];
        let pid = Pid::from_child(child);
        self.recorder.record_of(*number, Event::Paused);
        kill_process(pid, Signal::STOP).expect("the process is there");
        sleep(a_while);
        kill_process(pid, Signal::CONT).expect("the process is there");
        self.recorder.record_of(*number, Event::Resumed);
    }

    fn kill_process(&mut self, place: usize) {
        let Place { number, child, .. } = &mut self.places[place];
        self.recorder.record_of(*number, Event::Killed);
        child.kill().expect("the process is there");
        child.wait().expect("the process was there");
        let proxy = Proxy::start(self.server.port());
        let (number, child) = self.start(&proxy);
        is_ready(self.dir, number);
        self.places[place] = Place {
            proxy,
            number,
            child,
        };
    }

    fn tell(&self, command: &[&str]) {
        self.server.raw(command).expect("the server takes it");
    }

    /// Disturbs nothing until every process has ended. Returns the number of disturbances.
    pub(super) fn end(mut self) -> usize {
        for place in &mut self.places {
            drop(place.child.stdin.take());
        }
        for place in &mut self.places {
            let status = place.child.wait().expect("the process was there");
            assert!(status.success(), "process {} failed", place.number);
        }
        self.strikes
    }
}
