//! Worker processes: this program again, with other arguments.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Runs this program `count` times, with `args` and with `env` in its environment, and waits until
/// all of them are ready.
///
/// # Errors
///
/// When a worker cannot be started, or ends before it is ready.
pub fn start(count: usize, args: &[&str], env: &[(&str, &str)]) -> io::Result<Vec<Worker>> {
    let mut workers = (0..count)
        .map(|_| Worker::spawn(args, env))
        .collect::<io::Result<Vec<_>>>()?;
    workers.iter_mut().try_for_each(Worker::until_ready)?;
    Ok(workers)
}

/// Lets the workers go on at the same moment, and returns the output of each.
///
/// # Errors
///
/// When a worker fails.
pub fn finish(mut workers: Vec<Worker>) -> io::Result<Vec<String>> {
    for worker in &mut workers {
        worker.go_on();
    }
    workers.into_iter().map(Worker::finish).collect()
}

/// Reports that this worker is ready, and waits until its parent lets it go on.
///
/// # Errors
///
/// When the parent is gone.
pub fn wait_for_parent() -> io::Result<()> {
    println!("ready");
    io::stdout().flush()?;
    // The parent lets the workers go on by closing the pipe.
    io::stdin().read_to_string(&mut String::new()).map(drop)
}

/// A process that ends with this value.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Worker {
    fn spawn(args: &[&str], env: &[(&str, &str)]) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the worker has no pipes"));
        };
        Ok(Self {
            child,
            stdin: Some(stdin),
            stdout: BufReader::new(stdout),
        })
    }

    fn until_ready(&mut self) -> io::Result<()> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        if line.trim() == "ready" {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "a worker did not start: {line:?}"
            )))
        }
    }

    /// Lets it go on.
    pub fn go_on(&mut self) {
        self.stdin = None;
    }

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

    /// Pauses it, as the operating system or a virtual machine may do with any process.
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn pause(&self) -> io::Result<()> {
        self.signal("-STOP")
    }

    /// Ends the [pause](Self::pause).
    ///
    /// # Errors
    ///
    /// When it is gone.
    pub fn resume(&self) -> io::Result<()> {
        self.signal("-CONT")
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("kill {signal}: {status}")))
        }
    }

    /// `kill -9`.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A worker that has finished needs no kill.
        let _ = self.kill();
    }
}
