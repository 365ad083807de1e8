//! Worker processes that start their work at the same moment.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Runs this program `count` times with `args`, starts their work at the same moment, and returns
/// the output of each.
///
/// # Errors
///
/// When a worker cannot be started, or fails.
pub fn run_together(count: usize, args: &[&str]) -> io::Result<Vec<String>> {
    let workers: Vec<_> = (0..count)
        .map(|_| Worker::start(args))
        .collect::<io::Result<_>>()?;
    let ready: Vec<_> = workers
        .into_iter()
        .map(Worker::until_ready)
        .collect::<io::Result<_>>()?;
    let running: Vec<_> = ready.into_iter().map(Worker::go).collect();
    running.into_iter().map(Running::finish).collect()
}

/// Reports that this worker is connected, and waits until all workers are.
///
/// # Errors
///
/// When the parent is gone.
pub fn wait_for_start() -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    // The parent starts the workers by closing the pipe.
    io::stdin().read_to_string(&mut String::new()).map(drop)
}

struct Worker {
    stdin: ChildStdin,
    running: Running,
}

struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Worker {
    fn start(args: &[&str]) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the worker has no pipes"));
        };
        let stdout = BufReader::new(stdout);
        let running = Running { child, stdout };
        Ok(Self { stdin, running })
    }

    fn until_ready(mut self) -> io::Result<Self> {
        let mut line = String::new();
        self.running.stdout.read_line(&mut line)?;
        if line.trim() == "ready" {
            Ok(self)
        } else {
            Err(io::Error::other(format!(
                "a worker did not start: {line:?}"
            )))
        }
    }

    fn go(self) -> Running {
        drop(self.stdin);
        self.running
    }
}

impl Running {
    fn finish(mut self) -> io::Result<String> {
        let mut output = String::new();
        self.stdout.read_to_string(&mut output)?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(output)
        } else {
            Err(io::Error::other(format!("a worker failed: {status}")))
        }
    }
}
