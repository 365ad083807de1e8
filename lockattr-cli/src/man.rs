//! `lockattr man`: the manual pages.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;

/// The options of `man`.
#[derive(Args)]
pub(crate) struct Man {
    /// The folder for a page of each command; without it, the first page goes to standard output
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn execute(self) -> Result<Exit, Failure> {
        if let Some(folder) = self.folder {
            let what = format!("write the manual pages into {}", folder.display());
            clap_mangen::generate_to(Cli::command(), folder)
                .map_err(|source| Failure::system(what, source))?;
        } else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command())
                .render(&mut page)
                .and_then(|()| io::stdout().write_all(&page))
                .map_err(Failure::Output)?;
        }
        Ok(Exit::SUCCESS)
    }
}
