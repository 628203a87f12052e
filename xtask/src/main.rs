//! The project's own chores: `cargo xtask tidy` checks the rules that no compiler knows, `cargo xtask
//! contract` that the API keeps what it promised; `cargo xtask sweep` finds rented machines that nobody owns;
//! `cargo xtask sim` runs the simulation.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a native program that ends when its premises do not hold"
)]

mod contract;
mod graph;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let complaints = match words.as_slice() {
        ["sweep", words @ ..] => return program(&root, "tidegate-sweep", "dev", words),
        ["sim", words @ ..] => return program(&root, "tidegate-sim", "sim", words),
        ["tidy"] => [tidy::complaints(&root), graph::complaints(&root)].concat(),
        ["graph", "--write"] => graph::write(&root),
        ["contract"] => contract::complaints(&root),
        ["contract", "--release"] => contract::release(&root),
        _ => vec![
            "usage: cargo xtask tidy | cargo xtask graph --write | cargo xtask contract [--release] | cargo xtask \
             sweep … | cargo xtask sim …"
                .to_owned(),
        ],
    };
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a program that is a crate of its own: it takes a while to build, which no other chore should wait for. Its
/// code is passed on; what did not even begin could not tell either, which is 1.
fn program(root: &Path, package: &str, profile: &str, words: &[&str]) -> ExitCode {
    let run = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", package, "--profile", profile])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .arg("--")
        .args(words)
        .status();
    let code = run.ok().and_then(|status| status.code());
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(code @ 0..=3) => ExitCode::from(code),
        Some(_) | None => ExitCode::FAILURE,
    }
}

/// The workspace, from where cargo keeps this crate.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
