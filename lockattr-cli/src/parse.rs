//! The command line, with errors that show no credential.

use std::env;
use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::cli::Cli;
use crate::exit::Exit;

/// # Errors
///
/// How to exit when there is nothing to execute; all is said by then.
pub(crate) fn command_line() -> Result<Cli, Exit> {
    read(env::args_os()).map_err(|error| {
        let message = without_urls(error.render().ansi().to_string(), env::args_os());
        if error.use_stderr() {
            anstream::eprint!("{message}");
            Exit::USAGE
        } else {
            anstream::print!("{message}");
            Exit::SUCCESS
        }
    })
}

fn read(arguments: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    let cli = Cli::from_arg_matches(&matches);
    let mut cli = cli.map_err(|error| error.format(&mut command))?;
    cli.connection.note_written(&command, &matches);
    Ok(cli)
}

/// Clap repeats an argument that it does not expect, and a URL can stand in the wrong place.
fn without_urls(message: String, arguments: impl Iterator<Item = OsString>) -> String {
    let arguments = arguments.filter_map(|argument| argument.into_string().ok());
    let urls = arguments.filter(|argument| argument.contains("://"));
    urls.fold(message, |message, url| message.replace(&url, "<URL>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_argument_that_is_repeated_shows_no_url() {
        let arguments = || {
            ["lockattr", "redis://user:s3cret@h/"]
                .into_iter()
                .map(OsString::from)
        };
        let Err(error) = read(arguments()) else {
            panic!("this is no command");
        };
        let said = error.to_string();
        assert!(said.contains("s3cret"), "{said}");
        let said = without_urls(said, arguments());
        assert!(!said.contains("s3cret") && said.contains("<URL>"), "{said}");
    }
}
