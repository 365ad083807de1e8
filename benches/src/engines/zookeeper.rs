//! `ZooKeeper`.

use lockattr_tests::{ZooKeepers, processor_time};

use super::{Engine, Server, Site};
use crate::candidate::Candidate;

impl Server for ZooKeepers {
    fn cpu_seconds(&self) -> f64 {
        let time = processor_time(self.node(0).pid());
        time.expect("the server runs").as_secs_f64()
    }
}

pub(super) fn start() -> Engine {
    let servers = ZooKeepers::start_durable();
    let said = servers.node(0).say("srvr").unwrap_or_default();
    let version = said.strip_prefix("Zookeeper version: ").unwrap_or_default();
    Engine {
        name: format!(
            "ZooKeeper {}",
            version.split('-').next().unwrap_or_default()
        ),
        sites: vec![
            Site {
                candidate: Candidate::Lockattr,
                url: servers.url(),
            },
            Site {
                candidate: Candidate::Curator,
                url: format!("127.0.0.1:{}", servers.node(0).port()),
            },
        ],
        server: Box::new(servers),
    }
}
