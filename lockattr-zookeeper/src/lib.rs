#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(
    clippy::similar_names,
    reason = "an owner, and what it owns, are what this is about"
)]

mod backend;
mod dialer;
mod examination;
mod failure;
mod guarded;
mod inspection;
mod names;
mod options;
mod session;
mod url;

pub use options::ZooKeeper;
