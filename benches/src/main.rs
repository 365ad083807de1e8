//! Measures the library against its peers, in interleaved rounds on a server of its own.
//!
//! `cargo run --release -p benches` runs all workloads (some 20 minutes), `-- --quick` in two
//! to three minutes; `-- W3` only one; `-- deployments` compares the deployments instead, and `-- engines`
//! the other engines with what their users write by hand (`-- engines etcd` only one). The results are in
//! `benches/results/`.

mod candidate;
mod delay;
mod deployments;
mod engines;
mod fleet;
mod hot_key;
mod loss;
mod macro_overhead;
mod peers;
mod renewal;
mod report;
mod rounds;
mod server_cost;
mod server_stats;
mod side_by_side;
mod together;
mod uncontended;
mod waiting;

use std::path::Path;

use report::Report;
use rounds::Effort;

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "worker") {
        return fleet::work(&args[1..]).await;
    }
    let effort = Effort::new(args.iter().any(|arg| arg == "--quick"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    if args.iter().any(|arg| arg == "deployments") {
        return deployments::run(effort, &folder).await;
    }
    if args.iter().any(|arg| arg == "engines") {
        return engines::run(effort, &args, &folder).await;
    }
    let wanted: Vec<&String> = args.iter().filter(|arg| arg.starts_with('W')).collect();
    let wants = |workload: &str| wanted.is_empty() || wanted.iter().any(|arg| *arg == workload);
    let mut report = Report::default();
    if wants("W1") {
        uncontended::one_task(effort, &mut report).await;
    }
    if wants("W2") {
        uncontended::many_tasks(effort, &mut report).await;
    }
    if wants("W3") {
        hot_key::run(effort, &mut report).await;
    }
    if wants("W4") {
        fleet::run(effort, &mut report).await;
    }
    if wants("W5") {
        waiting::run(effort, &mut report).await;
    }
    if wants("W6") {
        renewal::run(effort, &mut report).await;
    }
    if wants("W7") {
        loss::run(effort, &mut report).await;
    }
    if wants("W8") {
        server_cost::run(effort, &mut report).await;
    }
    if wants("W9") {
        together::run(effort, &mut report).await;
    }
    if wanted.is_empty() {
        macro_overhead::run(effort).await;
        report.save(&folder);
    }
}
