//! A network between the processes of a test, which can be disturbed and partitioned.
//!
//! Each process reaches each server through a proxy of its own, and does not know it: a preloaded library
//! leads its connections there. So servers name themselves and each other by their real ports, and a
//! partition is silent, as a real one is.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::preload::Preload;
use crate::{Policy, Proxy};

/// The network. Its clones are the same one; it needs a C compiler.
#[derive(Debug, Clone)]
pub struct Network(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    shim: Preload,
    hosts: Mutex<Vec<State>>,
}

/// A process on a network.
#[derive(Debug, Clone)]
pub struct Host {
    network: Network,
    number: usize,
}

#[derive(Debug)]
struct State {
    routes_file: PathBuf,
    /// The ports that it listens on; a client has none.
    ports: Vec<u16>,
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    to: usize,
    proxy: Arc<Proxy>,
}

impl State {
    fn add_route(&mut self, to: usize, port: u16) {
        let proxy = Arc::new(Proxy::start(port));
        let mut file = OpenOptions::new()
            .append(true)
            .open(&self.routes_file)
            .expect("the file is ours");
        // In one write, because the process may read at any time.
        file.write_all(format!("{port} {}\n", proxy.port()).as_bytes())
            .expect("the file is ours");
        self.routes.push(Route { to, proxy });
    }
}

impl Network {
    /// Makes a network without hosts.
    ///
    /// # Panics
    ///
    /// When there is no C compiler.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it runs a compiler")]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            shim: Preload::compile(include_str!("routes.c")),
            hosts: Mutex::default(),
        }))
    }

    /// Adds a process, which is to be started with the host's [`environment`](Host::environment).
    ///
    /// # Panics
    ///
    /// When a file cannot be written, or no port is available.
    #[must_use]
    pub fn join(&self) -> Host {
        let mut hosts = self.hosts();
        let number = hosts.len();
        let routes_file = self.0.shim.dir.join(format!("{number}.routes"));
        fs::write(&routes_file, "").expect("the folder is ours");
        let mut state = State {
            routes_file,
            ports: Vec::new(),
            routes: Vec::new(),
        };
        for (to, host) in hosts.iter().enumerate() {
            for port in &host.ports {
                state.add_route(to, *port);
            }
        }
        hosts.push(state);
        Host {
            network: self.clone(),
            number,
        }
    }

    /// Cuts a server off from the other servers: nothing passes, and no side is told.
    pub fn cut_off_from_servers(&self, server: &Host) {
        self.separate(server, |other| !other.ports.is_empty(), Policy::Drop);
    }

    /// Cuts a server off from all clients.
    pub fn cut_off_from_clients(&self, server: &Host) {
        self.separate(server, |other| other.ports.is_empty(), Policy::Drop);
    }

    /// Cuts a client off from all servers but one.
    pub fn leave_alone_with(&self, client: &Host, server: &Host) {
        let ports = self.hosts()[server.number].ports.clone();
        self.separate(client, |other| other.ports != ports, Policy::Drop);
    }

    /// Lets a server or a client reach all others again, on new connections: on the present ones bytes are
    /// missing.
    pub fn rejoin(&self, host: &Host) {
        self.separate(host, |_| true, Policy::Pass);
    }

    fn separate(&self, one: &Host, others: impl Fn(&State) -> bool, policy: Policy) {
        let hosts = self.hosts();
        for (from, state) in hosts.iter().enumerate() {
            for route in &state.routes {
                let other = match one.number {
                    it if it == from => route.to,
                    it if it == route.to => from,
                    _ => continue,
                };
                if others(&hosts[other]) {
                    route.proxy.set_both(policy);
                    if policy == Policy::Pass {
                        route.proxy.cut();
                    }
                }
            }
        }
    }

    fn hosts(&self) -> MutexGuard<'_, Vec<State>> {
        self.0.hosts.lock().expect("no test panics in here")
    }
}

impl Host {
    /// Tells the network that the process listens there. Others reach it only if they begin to connect
    /// after this.
    ///
    /// # Panics
    ///
    /// When no port is available.
    pub fn listens_on(&self, port: u16) {
        let mut hosts = self.network.hosts();
        hosts[self.number].ports.push(port);
        for (from, state) in hosts.iter_mut().enumerate() {
            if from != self.number {
                state.add_route(self.number, port);
            }
        }
    }

    /// Ends all connections of a process that will not be started again.
    pub fn leave(&self) {
        self.network.hosts()[self.number].routes.clear();
    }

    /// Returns the proxies on the way from this process to each server.
    #[must_use]
    pub fn routes(&self) -> Vec<Arc<Proxy>> {
        let hosts = self.network.hosts();
        let routes = hosts[self.number].routes.iter();
        routes.map(|route| Arc::clone(&route.proxy)).collect()
    }

    /// Returns the environment variables with which the process has to be started.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        let routes_file = self.network.hosts()[self.number].routes_file.clone();
        [self.network.0.shim.variable(), ("ROUTES", routes_file)]
    }

    /// Returns the network that it belongs to.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }
}
