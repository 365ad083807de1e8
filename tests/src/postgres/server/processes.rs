//! The processes of a server: the first one, and its children.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::PostgresServer;
use crate::processor_time;

impl PostgresServer {
    /// Stops all its processes (SIGSTOP), the first one first, so that it starts no more.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn pause(&self) {
        let first = Pid::from_child(&self.child);
        kill_process(first, Signal::STOP).expect("the server runs");
        for child in self.children() {
            // Its client may have gone.
            let _ = kill_process(child, Signal::STOP);
        }
    }

    /// Lets them go on.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn resume(&self) {
        for child in self.children() {
            let _ = kill_process(child, Signal::CONT);
        }
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("the server is there");
    }

    /// `kill -9` of all its processes.
    pub fn kill(&mut self) {
        let children = self.children();
        // A process that is gone needs no kill.
        let _ = self.child.kill();
        for child in children {
            let _ = kill_process(child, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    /// Returns the processor time that all its processes have used so far.
    ///
    /// # Panics
    ///
    /// When it does not run.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let first = processor_time(self.child.id()).expect("the server runs");
        let children = self.children().into_iter();
        // The first process has the time of a child that has just ended.
        let children = children.filter_map(|it| processor_time(it.as_raw_pid().unsigned_abs()));
        first + children.sum::<Duration>()
    }

    /// The server's other processes are children of its first one.
    fn children(&self) -> Vec<Pid> {
        let parent = self.child.id();
        let listed = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let listed = listed.unwrap_or_default();
        let pids = listed.split_whitespace().filter_map(|it| it.parse().ok());
        pids.filter_map(Pid::from_raw).collect()
    }
}
