//! W3: one key wanted by all tasks of one process.

use lockattr_tests::RedisServer;

use crate::candidate::Candidate;
use crate::report::Report;
use crate::rounds::{Effort, interleave, median};
use crate::uncontended::pairs_per_second;

const TASKS: usize = 64;
const CANDIDATES: [Candidate; 6] = [
    Candidate::Lockattr,
    Candidate::NoPassing,
    Candidate::ByHand,
    Candidate::Rslock,
    Candidate::AsyncRedisLock,
    Candidate::Mutex,
];

pub(crate) async fn run(effort: Effort, report: &mut Report) {
    let server = RedisServer::start();
    let all = interleave(effort, &CANDIDATES, async |candidate| {
        let locker = candidate.connect(&server.admin_url()).await;
        let key = format!("hot:{}", candidate.name());
        pairs_per_second(&locker, TASKS, effort.run, |_| key.clone()).await
    })
    .await;
    for (candidate, rounds) in all {
        let name = "W3 64 tasks, 1 key";
        report.add(name, candidate, "pairs/s", median(&rounds, |round| round.0));
        report.add(
            name,
            candidate,
            "min/max",
            median(&rounds, |round| fairness(&round.1)),
        );
        report.add(
            name,
            candidate,
            "longest wait ms",
            median(&rounds, |round| round.2),
        );
    }
}

/// Returns the smallest count divided by the largest.
pub(crate) fn fairness(pairs: &[u32]) -> f64 {
    let (least, most) = (pairs.iter().min(), pairs.iter().max());
    f64::from(*least.unwrap_or(&0)) / f64::from(*most.unwrap_or(&0).max(&1))
}
