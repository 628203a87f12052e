//! The command line. Invariant: an `Options` that exists can be run; every wrong flag is refused
//! with what was wrong, before a connection is opened.

use std::time::Duration;

use lexopt::prelude::*;
use url::Url;

/// Printed after a refused command line.
pub const USAGE: &str = "\
tidegate-load --url http://127.0.0.1:PORT[/prefix] [--key KEY] [--connections 1,16,64]
              [--requests N | --seconds S] [--warmup N] [--mode plain|stream] [--model M]
              [--prompt TEXT] [--header 'Name: value']… [--timeout-seconds S] [--json]";

/// Why the command line was refused.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// `lexopt` could not read it.
    #[error("the command line could not be read: {0}")]
    Syntax(#[from] lexopt::Error),
    /// No `--url`.
    #[error("--url is missing: give the address of the server to load")]
    NoUrl,
    /// Something other than `http://host[:port]`.
    #[error(
        "--url {0} is not a plain http:// address: the generator speaks cleartext HTTP/1.1 only"
    )]
    BadUrl(String),
    /// A flag whose value makes no sense.
    #[error("--{flag} {value} is not usable: {wanted}")]
    BadValue {
        /// The flag, without dashes.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What would be accepted.
        wanted: &'static str,
    },
}

/// How long one level of connections is measured.
#[derive(Debug, Clone, Copy)]
pub enum Span {
    /// Until this many measured requests have been started.
    Requests(u64),
    /// Until this much time has passed since the first measured request.
    Time(Duration),
}

/// Which kind of answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One JSON body.
    Plain,
    /// Server-sent events.
    Stream,
}

/// One run.
#[derive(Debug)]
pub struct Options {
    /// `host:port` to connect to.
    pub authority: String,
    /// Path of the request, `<prefix>/v1/chat/completions`.
    pub path: String,
    /// Extra request headers, `Authorization` among them when a key was given.
    pub headers: Vec<(String, String)>,
    /// Levels, measured one after the other.
    pub connections: Vec<usize>,
    /// Length of each level.
    pub span: Span,
    /// Requests sent and thrown away before each level; `None` = 50 + 2 per connection.
    pub warmup: Option<u64>,
    /// Kind of answer.
    pub mode: Mode,
    /// The request body.
    pub body: String,
    /// A request that takes longer counts as an error.
    pub timeout: Duration,
    /// Print JSON instead of a table.
    pub json: bool,
}

impl Options {
    /// Reads the process's own arguments.
    pub fn from_env() -> Result<Self, OptionsError> {
        Self::parse(lexopt::Parser::from_env())
    }

    fn parse(mut parser: lexopt::Parser) -> Result<Self, OptionsError> {
        let mut url = None;
        let mut key: Option<String> = None;
        let mut headers = Vec::new();
        let mut connections = vec![1];
        let mut span = Span::Requests(1000);
        let mut warmup = None;
        let mut mode = Mode::Plain;
        let mut model = String::from("tiny");
        let mut prompt = String::from("Say hello.");
        let mut timeout = Duration::from_secs(30);
        let mut json = false;
        while let Some(argument) = parser.next()? {
            match argument {
                Long("url") => url = Some(parser.value()?.string()?),
                Long("key") => key = Some(parser.value()?.string()?),
                Long("connections") => connections = levels(&parser.value()?.string()?)?,
                Long("requests") => span = Span::Requests(parser.value()?.parse()?),
                Long("seconds") => {
                    span = Span::Time(seconds("seconds", &parser.value()?.string()?)?);
                }
                Long("warmup") => warmup = Some(parser.value()?.parse()?),
                Long("mode") => mode = mode_named(&parser.value()?.string()?)?,
                Long("model") => model = parser.value()?.string()?,
                Long("prompt") => prompt = parser.value()?.string()?,
                Long("header") => headers.push(header(&parser.value()?.string()?)?),
                Long("timeout-seconds") => {
                    timeout = seconds("timeout-seconds", &parser.value()?.string()?)?;
                }
                Long("json") => json = true,
                other => return Err(other.unexpected().into()),
            }
        }
        let (authority, path) = target(&url.ok_or(OptionsError::NoUrl)?)?;
        if let Some(key) = key {
            headers.push((String::from("authorization"), format!("Bearer {key}")));
        }
        let body = serde_json::json!({
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": mode == Mode::Stream,
        })
        .to_string();
        Ok(Self {
            authority,
            path,
            headers,
            connections,
            span,
            warmup,
            mode,
            body,
            timeout,
            json,
        })
    }
}

fn target(text: &str) -> Result<(String, String), OptionsError> {
    let bad = || OptionsError::BadUrl(text.to_owned());
    let url = Url::parse(text).map_err(|_| bad())?;
    let host = url.host_str().ok_or_else(bad)?;
    if url.scheme() != "http" {
        return Err(bad());
    }
    let port = url.port_or_known_default().unwrap_or(80);
    let prefix = url.path().trim_end_matches('/');
    let prefix = prefix.strip_suffix("/v1").unwrap_or(prefix);
    Ok((
        format!("{host}:{port}"),
        format!("{prefix}/v1/chat/completions"),
    ))
}

fn levels(text: &str) -> Result<Vec<usize>, OptionsError> {
    let refused = || OptionsError::BadValue {
        flag: "connections",
        value: text.to_owned(),
        wanted: "a comma-separated list of numbers from 1 up, such as 1,16,64",
    };
    text.split(',')
        .map(|level| level.trim().parse().ok().filter(|level| *level > 0))
        .collect::<Option<Vec<usize>>>()
        .ok_or_else(refused)
}

fn seconds(flag: &'static str, text: &str) -> Result<Duration, OptionsError> {
    text.parse::<f64>()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|span| !span.is_zero())
        .ok_or_else(|| OptionsError::BadValue {
            flag,
            value: text.to_owned(),
            wanted: "seconds above zero",
        })
}

fn mode_named(text: &str) -> Result<Mode, OptionsError> {
    match text {
        "plain" => Ok(Mode::Plain),
        "stream" => Ok(Mode::Stream),
        other => Err(OptionsError::BadValue {
            flag: "mode",
            value: other.to_owned(),
            wanted: "plain or stream",
        }),
    }
}

fn header(text: &str) -> Result<(String, String), OptionsError> {
    text.split_once(':')
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| OptionsError::BadValue {
            flag: "header",
            value: text.to_owned(),
            wanted: "'Name: value'",
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Options, OptionsError> {
        Options::parse(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn a_base_url_with_or_without_v1_reaches_the_same_path() {
        for url in ["http://127.0.0.1:9", "http://127.0.0.1:9/v1/"] {
            let options = parsed(&["--url", url]).unwrap();
            assert_eq!(options.authority, "127.0.0.1:9");
            assert_eq!(options.path, "/v1/chat/completions");
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        for arguments in [
            &["--url", "https://127.0.0.1"][..],
            &["--url", "http://x", "--connections", "1,0"],
            &["--url", "http://x", "--seconds", "-1"],
            &["--url", "http://x", "--mode", "both"],
            &["--mode", "plain"],
        ] {
            assert!(parsed(arguments).is_err(), "{arguments:?} was accepted");
        }
    }
}
