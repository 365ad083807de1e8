//! Tests that run against real servers and need no process of their own.
//!
//! One binary, because each takes seconds to build. Tests that install a pool, measure their
//! process or load the machine are binaries of their own.

mod dashboard;
mod documented;
mod examples;
mod exits;
mod extensions;
mod foreign_code;
mod harness;
mod inspection;
mod layers;
mod leader;
mod leases;
mod links;
mod listener;
mod lock_order;
mod min_hold;
mod other_attributes;
mod process_ends;
mod queue;
mod release;
mod script;
mod several_keys;
mod shares;
mod startup;
mod taken_up;
mod test_pool;
mod tls;
mod toy_backend;
mod versions;
