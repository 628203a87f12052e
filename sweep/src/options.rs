//! What is asked on the command line, and the secrets that it names.
//!
//! Invariant: no secret is an argument, where everybody on the computer can read it: the credential stands in a
//! file, the admin key in a variable, and arguments only say where. What would kill more than was asked for is
//! refused, never guessed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use lexopt::prelude::*;
use tidegate_domain::time::Span;
use tidegate_domain::vendor::stray;
use tidegate_provider_api::{Credential, Fingerprint, Provider, Settings};
use tidegate_providers::VendorOrigins;
use tidegate_vault::Secret;
use url::{Host, Url};

/// What can be asked for.
pub const USAGE: &str = "\
cargo xtask sweep --vendor VENDOR --credential-file FILE [--setting NAME=VALUE]…
                  --account acc_… [--org default] --gateway https://… --admin-key-env NAME [--fingerprint HEX]
                  [--kill]
cargo xtask sweep --vendor VENDOR --credential-file FILE [--setting NAME=VALUE]…
                  --fingerprint HEX --without-gateway --older-than 13h [--kill]

--credential-file   JSON with the fields of the vendor's form, {\"api_key\": \"…\"}: a credential of its own
--admin-key-env     the name of a variable that holds the gateway's admin key
--fingerprint       the account's mark: ten digits, the second part of its machines' names; the gateway shows it
--kill              gives back what nobody owns, after a second look ten minutes later; else it only tells
--without-gateway   nobody is asked who owns what: what is older than that is given back, whoever owns it

It ends with 0: nothing is there that nobody owns; 2: something was, and is gone; 3: something is still there;
1: it could not be told.";

/// How fast the clock may run against a stand-in.
const MOST_TIMES: i64 = 6_000;

/// What to do.
pub struct Options {
    /// Whose machines.
    pub provider: &'static dyn Provider,
    /// A credential that may list and give back.
    pub credential: Credential,
    /// Settings that were given; those that the gateway knows stand behind them.
    pub settings: Settings,
    /// The account's mark, where it was given.
    pub fingerprint: Option<Fingerprint>,
    /// Who is asked which machines are owned.
    pub owners: Asked,
    /// Whether anything is given back.
    pub kill: bool,
    /// Where vendors are, if not where they are for everybody.
    pub origins: VendorOrigins,
    /// How many times as fast as the wall's the clock runs.
    pub times: u32,
}

/// Who is asked which machines are owned.
pub enum Asked {
    /// The gateway.
    Gateway {
        /// Its root.
        url: Url,
        /// Its admin key.
        admin_key: Secret,
        /// The organisation.
        org: String,
        /// The account.
        account: String,
    },
    /// Nobody: what is older than this is too old.
    Nobody {
        /// How old.
        older_than: Span,
    },
}

/// Why nothing is done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsRefused {
    /// Not as it is used.
    #[error("{0}")]
    Usage(String),
    /// A secret that is not where it was said to be.
    #[error("{0}")]
    Secret(String),
}

/// Where secrets are.
pub struct Sources<'a> {
    /// The value of a variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file; or why not.
    pub file: &'a dyn Fn(&str) -> Result<String, String>,
}

/// As they were given.
#[derive(Default)]
struct Given {
    vendor: Option<String>,
    account: Option<String>,
    org: Option<String>,
    gateway: Option<String>,
    admin_key_env: Option<String>,
    credential_file: Option<String>,
    settings: BTreeMap<String, String>,
    fingerprint: Option<String>,
    kill: bool,
    without_gateway: bool,
    older_than: Option<String>,
    vendor_origins: Option<String>,
    grace: Option<String>,
}

fn usage(words: impl fmt::Display) -> OptionsRefused {
    OptionsRefused::Usage(words.to_string())
}

