//! How the cloud is started.

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::keys::{Key, main_account};
use crate::machine::Vendor;
use crate::settings::Settings;

/// What can be asked for.
pub const USAGE: &str = "\
tidegate-simcloud [--runpod-port 0] [--aws-port 0] [--proxy-port 0] [--control-port 0]
                  [--box-command WORD]… [--folder FOLDER] [--seed NUMBER]
                  [--runpod-key KEY[:ACCOUNT]]… [--aws-key ID:SECRET[:ACCOUNT]]…
                  [--set SETTING=VALUE]…

--box-command   the program that a rented machine runs, one word each time it is given; {host} and {port}
                stand for where it must listen. Without it machines boot and nothing listens.
--folder        where boxes live and their logs are; without it in a folder that is removed in the end
--set           such as delays.provisioning_ms=50 or runpod_calls.minute=100000";

/// The first RunPod key.
pub const RUNPOD_KEY: &str = "rpa_SIMCLOUD0000000000000000000000000000simcl0";
/// The first AWS key.
pub const AWS_KEY: (&str, &str) = (
    "AKIASIMCLOUD00000000",
    "simcloud/secret/0000000000000000000000AA",
);

/// How the cloud is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of RunPod's API; 0 = any free port.
    pub runpod_port: u16,
    /// Of AWS's.
    pub aws_port: u16,
    /// Of the proxy.
    pub proxy_port: u16,
    /// Of orders.
    pub control_port: u16,
    /// The program that a rented machine runs.
    pub box_command: Vec<String>,
    /// Where boxes live; `None` = in a folder of its own that is removed in the end.
    pub folder: Option<PathBuf>,
    /// Where ids and chance come from.
    pub seed: u64,
    /// Who may ask at first.
    pub keys: Vec<Key>,
    /// Delays and limits at first.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            runpod_port: 0,
            aws_port: 0,
            proxy_port: 0,
            control_port: 0,
            box_command: Vec::new(),
            folder: None,
            seed: u64::from(std::process::id()) << 32 | u64::from(started()),
            keys: vec![
                key(Vendor::Runpod, RUNPOD_KEY, None, None),
                key(Vendor::Aws, AWS_KEY.0, Some(AWS_KEY.1), None),
            ],
            settings: Settings::default(),
        }
    }
}

/// So that two clouds that are started after each other do not give the same ids.
fn started() -> u32 {
    u32::try_from(crate::clock::wall() & 0xffff_ffff).unwrap_or(0)
}

fn key(vendor: Vendor, id: &str, secret: Option<&str>, account: Option<&str>) -> Key {
    Key {
        vendor,
        id: id.to_owned(),
        secret: secret.map(str::to_owned),
        session_token: None,
        account: account.map_or_else(main_account, str::to_owned),
        denies: Vec::new(),
        expired: false,
        pod: None,
    }
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// When it holds what is no option.
    pub fn read(mut parser: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let mut options = Self::default();
        let mut keys = Vec::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("runpod-port") => options.runpod_port = parser.value()?.parse()?,
                Long("aws-port") => options.aws_port = parser.value()?.parse()?,
                Long("proxy-port") => options.proxy_port = parser.value()?.parse()?,
                Long("control-port") => options.control_port = parser.value()?.parse()?,
                Long("box-command") => options.box_command.push(parser.value()?.string()?),
                Long("folder") => options.folder = Some(parser.value()?.into()),
                Long("seed") => options.seed = parser.value()?.parse()?,
                Long("runpod-key") => {
                    let text = parser.value()?.string()?;
                    let (id, account) = split(&text);
                    keys.push(key(Vendor::Runpod, id, None, account));
                }
                Long("aws-key") => {
                    let text = parser.value()?.string()?;
                    let (id, rest) = split(&text);
                    let (secret, account) = split(rest.ok_or("--aws-key wants ID:SECRET")?);
                    keys.push(key(Vendor::Aws, id, Some(secret), account));
                }
                Long("set") => options.set(&parser.value()?.string()?)?,
                other => return Err(other.unexpected()),
            }
        }
        for vendor in [Vendor::Runpod, Vendor::Aws] {
            if keys.iter().any(|key| key.vendor == vendor) {
                options.keys.retain(|key| key.vendor != vendor);
            }
        }
        options.keys.append(&mut keys);
        Ok(options)
    }

    fn set(&mut self, text: &str) -> Result<(), lexopt::Error> {
        let (path, value) = text.split_once('=').ok_or("--set wants SETTING=VALUE")?;
        let value: serde_json::Value = serde_json::from_str(value)
            .map_err(|_| format!("{value} is neither a number nor true or false"))?;
        let change = path
            .rsplit('.')
            .fold(value, |inner, name| serde_json::json!({ name: inner }));
        self.settings = self.settings.with(&change)?;
        Ok(())
    }
}

fn split(text: &str) -> (&str, Option<&str>) {
    text.split_once(':')
        .map_or((text, None), |(first, rest)| (first, Some(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_keys_are_read_from_the_command_line() {
        let words = [
            "--set",
            "delays.stop_ms=5",
            "--aws-key",
            "A:s/e=c:other",
            "--box-command",
            "x",
            "--box-command",
            "{port}",
        ];
        let options = Options::read(lexopt::Parser::from_args(words)).unwrap();
        assert_eq!(options.settings.delays.stop_ms, 5);
        assert_eq!(options.box_command, ["x", "{port}"]);
        let ids: Vec<_> = options.keys.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, [RUNPOD_KEY, "A"]);
        assert_eq!(options.keys[1].account, "other");
        assert!(Options::read(lexopt::Parser::from_args(["--set", "x=1"])).is_err());
    }
}
