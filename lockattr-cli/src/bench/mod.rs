//! `lockattr bench`: how fast locks are taken and given back.

mod measured;
mod report;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::future::try_join_all;
use lockattr::{Error, LockPool, LockRequest, Wait};

use crate::connection::{Connection, close};
use crate::exit::Exit;
use crate::failure::{Failure, say};
use crate::given::given;
use crate::output::Output;
use crate::signals::Signals;
use crate::span::parse_wait;
use measured::Measured;
use report::Report;

/// The options of `bench`.
#[derive(Args)]
pub(crate) struct Bench {
    /// How many tasks take a lock and give it back at once, again and again
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    tasks: u32,
    /// How many keys they share; with fewer keys than tasks, waiting is measured too [default: one for each task]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    keys: Option<u32>,
    /// How long it takes
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// How long a task waits for its lock before it fails, and all with it [default: 10s]
    #[arg(long, env = "LOCKATTR_WAIT", value_name = "TIME", value_parser = parse_wait)]
    wait: Option<Wait>,
}

impl Bench {
    pub(crate) async fn execute(
        self,
        connection: &Connection,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        // Nothing may be left behind.
        let mut signals = Signals::ending()?;
        let pool = tokio::select! {
            signal = signals.next() => return Ok(Exit::by_signal(signal as i32)),
            pool = connection.open() => pool?,
        };
        say(&format!(
            "this loads the lock service for {} s; Ctrl-C ends it sooner",
            self.seconds
        ));
        let measured = RefCell::new(Measured::new());
        let begun = Instant::now();
        let ended = tokio::select! {
            biased;
            signal = signals.next() => Ok(Some(signal)),
            done = self.work(&pool, begun, &measured) => done.map(|()| None),
        };
        let took = begun.elapsed();
        // What was under way is given back.
        close(&pool).await;
        let signal = ended?;
        let report = Report {
            tasks: self.tasks,
            keys: self.keys(),
            took,
            passed_on: pool.stats().passed_on,
            is_interrupted: signal.is_some(),
            measured: measured.into_inner(),
        };
        if output.is_json() {
            output.object(&report.view())?;
        } else {
            output.line(report)?;
        }
        Ok(signal.map_or(Exit::SUCCESS, |signal| Exit::by_signal(signal as i32)))
    }

    fn keys(&self) -> u32 {
        self.keys.unwrap_or(self.tasks)
    }

    async fn work(
        &self,
        pool: &LockPool,
        begun: Instant,
        measured: &RefCell<Measured>,
    ) -> Result<(), Error> {
        let run = fastrand::u64(..);
        let end = begun + Duration::from_secs(self.seconds.into());
        let tasks = (0..self.tasks).map(|task| {
            let key = format!("lockattr-bench:{run:016x}:{}", task % self.keys());
            let request = pool.lock(key).caller("lockattr bench");
            pairs(given(request, self.wait, LockRequest::wait), end, measured)
        });
        try_join_all(tasks).await?;
        Ok(())
    }
}

/// Takes the key and gives it back until the end, once at least.
async fn pairs(
    request: LockRequest,
    end: Instant,
    measured: &RefCell<Measured>,
) -> Result<(), Error> {
    loop {
        let begun = Instant::now();
        let guard = request.clone().acquire().await?;
        let acquired = Instant::now();
        let lost = guard.release().await;
        let released = Instant::now();
        let (acquire, release) = (acquired - begun, released - acquired);
        measured.borrow_mut().note(acquire, release, lost.is_some());
        if released >= end {
            return Ok(());
        }
    }
}