impl Options {
    /// Reads the words of the command line, the program's own name not among them.
    ///
    /// # Errors
    /// With what is wrong, in words that hold no secret.
    pub fn read(
        words: impl IntoIterator<Item = OsString>,
        sources: &Sources<'_>,
    ) -> Result<Self, OptionsRefused> {
        let given = Given::read(words)?;
        let vendor = needed(given.vendor.as_deref(), "--vendor")?;
        let provider = tidegate_providers::by_name(vendor).ok_or_else(|| {
            let names: Vec<&str> = tidegate_providers::ALL
                .iter()
                .map(|it| it.vendor())
                .collect();
            usage(format!(
                "there is no vendor {vendor}; there are {}",
                names.join(" and ")
            ))
        })?;
        let origins = given.vendor_origins.as_deref().unwrap_or_default();
        let origins = VendorOrigins::parse(origins)
            .map_err(|refused| usage(format!("--vendor-origins: {refused}")))?;
        let is_stand_in = origins.of(provider.vendor()).api.is_some();
        let fingerprint = given.fingerprint.as_deref().map(|text| {
            Fingerprint::parse(text).ok_or_else(|| {
                usage("--fingerprint is ten digits of 0-9 and a-f, as in a machine's name")
            })
        });
        let fingerprint = fingerprint.transpose()?;
        let owners = asked(&given, fingerprint.is_some(), sources)?;
        Ok(Self {
            provider,
            credential: credential(provider, &given, sources)?,
            settings: Settings(given.settings.clone()),
            fingerprint,
            owners,
            kill: given.kill,
            origins,
            times: times(given.grace.as_deref(), is_stand_in)?,
        })
    }
}

impl Given {
    fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, OptionsRefused> {
        let mut given = Self::default();
        let mut parser = lexopt::Parser::from_args(words);
        while let Some(word) = parser.next().map_err(usage)? {
            let place = match word {
                Long("kill") => {
                    given.kill = true;
                    continue;
                }
                Long("without-gateway") => {
                    given.without_gateway = true;
                    continue;
                }
                Long("setting") => {
                    let text = text(&mut parser)?;
                    let (name, value) = text
                        .split_once('=')
                        .ok_or_else(|| usage("--setting wants NAME=VALUE"))?;
                    given.settings.insert(name.to_owned(), value.to_owned());
                    continue;
                }
                Long("vendor") => &mut given.vendor,
                Long("account") => &mut given.account,
                Long("org") => &mut given.org,
                Long("gateway") => &mut given.gateway,
                Long("admin-key-env") => &mut given.admin_key_env,
                Long("credential-file") => &mut given.credential_file,
                Long("fingerprint") => &mut given.fingerprint,
                Long("older-than") => &mut given.older_than,
                Long("vendor-origins") => &mut given.vendor_origins,
                Long("grace") => &mut given.grace,
                // What it is is not repeated: somebody may have put a secret there.
                Long(_) | Short(_) | Value(_) => {
                    return Err(usage(
                        "there is a word that is no option; secrets are never given here",
                    ));
                }
            };
            *place = Some(text(&mut parser)?);
        }
        Ok(given)
    }
}

fn text(parser: &mut lexopt::Parser) -> Result<String, OptionsRefused> {
    let value = parser.value().map_err(usage)?;
    value
        .into_string()
        .map_err(|_| usage("an argument is no text"))
}

fn needed<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str, OptionsRefused> {
    let value = value.filter(|text| !text.is_empty());
    value.ok_or_else(|| usage(format!("{name} is missing")))
}

fn credential(
    provider: &'static dyn Provider,
    given: &Given,
    sources: &Sources<'_>,
) -> Result<Credential, OptionsRefused> {
    let file = needed(given.credential_file.as_deref(), "--credential-file")?;
    let text = (sources.file)(file)
        .map_err(|why| OptionsRefused::Secret(format!("{file} cannot be read: {why}")))?;
    let fields: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|_| {
        let fields = provider.form().credential.iter();
        let fields: Vec<String> = fields
            .filter(|field| field.required)
            .map(|field| format!("\"{}\": \"…\"", field.name))
            .collect();
        OptionsRefused::Secret(format!(
            "{file} does not hold what a credential looks like: {{{}}}",
            fields.join(", ")
        ))
    })?;
    Credential::read(provider.form(), fields)
        .map_err(|refused| OptionsRefused::Secret(format!("{file}: {refused}")))
}

