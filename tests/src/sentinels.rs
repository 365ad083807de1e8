//! Servers of which one is the master, and the sentinels that choose it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process};

use redis::{Client, Connection, FromRedisValue, RedisResult};
use rustix::process::{Pid, Signal, kill_process};

use crate::eventually::PATIENCE;
use crate::program::Program;
use crate::replicated::online;
use crate::{CANARY, Host, Network, RedisServer, eventually, is_soon};

/// The name of the master in all deployments.
pub const MASTER_NAME: &str = "mymaster";
/// The rights of a pool's user at a sentinel: exactly the rights that docs/deployments.md asks for.
pub const SENTINEL_RIGHTS: &str =
    "-@all &+switch-master +subscribe +sentinel|master +sentinel|get-master-addr-by-name";
/// A sentinel gives a failover up when a step of it takes 3 s, and does nothing for 30 s after it stood still for
/// 2 s (TILT), as on a machine that is paused.
const FAILOVER: Duration = Duration::from_secs(120);
const WATCHER: &str = "watcher";
/// As whom replicas and sentinels log in at a server.
const INNER: &str = "inner";

/// A master, its replicas and its sentinels; all of them end with this value.
#[derive(Debug)]
pub struct Sentinels {
    /// The first one begins as the master.
    pub nodes: Vec<RedisServer>,
    /// They are told of each other and of the servers.
    pub sentinels: Vec<Sentinel>,
}

/// One sentinel, with the user `watcher` for pools and a default user with all rights.
#[derive(Debug)]
pub struct Sentinel {
    port: u16,
    dir: PathBuf,
    child: Child,
}

