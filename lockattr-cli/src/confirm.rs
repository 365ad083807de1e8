//! A question that a person must answer with yes.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::failure::Failure;

pub(crate) enum Answer {
    Yes,
    No,
    /// Nobody is there to ask.
    NoTerminal,
}

/// Asks on the terminal.
pub(crate) fn ask(question: &str) -> Result<Answer, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(Answer::NoTerminal);
    }
    let mut terminal = io::stderr();
    write!(terminal, "{question} [y/N] ")
        .and_then(|()| terminal.flush())
        .map_err(Failure::Output)?;
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|source| Failure::system("read the answer", source))?;
    Ok(match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Answer::Yes,
        _ => Answer::No,
    })
}
