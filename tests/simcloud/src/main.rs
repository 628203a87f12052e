//! `tidegate-simcloud`: starts the cloud and prints one line of JSON when it listens.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a native program that ends when its premises do not hold"
)]

use std::io::{self, Write as _};
use std::process::ExitCode;

use tidegate_simcloud::options::{Options, USAGE};
use tidegate_simcloud::start;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let options = match Options::read(lexopt::Parser::from_env()) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // One thread: on a small machine the cloud must not take a second core from what is tested.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = runtime.and_then(|runtime| runtime.block_on(run(options)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("the cloud could not begin, so nothing is served: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = start(options)?;
    let mut out = io::stdout();
    writeln!(out, "{}", running.hello())?;
    out.flush()?;
    tokio::select! {
        _term = terminate.recv() => {}
        _int = interrupt.recv() => {}
    }
    drop(running);
    Ok(())
}
