//! One server.

mod processes;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::{Client, NoTls, Row};

use super::programs;
use crate::program::free_port;
use crate::{CANARY, Host, Network, eventually, trace_to_file};

/// What each server has: it is killed, but its machine is not.
const SETTINGS: [&str; 14] = [
    "-c",
    "listen_addresses=127.0.0.1",
    "-c",
    "fsync=off",
    "-c",
    "max_connections=200",
    "-c",
    "shared_buffers=32MB",
    "-c",
    "wal_keep_size=256MB",
    "-c",
    "hot_standby=on",
    "-c",
    "autovacuum_naptime=1s",
];

/// The user of pools, with the least rights.
const USER: &str = "locker";

/// A server of its own, which ends with this value.
#[derive(Debug)]
pub struct PostgresServer {
    port: u16,
    dir: PathBuf,
    args: Vec<String>,
    host: Option<Host>,
    child: Child,
}

impl PostgresServer {
    /// Starts an empty server with the schema of the locks.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Does so with additional arguments, such as `-c`, `fsync=on`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_with(args: &[&str]) -> Self {
        Self::start_at(args, None)
    }

    /// Starts it as a host of a network.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_in(network: &Network, args: &[&str]) -> Self {
        Self::start_at(args, Some(network.join()))
    }

    fn start_at(args: &[&str], host: Option<Host>) -> Self {
        let args = args.iter().map(ToString::to_string).collect();
        let server = Self::spawn_new(args, host, |dir| {
            let cluster = [
                "--username=postgres",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
            ];
            let data = ["--encoding=UTF8", "--no-locale", "--no-sync", "-D", "data"];
            programs::run(
                &programs::find("initdb"),
                dir,
                &[&cluster[..], &data].concat(),
            );
            let rules = "local all all trust\nhost all postgres 127.0.0.1/32 trust\n\
                         host replication all 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
            fs::write(dir.join("data/pg_hba.conf"), rules).expect("the folder is there");
        });
        server.make_schema("lockattr");
        server
    }

    /// Starts a copy of this server, which follows it.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn start_standby(&self) -> Self {
        let host = self.host.as_ref().map(|host| host.network().join());
        Self::spawn_new(self.args.clone(), host, |dir| self.copy_to(dir))
    }

    fn copy_to(&self, dir: &Path) {
        let from = format!(
            "host=127.0.0.1 port={} user=postgres application_name=standby",
            self.port
        );
        let args = [
            "-D",
            "data",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            "-d",
            &from,
        ];
        programs::run(&programs::find("pg_basebackup"), dir, &args);
    }

    /// Lets this server follow another one that has taken its place, from that one's data.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn follow(&mut self, primary: &Self) {
        self.kill();
        fs::remove_dir_all(self.dir.join("data")).expect("the folder is ours");
        primary.copy_to(&self.dir);
        self.restart();
    }

    fn spawn_new(args: Vec<String>, host: Option<Host>, fill: impl FnOnce(&Path)) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        trace_to_file();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-postgres-{}-{number}", process::id()));
        programs::make_folder(&dir);
        let port = free_port();
        fill(&dir);
        let child = spawn(port, &dir, &args, host.as_ref());
        let mut server = Self {
            port,
            dir,
            args,
            host,
            child,
        };
        server.comes_up();
        if let Some(host) = &server.host {
            host.listens_on(port);
        }
        server
    }

    fn comes_up(&mut self) {
        let start = Instant::now();
        while !self.is_up() {
            let log = || fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            if self.child.try_wait().expect("the child is ours").is_some() {
                // Processes of its predecessor may still be about to end.
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "it does not start: {}",
                    log()
                );
                thread::sleep(Duration::from_millis(20));
                self.child = spawn(self.port, &self.dir, &self.args, self.host.as_ref());
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "it does not answer: {}",
                log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn make_schema(&self, schema: &str) {
        self.execute(&format!("create user {USER} password '{CANARY}'"));
        self.execute(&lockattr_postgres::schema_sql(schema));
        self.execute(&format!(
            "grant usage on schema {schema} to {USER}; \
             grant select, insert, update, delete on all tables in schema {schema} to {USER}"
        ));
    }

    /// Returns the URL for pools, as the user with the least rights.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// Returns the same URL with another port.
    #[must_use]
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://{USER}:{CANARY}@127.0.0.1:{port}/postgres")
    }

    /// Returns the URL for the user with all rights.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
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

    /// Returns whether it takes connections.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.try_query("select 1").is_ok()
    }

    /// Runs statements as the user with all rights.
    ///
    /// # Panics
    ///
    /// When the server refuses them.
    pub fn execute(&self, statements: &str) {
        let done = self.with_client(async |client| client.batch_execute(statements).await);
        done.expect("the server executes it");
    }

    /// Returns the rows of a query, asked by the user with all rights.
    ///
    /// # Panics
    ///
    /// When the server refuses it.
    #[must_use]
    pub fn query(&self, text: &str) -> Vec<Row> {
        self.try_query(text).expect("the server answers")
    }

    pub(crate) fn try_query(&self, text: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.with_client(async |client| client.query(text, &[]).await)
    }

    /// Tests call this from threads of runtimes too, so each connection has a thread of its own.
    fn with_client<R: Send>(
        &self,
        action: impl AsyncFnOnce(&Client) -> Result<R, tokio_postgres::Error> + Send,
    ) -> Result<R, tokio_postgres::Error> {
        let url = format!("{}?connect_timeout=2", self.admin_url());
        thread::scope(|scope| {
            let asking = scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.expect("a runtime").block_on(async {
                    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
                    let traffic = tokio::spawn(connection);
                    let result = action(&client).await;
                    drop(client);
                    // The server has seen the end of the connection then.
                    let _ = traffic.await;
                    result
                })
            });
            asking.join().expect("no thread panics here")
        })
    }

    /// Returns the keys that owners have.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    #[must_use]
    pub fn locks(&self) -> Vec<String> {
        let rows = self.query("select distinct key from lockattr.holder order by key");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Ends it as for maintenance: its clients are disconnected, what they committed is on its standbys.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn stop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("the server runs");
        self.child.wait().expect("the child is ours");
    }

    /// Starts it again with its data, and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.begin_restart();
        self.comes_up();
    }

    fn begin_restart(&mut self) {
        self.child = spawn(self.port, &self.dir, &self.args, self.host.as_ref());
    }

    /// Changes a setting, for now and for later starts.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.execute(&format!("alter system set {name} = '{value}'"));
        self.execute("select pg_reload_conf()");
        self.args
            .extend(["-c".to_owned(), format!("{name}={value}")]);
    }

    /// Makes a standby a primary.
    ///
    /// # Panics
    ///
    /// When it does not become one.
    pub fn promote(&self) {
        self.execute("select pg_promote(true, 60)");
        eventually("it is a primary", || !self.is_standby());
    }

    /// Returns whether it follows another server.
    ///
    /// # Panics
    ///
    /// When it cannot be asked.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.query("select pg_is_in_recovery()")[0].get(0)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn spawn(port: u16, dir: &Path, args: &[String], host: Option<&Host>) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("log"));
    let log = log.expect("the folder is ours");
    let mut command = programs::command(&programs::find("postgres"), dir);
    if let Some(host) = host {
        command.envs(host.environment());
    }
    command
        .args(["-D", "data", "-p", &port.to_string()])
        .args(["-c", &format!("unix_socket_directories={}", dir.display())])
        .args(SETTINGS)
        .args(args)
        .stdout(Stdio::null())
        .stderr(log);
    programs::spawn(command)
}
