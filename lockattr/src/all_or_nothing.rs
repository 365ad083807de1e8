//! Several keys for one call: all of them, or none.

use std::time::Duration;

use futures_util::future::{Either, join_all};

use crate::Error;
use crate::clock::Time;
use crate::driver::Grant;
use crate::key::Key;
use crate::keys::Keys;
use crate::label::Label;
use crate::pool::LockPool;
use crate::spec::{Options, Wait};

/// One call that wants several keys.
struct Call {
    pool: LockPool,
    keys: Keys,
    options: Options,
    label: Label,
}

/// What came of asking for all keys at the same moment.
enum Round<'a> {
    All(Vec<Grant>),
    /// The first key that is busy, or that the lock service failed to give, and the error that says so.
    Lacks(&'a Key, Error),
}

/// Waits until it has all `keys` at the same time. It never waits for one key while it has another, so
/// it cannot deadlock with anything.
///
/// This is the algorithm that Howard Hinnant calls "smart and polite" ("Dining Philosophers Rebooted",
/// 2013; `std::lock` of C++ works like this): it asks for all keys without waiting; if one is busy, it
/// gives the others back, waits in the queue of the busy one, and asks for the others again when it
/// has that one.
///
/// Two such calls could go on taking the key that the other lacks, in step with each other. So each
/// goes, by chance, to the queue of the first key instead: as soon as both are there, the one that has
/// its turn finds the other keys free.
///
/// # Errors
///
/// [`Error::Busy`] when the wait is over, and those of one key.
pub(crate) fn acquire_all(
    pool: &LockPool,
    keys: &Keys,
    options: &Options,
    label: Label,
) -> Result<impl Future<Output = Result<Grant, Error>> + use<>, Error> {
    if keys.is_one() {
        let acquiring = pool.begin(keys.first().clone(), options, label)?;
        return Ok(Either::Left(acquiring));
    }
    let call = Call {
        pool: pool.clone(),
        keys: keys.clone(),
        options: *options,
        label,
    };
    // In a box, so that a call for one key has a small future.
    Ok(Either::Right(Box::pin(async move {
        let asked_at = call.pool.commands().now();
        let grant = call.acquire(asked_at).await;
        let waited = call.pool.commands().now().since(asked_at);
        grant.map_err(|error| error.after_waiting(waited))
    })))
}

impl Call {
    async fn acquire(&self, asked_at: Time) -> Result<Grant, Error> {
        let mut round = self.ask(None).await?;
        let mut is_first_round = true;
        loop {
            let (lacking, error) = match round {
                Round::All(grants) => return join(grants),
                Round::Lacks(key, error) => (key, error),
            };
            let wait = match self.pool.wait(&self.options) {
                Wait::Forever => Wait::Forever,
                Wait::For(wait) => {
                    let waited = self.pool.commands().now().since(asked_at);
                    Wait::For(wait.saturating_sub(waited))
                }
            };
            if wait == Wait::For(Duration::ZERO) {
                return Err(error);
            }
            let at_first_key = !std::mem::take(&mut is_first_round) && fastrand::bool();
            let key = if at_first_key {
                self.keys.first()
            } else {
                lacking
            };
            let head = self.begin(key, wait)?.await?;
            round = self.ask(Some((key, head))).await?;
        }
    }

    /// Asks for all keys at the same moment, except for one that it has.
    async fn ask(&self, head: Option<(&Key, Grant)>) -> Result<Round<'_>, Error> {
        let (present, head) = head.unzip();
        let others = self.keys.iter().filter(|key| Some(*key) != present);
        let others: Vec<_> = others.collect();
        let asking = others
            .iter()
            .map(|key| self.begin(key, Wait::For(Duration::ZERO)))
            .collect::<Result<Vec<_>, _>>()?;
        let answers = join_all(asking).await;
        let mut grants = Vec::from_iter(head);
        let mut lacking = None;
        for (key, answer) in others.into_iter().zip(answers) {
            match answer {
                Ok(grant) => grants.push(grant),
                // Waiting heals them, or tells what does not pass.
                Err(
                    error @ (Error::Busy { .. } | Error::Missed { .. } | Error::Backend { .. }),
                ) => {
                    lacking.get_or_insert((key, error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(match lacking {
            None => Round::All(grants),
            Some((key, error)) => Round::Lacks(key, error),
        })
    }

    /// Asks for one key. A grant that is given back because another key is busy keeps nobody out.
    fn begin(
        &self,
        key: &Key,
        wait: Wait,
    ) -> Result<impl Future<Output = Result<Grant, Error>> + Unpin + use<>, Error> {
        let options = Options {
            wait: Some(wait),
            ..self.options
        };
        let acquiring = self.pool.begin(key.clone(), &options, self.label)?;
        Ok(Box::pin(async move {
            let mut grant = acquiring.await?;
            grant.count_min_hold(false);
            Ok(grant)
        }))
    }
}

/// # Errors
///
/// [`Error::Lost`] when the lease of one key ended before the others were granted.
fn join(mut grants: Vec<Grant>) -> Result<Grant, Error> {
    grants.sort_unstable_by(|one, other| one.lease().key().cmp(other.lease().key()));
    let grant = Grant::joined(grants).expect("there is at least one key");
    match grant.lease().over() {
        None => Ok(grant),
        Some(reason) => Err(grant.lease().lost_error(reason)),
    }
}
