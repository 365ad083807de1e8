//! What a campaign does to the servers of a deployment.

use std::thread::sleep;
use std::time::Duration;

use super::Disturbance;
use crate::Deployed;

/// Does it to a master, or to a replica, for a while.
///
/// # Panics
///
/// When it is not done to servers of this kind.
pub(super) fn strike(
    deployed: &mut dyn Deployed,
    what: Disturbance,
    node: usize,
    a_while: Duration,
) {
    let server = deployed.servers()[node];
    match what {
        Disturbance::StopServer | Disturbance::StopReplica => {
            server.pause();
            sleep(a_while);
            server.resume();
        }
        Disturbance::RestartServer => deployed.server_mut(node).restart(),
        Disturbance::LoseData => deployed.server_mut(node).restart_empty(),
        Disturbance::KillReplica => {
            deployed.server_mut(node).kill();
            sleep(a_while);
            deployed.server_mut(node).restart();
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
            deployed.server_mut(node).kill();
            deployed.wait_for_successor(node);
            deployed.server_mut(node).restart();
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
        other => server.suffer(other, a_while),
    }
}
