//! The server programs that `tests/setup` installs.

use std::env;
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

    /// With setpriv, a server ends with the thread of its test, also when that is killed.
    pub(crate) fn command(self) -> Command {
        if Path::new("/usr/bin/setpriv").exists() {
            let mut command = Command::new("/usr/bin/setpriv");
            command.args(["--pdeathsig", "KILL"]).arg(self.path());
            command
        } else {
            Command::new(self.path())
        }
    }
}

/// Another process may take it before its server does.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port()
}
