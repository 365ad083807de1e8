//! A crate without the standard library's prelude, below `#[async_trait]` too.
#![no_std]

extern crate alloc;

use alloc::boxed::Box;
use alloc::string::String;

use lockattr::{Error, distributed_lock};

#[async_trait::async_trait]
trait Service {
    async fn charge(&self, name: String) -> Result<usize, Error>;
}

struct Ledger;

#[async_trait::async_trait]
impl Service for Ledger {
    #[distributed_lock(key = "charge:{name}")]
    async fn charge(&self, name: String) -> Result<usize, Error> {
        Ok(name.len())
    }
}

#[distributed_lock(key = "free:{name}", on_busy = "skip", or_else = |error| panic!("{name}: {error}"))]
async fn free(name: String) -> usize {
    name.len()
}

fn main() {
    drop(Ledger.charge(String::new()));
    drop(free(String::new()));
}
