//! The server programs that `tests/setup` installs.

use std::env;
use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that speaks Redis' protocol and keeps locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Redis,
    Valkey,
}

impl Program {
    /// Redis, unless `LOCKATTR_TEST_SERVER=valkey` lets all tests run on Valkey, except those that need TLS:
    /// `tests/setup` gets a Valkey without it.
    pub(crate) fn chosen_for<S: AsRef<str>>(args: &[S]) -> Self {
        if args
            .iter()
            .any(|arg| arg.as_ref().contains("tls-cert-file"))
        {
            return Self::Redis;
        }
        match env::var("LOCKATTR_TEST_SERVER").as_deref() {
            Ok("valkey") => Self::Valkey,
            Ok(other) if other != "redis" => panic!("LOCKATTR_TEST_SERVER is redis or valkey"),
            _ => Self::Redis,
        }
    }

    fn path(self) -> PathBuf {
        match self {
            Self::Redis => "redis-server".into(),
            Self::Valkey => Path::new(env!("CARGO_MANIFEST_DIR")).join(".servers/valkey-server"),
        }
    }

    pub(crate) fn assert_installed(self) {
        let found = Command::new(self.path()).arg("--version").output();
        assert!(
            found.is_ok(),
            "{self:?} is not installed: `tests/setup` installs it"
        );
    }

    pub(crate) fn command(self) -> Command {
        command(self.path())
    }
}

/// Returns a program that, with setpriv, ends with the thread of its test, also when that is killed.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// Another process may take it before its server does.
pub(crate) fn free_port() -> u16 {
    free_ports(1)[0]
}

/// Returns ports of which no two are the same.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let bind = |_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let sockets: Vec<TcpListener> = (0..count).map(bind).collect();
    let port = |socket: &TcpListener| socket.local_addr().expect("it has one").port();
    sockets.iter().map(port).collect()
}
