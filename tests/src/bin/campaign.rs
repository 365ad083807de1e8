//! `campaign soak [MINUTES] [DEPLOYMENT] [SEED]`: processes compete for keys while everything is
//! disturbed, round after round with a new seed, and their histories are checked. With a seed, only that
//! round runs. In one of four rounds the deployment forgets holders too, and only the fencing token protects.
//!
//! `campaign storm [MINUTES] [DEPLOYMENT]`: calls are dropped at random points, while servers stop and
//! masters change; nothing may be left on the servers.
//!
//! Without the name of a deployment, each is used for so many minutes.

use std::ops::AddAssign;
use std::time::{Duration, Instant};
use std::{env, process, thread};

use lockattr_tests::Deployment;
use lockattr_tests::campaign::{Campaign, Contender, Disturbance, contend};
use lockattr_tests::history::Summary;
use lockattr_tests::storm::{Damage, Length, Storm};

const ROUND: Duration = Duration::from_secs(30);
/// The number of servers at a time, in rounds with servers of their own: they mostly wait.
const SERVERS: usize = 6;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.split_first() {
        Some((command, args)) if command == "contend" => contend_for_keys(args),
        Some((command, args)) if command == "soak" => soak(args),
        Some((command, args)) if command == "storm" => storm(args),
        _ => usage(),
    }
}

fn usage() -> ! {
    let all: Vec<_> = Deployment::ALL.iter().map(ToString::to_string).collect();
    eprintln!(
        "usage: campaign soak|storm [MINUTES] [{}] [SEED]",
        all.join("|")
    );
    process::exit(2);
}

fn contend_for_keys(args: &[String]) {
    let contender = Contender::from_args(args);
    let number = contender.process;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    if let Err(error) = runtime.block_on(contend(contender)) {
        eprintln!("process {number}: {error}");
        process::exit(1);
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| usage())
}

/// Returns for how long, and on what.
fn settings(args: &[String]) -> (Duration, Vec<Deployment>) {
    let minutes = args.first().map_or(1, |text| number(text));
    let named = args
        .get(1)
        .map(|name| name.parse().unwrap_or_else(|_| usage()));
    let deployments = named.map_or(Deployment::ALL.to_vec(), |one| vec![one]);
    (Duration::from_secs(60 * minutes), deployments)
}

#[tokio::main]
async fn storm(args: &[String]) {
    let (time, deployments) = settings(args);
    let storm = Storm {
        length: Length::Time(time),
        patience: Duration::from_millis(40),
        modes: true,
    };
    for deployment in deployments {
        let Damage {
            entered,
            dropped,
            changes,
            ..
        } = storm.run_on(deployment).await;
        println!(
            "nothing is left on {deployment}: {entered} calls had the key, {dropped} calls were dropped, \
             the servers were disturbed {changes} times"
        );
    }
}

fn soak(args: &[String]) {
    let (time, deployments) = settings(args);
    for deployment in deployments {
        match args.get(2) {
            Some(seed) => drop(fight(deployment, number(seed))),
            None => soak_on(deployment, time),
        }
    }
}

fn soak_on(deployment: Deployment, time: Duration) {
    let end = Instant::now() + time;
    let at_once = match deployment {
        Deployment::Single => SERVERS,
        _ => SERVERS / 3,
    };
    let sides: Vec<_> = (0..at_once)
        .map(|_| thread::spawn(move || soak_until(deployment, end)))
        .collect();
    let mut total = Total::default();
    for side in sides {
        total += side.join().expect("it ends by itself");
    }
    println!(
        "no violation on {deployment}\nholders are kept: {:#?}",
        total.kept
    );
    println!("holders are forgotten: {:#?}", total.lost);
}

fn soak_until(deployment: Deployment, end: Instant) -> Total {
    let mut total = Total::default();
    while Instant::now() < end {
        total += fight(deployment, fastrand::u64(..));
    }
    total
}

fn fight(deployment: Deployment, seed: u64) -> Total {
    let campaign = round(deployment, seed);
    let outcome = campaign.run();
    if !outcome.is_clean() {
        eprintln!("seed {seed}: {outcome}\nonce more: campaign soak 1 {deployment} {seed}");
        process::exit(1);
    }
    println!("seed {seed}: {outcome}");
    let tally = Tally {
        rounds: 1,
        disturbances: outcome.disturbed,
        calls: outcome.verdict.summary,
    };
    let mut total = Total::default();
    if campaign.loses_data() {
        total.lost = tally;
    } else {
        total.kept = tally;
    }
    total
}

#[derive(Debug, Default)]
struct Total {
    kept: Tally,
    lost: Tally,
}

impl AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.kept += other.kept;
        self.lost += other.lost;
    }
}

#[derive(Debug, Default)]
struct Tally {
    rounds: usize,
    disturbances: usize,
    calls: Summary,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.disturbances += other.disturbances;
        self.calls += other.calls;
    }
}

fn round(deployment: Deployment, seed: u64) -> Campaign {
    let program = env::current_exe().expect("this program");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut disturbances = Disturbance::survivable(deployment);
    if random.u8(..4) == 0 {
        disturbances.extend(Disturbance::forgetting(deployment).repeat(4));
    }
    Campaign {
        duration: ROUND,
        processes: random.usize(2..6),
        tasks: random.usize(1..16),
        keys: random.u32(1..16),
        ttl: deployment.ttl().mul_f64(0.5 + 1.5 * random.f64()),
        dwell: [Duration::ZERO, Duration::from_millis(300)][usize::from(random.u8(..8) == 0)],
        renews: random.u8(..4) > 0,
        passes_on: random.u8(..4) > 0,
        modes: deployment.has_modes() && random.bool(),
        disturbances,
        ..Campaign::new(program, deployment, seed).durable()
    }
}
