//! Deployments of several servers: real processes, real failovers.
//!
//! One binary, because each takes seconds to build.

mod cluster;
mod confirmed;
mod doctor;
mod inspection;
mod moving_slots;
mod mute;
mod quorum;
mod sentinel;
mod valkey;
