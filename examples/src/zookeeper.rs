//! A `ZooKeeper` of an example's own.

use std::io;
use std::path::Path;

use crate::servers::{Program, Server};

/// Where Debian keeps it. The archive names what it needs.
const CLASSES: &str = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar";

const REMEDY: &str =
    "install default-jre-headless, libzookeeper-java and libslf4j-java, or set ZOOKEEPER_URL";

/// Starts an empty server, and waits until it serves.
///
/// # Errors
///
/// When `ZooKeeper` or Java is not installed, or it does not start.
pub fn start() -> io::Result<Server> {
    let mut classes = CLASSES.split(':');
    if let Some(missing) = classes.find(|file| !Path::new(file).is_file()) {
        let missing = format!("there is no {missing}; {REMEDY}");
        return Err(io::Error::new(io::ErrorKind::NotFound, missing));
    }
    Server::run(|port| {
        let settings = format!(
            "tickTime=1000\ndataDir=data\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n"
        );
        let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
        let args = [
            "-Djava.net.preferIPv4Stack=true",
            "-cp",
            CLASSES,
            main,
            "settings.conf",
        ];
        let program = Program {
            path: "java".into(),
            args: args.map(str::to_owned).into(),
            remedy: REMEDY,
            probe: ("srvr", "Mode:"),
        };
        (program, settings)
    })
}
