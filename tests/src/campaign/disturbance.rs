//! What may go wrong.

/// One thing that goes wrong for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disturbance {
    /// The connections of a process are closed.
    Cut,
    /// Those of all processes, by the server, many times.
    KillClients,
    /// What a process asks arrives late; if it has given up, on a connection that is not used any
    /// longer.
    DelayRequests,
    /// The answers alone come late.
    DelayReplies,
    /// Nothing passes in one direction, and all of it later.
    Stall,
    /// What passes in one direction is swallowed.
    Swallow,
    /// A byte at a time.
    Drip,
    /// Neither direction works, and nobody says so.
    HalfOpen,
    /// No new connection is taken, and the present ones end.
    Refuse,
    /// SIGSTOP for up to three ttls, then SIGCONT.
    StopServer,
    /// kill -9, and a new start with what is on the disk.
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
    /// A script of somebody else keeps the server busy, so that it answers `BUSY`.
    Busy,
    /// Its memory is full.
    OutOfMemory,
    /// SIGSTOP of a process for up to three ttls, then SIGCONT.
    StopProcess,
    /// kill -9 of a process; another one takes its place.
    KillProcess,
}

impl Disturbance {
    /// Everything in which two holders at a time must not happen.
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

    /// Whether the server forgets who holds what: then only fencing tokens protect.
    #[must_use]
    pub fn breaks_exclusion(self) -> bool {
        matches!(self, Self::LoseData | Self::FlushAll)
    }
}
