//! `campaign soak [MINUTES] [DEPLOYMENT] [SEED]`: processes compete for keys while everything is
//! disturbed, round after round with a new seed, and their histories are checked. With a seed, only that
//! round runs. In some rounds the deployment forgets holders too, and only the fencing token protects.

use std::ops::AddAssign;
use std::time::{Duration, Instant};
use std::{env, process, thread};

use lockattr_tests::Deployment;
use lockattr_tests::campaign::{Campaign, Contender, Disturbance, contend};
use lockattr_tests::history::Summary;

const ROUND: Duration = Duration::from_secs(30);
/// The number of servers at a time, in rounds with servers of their own: they mostly wait.
const SERVERS: usize = 6;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.split_first() {
        Some((command, args)) if command == "contend" => contend_for_keys(args),
        Some((command, args)) if command == "soak" => soak(args),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: campaign soak [MINUTES] [single|sentinel|cluster] [SEED]");
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

fn soak(args: &[String]) {
    let mut args = args.iter().map(String::as_str);
    let number = |text: &str| text.parse().unwrap_or_else(|_| usage());
    let minutes: u64 = args.next().map_or(1, number);
    let deployment = args.next().unwrap_or("single");
    let deployment: Deployment = deployment.parse().unwrap_or_else(|_| usage());
    if let Some(seed) = args.next() {
        fight(deployment, number(seed));
        return;
    }
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let at_once = match deployment {
        Deployment::Single => SERVERS,
        Deployment::Sentinel | Deployment::Cluster => SERVERS / 3,
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
    let forgetting = match deployment {
        Deployment::Single => 1,
        Deployment::Sentinel | Deployment::Cluster => 3,
    };
    if random.u8(..8) < forgetting {
        disturbances.extend(Disturbance::forgetting(deployment).repeat(4));
    }
    Campaign {
        duration: ROUND,
        processes: random.usize(2..6),
        tasks: random.usize(1..16),
        keys: random.u32(1..16),
        ttl: Duration::from_millis(random.u64(150..600)),
        dwell: [Duration::ZERO, Duration::from_millis(300)][usize::from(random.u8(..8) == 0)],
        renews: random.u8(..4) > 0,
        passes_on: random.u8(..4) > 0,
        disturbances,
        ..Campaign::new(program, deployment, seed).durable()
    }
}
