//! A real server for one test.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use redis::{Client, Connection, FromRedisValue, RedisError};
use rustix::process::{Pid, Signal, kill_process};

use crate::eventually::PATIENCE;
use crate::program::{Program, free_port};
use crate::{CANARY, Host, Network, ServerClock, trace_to_file};

/// The rights of the pools' user: exactly the rights that docs/operations.md asks for.
pub const RIGHTS: &str = "-@all ~lockattr:* &lockattr:* +eval +evalsha +get +set +del +exists \
                          +pexpire +pttl +time +lpop +lpos +lrem +rpush +publish +subscribe \
                          +hdel +hget +hgetall +hlen +hset +lindex";
const USER: &str = "locker";
/// The rights that looking at locks needs, beside those of any pool.
const INSPECTION_RIGHTS: [&str; 3] = ["+llen", "+lrange", "+scan"];

/// A server on its own port, without persistence, that ends with this value.
///
/// It has two users: `locker` for the pools, with the [`RIGHTS`] and with the [`CANARY`] as its
/// password; and the default user without a password and with all rights, for the tests to inspect
/// and disturb the server.
#[derive(Debug)]
pub struct RedisServer {
    program: Program,
    port: u16,
    dir: PathBuf,
    args: Vec<String>,
    clock: Option<ServerClock>,
    host: Option<Host>,
    child: Child,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Does the same with more arguments, such as `["--maxmemory", "1mb"]`. A server with a
    /// certificate (`--tls-cert-file`) speaks only TLS on its port.
    ///
    /// # Panics
    ///
    /// When the program is not installed, or does not start.
    #[must_use]
    pub fn start_with(args: &[&str]) -> Self {
        Self::start_on(Program::chosen_for(args), args, None, None)
    }

    /// Does the same on a network.
    #[must_use]
    pub fn start_in(network: &Network, args: &[&str]) -> Self {
        let program = Program::chosen_for(args);
        let server = Self::start_on(program, args, None, Some(&network.join()));
        server.host().listens_on(server.port);
        server
    }

    /// Starts a Redis server, whatever the tests run on.
    ///
    /// # Panics
    ///
    /// When there is no `redis-server`, or it does not start.
    #[must_use]
    pub fn start_redis(args: &[&str]) -> Self {
        Self::start_on(Program::Redis, args, None, None)
    }

    /// Starts a Valkey server.
    ///
    /// # Panics
    ///
    /// When there is no `valkey-server`, or it does not start.
    #[must_use]
    pub fn start_valkey(args: &[&str]) -> Self {
        Self::start_on(Program::Valkey, args, None, None)
    }

    /// Starts a server whose clock can be set.
    #[must_use]
    pub fn start_with_clock(clock: &ServerClock) -> Self {
        Self::start_on(Program::chosen_for::<&str>(&[]), &[], Some(clock), None)
    }

    fn start_on(
        program: Program,
        args: &[&str],
        clock: Option<&ServerClock>,
        host: Option<&Host>,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        trace_to_file();
        program.assert_installed();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-redis-{}-{number}", process::id()));
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        for _ in 0..20 {
            fs::create_dir_all(&dir).expect("a directory for the server");
            // Another process may take the port before the server does: then try again.
            let port = free_port();
            let child = spawn(program, port, &dir, &args, clock, host);
            let mut server = Self {
                program,
                port,
                dir: dir.clone(),
                args: args.clone(),
                clock: clock.cloned(),
                host: host.cloned(),
                child,
            };
            if server.comes_up() {
                return server;
            }
        }
        panic!("{program:?} does not start with {args:?}");
    }

    fn comes_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if self.child.try_wait().expect("the child is ours").is_some() {
                return false;
            }
            if self
                .try_connection()
                .is_ok_and(|mut connection| redis::cmd("PING").exec(&mut connection).is_ok())
            {
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// Returns the URL for pools with the prefix `lockattr`, as the user with the least rights.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// Returns the same URL with another port.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        format!("redis://{USER}:{CANARY}@127.0.0.1:{port}/")
    }

    /// Returns the same URL with the server's unix socket.
    #[must_use]
    pub fn unix_url(&self) -> String {
        let socket = self.dir.join("redis.sock");
        format!(
            "redis+unix://{}?user={USER}&pass={CANARY}",
            socket.display()
        )
    }

    /// Returns the URL for pools with another prefix, or that check the server's settings and role,
    /// as the user with all rights.
    #[must_use]
    pub fn admin_url(&self) -> String {
        self.admin_url_at(self.port)
    }

