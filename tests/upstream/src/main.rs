//! `tidegate-upstream`: starts the model server and prints one line when it listens.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a native program that ends when its premises do not hold"
)]

use std::process::ExitCode;

use lexopt::prelude::*;
use tidegate_upstream::{Settings, dialect::Dialect, start};

const USAGE: &str = "\
tidegate-upstream [--port 0] [--model NAME]… [--api-key KEY] [--journal ENTRIES]
                  [--dialect openai|llama.cpp|vllm|transformers]";

fn settings() -> Result<Settings, lexopt::Error> {
    let mut settings = Settings::default();
    let mut models = Vec::new();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => settings.port = parser.value()?.parse()?,
            Long("model") => models.push(parser.value()?.string()?),
            Long("api-key") => settings.api_key = Some(parser.value()?.string()?),
            Long("journal") => settings.journal_entries = parser.value()?.parse()?,
            Long("dialect") => {
                let name = parser.value()?.string()?;
                settings.dialect = Dialect::named(&name)
                    .ok_or_else(|| lexopt::Error::from(format!("no dialect is called {name}")))?;
            }
            other => return Err(other.unexpected()),
        }
    }
    if !models.is_empty() {
        settings.models = models;
    }
    Ok(settings)
}

fn main() -> ExitCode {
    let settings = match settings() {
        Ok(settings) => settings,
        Err(problem) => {
            eprintln!("{problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // One thread: on a small machine the upstream must not take a second core from what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let running = start(settings).await?;
            println!("listening http://{}", running.address);
            running.ended().await;
            Ok(())
        })
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("the port could not be listened on, so nothing is served: {problem}");
            ExitCode::FAILURE
        }
    }
}
