//! Disturbs a campaign, from a seed.

use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Campaign, Contender, Disturbance, faults, is_ready};
use crate::history::{Event, Recorder};
use crate::{Deployed, Direction, Host, Network, Policy, Proxy};

pub(super) struct Nemesis<'a> {
    campaign: &'a Campaign,
    dir: &'a Path,
    network: &'a Network,
    deployed: &'a mut dyn Deployed,
    recorder: Recorder,
    random: fastrand::Rng,
    places: Vec<Place>,
    started: u32,
    strikes: usize,
}

/// One process at a time.
struct Place {
    host: Host,
    number: u32,
    child: Child,
}

impl<'a> Nemesis<'a> {
    pub(super) fn new(
        campaign: &'a Campaign,
        dir: &'a Path,
        network: &'a Network,
        deployed: &'a mut dyn Deployed,
        recorder: Recorder,
    ) -> Self {
        let mut nemesis = Self {
            campaign,
            dir,
            network,
            deployed,
            recorder,
            random: fastrand::Rng::with_seed(campaign.seed),
            places: Vec::new(),
            started: 0,
            strikes: 0,
        };
        for _ in 0..campaign.processes {
            let place = nemesis.start();
            nemesis.places.push(place);
        }
        for place in &nemesis.places {
            is_ready(dir, place.number);
        }
        nemesis
    }

    fn start(&mut self) -> Place {
        self.started += 1;
        let millis = |span: Duration| u64::try_from(span.as_millis()).expect("a short one");
        let contender = Contender {
            deployment: self.campaign.deployment,
            url: self.deployed.url(),
            dir: self.dir.to_owned(),
            process: self.started,
            seed: self.random.u64(..),
            tasks: self.campaign.tasks,
            keys: self.campaign.keys,
            ttl: millis(self.campaign.ttl),
            dwell: millis(self.campaign.dwell),
            renews: self.campaign.renews,
            modes: self.campaign.modes,
            batch_size: if self.campaign.passes_on { 256 } else { 1 },
        };
        let host = self.network.join();
        Place {
            number: self.started,
            child: contender.spawn(&self.campaign.program, &host),
            host,
        }
    }

    /// Disturbs one thing for a while, and then lets everything work for a while.
    pub(super) fn strike(&mut self) {
        let ttl = self.campaign.ttl;
        if let Some(what) = self.random.choice(&self.campaign.disturbances) {
            self.disturb(*what);
            self.deployed.settle();
            self.deployed.replaces_masters(self.campaign.promotes());
            self.strikes += 1;
        }
        sleep(ttl.mul_f64(self.random.f64()));
    }

    fn disturb(&mut self, what: Disturbance) {
        let ttl = self.campaign.ttl;
        let a_while = ttl.mul_f64(3.0 * self.random.f64() * self.random.f64());
        let place = self.random.usize(..self.places.len());
        let nodes = if what.strikes_replica() {
            self.deployed.replicas()
        } else {
            self.deployed.masters()
        };
        let node = *self.random.choice(&nodes).expect("there is one");
        let direction = [Direction::Requests, Direction::Replies][self.random.usize(..2)];
        let late = Policy::Delay(ttl.mul_f64(0.6 * self.random.f64()));
        let routes = self.some_routes(place);
        let who = self.places[place].number;
        let text = format!(
            "{what:?} for {a_while:?}, server {node}, process {who} on {} routes, {direction:?}, {late:?}",
            routes.len()
        );
        self.recorder.record(0, Event::Fault(text));
        let set = |direction, policy| routes.iter().for_each(|it| it.set(direction, policy));
        match what {
            Disturbance::Cut => routes.iter().for_each(|it| it.cut()),
            Disturbance::DelayRequests => set(Direction::Requests, late),
            Disturbance::DelayReplies => set(Direction::Replies, late),
            Disturbance::Stall => set(direction, Policy::Stall),
            Disturbance::Swallow => set(direction, Policy::Drop),
            Disturbance::Drip => set(direction, Policy::Drip),
            Disturbance::HalfOpen => routes.iter().for_each(|it| it.set_both(Policy::Drop)),
            Disturbance::Refuse => routes.iter().for_each(|it| {
                it.refuse(true);
                it.cut();
            }),
            Disturbance::StopProcess => return self.stop_process(place, a_while),
            Disturbance::KillProcess => return self.kill_process(place),
            Disturbance::MoveSlot => {
                return self.deployed.move_slot(&mut self.random, a_while);
            }
            Disturbance::IsolateMaster => {
                let beside = self.places[place].host.clone();
                let master = self.deployed.servers()[node].host();
                self.network.leave_alone_with(&beside, master);
                faults::strike(self.deployed, what, node, a_while);
                return self.network.rejoin(&beside);
            }
            of_servers => return faults::strike(self.deployed, of_servers, node, a_while),
        }
        sleep(a_while);
        for proxy in &routes {
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
    }

    /// Returns the ways of a process to all servers, or to one of them.
    fn some_routes(&mut self, place: usize) -> Vec<Arc<Proxy>> {
        let mut routes = self.places[place].host.routes();
        let one = self.random.usize(..routes.len());
        if self.random.bool() {
            routes = vec![routes.swap_remove(one)];
        }
        routes
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
        let Place {
            number,
            child,
            host,
        } = &mut self.places[place];
        self.recorder.record_of(*number, Event::Killed);
        child.kill().expect("the process is there");
        child.wait().expect("the process was there");
        host.leave();
        let new = self.start();
        is_ready(self.dir, new.number);
        self.places[place] = new;
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
