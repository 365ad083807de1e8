//! Real members of etcd for one test.

mod gateway;
mod member;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use serde_json::{Value, json};

use gateway::text_of;
pub use member::EtcdMember;

use crate::eventually::PATIENCE;
use crate::program::free_ports;
use crate::{CANARY, Network, eventually, trace_to_file};

const USER: &str = "locker";
/// An election takes some 200 ms, and a lease at least a second.
const TIMES: [&str; 4] = ["--heartbeat-interval", "20", "--election-timeout", "200"];

/// A version of etcd that `tests/setup` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtcdVersion {
    /// 3.4, which Debian 12 has.
    V34,
    /// 3.5, which Debian 13 has.
    V35,
}

impl EtcdVersion {
    fn path(self) -> PathBuf {
        let name = match self {
            Self::V34 => "etcd-3.4",
            Self::V35 => "etcd-3.5",
        };
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(".servers")
            .join(name)
    }
}

/// The members of one cluster, which end with this value. Pools log in where
/// [authentication](Self::enable_auth) is enabled.
#[derive(Debug)]
pub struct Etcd {
    /// In the order of the URL.
    pub members: Vec<EtcdMember>,
    dir: PathBuf,
}

impl Etcd {
    /// Starts so many members of the newest version, and waits until they have a leader.
    #[must_use]
    pub fn start(members: usize) -> Self {
        Self::start_with(EtcdVersion::V35, members, &[], None)
    }

    /// Does the same with a version, more arguments, and a network.
    ///
    /// # Panics
    ///
    /// When the program is not installed, or does not start.
    #[must_use]
    pub fn start_with(
        version: EtcdVersion,
        members: usize,
        args: &[&str],
        network: Option<&Network>,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        trace_to_file();
        let program = version.path();
        assert!(
            program.exists(),
            "{version:?} is not installed: `tests/setup` installs it"
        );
        for _ in 0..10 {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let dir = env::temp_dir().join(format!("lockattr-etcd-{}-{number}", process::id()));
            // Another process may take a port before its member does: then try again.
            let ports = free_ports(members * 3);
            let (clients, others) = ports.split_at(members);
            let (peers, tls) = others.split_at(members);
            let has_tls = args.contains(&"--cert-file");
            let peer = |at: usize| format!("m{at}=http://127.0.0.1:{}", peers[at]);
            let cluster: Vec<String> = (0..members).map(peer).collect();
            let members = (0..members).map(|at| {
                let url = |port: u16| format!("http://127.0.0.1:{port}");
                let folder = dir.join(format!("m{at}"));
                let mut listens = url(clients[at]);
                if has_tls {
                    // Beside the plain port, by which the tests look at it.
                    listens.push_str(&format!(",https://127.0.0.1:{}", tls[at]));
                }
                let mut command = vec![program.display().to_string()];
                for (name, value) in [
                    ("--name", format!("m{at}")),
                    ("--data-dir", folder.join("data").display().to_string()),
                    ("--listen-client-urls", listens),
                    ("--advertise-client-urls", url(clients[at])),
                    ("--listen-peer-urls", url(peers[at])),
                    ("--initial-advertise-peer-urls", url(peers[at])),
                    ("--initial-cluster", cluster.join(",")),
                ] {
                    command.extend([name.to_owned(), value]);
                }
                command.extend(TIMES.iter().chain(args).map(ToString::to_string));
                let ports = (clients[at], tls[at]);
                EtcdMember::start(command, ports, folder, network)
            });
            let mut etcd = Self {
                members: members.collect(),
                dir,
            };
            if etcd.comes_up() {
                return etcd;
            }
        }
        panic!("{version:?} does not start with {args:?}");
    }

    fn comes_up(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.members.iter_mut().any(EtcdMember::has_ended) {
                return false;
            }
            if self.members.iter().all(EtcdMember::is_up) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Returns the URL for pools with the prefix `lockattr`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(&self.members.iter().map(|it| it.port).collect::<Vec<_>>())
    }

    /// Returns the URL for pools of the first member by TLS, which it speaks if it was started with
    /// `--cert-file`.
    #[must_use]
    pub fn tls_url(&self) -> String {
        format!("etcds://127.0.0.1:{}", self.members[0].tls_port)
    }

    /// Returns the same URL with these ports.
    #[must_use]
    pub fn url_at(&self, ports: &[u16]) -> String {
        let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}"));
        let hosts = hosts.collect::<Vec<_>>().join(",");
        format!("etcd://{USER}:{CANARY}@{hosts}")
    }

    /// Returns the place of the leader.
    ///
    /// # Panics
    ///
    /// When there is none within 20 s.
    #[must_use]
    pub fn leader(&self) -> usize {
        let mut leader = None;
        eventually("the members have a leader", || {
            leader = self.members.iter().position(EtcdMember::is_leader);
            leader.is_some()
        });
        leader.expect("it was there")
    }

    /// Lets etcd refuse clients that do not log in. The pools' user has the rights that docs/engines.md asks for.
    ///
    /// # Panics
    ///
    /// When etcd refuses.
    pub fn enable_auth(&self) {
        let tell = |path, question: Value| {
            let told = self.members[0].gateway(None).ask(path, &question);
            told.unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        let bytes = |text: &str| Value::from(text_of(text.as_bytes()));
        tell("auth/role/add", json!({"name": "locks"}));
        let right = json!({
            "permType": "READWRITE", "key": bytes("lockattr/"), "range_end": bytes("lockattr0")
        });
        tell("auth/role/grant", json!({"name": "locks", "perm": right}));
        for (user, role) in [("root", "root"), (USER, "locks")] {
            tell("auth/user/add", json!({"name": user, "password": CANARY}));
            if role == "root" {
                tell("auth/role/add", json!({"name": "root"}));
            }
            tell("auth/user/grant", json!({"user": user, "role": role}));
        }
        tell("auth/enable", json!({}));
    }

    /// Changes something that has to do with no lock, so that etcd takes no token any longer that it has
    /// given out.
    pub fn change_auth(&self) {
        let _ = self.ask("auth/role/add", &json!({"name": "another"}));
    }

    /// Ends all tokens of the pools' user, whose password stays.
    pub fn end_tokens(&self) {
        let login = json!({"name": USER, "password": CANARY});
        let _ = self.ask("auth/user/changepw", &login);
    }

    /// Returns the answer to a question of the tests, of a member that is up.
    ///
    /// # Panics
    ///
    /// When no member answers.
    #[must_use]
    pub fn ask(&self, path: &str, question: &Value) -> Value {
        let mut said = String::new();
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for member in &self.members {
                match member.ask(path, question) {
                    Ok(answer) => return answer,
                    Err(error) => said = error,
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{path}: {said}");
    }

    /// Returns all names, and the lease that each is bound to, by their age.
    ///
    /// # Panics
    ///
    /// When no member answers.
    #[must_use]
    pub fn places(&self) -> Vec<(String, u64)> {
        gateway::names(&self.ask("kv/range", &gateway::everything()))
    }

    /// Returns the names of holders and waiters.
    #[must_use]
    pub fn locks(&self) -> Vec<String> {
        let names = self.places().into_iter().map(|(name, _)| name);
        names.filter(|name| name.contains("/locks/")).collect()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.members.clear();
        // What cannot be removed is in the folder for such things.
        let _ = fs::remove_dir_all(&self.dir);
    }
}
