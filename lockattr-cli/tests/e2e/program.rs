//! Runs the program, and searches all that it says for secrets.

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::{env, fs, process};

use lockattr_tests::{RedisServer, eventually, find_secret};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_lockattr");

/// Returns the program for this server, with no other settings.
pub(crate) fn lockattr<S: AsRef<OsStr>>(
    server: &RedisServer,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = lockattr_at(&server.url());
    command.args(arguments);
    command
}

/// Returns the program for this URL.
pub(crate) fn lockattr_at(url: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    clean(&mut command).env("LOCKATTR_URL", url);
    command
}

/// Removes what the environment of the tests would change.
pub(crate) fn clean(command: &mut Command) -> &mut Command {
    // Colours are also for logs of `CI`.
    let colors = ["CI", "CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR"];
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("LOCKATTR_") || colors.contains(&&*text) {
            command.env_remove(name);
        }
    }
    command
}

/// Starts the program with no signal ignored, also where the tests run under `nohup`.
pub(crate) fn with_all_signals(command: &Command) -> Command {
    let mut started = Command::new("env");
    started.arg("--default-signal").arg(command.get_program());
    started.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => started.env(name, value),
            None => started.env_remove(name),
        };
    }
    started
}

/// What a program said, and how it exited.
#[derive(Debug)]
pub(crate) struct Said {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Returns the objects, one a line.
    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:?}")))
            .collect()
    }

    /// Returns the only line on standard error.
    #[track_caller]
    pub(crate) fn error(&self) -> &str {
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        let line = self.err.trim_end();
        line.strip_prefix("lockattr: ")
            .unwrap_or_else(|| panic!("{self:?}"))
    }
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Said {
    Running::start(command).end()
}

/// A program that runs, and ends with this value.
pub(crate) struct Running {
    child: Child,
    out: Stream,
    err: Stream,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn(piped.stdin(Stdio::null()))
    }

    /// Starts a program that can be written to.
    pub(crate) fn start_to_write(command: &mut Command) -> Self {
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn(piped.stdin(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        Self {
            out: Stream::read(child.stdout.take().unwrap()),
            err: Stream::read(child.stderr.take().unwrap()),
            child,
        }
    }

    pub(crate) fn write(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Returns what it has said on its standard output so far.
    pub(crate) fn out(&self) -> String {
        self.out.text()
    }

    /// Waits until it has said this on its standard output.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) {
        eventually(&format!("it says {text:?}"), || {
            self.out.text().contains(text)
        });
    }

    /// Waits until it has ended, and with it all processes that have its standard output.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        eventually("it ends", || {
            let ended = self.child.try_wait().unwrap().is_some();
            ended && self.out.has_ended() && self.err.has_ended()
        });
        let status = self.child.wait().unwrap();
        let said = Said {
            code: status.code(),
            out: self.out.text(),
            err: self.err.text(),
        };
        for text in [&said.out, &said.err] {
            assert_eq!(find_secret(text.as_bytes()), None, "{said:?}");
        }
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            // Its command ends with it.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What comes out of a pipe, read as it comes.
struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                sink.lock().unwrap().extend(&buffer[..length]);
            }
        });
        Self { text, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    fn has_ended(&self) -> bool {
        self.reader.is_finished()
    }
}

/// A folder for the files by which a command and its test talk.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("lockattr-cli-{}-{number}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    pub(crate) fn put(&self, name: &str) {
        fs::write(self.0.join(name), "").unwrap();
    }

    #[track_caller]
    pub(crate) fn gets(&self, name: &str) {
        eventually(&format!("the file {name} is there"), || self.has(name));
    }

    /// Returns what a command wrote.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
