//! `tidegate-sweep`, which `cargo xtask sweep` runs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use tidegate_sweep::{Exit, Options, OptionsRefused, Sources, USAGE, Wall, sweep};

fn main() -> ExitCode {
    let sources = Sources {
        variable: &|name| std::env::var(name).ok(),
        file: &|path| std::fs::read_to_string(path).map_err(|error| error.kind().to_string()),
    };
    let exit = match Options::read(std::env::args_os().skip(1), &sources) {
        Ok(options) => {
            let clock = Wall::new(options.times);
            let mut out = io::stdout();
            let swept = sweep(options, &clock, &mut out);
            // Who reads has left: the code says what was found all the same.
            let _left = out.flush();
            swept.unwrap_or(Exit::Unknown)
        }
        Err(refused) => {
            complain(&refused);
            Exit::Unknown
        }
    };
    ExitCode::from(exit.code())
}

fn complain(refused: &OptionsRefused) {
    let usage = match refused {
        OptionsRefused::Usage(_) => USAGE,
        OptionsRefused::Secret(_) => "",
    };
    // Nobody may be there to read it.
    let _left = writeln!(io::stderr(), "{refused}\n\n{usage}");
}
