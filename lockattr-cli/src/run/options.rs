//! The options of `lockattr run`.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use lockattr::{LockPool, LockRequest, Wait};

use crate::given::given;
use crate::span::{parse_span, parse_wait};

/// The options of `run`.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Run {
    /// The key
    #[arg(long, short)]
    key: String,
    /// How long others wait after a crash; the lease is renewed while the command runs [default: 30s; on ZooKeeper 10s]
    #[arg(long, env = "LOCKATTR_TTL", value_name = "TIME", value_parser = parse_span)]
    ttl: Option<Duration>,
    /// How long to queue; `0s` tries once, `forever` never gives up [default: 10s]
    #[arg(long, env = "LOCKATTR_WAIT", value_name = "TIME", value_parser = parse_wait)]
    wait: Option<Wait>,
    /// Lets other shared holders run at the same time: readers
    #[arg(long, conflicts_with = "permits")]
    shared: bool,
    /// So many may run at the same time; the same number for all that use the key
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    permits: Option<u32>,
    /// How many of the permits the command takes, all at once [default: 1]
    #[arg(long, value_name = "NUMBER", requires = "permits", value_parser = clap::value_parser!(u32).range(1..))]
    weight: Option<u32>,
    /// Keeps others out at least this long after the grant, however the command ends: for jobs that several
    /// machines start at about the same time
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    min_hold: Option<Duration>,
    /// How long after `SIGTERM` the processes of a command that has lost its lease get `SIGKILL`
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_span)]
    pub(super) grace: Duration,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(super) command: Vec<OsString>,
}

impl Run {
    /// Returns what others see of the command: its program, and no arguments, which may be secret.
    fn caller(&self) -> String {
        let program = Path::new(&self.command[0]);
        let name = program.file_name().unwrap_or(program.as_os_str());
        format!("lockattr run {}", name.to_string_lossy())
    }

    pub(super) fn request(&self, pool: &LockPool) -> LockRequest {
        // Once for the whole program, so it need not be freed.
        let caller: &'static str = Box::leak(self.caller().into_boxed_str());
        let request = pool.lock(self.key.clone()).caller(caller);
        let request = given(request, self.ttl, LockRequest::ttl);
        let request = given(request, self.wait, LockRequest::wait);
        let request = given(request, self.shared.then_some(()), |it, ()| it.shared());
        let request = given(request, self.permits, LockRequest::permits);
        let request = given(request, self.weight, LockRequest::weight);
        given(request, self.min_hold, LockRequest::min_hold)
    }
}

const AFTER_HELP: &str = "\
Exit codes:
  the command's own code, or 128 + the number of the signal that ended it; besides
  64   the command line, a setting or the key is wrong
  69   the lock service cannot be reached, refused the request, or failed
  70   the lease was lost while the command ran
  71   the operating system refused something
  75   another holder has the lock, and --wait is over
  126  the command cannot be executed
  127  the command is not found
  128 + the number of a signal that ended the wait for the lock

If lockattr itself is killed (kill -9), the lock ends within its ttl. On Linux the command gets SIGTERM \
at once, but not the processes that it has started; elsewhere it runs on without the lock.";
