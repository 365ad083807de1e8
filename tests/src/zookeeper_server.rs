//! Real servers of `ZooKeeper` for one test.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, io, process};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{command, free_ports};
use crate::{Host, Network, eventually, is_soon, trace_to_file};

/// Where Debian keeps it: the package `libzookeeper-java`. The archive names what it needs.
const CLASSES: &str = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar";
/// No session is shorter than two ticks; the end of one is noticed within a tick.
const TICK: Duration = Duration::from_millis(100);
/// A leader that is cut off or stopped is replaced after so many ticks: a busy machine takes a second away from a
/// server, and it should not lead to an election.
const SYNC_LIMIT: u32 = 30;
/// What each test server has: it starts fast, and is killed, but its machine is not.
const TEST_OPTIONS: [&str; 5] = [
    "-Xmx128m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Dzookeeper.preAllocSize=1024",
    // The machine does not lose power: what a killed process wrote is there.
    "-Dzookeeper.forceSync=no",
];
/// What `ZooKeeper`'s own script sets.
const USUAL_OPTIONS: [&str; 1] = ["-Xmx1000m"];
/// How long the servers may take to start and to choose a leader.
const START: Duration = Duration::from_secs(60);

/// An ensemble on ports of its own, which ends with this value.
#[derive(Debug)]
pub struct ZooKeepers {
    pub(crate) nodes: Vec<ZooKeeperNode>,
}

/// One server of an ensemble.
#[derive(Debug)]
pub struct ZooKeeperNode {
    number: usize,
    port: u16,
    dir: PathBuf,
    pub(crate) host: Option<Host>,
    /// Those of the virtual machine.
    options: &'static [&'static str],
    child: Child,
}

impl ZooKeepers {
    /// Starts so many servers, and waits until they serve.
    ///
    /// # Panics
    ///
    /// When `ZooKeeper` is not installed, or does not start.
    #[must_use]
    pub fn start(count: usize) -> Self {
        Self::start_with(count, &[])
    }

    /// Does the same with further lines of `zoo.cfg`, such as `maxSessionTimeout=2000`.
    #[must_use]
    pub fn start_with(count: usize, settings: &[&str]) -> Self {
        Self::start_on(count, settings, &TEST_OPTIONS, None)
    }

    /// Starts one server as its users have it: what it answers is on the disk.
    #[must_use]
    pub fn start_durable() -> Self {
        Self::start_on(1, &["tickTime=2000"], &USUAL_OPTIONS, None)
    }

    /// Does the same on a network.
    #[must_use]
    pub fn start_in(network: &Network, count: usize) -> Self {
        Self::start_on(count, &[], &TEST_OPTIONS, Some(network))
    }

    fn start_on(
        count: usize,
        settings: &[&str],
        options: &'static [&'static str],
        network: Option<&Network>,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        trace_to_file();
        let classes = Path::new("/usr/share/java/zookeeper.jar");
        assert!(classes.exists(), "no ZooKeeper: run tests/setup");
        // Another process may take a port before a server does: then try again.
        for _ in 0..5 {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let dir =
                env::temp_dir().join(format!("lockattr-zookeeper-{}-{number}", process::id()));
            let ports = free_ports(3 * count);
            let (clients, others) = ports.split_at(count);
            let others: Vec<&[u16]> = others.chunks(2).collect();
            let hosts: Vec<Option<Host>> = (0..count).map(|_| network.map(Network::join)).collect();
            let nodes = (0..count).map(|node| {
                let dir = dir.join(node.to_string());
                configure(&dir, node, clients[node], (&others, settings));
                if let Some(host) = &hosts[node] {
                    host.listens_on(clients[node]);
                    host.listens_on(others[node][0]);
                    host.listens_on(others[node][1]);
                }
                ZooKeeperNode {
                    number: node,
                    port: clients[node],
                    child: spawn(&dir, options, hosts[node].as_ref()),
                    host: hosts[node].clone(),
                    options,
                    dir,
                }
            });
            let mut servers = Self {
                nodes: nodes.collect(),
            };
            if is_soon(START, || {
                servers.has_failed() || servers.leader().is_some() && servers.all_serve()
            }) && !servers.has_failed()
            {
                return servers;
            }
        }
        panic!("ZooKeeper does not start");
    }

    fn has_failed(&mut self) -> bool {
        self.nodes
            .iter_mut()
            .any(|node| node.child.try_wait().expect("the child is ours").is_some())
    }

    fn all_serve(&self) -> bool {
        self.nodes.iter().all(|node| node.mode().is_some())
    }

    /// Returns the URL for pools.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port))
            .collect();
        format!("zookeeper://{}", hosts.join(","))
    }

    /// Returns a server.
    #[must_use]
    pub fn node(&self, node: usize) -> &ZooKeeperNode {
        &self.nodes[node]
    }

    /// Returns a server, to stop or start it.
    pub fn node_mut(&mut self, node: usize) -> &mut ZooKeeperNode {
        &mut self.nodes[node]
    }

    /// Returns the server that leads, or is alone.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let leads = |node: &&ZooKeeperNode| {
            node.mode()
                .is_some_and(|mode| mode == "leader" || mode == "standalone")
        };
        Some(self.nodes.iter().find(leads)?.number)
    }

    /// Returns whether all servers serve, under one leader.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let modes: Vec<Option<String>> = self.nodes.iter().map(ZooKeeperNode::mode).collect();
        let leaders = modes
            .iter()
            .flatten()
            .filter(|mode| *mode != "follower")
            .count();
        leaders == 1 && modes.iter().all(Option::is_some)
    }

    /// Returns the ephemeral nodes: those of holders and waiters, and for a moment after a reconnection
    /// one in which the backend asks for its session.
    ///
    /// # Panics
    ///
    /// When no leader tells.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        let mut told = None;
        eventually("the leader tells of its nodes", || {
            told = self.leader().and_then(|leader| self.nodes[leader].places());
            told.is_some()
        });
        let mut places = told.expect("the leader has told");
        places.sort();
        places
    }
}

