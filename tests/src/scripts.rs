//! The scripts that run on a server.

use std::thread::JoinHandle;

use redis::RedisError;

use crate::RedisServer;

impl RedisServer {
    /// Runs a script that does not end, as another client would. Returns its error once it is killed.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    #[must_use]
    pub fn begin_endless_script(&self) -> JoinHandle<RedisError> {
        let mut connection = self.connection();
        std::thread::spawn(move || {
            let mut script = redis::cmd("EVAL");
            script.arg("while true do end").arg(0);
            script.exec(&mut connection).expect_err("it is killed")
        })
    }

    /// Returns how often scripts were called.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    #[must_use]
    pub fn script_calls(&self) -> usize {
        let info: String = self.ask(&["INFO", "commandstats"]);
        let calls = |line: &str| {
            let count = line.strip_prefix("cmdstat_eval")?.split_once("calls=")?.1;
            count.split(',').next()?.parse::<usize>().ok()
        };
        info.lines().filter_map(calls).sum()
    }
}