    /// Returns the same URL with another port.
    #[must_use]
    pub fn admin_url_at(&self, port: u16) -> String {
        format!("redis://127.0.0.1:{port}/")
    }

    /// Returns the port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns its place on the network that it was started in.
    ///
    /// # Panics
    ///
    /// When it was started without one.
    #[must_use]
    pub fn host(&self) -> &Host {
        self.host.as_ref().expect("a server on a network")
    }

    /// Opens a connection to inspect the server.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection_within(PATIENCE)
            .expect("the server is there")
    }

    fn try_connection(&self) -> redis::RedisResult<Connection> {
        self.connection_within(Duration::from_secs(1))
    }

    fn connection_within(&self, patience: Duration) -> redis::RedisResult<Connection> {
        // Through the socket, which exists with TLS too.
        let url = format!("redis+unix://{}", self.dir.join("redis.sock").display());
        Client::open(url)?.get_connection_with_timeout(patience)
    }

    /// Returns the matching names on the server, sorted.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    #[must_use]
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.ask(&["KEYS", pattern]);
        keys.sort();
        keys
    }

    /// Returns the locks on the server: every name with a bucket, followed by a key.
    #[must_use]
    pub fn locks(&self) -> Vec<String> {
        self.keys("*:{???}:*")
    }

    /// Stops the process (SIGSTOP).
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).expect("the server runs");
    }

    /// Lets the process go on.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).expect("the server is there");
    }

    /// Returns whether it answers.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.try_connection()
            .is_ok_and(|mut connection| redis::cmd("PING").exec(&mut connection).is_ok())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // A child that is gone needs no kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, on the same port and with the same arguments.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.begin_restart();
        assert!(self.comes_up(), "the server does not come up again");
    }

    /// Does the same without waiting until it answers.
    pub fn begin_restart(&mut self) {
        self.kill();
        let (clock, host) = (self.clock.as_ref(), self.host.as_ref());
        self.child = spawn(self.program, self.port, &self.dir, &self.args, clock, host);
    }

    /// Starts it again without the data that it may have kept on the disk.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart_empty(&mut self) {
        self.kill();
        let kept = self.dir.join("appendonlydir");
        if kept.exists() {
            fs::remove_dir_all(kept).expect("the folder is ours");
        }
        self.restart();
    }

    /// Sends one command unchanged.
    ///
    /// # Errors
    ///
    /// When the server refuses it.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    pub fn raw(&self, command: &[&str]) -> redis::RedisResult<redis::Value> {
        let (name, args) = command.split_first().expect("a command");
        redis::cmd(name).arg(args).query(&mut self.connection())
    }

    /// Returns the answer to a question.
    pub(crate) fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let said = self.raw(command).expect("an answer");
        redis::from_redis_value(said).expect("an answer of this kind")
    }

    /// Returns how often it has refused its users something, as its ACL LOG says.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    #[must_use]
    pub fn refusals(&self) -> usize {
        self.ask::<Vec<redis::Value>>(&["ACL", "LOG"]).len()
    }

    /// Lets the pools' user look at locks.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    pub fn allow_inspection(&self) {
        let grant = [&["ACL", "SETUSER", USER], &INSPECTION_RIGHTS[..]].concat();
        self.raw(&grant).expect("its rights");
    }

    /// Runs a script that does not end, as another client would. Returns its error once it is killed.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    #[must_use]
    pub fn begin_endless_script(&self) -> JoinHandle<RedisError> {
        let mut connection = self.connection();
        thread::spawn(move || {
            let mut script = redis::cmd("EVAL");
            script.arg("while true do end").arg(0);
            script.exec(&mut connection).expect_err("it is killed")
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn spawn(
    program: Program,
    port: u16,
    dir: &Path,
    args: &[String],
    clock: Option<&ServerClock>,
    host: Option<&Host>,
) -> Child {
    let mut command = program.command();
    let (plain, tls) = if args.iter().any(|arg| arg == "--tls-cert-file") {
        (0, port)
    } else {
        (port, 0)
    };
    if let Some(clock) = clock {
        command.envs(clock.environment());
    }
    if let Some(host) = host {
        command.envs(host.environment());
    }
    command
        .current_dir(dir)
        .args([
            "--port",
            &plain.to_string(),
            "--tls-port",
            &tls.to_string(),
            "--bind",
            "127.0.0.1",
            "--unixsocket",
            "redis.sock",
        ])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--enable-debug-command", "local"])
        .args(["--user", USER, "on", &format!(">{CANARY}")])
        .args(RIGHTS.split(' '))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process for the server")
}
