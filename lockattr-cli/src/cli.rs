//! What can be written on the command line.

use clap::{ArgAction, ColorChoice, Parser, Subcommand};

use crate::bench::Bench;
use crate::completions::Completions;
use crate::connection::Connection;
use crate::doctor::Doctor;
use crate::failure::Failure;
use crate::inspect::Inspect;
use crate::ls::Ls;
use crate::man::Man;
use crate::release::Release;
use crate::run::Run;
use crate::run::launch::Launch;
#[cfg(feature = "postgres")]
use crate::schema::Schema;
use crate::watch::Watch;

/// The locks of lockattr: who holds what, and commands that run under a lock.
#[derive(Parser)]
#[command(name = "lockattr", version, max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Prints JSON, one object a line
    #[arg(long, global = true, help_heading = OUTPUT)]
    pub(crate) json: bool,
    /// Whether to colour the output; `auto` also respects `NO_COLOR`
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = OUTPUT)]
    pub(crate) color: ColorChoice,
    /// Shows the library's events on standard error; twice also those of single requests
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = OUTPUT)]
    pub(crate) verbose: u8,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// # Errors
    ///
    /// [`Failure::Usage`] for JSON of a command that prints none.
    pub(crate) fn check_json(&self) -> Result<(), Failure> {
        let name = match self.command {
            Command::Run(_) => "run",
            Command::Completions(_) => "completions",
            Command::Man(_) => "man",
            #[cfg(feature = "postgres")]
            Command::Schema(_) => "schema",
            _ => return Ok(()),
        };
        if self.json {
            let reason = format!("`{name}` prints no JSON; leave --json out");
            return Err(Failure::usage(reason));
        }
        Ok(())
    }
}

/// The second paragraphs are shown by `--help`, and are in the manual pages.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists who holds which key
    ///
    /// The list is no snapshot: a key that is taken or released meanwhile may be in it or not.
    Ls(Ls),
    /// Shows who holds which key, again and again
    ///
    /// The keys that are granted most often come first, as far as refreshes show it: a fencing token that was not
    /// there at the refresh before is a grant. What is granted and given back between two refreshes is not seen, nor
    /// that a process passes a lease on among its own calls. Each refresh costs the server as much as an `ls`.
    ///
    /// With --json, a line for each refresh.
    Watch(Watch),
    /// Shows all that is known of one key, and who waits for it
    Inspect(Inspect),
    /// Takes a key away from its holder
    ///
    /// The first waiter gets the key, and the body of the holder is told of the loss only at its next renewal,
    /// within a third of its ttl. Until then two may run at once, which only fencing tokens make harmless.
    Release(Release),
    /// Says what the lock service can and cannot promise
    Doctor(Doctor),
    /// Measures how fast locks are taken and given back
    ///
    /// It loads the lock service: not for one that is in use. The keys begin with `lockattr-bench:` and a random
    /// number, so no other locks are touched, and nothing is left behind but the counters of fencing tokens, which
    /// all keys share. Tasks that share a key pass it on inside the process, mostly without a request, as those
    /// of any program do.
    Bench(Bench),
    /// Runs a command under a lock
    ///
    /// Waits for the lock, runs the command in a process group of its own, and releases the lock when the
    /// command ends, however it ends. What the command leaves behind in the background runs on without it.
    ///
    /// The command finds the key in `LOCKATTR_KEY` and the fencing token in `LOCKATTR_TOKEN`. SIGINT, SIGTERM,
    /// SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are forwarded to its process group. When the lease is lost, the group
    /// gets SIGTERM, and SIGKILL after the grace.
    Run(Run),
    /// Prints the statements that make the tables of locks in `PostgreSQL`
    ///
    /// For your own migrations, or for `psql` in one transaction (`--single-transaction`), by a user that may make a
    /// schema. The user of the programs needs the right to use the schema and to read and write its tables.
    #[cfg(feature = "postgres")]
    Schema(Schema),
    /// Prints the completions of a shell
    Completions(Completions),
    /// Prints the manual page, or writes the pages of all commands into a folder
    Man(Man),
    #[command(hide = true, name = crate::run::launch::NAME)]
    Launch(Launch),
}

const OUTPUT: &str = "Output";

const AFTER_HELP: &str = "\
Exit codes:
  0    done; of `run`: the command's own code
  1    nobody holds the key (inspect, release), nothing was released, or there are warnings (doctor)
  64   the command line, a setting or the key is wrong
  69   the lock service cannot be reached, refused the request, or failed
  71   the operating system refused something
  74   the output cannot be written
  128+n signal n ended it (watch, bench)
`lockattr run --help` lists those of `run`.";
