//! The disturbances of a campaign.

use crate::Deployment;

/// One thing that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disturbance {
    /// The connections of a process are closed: all of them, or those to one server.
    Cut,
    /// The server closes the connections of all processes, many times.
    KillClients,
    /// The requests of a process arrive late, everywhere or at one server; if it has given up, on a connection that is no longer
    /// used.
    DelayRequests,
    /// Only the answers are late.
    DelayReplies,
    /// Nothing passes in one direction, and later everything does.
    Stall,
    /// The bytes in one direction are swallowed.
    Swallow,
    /// Bytes pass one at a time.
    Drip,
    /// Neither direction works, and neither side is told.
    HalfOpen,
    /// No new connection is accepted, and the present ones end.
    Refuse,
    /// SIGSTOP for up to three ttls, then SIGCONT.
    StopServer,
    /// kill -9, and a new start with the data on the disk.
    RestartServer,
    /// kill -9, and a new start without any data.
    LoseData,
    /// `FLUSHALL`.
    FlushAll,
    /// `SCRIPT FLUSH`, many times.
    FlushScripts,
    /// `CLIENT PAUSE`.
    PauseClients,
    /// `DEBUG SLEEP`.
    Sleep,
    /// Another client's script keeps the server busy, so that it answers `BUSY`.
    Busy,
    /// The server's memory is full.
    OutOfMemory,
    /// SIGSTOP of a process for up to three ttls, then SIGCONT.
    StopProcess,
    /// kill -9 of a process; a new one takes its place.
    KillProcess,
    /// No process reaches a master, which the other servers still reach.
    CutOffFromClients,
    /// A master reaches no other server, nor is reached, while the processes still do.
    CutOffFromServers,
    /// A replica takes a master's place, with nothing lost.
    HandOver,
    /// All servers are restarted one by one; masters hand over first.
    RestartOneByOne,
    /// A slot with locks moves to another master.
    MoveSlot,
    /// A replica takes a master's place at once: `SENTINEL FAILOVER`, `CLUSTER FAILOVER TAKEOVER`.
    TakeOver,
    /// kill -9 of a master until a replica has taken its place.
    KillMaster,
    /// SIGSTOP of a master until a replica has taken its place, then SIGCONT.
    HangMaster,
    /// A master is cut off from the other servers until a replica has taken its place, and for a while
    /// longer. The processes still reach both.
    IsolateMaster,
}

impl Disturbance {
    /// Those that a single server survives without two holders at a time.
    const OF_EVERY_DEPLOYMENT: [Self; 19] = [
        Self::Cut,
        Self::KillClients,
        Self::DelayRequests,
        Self::DelayReplies,
        Self::Stall,
        Self::Swallow,
        Self::Drip,
        Self::HalfOpen,
        Self::Refuse,
        Self::StopServer,
        Self::RestartServer,
        Self::FlushScripts,
        Self::PauseClients,
        Self::Sleep,
        Self::Busy,
        Self::OutOfMemory,
        Self::StopProcess,
        Self::KillProcess,
        Self::CutOffFromClients,
    ];
    /// Those of every deployment that has replicas.
    const OF_REPLICAS: [Self; 3] = [
        Self::CutOffFromServers,
        Self::HandOver,
        Self::RestartOneByOne,
    ];

    /// Returns all disturbances of a deployment under which there must not be two holders at a time, as
    /// long as no replica takes a master's place that is not in step with it.
    #[must_use]
    pub fn survivable(deployment: Deployment) -> Vec<Self> {
        let mut all = Self::OF_EVERY_DEPLOYMENT.to_vec();
        match deployment {
            Deployment::Single => {}
            Deployment::Sentinel => all.extend(Self::OF_REPLICAS),
            Deployment::Cluster => {
                all.extend(Self::OF_REPLICAS);
                // Most of what is special about a cluster.
                all.extend([Self::MoveSlot; 4]);
            }
        }
        all
    }

    /// Returns all disturbances by which a deployment forgets holders: then only fencing tokens protect.
    #[must_use]
    pub fn forgetting(deployment: Deployment) -> Vec<Self> {
        let by_promotion = [
            Self::TakeOver,
            Self::KillMaster,
            Self::HangMaster,
            Self::IsolateMaster,
        ];
        match deployment {
            Deployment::Single => vec![Self::LoseData, Self::FlushAll],
            Deployment::Sentinel | Deployment::Cluster => {
                [&by_promotion[..], &[Self::FlushAll]].concat()
            }
        }
    }

    /// Returns whether the deployment may forget holders.
    #[must_use]
    pub fn breaks_exclusion(self) -> bool {
        matches!(
            self,
            Self::LoseData
                | Self::FlushAll
                | Self::TakeOver
                | Self::KillMaster
                | Self::HangMaster
                | Self::IsolateMaster
        )
    }
}
