//! Standard output: text or JSON.

use std::fmt::Display;
use std::io::{self, Stdout, Write as _};

use anstream::AutoStream;
use clap::ColorChoice;
use serde::Serialize;

use crate::failure::Failure;

/// Decides about colours, on standard output and standard error.
pub(crate) fn choose_color(choice: ColorChoice) {
    match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Where results go. Colours are removed where they are not wanted.
pub(crate) struct Output {
    is_json: bool,
    stream: AutoStream<Stdout>,
}

impl Output {
    pub(crate) fn new(is_json: bool) -> Self {
        Self {
            is_json,
            stream: AutoStream::auto(io::stdout()),
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Writes a line of text, whose colours may be removed.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.stream, "{text}").map_err(Failure::Output)
    }

    /// Writes an object, on one line.
    pub(crate) fn object(&mut self, object: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(object).map_err(|error| Failure::Output(error.into()))?;
        self.line(text)
    }
}
