//! One member of a cluster.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::gateway::{self, Gateway, text_of};
use crate::program::command;
use crate::{CANARY, Host, Network, eventually, processor_time};

/// One member, with its data on the disk.
#[derive(Debug)]
pub struct EtcdMember {
    command: Vec<String>,
    pub(super) port: u16,
    pub(super) tls_port: u16,
    dir: PathBuf,
    host: Option<Host>,
    child: Child,
}

impl EtcdMember {
    pub(super) fn start(
        command: Vec<String>,
        (port, tls_port): (u16, u16),
        dir: PathBuf,
        network: Option<&Network>,
    ) -> Self {
        fs::create_dir_all(&dir).expect("a directory for the member");
        let host = network.map(Network::join);
        if let Some(host) = &host {
            host.listens_on(port);
        }
        let child = spawn(&command, &dir);
        Self {
            command,
            port,
            tls_port,
            dir,
            host,
            child,
        }
    }

    /// Returns the port for clients.
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
        self.host.as_ref().expect("a member on a network")
    }

    pub(super) fn gateway(&self, token: Option<String>) -> Gateway {
        Gateway::new(self.port, token)
    }

    /// Asks this member.
    ///
    /// # Errors
    ///
    /// What it says, or that it does not answer.
    pub fn ask(&self, path: &str, question: &Value) -> Result<Value, String> {
        let answer = self.gateway(None).ask(path, question);
        match answer {
            Err(error) if error.contains("user name is empty") => {
                let login = json!({"name": "root", "password": CANARY});
                let answer = self.gateway(None).ask("auth/authenticate", &login)?;
                let token = answer["token"].as_str().map(str::to_owned);
                self.gateway(token).ask(path, question)
            }
            other => other,
        }
    }

    /// Returns whether it answers for the cluster.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.ask("kv/range", &json!({"key": text_of(b"lockattr/probe")}))
            .is_ok()
    }

    /// Returns whether it is the leader.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.ask("maintenance/status", &json!({}))
            .is_ok_and(|status| {
                status["leader"].is_string() && status["leader"] == status["header"]["member_id"]
            })
    }

    /// Returns all names, and the lease that each is bound to, by their age.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    #[must_use]
    pub fn places(&self) -> Vec<(String, u64)> {
        gateway::names(
            &self
                .ask("kv/range", &gateway::everything())
                .expect("an answer"),
        )
    }

    /// Lets another member lead, if this one is the leader.
    ///
    /// # Panics
    ///
    /// When it does not lead, or the other one cannot.
    pub fn move_leader(&self, to: &Self) {
        let status = to.ask("maintenance/status", &json!({}));
        let id = &status.expect("an answer")["header"]["member_id"];
        let order = json!({"targetID": id});
        let moved = self.ask("maintenance/transfer-leadership", &order);
        moved.expect("the others are in step");
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_some()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Stops the process (SIGSTOP).
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).expect("the member runs");
    }

    /// Lets the process go on.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).expect("the member is there");
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // A child that is gone needs no kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with its data, without waiting until it answers.
    pub fn begin_restart(&mut self) {
        self.kill();
        self.child = spawn(&self.command, &self.dir);
    }

    /// Starts it again with its data, and waits until it answers: a majority has to be there.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn restart(&mut self) {
        self.begin_restart();
        eventually("the member answers again", || self.is_up());
    }

    /// Returns how many logins it has answered.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    #[must_use]
    pub fn logins(&self) -> u64 {
        let said = self.gateway(None).metrics().expect("an answer");
        let is_login = |line: &&str| {
            line.starts_with("grpc_server_handled_total") && line.contains("\"Authenticate\"")
        };
        let counts = said.lines().filter(is_login);
        let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum()
    }

    /// Returns the processor time that it has used so far.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        processor_time(self.child.id()).expect("the process is there")
    }
}

impl Drop for EtcdMember {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(words: &[String], dir: &Path) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .expect("a file for its log");
    command(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("a process for the member")
}
