//! The fencing token, checked by the transaction that writes.

use std::fmt;

use lockattr::Lease;
use tokio_postgres::Transaction;

use crate::schema::quoted;

/// The SQLSTATE of a refusal.
const LOST: &str = "LOCK1";

/// Checks a lease in the transaction that writes under it.
pub trait FenceIn {
    /// Lets the transaction go on only if no holder with a greater token has called this for what the lease protects. Call
    /// it first: until the end of the transaction it keeps the others waiting that call it for the same key, so a holder
    /// that lost its lease is either refused here, or commits before the next holder's call returns.
    ///
    /// What the write is decided by has to be read after such a call too, in this transaction or in an earlier one that was
    /// committed. Otherwise a holder that lost its lease may write between the next holder's read and its write, and the
    /// next holder decides by what is no longer true.
    ///
    /// `schema` is that of the pool, mostly `"lockattr"`. Other languages and clients call
    /// `select lockattr.fence(key, token)`. What it remembers of a key is removed after seven days without a write.
    ///
    /// # Errors
    ///
    /// [`FenceError::Lost`] if there is a greater token; [`FenceError::Database`] if the database cannot be asked, or
    /// has no such schema. Roll back then.
    ///
    /// # Cancel safety
    ///
    /// Roll the transaction back when this future is dropped: that releases what it keeps others waiting with.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use lockattr_postgres::{FenceError, FenceIn as _};
    /// use tokio_postgres::Client;
    ///
    /// #[lockattr::distributed_lock(key = "item:{item}", ttl = "10s", bind = lease)]
    /// async fn sell(db: &mut Client, item: &str) -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut write = db.transaction().await?;
    ///     lease.fence_in(&mut write, "lockattr").await?;
    ///     write.execute("update stock set left_over = left_over - 1 where item = $1", &[&item]).await?;
    ///     write.commit().await?;
    ///     Ok(())
    /// }
    /// # fn main() {}
    /// ```
    fn fence_in<'a>(
        &'a self,
        transaction: &'a mut Transaction<'_>,
        schema: &'a str,
    ) -> impl Future<Output = Result<(), FenceError>> + Send + 'a;
}

impl FenceIn for Lease {
    async fn fence_in<'a>(
        &'a self,
        transaction: &'a mut Transaction<'_>,
        schema: &'a str,
    ) -> Result<(), FenceError> {
        let call = format!("select {}.fence($1, $2)", quoted(schema));
        for key in self.keys() {
            let token = self
                .token_of(key)
                .and_then(|token| i64::try_from(token).ok());
            let token = token.ok_or(FenceError::Lost)?;
            let asked = transaction.query(&call, &[&key, &token]).await;
            asked.map_err(|error| match error.code() {
                Some(code) if code.code() == LOST => FenceError::Lost,
                _ => FenceError::Database(error),
            })?;
        }
        Ok(())
    }
}

/// Why a transaction must not go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum FenceError {
    /// Another holder has written since: the lease was lost.
    Lost,
    /// The database could not be asked.
    Database(tokio_postgres::Error),
}

impl fmt::Display for FenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str(
                "the lease was lost, and another holder has written since: roll back, and let that one go on",
            ),
            Self::Database(error) => write!(f, "the fencing token could not be checked: {error}"),
        }
    }
}

impl std::error::Error for FenceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Lost => None,
            Self::Database(error) => Some(error),
        }
    }
}
