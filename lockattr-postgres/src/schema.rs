//! The tables and functions in the database.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

use crate::failure;
use crate::options::refused;
use lockattr::backend::BackendError;

/// The version that this one works with.
const VERSION: i32 = 1;

/// The advisory lock of a session that makes a schema: any number that nothing else uses.
const MAKING: i64 = 7_310_305_914_117_747_571;

const PARTS: [&str; 3] = [
    include_str!("../sql/1.sql"),
    // The attempts need the view.
    include_str!("../sql/1-inspection.sql"),
    include_str!("../sql/1-attempts.sql"),
];

/// Returns the statements that make the tables and functions of the locks, for your own migrations: run them in one
/// transaction. `schema` is the name of the schema, which they make too.
///
/// The user of the pools needs, besides `CONNECT`:
///
/// ```sql
/// grant usage on schema lockattr to app;
/// grant select, insert, update, delete on all tables in schema lockattr to app;
/// ```
///
/// # Examples
///
/// ```
/// let sql = lockattr_postgres::schema_sql("lockattr");
/// assert!(sql.starts_with("create schema if not exists \"lockattr\";"));
/// ```
#[must_use]
pub fn schema_sql(schema: &str) -> String {
    let quoted = quoted(schema);
    let parts = PARTS.map(|part| part.replace("{schema}", &quoted));
    format!(
        "create schema if not exists {quoted};\n\n{}",
        parts.join("\n")
    )
}

/// A name may be a word of SQL, such as `user`.
pub(crate) fn quoted(schema: &str) -> String {
    format!("\"{}\"", schema.replace('"', "\"\""))
}

/// Checks that the schema is there, or makes it.
pub(crate) async fn check(
    client: &Client,
    schema: &str,
    creates: bool,
) -> Result<(), BackendError> {
    match version(client, schema).await {
        Ok(VERSION) => Ok(()),
        Ok(other) => Err(refused(format!(
            "the schema {schema} has version {other}, and this program works with version {VERSION}: update the older of \
             the two"
        ))),
        Err(error) if is_missing(&error) && creates => create(client, schema).await,
        Err(error) if is_missing(&error) => Err(refused(format!(
            "there is no schema {schema} with locks; run the statements that `lockattr schema {schema}` prints, or \
             `lockattr_postgres::schema_sql`, or call `Postgres::create_schema(true)`"
        ))),
        Err(error) => Err(failure::of(&error)),
    }
}

async fn version(client: &Client, schema: &str) -> Result<i32, Error> {
    let ask = format!("select version from {}.version", quoted(schema));
    client.query_typed_one(&ask, &[]).await?.try_get(0)
}

fn is_missing(error: &Error) -> bool {
    let missing = [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME];
    error.code().is_some_and(|code| missing.contains(code))
}

/// Several pools may start at the same time, so the first one makes it.
async fn create(client: &Client, schema: &str) -> Result<(), BackendError> {
    let (sql, quoted) = (schema_sql(schema), quoted(schema));
    let all = format!(
        "do $schema$ begin perform pg_advisory_xact_lock({MAKING}); \
         if to_regclass('{quoted}.version') is null then execute $made${sql}$made$; end if; end $schema$"
    );
    client.batch_execute(&all).await.map_err(|error| {
        let said = failure::of(&error);
        refused(format!("the schema {schema} cannot be made: {said}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_its_name_everywhere() {
        let sql = schema_sql("locks");
        assert!(!sql.contains("{schema}") && !sql.contains("lockattr\"."));
        assert!(schema_sql("a\"b").contains("create table \"a\"\"b\".lock"));
    }
}
