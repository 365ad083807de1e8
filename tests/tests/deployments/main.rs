//! Deployments of several servers: real processes, real failovers.

mod cluster;
