//! `campaign soak [MINUTES] [SEED]`: processes compete for keys while everything is disturbed,
//! round after round with a new seed, and their histories are checked. With a seed, only that round
//! runs. In one round of eight the server loses its data too, and only the fencing token protects.

use std::ops::AddAssign;
use std::time::{Duration, Instant};
use std::{env, process, thread};

use lockattr_tests::campaign::{Campaign, Contender, Disturbance, contend};
use lockattr_tests::history::Summary;

const ROUND: Duration = Duration::from_secs(30);
/// The number of rounds at a time, each with its own server: they mostly wait.
const AT_ONCE: usize = 6;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.split_first() {
        Some((command, args)) if command == "contend" => contend_for_keys(args),
        Some((command, args)) if command == "soak" => soak(args),
        _ => usage(),
    }
}

fn usage() -> ! {
    eprintln!("usage: campaign soak [MINUTES] [SEED]");
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
    let number = |at: usize| {
        args.get(at)
            .map(|text| text.parse().unwrap_or_else(|_| usage()))
    };
    let minutes: u64 = number(0).unwrap_or(1);
    if let Some(seed) = number(1) {
        fight(seed);
        return;
    }
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    let sides: Vec<_> = (0..AT_ONCE)
        .map(|_| thread::spawn(move || soak_until(end)))
        .collect();
    let mut total = Total::default();
    for side in sides {
        total += side.join().expect("it ends by itself");
    }
    println!("no violation\nserver keeps its data: {:#?}", total.kept);
    println!("server loses its data: {:#?}", total.lost);
}

fn soak_until(end: Instant) -> Total {
    let mut total = Total::default();
    while Instant::now() < end {
        total += fight(fastrand::u64(..));
    }
    total
}

fn fight(seed: u64) -> Total {
    let campaign = round(seed);
    let outcome = campaign.run();
    if !outcome.is_clean() {
        eprintln!("seed {seed}: {outcome}\nonce more: campaign soak 1 {seed}");
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

fn round(seed: u64) -> Campaign {
    let program = env::current_exe().expect("this program");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut disturbances = Disturbance::SURVIVABLE.to_vec();
    if random.u8(..8) == 0 {
        disturbances.extend([Disturbance::LoseData, Disturbance::FlushAll].repeat(4));
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
        ..Campaign::new(program, seed).durable()
    }
}
