//! A real terminal, which tmux provides: what is on it can be read, and keys can be pressed.

use std::process::{Command, Output};

use lockattr_tests::{RedisServer, eventually, find_secret};

use crate::program::{Folder, PROGRAM, clean, with_all_signals};

/// A server of tmux with one terminal, which ends with this value.
pub(crate) struct Tmux {
    /// Its socket, and files by which commands and the test talk.
    folder: Folder,
}

impl Tmux {
    /// Runs a command line, in which `$LOCKATTR` is the program and `$FOLDER` the folder; then shows its code.
    pub(crate) fn start(server: &RedisServer, line: &str) -> Self {
        let tmux = Self {
            folder: Folder::new(),
        };
        let line = format!("{line}; echo \"exit $?\"; stty -a; cat");
        let mut command = tmux.command();
        command
            .env("LOCKATTR_URL", server.url())
            .env("LOCKATTR", PROGRAM)
            .env("FOLDER", tmux.folder.path())
            .args([
                "-f",
                "/dev/null",
                "new-session",
                "-d",
                "-x",
                "160",
                "-y",
                "40",
            ])
            .arg(line);
        finish(&mut with_all_signals(&command));
        tmux
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        let path = self.folder.path();
        let name = path.file_name().expect("it has a name");
        clean(&mut command)
            .env("TMUX_TMPDIR", path)
            .env("SHELL", "/bin/sh")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX")
            .arg("-L")
            .arg(name);
        command
    }

    /// Returns what is on the terminal.
    pub(crate) fn text(&self) -> String {
        let text = finish(self.command().args(["capture-pane", "-p"])).stdout;
        assert_eq!(find_secret(&text), None);
        String::from_utf8(text).unwrap()
    }

    /// Waits until the terminal is as it should be.
    #[track_caller]
    pub(crate) fn becomes(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let mut last = String::new();
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                last = self.text();
                is_so(&last)
            });
        }));
        assert!(seen.is_ok(), "{what}:\n{last}");
    }

    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        self.becomes(text, |shown| shown.contains(text));
    }

    /// Waits until a line has all of these texts in it.
    #[track_caller]
    pub(crate) fn shows_line(&self, texts: &[&str]) {
        self.becomes(&texts.join(" … "), |shown| {
            let mut lines = shown.lines();
            lines.any(|line| texts.iter().all(|text| line.contains(text)))
        });
    }

    /// Presses keys, as tmux names them.
    pub(crate) fn press(&self, keys: &[&str]) {
        finish(self.command().arg("send-keys").args(keys));
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Waits until the command line has ended with this code, and the terminal is as it was before.
    #[track_caller]
    pub(crate) fn is_given_back(&self, code: i32) {
        self.shows(&format!("exit {code}"));
        self.becomes("lines are edited and shown", |shown| {
            let settings: Vec<&str> = shown.split([' ', ';', '\n']).collect();
            ["icanon", "echo", "isig"]
                .iter()
                .all(|setting| settings.contains(setting))
        });
        let state = ["display-message", "-p", "#{alternate_on} #{cursor_flag}"];
        let state = finish(self.command().args(state)).stdout;
        assert_eq!(
            String::from_utf8_lossy(&state).trim(),
            "0 1",
            "{}",
            self.text()
        );
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.command().arg("kill-server").output();
    }
}

#[track_caller]
fn finish(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}
