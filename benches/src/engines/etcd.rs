//! etcd.

use lockattr_tests::{Etcd, EtcdVersion};

use super::{Engine, Server, Site};
use crate::candidate::Candidate;

/// etcd's own defaults, instead of what the tests set.
const DEFAULTS: [&str; 4] = ["--heartbeat-interval", "100", "--election-timeout", "1000"];

impl Server for Etcd {
    fn cpu_seconds(&self) -> f64 {
        self.members[0].processor_time().as_secs_f64()
    }
}

pub(super) fn start() -> Engine {
    let etcd = Etcd::start_with(EtcdVersion::V35, 1, &DEFAULTS, None);
    let status = etcd.ask("maintenance/status", &serde_json::json!({}));
    Engine {
        name: format!("etcd {}", status["version"].as_str().unwrap_or_default()),
        sites: vec![
            Site {
                candidate: Candidate::Lockattr,
                url: etcd.url(),
            },
            Site {
                candidate: Candidate::Etcd,
                url: format!("http://127.0.0.1:{}", etcd.members[0].port()),
            },
        ],
        server: Box::new(etcd),
    }
}
