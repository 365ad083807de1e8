//! A server of a unit test.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process, thread};

/// A server on a socket of its own.
pub(crate) struct RedisServer {
    child: Child,
    dir: PathBuf,
    pub(in crate::backend::redis) client: redis::Client,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-unit-{}-{number}", process::id()));
        fs::create_dir_all(&dir).unwrap();
        let socket = dir.join("socket");
        let mut child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .current_dir(&dir)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed, as by tests/run");
        let client = redis::Client::open(format!("redis+unix://{}", socket.display())).unwrap();
        while client.get_connection().is_err() {
            assert_eq!(child.try_wait().unwrap(), None, "the server ended");
            thread::sleep(Duration::from_millis(5));
        }
        Self { child, dir, client }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.dir.join("socket").display())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        fs::remove_dir_all(&self.dir).unwrap();
    }
}
