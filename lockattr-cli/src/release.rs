//! `lockattr release`: takes a key away from its holder.

use clap::Args;
use lockattr::LockPool;
use serde::Serialize;

use crate::confirm::{Answer, ask};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::{Failure, say};
use crate::holder_view::HolderView;
use crate::inspect::{describe, views};
use crate::output::Output;
use crate::plain::plain;

const WHAT_IT_BREAKS: &str = "\
Taking it away breaks the exclusion. A holder that still runs is told of its loss at its next renewal only,
within a third of its ttl; until then the next holder runs beside it. What they do stays safe only where the
resource refuses old fencing tokens.";

/// The options of `release`.
#[derive(Args)]
pub(crate) struct Release {
    /// The key, as the function under the attribute makes it
    key: String,
    /// Says that this is meant: nothing is released without it
    #[arg(long)]
    force: bool,
    /// Does not ask for a confirmation
    #[arg(long, short)]
    yes: bool,
}

#[derive(Serialize)]
struct Outcome<'a> {
    key: &'a str,
    released: bool,
    /// Who had it right before.
    holders: &'a [HolderView],
}

impl Release {
    pub(crate) async fn execute(
        self,
        connection: &Connection,
        output: &mut Output,
    ) -> Result<Exit, Failure> {
        let pool = connection.open().await?;
        let holders = views(&pool.holders_of(self.key.clone()).await?);
        if holders.is_empty() {
            return self.finish(output, &holders, false);
        }
        if !output.is_json() {
            let waiters = holders.first().map_or(0, |holder| holder.waiters);
            output.line(describe(&self.key, &holders, waiters))?;
            output.line(WHAT_IT_BREAKS)?;
        }
        if !self.force {
            let reason = format!(
                "`{}` was not released; add --force if that is meant",
                self.key
            );
            return Err(Failure::usage(reason));
        }
        if !self.yes {
            let question = format!("Take `{}` away from its holder?", plain(&self.key));
            match ask(&question)? {
                // A person takes time, and meant the holder that was shown.
                Answer::Yes if self.has_changed(&pool, &holders).await? => {
                    say(&format!("`{}` has another holder by now", self.key));
                    return self.finish(output, &holders, false);
                }
                Answer::Yes => {}
                Answer::No => return self.finish(output, &holders, false),
                Answer::NoTerminal => {
                    let reason = format!(
                        "`{}` was not released, because there is no terminal to ask for a confirmation; add --yes",
                        self.key
                    );
                    return Err(Failure::usage(reason));
                }
            }
        }
        let released = pool.force_release(self.key.clone()).await?;
        self.finish(output, &holders, released)
    }

    async fn has_changed(&self, pool: &LockPool, shown: &[HolderView]) -> Result<bool, Failure> {
        let now = views(&pool.holders_of(self.key.clone()).await?);
        let tokens = |views: &[HolderView]| views.iter().map(|it| it.token).collect::<Vec<_>>();
        Ok(tokens(&now) != tokens(shown))
    }

    fn finish(
        &self,
        output: &mut Output,
        holders: &[HolderView],
        released: bool,
    ) -> Result<Exit, Failure> {
        if output.is_json() {
            output.object(&Outcome {
                key: &self.key,
                released,
                holders,
            })?;
        } else if released {
            output.line(format_args!("`{}` was released", plain(&self.key)))?;
        } else if holders.is_empty() {
            say(&format!(
                "`{}` is free: there is nothing to release",
                self.key
            ));
        } else {
            say(&format!("`{}` was not released", self.key));
        }
        Ok(if released {
            Exit::SUCCESS
        } else {
            Exit::NOTHING
        })
    }
}
