//! Deployments of several servers: real processes, real failovers.
//!
//! One binary, because each takes seconds to build.

mod cluster;
mod confirmed;
mod sentinel;
mod valkey;
