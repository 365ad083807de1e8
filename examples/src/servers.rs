//! Servers of an example's own.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server with a port and a folder of its own, which ends with this value.
#[derive(Debug)]
pub struct Server {
    port: u16,
    dir: PathBuf,
    program: Program,
    child: Child,
}

/// What runs as a server, in the server's folder.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<String>,
    /// What to do where it is missing.
    pub(crate) remedy: &'static str,
    /// A question, and a part of the answer of a server that is up.
    pub(crate) probe: (&'static str, &'static str),
}

impl Server {
    /// Starts a `redis-server` with these arguments, and waits until it listens.
    ///
    /// # Errors
    ///
    /// When there is no `redis-server`, or it does not start.
    pub fn start(args: &[&str]) -> io::Result<Self> {
        Self::start_redis(args, "")
    }

    /// Starts a sentinel for the master at this port, which it calls `shop`, and where it is the user
    /// `inner`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_sentinel(master: u16) -> io::Result<Self> {
        let settings = format!(
            "sentinel monitor shop 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds shop 500\n\
             sentinel failover-timeout shop 3000\n\
             sentinel auth-user shop inner\n\
             sentinel auth-pass shop example\n"
        );
        Self::start_redis(&["--sentinel"], &settings)
    }

    fn start_redis(args: &[&str], settings: &str) -> io::Result<Self> {
        Self::run(|port| {
            let settings = format!("port {port}\nbind 127.0.0.1\n{settings}");
            let program = Program {
                path: "redis-server".into(),
                args: ["settings.conf"]
                    .iter()
                    .chain(args)
                    .map(ToString::to_string)
                    .collect(),
                remedy: "install Redis",
                probe: ("PING\r\n", "+PONG"),
            };
            (program, settings)
        })
    }

    /// Starts what `plan` returns for a port: the program, and the text of its file `settings.conf`.
    pub(crate) fn run(plan: impl FnOnce(u16) -> (Program, String)) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-example-{}-{number}", process::id()));
        fs::create_dir_all(&dir)?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let (program, settings) = plan(port);
        fs::write(dir.join("settings.conf"), settings)?;
        let spawned = program.spawn(&dir);
        let child = spawned.inspect_err(|_| drop(fs::remove_dir_all(&dir)))?;
        let mut server = Self {
            port,
            dir,
            program,
            child,
        };
        server.comes_up()?;
        Ok(server)
    }

    /// Returns the port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
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

    /// Starts it again after a [`kill`](Self::kill), with its data, if it has written any.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.child = self.program.spawn(&self.dir)?;
        self.comes_up()
    }

    /// Sends a command of the server's administrator. Returns the answer, as it comes.
    ///
    /// # Errors
    ///
    /// When it cannot be reached.
    pub fn command(&self, command: &str) -> io::Result<String> {
        self.ask(&format!("{command}\r\n"), Duration::from_secs(5))
    }

    fn ask(&self, question: &str, within: Duration) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(within))?;
        stream.write_all(question.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn comes_up(&mut self) -> io::Result<()> {
        let (question, part) = self.program.probe;
        // Some listen before they answer, and never answer what came then.
        let within = Duration::from_millis(500);
        let start = Instant::now();
        while self.child.try_wait()?.is_none() && start.elapsed() < PATIENCE {
            let answer = self.ask(question, within);
            if answer.is_ok_and(|answer| answer.contains(part)) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        let said = fs::read_to_string(self.dir.join("log"))?;
        Err(io::Error::other(format!(
            "the server does not come up: {said}"
        )))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that is gone needs no kill.
        let _ = self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Program {
    fn spawn(&self, dir: &Path) -> io::Result<Child> {
        let log = File::create(dir.join("log"))?;
        let spawned = Command::new(&self.path)
            .current_dir(dir)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        spawned.map_err(|error| {
            let (program, remedy) = (self.path.display(), self.remedy);
            io::Error::new(error.kind(), format!("{program}: {error}; {remedy}"))
        })
    }
}
