//! Deployments of several servers: real processes, real failovers.
//!
//! One binary, because each takes seconds to build.

mod cluster;
mod confirmed;
mod doctor;
mod mute;
mod moving_slots;
mod sentinel;
mod valkey;
