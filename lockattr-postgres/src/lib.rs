#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backend;
mod batch;
mod clock;
mod dial;
mod doctor;
mod failure;
mod fence;
mod inspection;
mod line;
mod link;
mod notice;
mod options;
mod pooler;
mod schema;
mod tls;
mod turns;
mod url;

pub use fence::{FenceError, FenceIn};
pub use options::Postgres;
pub use schema::schema_sql;
