//! `lockattr completions`: what a shell needs to complete the command line.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// The options of `completions`.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn execute(self) -> Result<Exit, Failure> {
        // Clap panics where it cannot write.
        let mut script = Vec::new();
        let mut command = Cli::command();
        clap_complete::generate(self.shell, &mut command, "lockattr", &mut script);
        io::stdout().write_all(&script).map_err(Failure::Output)?;
        Ok(Exit::SUCCESS)
    }
}
