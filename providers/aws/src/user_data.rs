//! The script that a machine begins with.
//!
//! It is the machine's whole agent: it sets the timer that ends it, starts the container, and calls home. It
//! holds what only this machine may know, in the clear, and no credential of the account.
//!
//! Invariant: the timer comes first, so that whatever fails later, the machine ends. Nothing that a launch
//! names (image, arguments, variables, addresses) is ever read as shell.
//!
//! EC2 runs it as root, once ("Run commands when you launch an EC2 instance with user data input"). A machine
//! that is started after a stop needs it again, so it puts itself among cloud-init's scripts for every boot.
//!
//! In scope: the script. Out of scope: what becomes of its calls.

use std::collections::BTreeMap;

use tidegate_provider_api::{CreateSpec, EncodeCx};

/// User data in raw form ("Instance user data" in the EC2 user guide).
const MOST_BYTES: usize = 16 * 1024;

/// Writes the script; where that cannot be, why not, without any value.
pub(crate) fn script(cx: &EncodeCx<'_>, spec: &CreateSpec) -> Result<String, String> {
    let runtime = &spec.runtime;
    if !is_word(&runtime.image) || runtime.image.starts_with('-') {
        return Err("the image must be named by one word, like registry/name:tag".to_owned());
    }
    if runtime.args.iter().any(|text| text.contains('\0')) {
        return Err(
            "an argument of the image holds a NUL, which no program can be given".to_owned(),
        );
    }
    let key = spec.ssh_public_key.as_deref().unwrap_or_default().trim();
    if key.chars().any(char::is_control) {
        return Err("the SSH key must be one line".to_owned());
    }
    let seconds = spec.lifetime_secs;
    let minutes = seconds.div_ceil(60).max(1);
    let mut parts = vec![filled(
        HEAD,
        &[
            ("SECONDS", &seconds.to_string()),
            ("MINUTES", &minutes.to_string()),
        ],
    )];
    if !key.is_empty() {
        parts.push(filled(LOGIN, &[("KEY", &quoted(key))]));
    }
    let lines = env_lines(cx, spec)?;
    let lines: Vec<String> = lines
        .iter()
        .map(|line| format!(" {}", quoted(line)))
        .collect();
    let print = if lines.is_empty() {
        ":"
    } else {
        "printf '%s\\n'"
    };
    parts.push(format!("{print}{} >\"$dir/env\"\n", lines.concat()));
    let words = [&runtime.image].into_iter().chain(&runtime.args);
    let words: Vec<String> = words.map(|word| quoted(word)).collect();
    parts.push(filled(
        RUN,
        &[
            ("PORT", &runtime.port.to_string()),
            ("WORDS", &words.join(" ")),
        ],
    ));
    if let (Some(callback), Some(token)) = (&spec.callback, &cx.secrets.boot_token) {
        let token = token.expose_str().unwrap_or_default();
        if !is_word(&callback.url) || !callback.url.starts_with("http") || !is_word(token) {
            return Err("the machine cannot call home with this address and token".to_owned());
        }
        let spot = if spec.spot { "1" } else { "" };
        parts.push(filled(
            HOME,
            &[
                ("URL", &quoted(&callback.url)),
                ("TOKEN", &quoted(token)),
                ("SPOT", &quoted(spot)),
            ],
        ));
    }
    let script = parts.concat();
    if script.len() > MOST_BYTES {
        return Err(format!(
            "the machine's script would be {} bytes long and EC2 takes {MOST_BYTES}: use fewer or shorter \
             arguments and variables",
            script.len()
        ));
    }
    Ok(script)
}

/// `NAME=value` as Docker reads them: everything after the first `=` as it stands, up to the line's end.
fn env_lines(cx: &EncodeCx<'_>, spec: &CreateSpec) -> Result<Vec<String>, String> {
    let mut all: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in &spec.runtime.env {
        all.insert(name, value);
    }
    for sealed in &spec.runtime.sealed_env {
        let value = cx.secrets.env.get(&sealed.name);
        let value = value.and_then(|secret| secret.expose_str());
        let value = value.ok_or_else(|| format!("the variable {} is still sealed", sealed.name))?;
        all.insert(&sealed.name, value);
    }
    let line = |(name, value): (&str, &str)| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err("a variable's name may have letters, digits and `_.-`".to_owned());
        }
        if value.contains(['\n', '\r', '\0']) {
            return Err(format!(
                "the variable {name} holds a line break, which Docker's files of variables cannot"
            ));
        }
        Ok(format!("{name}={value}"))
    };
    all.into_iter().map(line).collect()
}

