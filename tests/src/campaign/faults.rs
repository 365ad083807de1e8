//! What a campaign does to the servers of a deployment.

use std::thread::sleep;
use std::time::Duration;

use super::Disturbance;
use crate::{Deployed, RedisServer};

/// Does it to a master, or to a replica, for a while.
///
/// # Panics
///
/// When it is not done to servers.
pub(super) fn strike(
    deployed: &mut dyn Deployed,
    what: Disturbance,
    node: usize,
    a_while: Duration,
) {
    let server = &deployed.nodes()[node];
    let tell = |command: &[&str]| {
        server.raw(command).expect("the server takes it");
    };
    match what {
        Disturbance::StopServer | Disturbance::StopReplica => {
            server.pause();
            sleep(a_while);
            server.resume();
        }
        Disturbance::RestartServer => deployed.node_mut(node).restart(),
        Disturbance::LoseData => deployed.node_mut(node).restart_empty(),
        Disturbance::KillReplica => {
            deployed.node_mut(node).kill();
            sleep(a_while);
            deployed.node_mut(node).restart();
        }
        Disturbance::FlushAll => tell(&["FLUSHALL"]),
        Disturbance::FlushScripts => {
            for _ in 0..10 {
                tell(&["SCRIPT", "FLUSH"]);
            }
        }
        Disturbance::KillClients => {
            for _ in 0..5 {
                tell(&["CLIENT", "KILL", "TYPE", "normal"]);
                sleep(a_while / 10);
            }
        }
        Disturbance::PauseClients => {
            let millis = a_while.as_millis().to_string();
            tell(&["CLIENT", "PAUSE", &millis, "ALL"]);
            sleep(a_while);
        }
        Disturbance::Sleep => {
            let seconds = a_while.as_secs_f64().to_string();
            tell(&["DEBUG", "SLEEP", &seconds]);
        }
        Disturbance::Busy => keep_busy(server, a_while),
        Disturbance::OutOfMemory => {
            tell(&["CONFIG", "SET", "maxmemory", "1"]);
            sleep(a_while);
            tell(&["CONFIG", "SET", "maxmemory", "0"]);
        }
        Disturbance::CutOffFromClients
        | Disturbance::CutOffFromServers
        | Disturbance::CutOffReplica => {
            let host = server.host();
            if what == Disturbance::CutOffFromClients {
                host.network().cut_off_from_clients(host);
            } else {
                host.network().cut_off_from_servers(host);
            }
            sleep(a_while);
            host.network().rejoin(host);
        }
        Disturbance::HandOver => deployed.hand_over(node),
        Disturbance::RestartOneByOne => deployed.restart_one_by_one(),
        Disturbance::TakeOver => deployed.take_over(node),
        Disturbance::KillMaster => {
            deployed.node_mut(node).kill();
            deployed.wait_for_successor(node);
            deployed.node_mut(node).restart();
        }
        Disturbance::HangMaster => {
            server.pause();
            deployed.wait_for_successor(node);
            server.resume();
        }
        Disturbance::IsolateMaster => {
            let host = server.host();
            host.network().cut_off_from_servers(host);
            deployed.wait_for_successor(node);
            sleep(a_while);
            host.network().rejoin(host);
        }
        other => unreachable!("{other:?} is not done to servers"),
    }
}

/// Runs a script that never ends, and kills it again.
fn keep_busy(server: &RedisServer, a_while: Duration) {
    let tell = |command: &[&str]| server.raw(command);
    tell(&["CONFIG", "SET", "busy-reply-threshold", "20"]).expect("the server takes it");
    let spinning = server.begin_endless_script();
    sleep(a_while);
    while !spinning.is_finished() {
        // Refused until the server has noticed that the script is slow.
        let _ = tell(&["SCRIPT", "KILL"]);
        sleep(Duration::from_millis(2));
    }
}
