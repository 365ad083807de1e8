#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod attempts;
mod backend;
mod doctor;
mod engine;
mod failure;
mod inspection;
mod link;
mod names;
mod order;
mod places;
mod rpc;
mod sessions;
mod tls;
mod txn;
mod value;
mod watches;
mod way;

pub use engine::Etcd;