impl ZooKeeperNode {
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
        self.host.as_ref().expect("a server on a network")
    }

    /// Returns whether it serves.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.mode().is_some()
    }

    /// Says one of the commands of four letters.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn say(&self, command: &str) -> io::Result<String> {
        let patience = Some(Duration::from_secs(2));
        let address = (Ipv4Addr::LOCALHOST, self.port).into();
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(patience)?;
        stream.write_all(command.as_bytes())?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said)
    }

    /// Returns its role; `None` if it does not serve.
    #[must_use]
    pub fn mode(&self) -> Option<String> {
        let said = self.say("srvr").ok()?;
        let mode = said.lines().find_map(|line| line.strip_prefix("Mode: "))?;
        Some(mode.to_owned())
    }

    /// Returns a number that it counts, as `mntr` names it.
    #[must_use]
    pub fn counted(&self, name: &str) -> Option<f64> {
        let said = self.say("mntr").ok()?;
        let line = said
            .lines()
            .find(|line| line.split('\t').next() == Some(name))?;
        line.split('\t').nth(1)?.trim().parse().ok()
    }

    /// Returns the ephemeral nodes that the server tells of; `None` if it does not answer.
    #[must_use]
    pub fn places(&self) -> Option<Vec<String>> {
        let said = self.say("dump").ok()?;
        let nodes = said
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with('/'));
        Some(nodes.map(str::to_owned).collect())
    }

    /// Returns its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
    }

    /// Stops the process (SIGSTOP).
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets the process go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        // A child that is gone needs no kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again with the data on its disk, and waits until it serves.
    ///
    /// # Panics
    ///
    /// When it does not serve again.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.dir, self.options, self.host.as_ref());
        assert!(is_soon(START, || self.is_up()), "it does not serve again");
    }
}

impl Drop for ZooKeeperNode {
    fn drop(&mut self) {
        self.kill();
        if let Some(all) = self.dir.parent() {
            let _ = fs::remove_dir_all(&self.dir);
            // The last one removes what they share.
            let _ = fs::remove_dir(all);
        }
    }
}

fn configure(dir: &Path, node: usize, port: u16, (others, settings): (&[&[u16]], &[&str])) {
    fs::create_dir_all(dir).expect("a folder for the server");
    let tick = TICK.as_millis();
    let mut text = format!(
        "tickTime={tick}\ninitLimit=30\nsyncLimit={SYNC_LIMIT}\ndataDir={}\nclientPort={port}\n\
         clientPortAddress=127.0.0.1\nmaxClientCnxns=0\nmaxSessionTimeout=86400000\n\
         4lw.commands.whitelist=*\nadmin.enableServer=false\n",
        dir.display()
    );
    // The last one of a name counts.
    for setting in settings {
        text += &format!("{setting}\n");
    }
    if others.len() > 1 {
        for (number, ports) in others.iter().enumerate() {
            text += &format!(
                "server.{}=127.0.0.1:{}:{}\n",
                number + 1,
                ports[0],
                ports[1]
            );
        }
        fs::write(dir.join("myid"), (node + 1).to_string()).expect("the folder is ours");
    }
    fs::write(dir.join("zoo.cfg"), text).expect("the folder is ours");
}

fn spawn(dir: &Path, options: &[&str], host: Option<&Host>) -> Child {
    let log = fs::File::create(dir.join("log")).expect("the folder is ours");
    let mut command = command("java");
    command
        .args(options)
        .args([
            "-Djava.net.preferIPv4Stack=true",
            // A new leader is looked for at once, and again soon.
            "-Dzookeeper.cnxTimeout=300",
            "-Dzookeeper.fastleader.minNotificationInterval=50",
            "-Dzookeeper.fastleader.maxNotificationInterval=400",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ])
        .args([
            "-cp",
            CLASSES,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        ])
        .arg(dir.join("zoo.cfg"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    if let Some(host) = host {
        command.envs(host.environment());
    }
    command.spawn().expect("java is installed")
}
