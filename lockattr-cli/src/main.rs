//! `lockattr`: the locks of the library of that name, from the command line.

#![forbid(unsafe_code)]

#[cfg(not(unix))]
compile_error!("lockattr-cli needs a Unix: `lockattr run` works with process groups and signals");

mod bench;
mod cli;
mod completions;
mod confirm;
mod connection;
mod doctor;
mod engines;
mod exit;
mod failure;
mod given;
mod holder_view;
mod inspect;
mod listing;
mod ls;
mod man;
mod mode_name;
mod output;
mod parse;
mod plain;
mod release;
mod run;
#[cfg(feature = "postgres")]
mod schema;
mod signals;
mod sort;
mod span;
mod table;
mod trace;
mod waiter_view;
mod watch;
mod who;

use std::process::ExitCode;

use cli::{Cli, Command};
use exit::Exit;
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    let cli = match parse::command_line() {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    match execute(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.report();
            failure.exit().into()
        }
    }
}

fn execute(cli: Cli) -> Result<Exit, Failure> {
    output::choose_color(cli.color);
    // It becomes the command, so it must not start a runtime.
    if let Command::Launch(launch) = &cli.command {
        return Err(launch.execute());
    }
    cli.check_json()?;
    trace::start(cli.verbose, matches!(cli.command, Command::Run(_)))?;
    // On one thread, the main thread: a command that is started ends with the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::system("start the runtime", source))?;
    runtime.block_on(dispatch(cli))
}

async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let (connection, mut output) = (cli.connection, Output::new(cli.json));
    let verbose = cli.verbose;
    match cli.command {
        Command::Ls(ls) => ls.execute(&connection, &mut output).await,
        Command::Watch(watch) => watch.execute(&connection, &mut output, verbose).await,
        Command::Inspect(inspect) => inspect.execute(&connection, &mut output).await,
        Command::Release(release) => release.execute(&connection, &mut output).await,
        Command::Doctor(doctor) => doctor.execute(&connection, &mut output).await,
        Command::Bench(bench) => bench.execute(&connection, &mut output).await,
        Command::Run(run) => run.execute(&connection).await,
        #[cfg(feature = "postgres")]
        Command::Schema(schema) => schema.execute(&mut output),
        Command::Completions(completions) => completions.execute(),
        Command::Man(man) => man.execute(),
        Command::Launch(launch) => Err(launch.execute()),
    }
}