impl Sentinels {
    /// Starts a master, a replica and three sentinels, and waits until they know each other.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(2, 3, &[])
    }

    /// Does the same with other numbers of servers and sentinels, and more arguments for all servers,
    /// which with `--tls-cert-file` are for the sentinels too.
    ///
    /// # Panics
    ///
    /// When they do not start.
    #[must_use]
    pub fn start_with(nodes: usize, sentinels: usize, args: &[&str]) -> Self {
        Self::start_in(None, nodes, sentinels, args)
    }

    /// Does the same on a network.
    ///
    /// # Panics
    ///
    /// When they do not start.
    #[must_use]
    pub fn start_in(
        network: Option<&Network>,
        nodes: usize,
        sentinels: usize,
        args: &[&str],
    ) -> Self {
        let start_server = |args: &[&str]| match network {
            Some(network) => RedisServer::start_in(network, args),
            None => RedisServer::start_with(args),
        };
        let secret = format!(">{CANARY}");
        let mut args = args.to_vec();
        args.extend(["--user", INNER, "on", &secret, "~*", "&*", "+@all"]);
        args.extend(["--masteruser", INNER, "--masterauth", CANARY]);
        args.extend(["--repl-diskless-sync-delay", "0"]);
        let servers: Vec<RedisServer> = (0..nodes).map(|_| start_server(&args)).collect();
        // Not an argument: a replica that has become the master is restarted as one.
        for replica in &servers[1..] {
            follow(replica, servers[0].port());
        }
        let mut deployment = Self {
            nodes: servers,
            sentinels: Vec::new(),
        };
        eventually("the replicas follow", || {
            online(&deployment.nodes[0]) == nodes - 1
        });
        deployment.start_sentinels(network, sentinels, &args);
        deployment
    }

    fn start_sentinels(&mut self, network: Option<&Network>, count: usize, args: &[&str]) {
        for _ in 0..20 {
            let free = |_| {
                let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
                let port = socket.local_addr().expect("it has one").port();
                (socket, port)
            };
            let (sockets, ports): (Vec<_>, Vec<_>) = (0..count).map(free).unzip();
            drop(sockets);
            let hosts: Vec<Option<Host>> = ports
                .iter()
                .map(|port| {
                    let host = network?.join();
                    host.listens_on(*port);
                    Some(host)
                })
                .collect();
            let start = |(port, host): (&u16, Option<Host>)| {
                Sentinel::start(*port, &self.settings(*port, &ports, args), host.as_ref())
            };
            self.sentinels = ports.iter().zip(hosts).map(start).collect();
            // Another process may take a port before the sentinel does: then try again.
            if self.sentinels.iter_mut().all(Sentinel::comes_up) {
                break;
            }
        }
        for sentinel in &self.sentinels {
            eventually("a sentinel knows all others", || {
                sentinel.is_content(self.nodes.len() - 1, count - 1)
            });
        }
    }

    /// A sentinel is told of the others, instead of finding them within seconds.
    fn settings(&self, port: u16, all: &[u16], args: &[&str]) -> Vec<String> {
        let id = |port: u16| format!("{port:040x}");
        let of_master = |text: &str| format!("sentinel {}", text.replace('%', MASTER_NAME));
        let tls = args.chunks(2).filter(|pair| pair[0].starts_with("--tls-"));
        let tls: Vec<String> = tls.map(|pair| pair.join(" ")).collect();
        let kind = if tls.is_empty() {
            "port"
        } else {
            "port 0\ntls-port"
        };
        let mut lines = vec![
            format!("{kind} {port}"),
            tls.join("\n").replace("--", ""),
            "unixsocket sentinel.sock".to_owned(),
            "bind 127.0.0.1".to_owned(),
            format!("user {WATCHER} on >{CANARY} {SENTINEL_RIGHTS}"),
            format!("sentinel myid {}", id(port)),
        ];
        let (master, quorum) = (self.nodes[0].port(), all.len() / 2 + 1);
        for setting in [
            &format!("monitor % 127.0.0.1 {master} {quorum}"),
            "down-after-milliseconds % 500",
            "failover-timeout % 3000",
            "parallel-syncs % 2",
            &format!("auth-user % {INNER}"),
            &format!("auth-pass % {CANARY}"),
        ] {
            lines.push(of_master(setting));
        }
        for replica in &self.nodes[1..] {
            let port = replica.port();
            lines.push(of_master(&format!("known-replica % 127.0.0.1 {port}")));
        }
        for other in all.iter().filter(|other| **other != port) {
            let id = id(*other);
            lines.push(of_master(&format!(
                "known-sentinel % 127.0.0.1 {other} {id}"
            )));
        }
        lines
    }

    /// Returns the URL for pools with the prefix `lockattr`, as users with the least rights.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_by(&self.ports())
    }

    /// Returns the same URL with the sentinels at these ports.
    #[must_use]
    pub fn url_by(&self, ports: &[u16]) -> String {
        let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}"));
        let hosts = hosts.collect::<Vec<_>>().join(",");
        format!(
            "redis+sentinel://locker:{CANARY}@{hosts}/{MASTER_NAME}\
             ?sentinel_user={WATCHER}&sentinel_password={CANARY}"
        )
    }

    /// Returns the ports of the sentinels.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        self.sentinels
            .iter()
            .map(|sentinel| sentinel.port)
            .collect()
    }

    /// Waits until no key is missing on a replica.
    pub fn wait_for_replicas(&self, master: usize) {
        eventually("the data are replicated", || {
            let keys = self.nodes[master].keys("*");
            self.nodes.iter().all(|node| node.keys("*") == keys)
        });
    }

    /// Lets a sentinel make another node the master, and waits until all `sentinels` say so. Returns
    /// the new one's place.
    ///
    /// # Panics
    ///
    /// When there is no failover within two minutes.
    pub fn fail_over(&self, sentinels: &[usize]) -> usize {
        // While one is under way, a sentinel refuses another.
        let asked = &self.sentinels[sentinels[0]];
        let old = asked.master_port();
        let mut said = Ok(());
        let is_done = is_soon(FAILOVER, || {
            if asked.master_port() != old {
                return true;
            }
            said = asked.query(&["FAILOVER", MASTER_NAME]);
            false
        });
        assert!(is_done, "no failover within {FAILOVER:?}: {said:?}");
        self.new_master(old, sentinels)
    }

    /// Waits until all these sentinels name another master than the one at the port `old`.
    ///
    /// # Panics
    ///
    /// When they do not, or it is none of the nodes.
    pub fn new_master(&self, old: u16, sentinels: &[usize]) -> usize {
        let mut new = old;
        for sentinel in sentinels {
            let is_done = is_soon(FAILOVER, || {
                new = self.sentinels[*sentinel].master_port();
                new != old
            });
            assert!(is_done, "no other master within {FAILOVER:?}");
        }
        let place = self.nodes.iter().position(|node| node.port() == new);
        place.expect("it is one of the nodes")
    }

    /// Cuts a master off from its replicas and sentinels, for good; pools still reach it.
    ///
    /// # Panics
    ///
    /// When it cannot be reached.
    pub fn isolate(&self, node: usize) {
        // Their connections end with their user. As the default user they may do no more than a test.
        for command in [
            "SETUSER default -@all +acl +client|list +info +keys +role",
            &format!("DELUSER {INNER}"),
        ] {
            let command: Vec<&str> = command.split(' ').collect();
            let done = self.nodes[node].raw(&[&["ACL"], &command[..]].concat());
            done.expect("the server is there");
        }
    }
}