fn asked(given: &Given, is_marked: bool, sources: &Sources<'_>) -> Result<Asked, OptionsRefused> {
    if given.without_gateway {
        let of_gateway = [
            &given.gateway,
            &given.admin_key_env,
            &given.account,
            &given.org,
        ];
        if of_gateway.iter().any(|option| option.is_some()) {
            return Err(usage(
                "--without-gateway asks nobody, so --gateway, --admin-key-env, --account and --org do not go with it",
            ));
        }
        if !is_marked {
            return Err(usage(
                "--without-gateway needs --fingerprint: nobody else says which machines are this account's",
            ));
        }
        let text = needed(given.older_than.as_deref(), "--older-than")?;
        let older_than = span(text)
            .filter(|span| *span >= stray::GRACE)
            .ok_or_else(|| usage("--older-than is 30m, 13h or 2d, ten minutes at least"))?;
        return Ok(Asked::Nobody { older_than });
    }
    if given.older_than.is_some() {
        return Err(usage(
            "--older-than goes with --without-gateway: the gateway knows who owns what, however old",
        ));
    }
    let url = needed(given.gateway.as_deref(), "--gateway (or --without-gateway)")?;
    let url = gateway_url(url)?;
    let name = needed(given.admin_key_env.as_deref(), "--admin-key-env")?;
    let key = (sources.variable)(name)
        .filter(|key| !key.is_empty())
        .ok_or_else(|| {
            OptionsRefused::Secret(format!(
                "the variable {name} is not set, and should hold the admin key"
            ))
        })?;
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(OptionsRefused::Secret(format!(
            "what {name} holds is no admin key"
        )));
    }
    let account = needed(given.account.as_deref(), "--account")?;
    let org = given.org.as_deref().unwrap_or("default");
    let is_name = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        !text.is_empty() && text.bytes().all(plain)
    };
    if !is_name(account) || !is_name(org) {
        return Err(usage(
            "--account is acc_… as the gateway shows it, and --org a name",
        ));
    }
    Ok(Asked::Gateway {
        url,
        admin_key: Secret::from(key),
        org: org.to_owned(),
        account: account.to_owned(),
    })
}

/// The admin key goes there, so nobody may listen in between.
fn gateway_url(text: &str) -> Result<Url, OptionsRefused> {
    let refused = || usage("--gateway is the root of the gateway: https://host");
    let url = Url::parse(text).map_err(|_| refused())?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if !is_bare || url.fragment().is_some() {
        return Err(refused());
    }
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err(refused()),
    }
}

/// `90s`, `30m`, `13h`, `2d`.
fn span(text: &str) -> Option<Span> {
    let at = text.len().checked_sub(1)?;
    let (number, unit) = text.split_at_checked(at)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = number.parse().ok().filter(|_| is_number)?;
    Some(Span::from_secs(number.checked_mul(seconds)?))
}

/// How much faster the clock must run for the grace to be over so soon.
fn times(grace: Option<&str>, is_stand_in: bool) -> Result<u32, OptionsRefused> {
    let Some(text) = grace else {
        return Ok(1);
    };
    if !is_stand_in {
        return Err(usage(
            "--grace is for stand-ins of vendors (--vendor-origins): real machines are given ten minutes",
        ));
    }
    let wanted = span(text).filter(|span| *span > Span::ZERO && *span <= stray::GRACE);
    let wanted = wanted.ok_or_else(|| usage("--grace is between 1s and 10m"))?;
    let times = stray::GRACE.as_ms() / wanted.as_ms();
    Ok(u32::try_from(times.min(MOST_TIMES)).unwrap_or(1))
}

#[cfg(test)]
mod tests;
