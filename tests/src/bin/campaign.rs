//! `campaign soak [MINUTES] [SEED]`: processes fight for keys while everything is disturbed, round
//! after round with a new seed, and their histories are checked. With a seed, that round alone.

use std::time::{Duration, Instant};
use std::{env, process};

use lockattr_tests::campaign::{Campaign, Contender, Disturbance, contend};
use lockattr_tests::history::Summary;

const ROUND: Duration = Duration::from_secs(30);

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
    let only = number(1);
    let (start, mut total) = (Instant::now(), Summary::default());
    let mut rounds = 0;
    let mut disturbed = 0;
    loop {
        let seed = only.unwrap_or_else(|| fastrand::u64(..));
        let outcome = round(seed).run();
        println!("seed {seed}: {outcome}");
        if !outcome.is_clean() {
            eprintln!("failed; once more: campaign soak 1 {seed}");
            process::exit(1);
        }
        total += outcome.verdict.summary;
        disturbed += outcome.disturbed;
        rounds += 1;
        if only.is_some() || start.elapsed() > Duration::from_secs(60 * minutes) {
            break;
        }
    }
    println!("{rounds} rounds, {disturbed} disturbances, no violation: {total:#?}");
}

fn round(seed: u64) -> Campaign {
    let program = env::current_exe().expect("this program");
    let mut random = fastrand::Rng::with_seed(seed);
    Campaign {
        duration: ROUND,
        processes: random.usize(2..6),
        tasks: random.usize(1..16),
        keys: random.u32(1..16),
        ttl: Duration::from_millis(random.u64(150..600)),
        passes_on: random.u8(..4) > 0,
        disturbances: Disturbance::SURVIVABLE.to_vec(),
        ..Campaign::new(program, seed).durable()
    }
}
