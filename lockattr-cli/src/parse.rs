//! The command line, with errors that show no credential.

use std::env;
use std::ffi::OsString;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::Exit;

/// # Errors
///
/// How to exit when there is nothing to execute; all is said by then.
pub(crate) fn command_line() -> Result<Cli, Exit> {
    Cli::try_parse().map_err(|error| {
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

/// Clap repeats an argument that it does not expect, and a URL can stand in the wrong place.
fn without_urls(message: String, arguments: impl Iterator<Item = OsString>) -> String {
    let arguments = arguments.filter_map(|argument| argument.into_string().ok());
    let urls = arguments.filter(|argument| argument.contains("://"));
    urls.fold(message, |message, url| message.replace(&url, "<URL>"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_argument_that_is_repeated_shows_no_url() {
        let arguments = ["lockattr", "redis://user:s3cret@h/"];
        let Err(error) = Cli::try_parse_from(arguments) else {
            panic!("this is no command");
        };
        let said = error.to_string();
        assert!(said.contains("s3cret"), "{said}");
        let said = without_urls(said, arguments.into_iter().map(OsString::from));
        assert!(!said.contains("s3cret") && said.contains("<URL>"), "{said}");
    }
}
