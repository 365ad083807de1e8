//! The programs of `PostgreSQL`, which refuse to run as root.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::{env, fs, io, thread};

/// Root starts them as `nobody`.
const NOBODY: u32 = 65534;

/// Makes a folder that they may write into.
pub(super) fn make_folder(dir: &Path) {
    fs::create_dir_all(dir).expect("a directory for the server");
    if is_root(dir) {
        chown(dir, Some(NOBODY), Some(NOBODY)).expect("root may do this");
    }
}

fn is_root(dir: &Path) -> bool {
    fs::metadata(dir).expect("it is ours").uid() == 0 || rustix::process::geteuid().is_root()
}

/// Returns the command of a program that ends with the thread that starts it, also when that is killed.
pub(super) fn command(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root(dir) {
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]);
    }
    command.arg(program).current_dir(dir).stdin(Stdio::null());
    command
}

/// A command, and who waits for its process.
type Order = (Command, Sender<io::Result<Child>>);

/// Starts a program from a thread that lives as long as this process: a server that another thread starts again must not
/// end with that one.
pub(super) fn spawn(command: Command) -> Child {
    static STARTER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
        let (orders, ordered) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in ordered {
                drop(reply.send(command.spawn()));
            }
        });
        Mutex::new(orders)
    });
    let (reply, started) = channel();
    let order = STARTER
        .lock()
        .expect("no thread panics in here")
        .send((command, reply));
    order.expect("the thread never ends");
    started
        .recv()
        .expect("the thread answers")
        .expect("setpriv is there")
}

/// Runs a program to its end.
pub(super) fn run(program: &Path, dir: &Path, args: &[&str]) {
    let output = command(program, dir).args(args).output();
    let output = output.expect("setpriv is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} {args:?}: {said}",
        program.display()
    );
}

/// Looks where Debian keeps the newest of the versions, and on the path.
pub(super) fn find(program: &str) -> PathBuf {
    let folders = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<(u32, PathBuf)> = folders
        .filter_map(|version| {
            let version = version.ok()?;
            let number = version.file_name().to_str()?.parse().ok()?;
            Some((number, version.path().join("bin")))
        })
        .collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    let path = env::var_os("PATH").unwrap_or_default();
    let all = versions.into_iter().map(|(_, dir)| dir);
    let mut all = all
        .chain(env::split_paths(&path))
        .map(|dir| dir.join(program));
    all.find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{program} is not installed: `tests/setup` installs it"))
}
