use lockattr::{Error, distributed_lock};

struct Ledger {
    rows: Vec<u64>,
}

impl Ledger {
    #[distributed_lock(key = "k")]
    async fn add(&self, row: u64) -> Result<(), Error> {
        self.rows.push(row);
        Ok(())
    }
}

fn main() {}
