//! The lock services of the other crates: real servers, real faults.
//!
//! One binary, because each takes seconds to build.

mod etcd;
mod postgres;
mod zookeeper;
