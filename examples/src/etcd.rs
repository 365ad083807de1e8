//! An etcd of an example's own.

use std::path::{Path, PathBuf};
use std::{env, io};

use crate::servers::{Program, Server};

/// Starts an empty cluster of one member, and waits until it serves.
///
/// # Errors
///
/// When etcd is not installed, or does not start.
pub fn start() -> io::Result<Server> {
    Server::run(|port| {
        let url = format!("http://127.0.0.1:{port}");
        // No other member asks there.
        let peers = "http://127.0.0.1:0";
        let settings = format!(
            "name: only\n\
             data-dir: data\n\
             listen-client-urls: {url}\n\
             advertise-client-urls: {url}\n\
             listen-peer-urls: {peers}\n\
             initial-advertise-peer-urls: {peers}\n\
             initial-cluster: only={peers}\n"
        );
        let program = Program {
            path: program(),
            args: ["--config-file", "settings.conf"].map(str::to_owned).into(),
            remedy: "install etcd, or set ETCD_URL",
            probe: ("GET /health HTTP/1.0\r\n\r\n", r#""health":"true""#),
        };
        (program, settings)
    })
}

/// On the path, or where the tests' setup puts it.
fn program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_on_path = env::split_paths(&path).any(|folder| folder.join("etcd").is_file());
    let of_tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/.servers/etcd-3.5");
    if !is_on_path && of_tests.is_file() {
        of_tests
    } else {
        "etcd".into()
    }
}
