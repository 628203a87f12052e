//! What a runtime profile must look like: wide enough for any honest use, narrow enough for what has to carry it.
//!
//! Invariant: pure and total; what passes fits into a request to every vendor. Fields are named as the
//! administrator wrote them.

use super::checks::{MAX_SEALED, Refused, name, refused, text, within};
use crate::bindings::fleet::Profile;

const KINDS: [&str; 5] = ["vllm", "tgi", "ollama", "llama_cpp", "custom"];
/// It stands in paths and in the context of what is sealed.
const MAX_NAME: usize = 64;
/// A registry, a path, a tag and a digest.
const MAX_IMAGE: usize = 512;
const MAX_ARGS: usize = 100;
/// Of arguments and of variables in the clear, each, in bytes: EC2 takes 16 KiB of user data for both, the secrets
/// and the script that starts the container
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html>).
const MAX_WORDS: usize = 4 * 1_024;
/// RunPod takes 50 (<https://docs.runpod.io/pods/templates/environment-variables>); the server's own key and what
/// the machine needs to call home are among them.
const MAX_VARIABLES: usize = 40;
const MAX_VARIABLE: usize = 128;
const MAX_PATH: usize = 512;
const MAX_PRELOAD: usize = 16 * 1_024;
const SECOND_MS: i64 = 1_000;
const DAY_SECS: u64 = 86_400;

pub(super) fn profile(profile_name: &str, profile: &Profile) -> Result<(), Refused> {
    // Every field is named, so that a new one does not go unchecked.
    let Profile {
        kind,
        model_name,
        upstream_model,
        image: image_name,
        args,
        env,
        sealed_env,
        api_key_env,
        port,
        health_path,
        preload,
        min_vram_gb,
        gpu_count,
        disk_gb,
        max_concurrency,
        queue_depth,
        max_instances,
        idle_ms,
        on_idle: _,
        max_lifetime_ms,
        updated_at_ms: _,
    } = profile;
    slug("name", profile_name)?;
    if !KINDS.contains(&kind.as_str()) {
        let reason = format!("must be one of {}", KINDS.join(", "));
        return Err(refused("kind", reason));
    }
    name("model_name", model_name)?;
    if let Some(model) = upstream_model {
        name("upstream_model", model)?;
    }
    image(image_name)?;
    if args.len() > MAX_ARGS {
        let reason = format!("must hold at most {MAX_ARGS} arguments, not {}", args.len());
        return Err(refused("args", reason));
    }
    words("args", args.iter().map(String::len).sum())?;
    plain("args", args)?;
    let clear: usize = env.iter().map(|(name, text)| name.len() + text.len()).sum();
    words("env", clear)?;
    plain("env", env.values())?;
    let variables = env.len() + sealed_env.len();
    if variables > MAX_VARIABLES {
        let reason = format!(
            "and secret_env hold at most {MAX_VARIABLES} variables together, not {variables}"
        );
        return Err(refused("env", reason));
    }
    for (param, variable) in [
        ("env", env.keys().collect::<Vec<_>>()),
        ("secret_env", sealed_env.keys().collect()),
        ("api_key_env", api_key_env.iter().collect()),
    ]
    .into_iter()
    .flat_map(|(param, names)| names.into_iter().map(move |name| (param, name)))
    {
        variable_name(param, variable)?;
    }
    if let Some(twice) = sealed_env.keys().find(|name| env.contains_key(*name)) {
        return Err(refused(
            "secret_env",
            format!("names `{twice}`, which env names too"),
        ));
    }
    if let Some(key) = api_key_env
        && (env.contains_key(key) || sealed_env.contains_key(key))
    {
        let reason = format!(
            "is `{key}`, which is set by hand too; a key is made for each GPU, so leave that out"
        );
        return Err(refused("api_key_env", reason));
    }
    // About 130 bytes stand around each: 40 short ones fit, or one of 8 KiB.
    let sealed: usize = sealed_env.values().map(String::len).sum();
    if sealed > MAX_SEALED {
        let reason = "holds more than fits beside everything else: shorten it";
        return Err(refused("secret_env", reason));
    }
    within("port", u64::from(*port), 1, 65_535)?;
    path("health_path", health_path)?;
    if let Some(preload) = preload {
        path("preload.path", &preload.path)?;
        text("preload.body", &preload.body, MAX_PRELOAD)?;
    }
    for (param, number, low, high) in [
        ("min_vram_gb", *min_vram_gb, 0, 1_000),
        ("gpu_count", *gpu_count, 1, 16),
        ("disk_gb", *disk_gb, 10, 16_000),
        ("max_concurrency", *max_concurrency, 1, 10_000),
        ("queue_depth", *queue_depth, 0, 100_000),
        ("scaling.max_instances", *max_instances, 1, 100),
    ] {
        within(param, number.into(), low, high)?;
    }
    if let Some(idle_ms) = *idle_ms {
        seconds("scaling.idle_timeout_seconds", idle_ms, 1, 30 * DAY_SECS)?;
    }
    // One without an end would be a GPU that nobody needs to look after: 30 days are not that.
    seconds(
        "scaling.max_lifetime_seconds",
        *max_lifetime_ms,
        10,
        30 * DAY_SECS,
    )
}

fn seconds(param: &str, ms: i64, low: u64, high: u64) -> Result<(), Refused> {
    let seconds = u64::try_from(ms / SECOND_MS).unwrap_or_default();
    within(param, seconds, low, high)
}

fn slug(param: &str, text: &str) -> Result<(), Refused> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // `.` and `..` are no last segments of a URL.
    let is_dots = text.bytes().all(|byte| byte == b'.');
    if text.len() <= MAX_NAME && !is_dots && text.bytes().all(fits) {
        return Ok(());
    }
    let reason = format!("must be 1 to {MAX_NAME} letters, digits, dots, hyphens and underscores");
    Err(refused(param, reason))
}

fn image(name: &str) -> Result<(), Refused> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    if !name.is_empty() && name.len() <= MAX_IMAGE && is_plain {
        return Ok(());
    }
    let reason = format!(
        "must be the name of a container image, up to {MAX_IMAGE} visible ASCII characters"
    );
    Err(refused("image", reason))
}

fn words(param: &str, bytes: usize) -> Result<(), Refused> {
    if bytes <= MAX_WORDS {
        return Ok(());
    }
    let reason = format!("must be at most {MAX_WORDS} bytes in all, not {bytes}");
    Err(refused(param, reason))
}

/// Lines may stand in a variable; what ends a C string ends it for whoever starts the container.
fn plain<'a>(param: &str, texts: impl IntoIterator<Item = &'a String>) -> Result<(), Refused> {
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err(refused(param, "must not hold NUL characters"));
    }
    Ok(())
}

/// As a shell takes it (POSIX, "Name").
fn variable_name(param: &str, name: &str) -> Result<(), Refused> {
    let mut bytes = name.bytes();
    let begins = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if begins && goes_on && name.len() <= MAX_VARIABLE {
        return Ok(());
    }
    let reason = format!(
        "must name variables of up to {MAX_VARIABLE} letters, digits and underscores that do not begin with a digit"
    );
    Err(refused(param, reason))
}

fn path(param: &str, path: &str) -> Result<(), Refused> {
    let is_plain = path
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if path.starts_with('/') && !path.starts_with("//") && path.len() <= MAX_PATH && is_plain {
        return Ok(());
    }
    let reason = format!(
        "must be a path that begins with one slash, up to {MAX_PATH} visible ASCII characters"
    );
    Err(refused(param, reason))
}

#[cfg(test)]
#[path = "tests/profile_checks.rs"]
mod tests;
