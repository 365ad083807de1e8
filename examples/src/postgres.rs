//! A Postgres of an example's own.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io, process};

/// Postgres refuses to run as root, so root starts it as `nobody`.
const NOBODY: u32 = 65534;

/// A server that only a socket in its own folder leads to, and that ends with this value.
#[derive(Debug)]
pub struct Postgres {
    /// Starts and stops servers.
    pg_ctl: PathBuf,
    dir: PathBuf,
    is_root: bool,
}

impl Postgres {
    /// Starts an empty server, and waits until it takes connections.
    ///
    /// # Errors
    ///
    /// When Postgres is not installed, or does not start.
    pub fn start() -> io::Result<Self> {
        let pg_ctl = find("pg_ctl")?;
        let dir = env::temp_dir().join(format!("lockattr-postgres-{}", process::id()));
        // A user who reaches the socket may do everything, so no other user may reach it.
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        let is_root = fs::metadata(&dir)?.uid() == 0;
        // From here on the folder is removed, whatever happens.
        let server = Self {
            pg_ctl,
            dir,
            is_root,
        };
        if is_root {
            chown(&server.dir, Some(NOBODY), Some(NOBODY))?;
        }
        let cluster = "--username=postgres --auth=trust --encoding=UTF8 --no-locale --no-sync";
        server.pg_ctl("initdb", &["-o", cluster])?;
        // The socket is beside the data. Without fsync the pools would warn, as they should.
        let settings = "-c listen_addresses= -c unix_socket_directories=..";
        server.pg_ctl("start", &["-o", settings, "-l", "log"])?;
        Ok(server)
    }

    /// Returns where it is, in a form of `DATABASE_URL` that clients and pools read.
    #[must_use]
    pub fn url(&self) -> String {
        let dir = self.dir.display();
        format!("postgres:///postgres?user=postgres&host={dir}")
    }

    fn pg_ctl(&self, order: &str, args: &[&str]) -> io::Result<()> {
        let mut command = Command::new(&self.pg_ctl);
        command
            .args([order, "--wait", "-D", "data"])
            .args(args)
            .current_dir(&self.dir)
            .stdin(Stdio::null());
        if self.is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = command.output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        Err(io::Error::other(format!("pg_ctl {order}: {said}{log}")))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // One that did not start needs no stop.
        let _ = self.pg_ctl("stop", &["-m", "immediate"]);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Looks on the path, and where Debian keeps the newest of its versions.
fn find(program: &str) -> io::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join(program));
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| {
            let version = version.ok()?;
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin").join(program)))
        })
        .collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    let mut all = on_path.chain(versions.into_iter().map(|(_, program)| program));
    all.find(|program| Path::is_file(program)).ok_or_else(|| {
        let missing = format!("there is no {program}: install PostgreSQL, or set DATABASE_URL");
        io::Error::new(io::ErrorKind::NotFound, missing)
    })
}
