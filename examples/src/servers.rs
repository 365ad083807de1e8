//! Servers of an example's own, that it kills.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, io, process, thread};

/// A `redis-server`, or a sentinel, that ends with this value.
#[derive(Debug)]
pub struct Server {
    port: u16,
    dir: PathBuf,
    args: Vec<String>,
    child: Child,
}

impl Server {
    /// Starts a server with these arguments, and waits until it listens.
    ///
    /// # Errors
    ///
    /// When there is no `redis-server`, or it does not start.
    pub fn start(args: &[&str]) -> io::Result<Self> {
        Self::start_with(args, "")
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
        Self::start_with(&["--sentinel"], &settings)
    }

    fn start_with(args: &[&str], settings: &str) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-example-{}-{number}", process::id()));
        fs::create_dir_all(&dir)?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let settings = format!("port {port}\nbind 127.0.0.1\n{settings}");
        fs::write(dir.join("settings.conf"), settings)?;
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let child = spawn(&dir, &args)?;
        let server = Self {
            port,
            dir,
            args,
            child,
        };
        server.is_up()?;
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
        self.child = spawn(&self.dir, &self.args)?;
        self.is_up()
    }

    /// Sends a command of the server's administrator. Returns the answer, as it comes.
    ///
    /// # Errors
    ///
    /// When it cannot be reached.
    pub fn command(&self, command: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn is_up(&self) -> io::Result<()> {
        for _ in 0..1000 {
            if self.command("PING").is_ok_and(|it| it.starts_with("+PONG")) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other("the server does not come up"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that is gone needs no kill.
        let _ = self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn spawn(dir: &PathBuf, args: &[String]) -> io::Result<Child> {
    let spawned = Command::new("redis-server")
        .current_dir(dir)
        .args(["settings.conf"])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    spawned.map_err(|error| io::Error::new(error.kind(), format!("redis-server: {error}")))
}
