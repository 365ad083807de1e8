//! The disturbances of a campaign.

use crate::Deployment;

/// One thing that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disturbance {
    /// The connections of a process are closed: all of them, or those to one server.
    Cut,
    /// The server closes the connections of all processes, many times.
    KillClients,
    /// The requests of a process arrive late, everywhere or at one server; if it has given up, on a
    /// connection that is no longer used.
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
    /// kill -9 of a replica, which comes back after a while.
    KillReplica,
    /// SIGSTOP of a replica for a while, then SIGCONT.
    StopReplica,
    /// A replica reaches no other server, nor is reached.
    CutOffReplica,
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
    /// longer. One process reaches only this master, and the others reach all servers.
    IsolateMaster,
}

impl Disturbance {
    /// Those that every deployment survives without two holders at a time.
    const OF_EVERY_DEPLOYMENT: [Self; 13] = [
        Self::Cut,
        Self::DelayRequests,
        Self::DelayReplies,
        Self::Stall,
        Self::Swallow,
        Self::Drip,
        Self::HalfOpen,
        Self::Refuse,
        Self::StopServer,
        Self::RestartServer,
        Self::StopProcess,
        Self::KillProcess,
        Self::CutOffFromClients,
    ];
    /// Those that every Redis server survives besides.
    const OF_REDIS: [Self; 6] = [
        Self::KillClients,
        Self::FlushScripts,
        Self::PauseClients,
        Self::Sleep,
        Self::Busy,
        Self::OutOfMemory,
    ];
    /// Those that a primary with a synchronous standby survives besides.
    const OF_POSTGRES: [Self; 7] = [
        Self::KillClients,
        Self::Busy,
        Self::KillReplica,
        Self::StopReplica,
        Self::CutOffReplica,
        Self::HandOver,
        Self::TakeOver,
    ];
    /// Those that three members of etcd survive besides.
    const OF_ETCD: [Self; 6] = [
        Self::KillReplica,
        Self::StopReplica,
        Self::HandOver,
        Self::RestartOneByOne,
        Self::KillMaster,
        Self::HangMaster,
    ];
    /// Those of every deployment of Redis that has replicas.
    const OF_REPLICAS: [Self; 6] = [
        Self::KillReplica,
        Self::StopReplica,
        Self::CutOffReplica,
        Self::CutOffFromServers,
        Self::HandOver,
        Self::RestartOneByOne,
    ];

    /// A replica takes a master's place, in step with it or not.
    pub const PROMOTIONS: [Self; 4] = [
        Self::TakeOver,
        Self::KillMaster,
        Self::HangMaster,
        Self::IsolateMaster,
    ];

    /// Returns all disturbances of a deployment under which there must not be two holders at a time.
    #[must_use]
    pub fn survivable(deployment: Deployment) -> Vec<Self> {
        let own: &[&[Self]] = match deployment {
            Deployment::Single => &[&Self::OF_REDIS],
            Deployment::Quorum => &[&Self::OF_REDIS, &[Self::RestartOneByOne]],
            Deployment::Postgres => &[&Self::OF_POSTGRES],
            Deployment::ZooKeeper => &[
                &[Self::KillMaster, Self::HangMaster, Self::IsolateMaster],
                &[Self::CutOffFromServers, Self::RestartOneByOne],
            ],
            Deployment::Etcd => &[&Self::OF_ETCD],
            Deployment::Sentinel | Deployment::Confirmed => &[&Self::OF_REDIS, &Self::OF_REPLICAS],
            Deployment::ConfirmedByAll => &[&Self::OF_REDIS, &Self::OF_REPLICAS, &Self::PROMOTIONS],
            // Most of what is special about a cluster.
            Deployment::Cluster => &[&Self::OF_REDIS, &Self::OF_REPLICAS, &[Self::MoveSlot; 4]],
        };
        [&Self::OF_EVERY_DEPLOYMENT, &own.concat()[..]].concat()
    }

    /// Returns all disturbances by which a deployment forgets holders: then only fencing tokens protect.
    #[must_use]
    pub fn forgetting(deployment: Deployment) -> Vec<Self> {
        match deployment {
            Deployment::Single | Deployment::Quorum => vec![Self::LoseData, Self::FlushAll],
            Deployment::Sentinel | Deployment::Confirmed | Deployment::Cluster => {
                [&Self::PROMOTIONS[..], &[Self::FlushAll]].concat()
            }
            Deployment::ConfirmedByAll => vec![Self::FlushAll],
            // What was granted is on the standby, or on a majority.
            Deployment::Postgres | Deployment::Etcd | Deployment::ZooKeeper => Vec::new(),
        }
    }

    /// Returns whether a replica takes a master's place that does not hand over.
    #[must_use]
    pub fn promotes(self) -> bool {
        Self::PROMOTIONS.contains(&self)
    }

    /// Returns whether it is done to a replica.
    #[must_use]
    pub fn strikes_replica(self) -> bool {
        matches!(
            self,
            Self::KillReplica | Self::StopReplica | Self::CutOffReplica
        )
    }
}
