//! A real twemproxy in front of servers.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use crate::program::{command, free_port};
use crate::{RedisServer, eventually};

/// A twemproxy that spreads the names over servers; it ends with this value.
#[derive(Debug)]
pub struct Twemproxy {
    port: u16,
    dir: PathBuf,
    child: Child,
}

impl Twemproxy {
    /// Starts one in front of these servers, and waits until it takes connections.
    ///
    /// # Panics
    ///
    /// When there is no `nutcracker`, or it does not start.
    #[must_use]
    pub fn start(servers: &[&RedisServer]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-twemproxy-{}-{number}", process::id()));
        fs::create_dir_all(&dir).expect("a directory for the proxy");
        let [port, stats] = [free_port(), free_port()];
        let mut settings = format!(
            "pool:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: fnv1a_64\n  \
             distribution: modula\n  timeout: 300\n  server_retry_timeout: 50\n  servers:\n"
        );
        for (number, server) in servers.iter().enumerate() {
            settings += &format!("   - 127.0.0.1:{}:1 server{number}\n", server.port());
        }
        fs::write(dir.join("settings.yml"), settings).expect("the directory is ours");
        let child = command("/usr/sbin/nutcracker")
            .current_dir(&dir)
            .args(["--conf-file", "settings.yml", "--output", "log"])
            .args([
                "--stats-addr",
                "127.0.0.1",
                "--stats-port",
                &stats.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nutcracker is installed: `tests/setup` installs it");
        eventually("the proxy takes connections", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { port, dir, child }
    }

    /// Returns the URL for pools.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Returns the port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Twemproxy {
    fn drop(&mut self) {
        // A proxy that is gone needs no kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
