//! Processes that compete for a few keys on a real deployment, while its servers, the network and the
//! processes themselves are disturbed from a seed.

mod aftermath;
mod contender;
mod disturbance;
mod faults;
mod nemesis;
mod places;
mod standstill;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, process};

pub use contender::{Contender, contend};
pub use disturbance::Disturbance;
use nemesis::Nemesis;
use standstill::Standstill;

use crate::history::{Event, Recorder, Rules, Verdict, check, read_all};
use crate::{Deployed, Deployment, FencedStore, Name, Network, Purpose, eventually, is_soon};

/// How much longer than its `wait` a call may take on a machine that is busy with a campaign, besides the time
/// for which the machine stood still.
const MARGIN: Duration = Duration::from_secs(2);

/// The settings of a campaign.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "a list of settings")]
pub struct Campaign {
    /// The program that each process runs as `contend`.
    pub program: PathBuf,
    /// What they lock on.
    pub deployment: Deployment,
    /// Decides what happens: the same seed repeats it, as far as machines allow.
    pub seed: u64,
    /// How long the processes compete.
    pub duration: Duration,
    /// How many processes there are at a time.
    pub processes: usize,
    /// How many calls each process runs at a time.
    pub tasks: usize,
    /// How many keys they compete for.
    pub keys: u32,
    /// For how long a lease is granted.
    pub ttl: Duration,
    /// The longest time of most bodies.
    pub dwell: Duration,
    /// Whether most leases are renewed.
    pub renews: bool,
    /// Whether some keys have readers and writers, and some have permits.
    pub modes: bool,
    /// Whether a process passes its lease on among its own calls.
    pub passes_on: bool,
    /// The disturbances to choose from.
    pub disturbances: Vec<Disturbance>,
    /// Whether the servers lose nothing when they are killed.
    pub durable: bool,
}

/// The result of a campaign.
#[derive(Debug)]
pub struct Outcome {
    /// The result of checking the histories.
    pub verdict: Verdict,
    /// The names left on the masters, besides fencing tokens and tombstones.
    pub left_behind: Vec<String>,
    /// The number of disturbances.
    pub disturbed: usize,
    /// The folder of the histories, if there is a violation.
    pub histories: Option<PathBuf>,
}

impl Outcome {
    /// Returns whether there is no violation.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.verdict.violations.is_empty() && self.left_behind.is_empty()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (summary, disturbed) = (&self.verdict.summary, self.disturbed);
        write!(f, "{summary:?}, {disturbed} disturbances")?;
        for violation in &self.verdict.violations {
            write!(f, "\nVIOLATION of {violation}")?;
        }
        if !self.left_behind.is_empty() {
            write!(f, "\nVIOLATION: left behind: {:?}", self.left_behind)?;
        }
        match &self.histories {
            Some(dir) => write!(f, "\nhistories: {}", dir.display()),
            None => Ok(()),
        }
    }
}

impl Campaign {
    /// Makes a campaign without disturbances.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, deployment: Deployment, seed: u64) -> Self {
        Self {
            program: program.into(),
            deployment,
            seed,
            duration: Duration::from_secs(5),
            processes: 3,
            tasks: 6,
            keys: 3,
            ttl: deployment.ttl(),
            dwell: Duration::ZERO,
            renews: true,
            modes: false,
            passes_on: true,
            disturbances: Vec::new(),
            durable: false,
        }
    }

    /// Uses servers that lose nothing when they are killed.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Returns whether the deployment may forget holders.
    #[must_use]
    pub fn loses_data(&self) -> bool {
        let forgetting = Disturbance::forgetting(self.deployment);
        self.disturbances.iter().any(|it| forgetting.contains(it))
    }

    /// Returns whether replicas take a master's place that does not hand over.
    fn promotes(&self) -> bool {
        self.disturbances.iter().any(|it| it.promotes())
    }

    /// Runs the processes, waits for their end, and checks the histories.
    ///
    /// # Panics
    ///
    /// When no server, process or file is available.
    #[must_use]
    pub fn run(&self) -> Outcome {
        let dir =
            env::temp_dir().join(format!("lockattr-campaign-{}-{}", process::id(), self.seed));
        fs::create_dir(&dir)
            .expect("the folder is new: each campaign of a process has its own seed");
        let network = Network::new();
        let mut deployed = self.deployment.start(&network, self.durable);
        deployed.replaces_masters(self.promotes());
        let recorder = Recorder::create(&dir, 0).expect("a file for the history");
        let mut nemesis = Nemesis::new(self, &dir, &network, &mut *deployed, recorder);
        let standstill = Standstill::watch();
        let start = Instant::now();
        while start.elapsed() < self.duration {
            nemesis.strike();
        }
        let disturbed = nemesis.end();

        let left_behind = self.left_behind(&*deployed);
        let records = read_all(&dir).expect("the histories are there");
        let rules = self.rules(&records, standstill.longest());
        let verdict = check(&records, &self.stored(&dir), &rules);
        let mut outcome = Outcome {
            verdict,
            left_behind,
            disturbed,
            histories: None,
        };
        if outcome.is_clean() {
            fs::remove_dir_all(&dir).expect("the histories are ours");
        } else {
            outcome.histories = Some(dir);
        }
        outcome
    }

    fn rules(&self, records: &[crate::history::Record], standstill: Duration) -> Rules {
        let loses = self.loses_data();
        let calm = !records.iter().any(|r| matches!(r.event, Event::Fault(_)));
        Rules {
            exclusion: !loses,
            tokens: !loses || !self.passes_on,
            margin: MARGIN + standstill,
            order: !self.modes,
            // Each other process may stand before it, or have the key at that moment.
            turns: calm.then_some(self.processes - 1),
        }
    }

    fn stored(&self, dir: &Path) -> BTreeMap<u32, u64> {
        let store = FencedStore::new(dir);
        let value = |key| store.value(key).expect("the store is there");
        (0..self.keys).map(|key| (key, value(key))).collect()
    }

    /// Returns the names that stay longer than the last lease could, and have no later purpose.
    fn left_behind(&self, deployed: &dyn Deployed) -> Vec<String> {
        let is_meant = |name: &Name| matches!(name.purpose, Purpose::Fence | Purpose::Tombstone);
        let left = || -> Vec<Name> {
            let mut names = deployed.names();
            names.retain(|name| !is_meant(name));
            names
        };
        // Processes that were killed leave leases and places in queues, which end by themselves:
        // leases by their ttl, places with the next call that asks.
        is_soon(self.ttl * 4, || left().is_empty());
        let is_tombstone = |name: &Name| name.purpose == Purpose::Tombstone;
        let tombstones = deployed.names().into_iter().filter(is_tombstone);
        // Nor is a release repeated to a server that comes back after the process has ended.
        let killed = self.disturbances.contains(&Disturbance::KillProcess)
            || self.deployment == Deployment::Quorum;
        let may_stay = |name: &Name| match name.purpose {
            Purpose::Lock => false,
            Purpose::Queue => killed && deployed.ends(name),
            _ => deployed.ends(name),
        };
        let mut all = left();
        all.extend(tombstones);
        all.retain(|name| !may_stay(name));
        all.into_iter().map(|name| name.text).collect()
    }
}

/// Waits until the process has recorded that it is ready, which is its first record.
pub(crate) fn is_ready(dir: &Path, process: u32) {
    let path = dir.join(format!("{process}.history"));
    let has_begun = || fs::metadata(&path).is_ok_and(|file| file.len() > 0);
    eventually(&format!("process {process} is ready"), has_begun);
}
