//! The disturbances of a campaign.

/// One thing that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disturbance {
    /// The connections of a process are closed.
    Cut,
    /// The server closes the connections of all processes, many times.
    KillClients,
    /// The requests of a process arrive late; if it has given up, on a connection that is no longer
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
}

impl Disturbance {
    /// All disturbances under which there must not be two holders at a time.
    pub const SURVIVABLE: [Self; 18] = [
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
    ];

    /// Returns whether the server forgets holders: then only fencing tokens protect.
    #[must_use]
    pub fn breaks_exclusion(self) -> bool {
        matches!(self, Self::LoseData | Self::FlushAll)
    }
}
