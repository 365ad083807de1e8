//! The terminal while the view is on it. What was there before comes back however the program ends, unless it is
//! killed.

use std::io::{self, Stdout, stdout};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::getpgrp;
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};

use crate::failure::Failure;

static IS_ENTERED: AtomicBool = AtomicBool::new(false);

/// A terminal that shows the view, until this is dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub(super) fn enter() -> Result<Self, Failure> {
        restore_on_panic();
        enter().map_err(cannot_draw)?;
        let screen = Terminal::new(CrosstermBackend::new(stdout()));
        let screen = screen.map(|terminal| Self { terminal });
        screen.inspect_err(|_| restore()).map_err(cannot_draw)
    }

    pub(super) fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.terminal.draw(view).map_err(cannot_draw)?;
        Ok(())
    }

    /// Stops the program, as any is stopped by Ctrl-Z, and goes on when it is continued.
    pub(super) fn stop(&mut self) -> Result<(), Failure> {
        restore();
        killpg(getpgrp(), Signal::SIGTSTP).map_err(|errno| Failure::system("stop", errno))?;
        enter()
            .and_then(|()| self.terminal.clear())
            .map_err(cannot_draw)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn cannot_draw(source: io::Error) -> Failure {
    Failure::system("draw on the terminal", source)
}

fn enter() -> io::Result<()> {
    IS_ENTERED.store(true, Ordering::Relaxed);
    enable_raw_mode()
        .and_then(|()| execute!(stdout(), EnterAlternateScreen, Hide))
        .inspect_err(|_| restore())
}

/// Does what it can: the terminal may be gone.
fn restore() {
    if IS_ENTERED.swap(false, Ordering::Relaxed) {
        let _ = execute!(stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// A message on the screen that is left would be lost.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let drawing = thread::current().id();
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // The pool outlives a panic of its own thread, and so does the view.
            if thread::current().id() == drawing {
                restore();
            }
            usual(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[ignore = "it panics on purpose, on the terminal of the test below"]
    fn panics() {
        let _screen = Screen::enter().unwrap();
        panic!("on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_and_is_seen() {
        let tests = env::current_exe().unwrap();
        let line = format!(
            "{} --ignored --exact watch::screen::tests::panics --nocapture; stty -a",
            tests.display()
        );
        let mut script = Command::new("script");
        script.env("SHELL", "/bin/sh").stdin(Stdio::null());
        let said = script.args(["-qec", &line, "/dev/null"]).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout);
        let (view, after) = said.split_once("\x1b[?1049l").expect(&said);
        assert!(view.contains("\x1b[?1049h"), "{said}");
        assert!(after.contains("\x1b[?25h"), "the cursor is shown: {said}");
        assert!(after.contains("on purpose"), "{said}");
        assert!(after.contains(" icanon"), "lines are edited again: {said}");
        assert!(after.contains(" echo"), "{said}");
    }
}