/// Makes a server the replica of the one at this port.
pub(crate) fn follow(server: &RedisServer, master: u16) {
    let port = master.to_string();
    let done = server.raw(&["REPLICAOF", "127.0.0.1", &port]);
    done.expect("the server is there");
}

impl Sentinel {
    fn start(port: u16, lines: &[String], host: Option<&Host>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("lockattr-sentinel-{}-{number}", process::id()));
        fs::create_dir_all(&dir).expect("a directory for the sentinel");
        fs::write(dir.join("sentinel.conf"), lines.join("\n")).expect("the directory is ours");
        let mut command = Program::chosen_for(lines).command();
        if let Some(host) = host {
            command.envs(host.environment());
        }
        let child = command
            .current_dir(&dir)
            .args(["sentinel.conf", "--sentinel"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process for the sentinel");
        Self { port, dir, child }
    }

    /// Waits until it answers, or ends.
    fn comes_up(&mut self) -> bool {
        let mut is_up = false;
        eventually("a sentinel answers or ends", || {
            is_up = self.connection().is_ok();
            is_up || self.child.try_wait().expect("the child is ours").is_some()
        });
        is_up
    }

    /// Returns the port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn connection(&self) -> RedisResult<Connection> {
        // Through the socket, which exists with TLS too.
        let socket = self.dir.join("sentinel.sock");
        Client::open(format!("redis+unix://{}", socket.display()))?
            .get_connection_with_timeout(PATIENCE)
    }

    /// Asks it.
    ///
    /// # Errors
    ///
    /// When it cannot be reached, or refuses.
    pub fn query<T: FromRedisValue>(&self, args: &[&str]) -> RedisResult<T> {
        redis::cmd("SENTINEL")
            .arg(args)
            .query(&mut self.connection()?)
    }

    /// Sends one command of another kind.
    ///
    /// # Panics
    ///
    /// When it cannot be reached, or refuses.
    pub fn raw(&self, command: &[&str]) {
        let (name, args) = command.split_first().expect("a command");
        redis::cmd(name)
            .arg(args)
            .exec(&mut self.connection().expect("it is there"))
            .expect("it does it");
    }

    /// Returns the port of the master that it names.
    ///
    /// # Panics
    ///
    /// When it cannot be reached.
    #[must_use]
    pub fn master_port(&self) -> u16 {
        let (_, port): (String, u16) = self
            .query(&["GET-MASTER-ADDR-BY-NAME", MASTER_NAME])
            .expect("it knows the master");
        port
    }

    /// Whether it takes all others for sound.
    fn is_content(&self, replicas: usize, others: usize) -> bool {
        let sound = |kind: &str, flags: &str, count: usize| {
            let known: RedisResult<Vec<std::collections::HashMap<String, String>>> =
                self.query(&[kind, MASTER_NAME]);
            known.is_ok_and(|known| {
                known.len() == count && known.iter().all(|instance| instance["flags"] == flags)
            })
        };
        sound("REPLICAS", "slave", replicas)
            && sound("SENTINELS", "sentinel", others)
            && self.query::<String>(&["CKQUORUM", MASTER_NAME]).is_ok()
    }

    /// Stops the process (SIGSTOP).
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).expect("the sentinel runs");
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // A child that is gone needs no kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
