//! A real `PgBouncer` in front of a server.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use super::{PostgresServer, programs};
use crate::program::free_port;
use crate::{CANARY, eventually};

/// A pooler in transaction mode, which ends with this value.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    dir: PathBuf,
    child: Child,
}

impl PgBouncer {
    /// Starts one in this mode, such as `transaction`, and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// When there is no `pgbouncer`, or it does not start.
    #[must_use]
    pub fn start(server: &PostgresServer, mode: &str) -> Self {
        Self::start_with(server, mode, "default_pool_size = 10")
    }

    /// Does so with additional settings, a line each.
    ///
    /// # Panics
    ///
    /// When there is no `pgbouncer`, or it does not start.
    #[must_use]
    pub fn start_with(server: &PostgresServer, mode: &str, settings: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-pgbouncer-{}-{number}", process::id()));
        programs::make_folder(&dir);
        let port = free_port();
        fs::write(dir.join("users"), format!("\"locker\" \"{CANARY}\"\n"))
            .expect("the folder is ours");
        let file = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} dbname=postgres\n\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = users\n\
             pool_mode = {mode}\nlogfile = log\nignore_startup_parameters = extra_float_digits\n{settings}\n",
            server.port()
        );
        fs::write(dir.join("settings.ini"), file).expect("the folder is ours");
        let mut command = programs::command("/usr/sbin/pgbouncer".as_ref(), &dir);
        command.args(["-q", "settings.ini"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = programs::spawn(command);
        eventually(
            "the pooler takes connections; `tests/setup` installs it",
            || TcpStream::connect(("127.0.0.1", port)).is_ok(),
        );
        Self { port, dir, child }
    }

    /// Returns the port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // A pooler that is gone needs no kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
