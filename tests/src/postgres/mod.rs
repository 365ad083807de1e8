//! Real `PostgreSQL` servers, with and without a standby or a pooler.

mod bouncer;
mod pair;
mod programs;
mod server;

pub use bouncer::PgBouncer;
pub use pair::PostgresPair;
pub use server::PostgresServer;