/// Visible ASCII that needs no escape in a configuration of curl's.
fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !text.is_empty() && text.bytes().all(is_plain)
}

/// A word of shell that stands for just this text: in single quotes nothing is special but their end.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A template with its `@NAMES@` filled in, each once: what is filled in is not looked at again.
fn filled(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (index, piece) in template.split('@').enumerate() {
        let value = values.iter().find(|(name, _)| *name == piece);
        match value {
            Some((_, value)) if index % 2 == 1 => out.push_str(value),
            _ => out.push_str(piece),
        }
    }
    out
}

/// Ends the machine in time. All programs are found through PATH. `TIDEGATE_ROOT`, where it is set, stands
/// before every path that is written or read, so that the script can be tried on any machine.
const HEAD: &str = r#"#!/bin/bash
umask 077
dir="${TIDEGATE_ROOT:-}/var/lib/tidegate"
minutes=@MINUTES@
ends=$(cat "$dir/ends" 2>/dev/null)
case "$ends" in
  '' | *[!0-9]*) ;;
  *) minutes=$(((ends - $(date +%s) + 59) / 60)) ;;
esac
[ "$minutes" -gt 0 ] || minutes=0
shutdown -h "+$minutes"
mkdir -p "$dir"
[ -n "$ends" ] || echo "$(($(date +%s) + @SECONDS@))" >"$dir/ends"
boots="${TIDEGATE_ROOT:-}/var/lib/cloud/scripts/per-boot"
if [ -d "$boots" ] && [ ! -e "$boots/tidegate" ]; then
  cp -- "$0" "$boots/tidegate" && chmod 700 "$boots/tidegate"
fi
"#;

/// Lets the launch's key log in as the image's own user, who is the first that is no system's.
const LOGIN: &str = r#"key=@KEY@
while IFS=: read -r login _ uid gid _ home _; do
  [ "$uid" = 1000 ] || continue
  keys="${TIDEGATE_ROOT:-}$home/.ssh/authorized_keys"
  mkdir -p "${keys%/*}"
  grep -qxF -- "$key" "$keys" 2>/dev/null || printf '%s\n' "$key" >>"$keys"
  chown "$uid:$gid" "${keys%/*}" "$keys"
done <"${TIDEGATE_ROOT:-}/etc/passwd"
"#;

/// Starts the container, and what was left of it after a stop: its layer may hold the weights.
const RUN: &str = r#"run() {
  docker run -d --name=tidegate --restart=on-failure --ipc=host --gpus all --env-file "$dir/env" -p @PORT@:@PORT@ @WORDS@
}
if ! { [ -e "$dir/made" ] && docker start tidegate; }; then
  until run; do
    docker rm -f tidegate
    sleep 10
  done
  : >"$dir/made"
fi
"#;

/// Calls home until the machine ends. The token goes to curl in a file, since everybody sees arguments.
const HOME: &str = r#"TIDEGATE_BOOT_URL=@URL@
printf '%s\n' "url = \"$TIDEGATE_BOOT_URL\"" 'header = "Content-Type: application/json"' \
  'header = "Authorization: Bearer '@TOKEN@'"' >"$dir/caller"
[ -s "$dir/nonce" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$dir/nonce"
nonce=$(cat "$dir/nonce")
spot=@SPOT@
imds="${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}"
say() {
  code=$(curl -s -o /dev/null -w '%{http_code}' -m 10 -K "$dir/caller" -d "{\"nonce\":\"$nonce\",\"says\":\"$1\"}")
  case "$code" in
    410) shutdown -h now ;;
    2??) return 0 ;;
  esac
  return 1
}
noticed() {
  ticket=$(curl -sf -m 2 --noproxy '*' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/latest/api/token") &&
    curl -sf -o /dev/null -m 2 --noproxy '*' -H "X-aws-ec2-metadata-token: $ticket" "$imds/latest/meta-data/spot/instance-action"
}
call_home() {
  until say booted; do sleep 5; done
  turn=0
  while :; do
    sleep 5
    turn=$((turn + 1))
    if [ -n "$spot" ] && noticed && say preempting; then spot=; fi
    if [ $((turn % 3)) = 0 ]; then say alive; fi
  done
}
call_home </dev/null >/dev/null 2>&1 &
"#;
