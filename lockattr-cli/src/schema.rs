//! `lockattr schema`: the tables that `PostgreSQL` needs.

use clap::Args;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// The options of `schema`.
#[derive(Args)]
pub(crate) struct Schema {
    /// The name of the schema, which the statements make too
    #[arg(default_value = "lockattr")]
    name: String,
}

impl Schema {
    pub(crate) fn execute(&self, output: &mut Output) -> Result<Exit, Failure> {
        output.line(lockattr_postgres::schema_sql(&self.name).trim_end())?;
        Ok(Exit::SUCCESS)
    }
}
