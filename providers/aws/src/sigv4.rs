//! AWS Signature Version 4, for calls whose body is at hand.
//!
//! Source: "Signing AWS API requests" in the IAM user guide. The canonical request lists what is signed, its
//! digest and the scope make the string to sign, and a key that is good for one day, region and service signs
//! it.
//!
//! Invariant: what is signed is what is sent: host and path are read off the very URL of the call, and every
//! header that is sent is signed.
//!
//! In scope: the signature. Out of scope: which call it is.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use tidegate_provider_api::rfc3339;
use url::Url;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signs.
pub(crate) struct Keys<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret_access_key: &'a str,
    pub(crate) session_token: Option<&'a str>,
}

/// What a signature is good for.
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) now_ms: i64,
}

/// The header lines of a `POST`: those given (names in lower case), and those that signing adds. `host` is
/// signed and is not among them: whoever sends takes it from the URL.
pub(crate) fn signed_headers(
    keys: &Keys<'_>,
    scope: &Scope<'_>,
    url: &Url,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Vec<(String, String)>> {
    // As RFC 3339 has it, without its separators: `20261120T120000Z`.
    let at = rfc3339::write(scope.now_ms)?.replace(['-', ':'], "");
    let (day, _) = at.split_once('T')?;
    // Without a port where it is the scheme's own, as clients write `Host`.
    let host = url.authority();
    let mut sent: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    sent.push(("x-amz-date".to_owned(), at.clone()));
    if let Some(token) = keys.session_token {
        sent.push(("x-amz-security-token".to_owned(), token.to_owned()));
    }
    // In the order of their names.
    let mut signed = BTreeMap::from([("host", host)]);
    for (name, value) in &sent {
        signed.insert(name, value);
    }
    let names: Vec<&str> = signed.keys().copied().collect();
    let names = names.join(";");
    let mut canonical = format!("POST\n{}\n\n", encoded_again(url.path()));
    for (name, value) in &signed {
        // Blanks around a value and doubled blanks within do not count.
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        let _ = writeln!(canonical, "{name}:{}", words.join(" "));
    }
    let _ = write!(canonical, "\n{names}\n{}", digest(body));
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let to_sign = format!("{ALGORITHM}\n{at}\n{place}\n{}", digest(&canonical));
    let first = format!("AWS4{}", keys.secret_access_key);
    let mut key = mac(first.as_bytes(), day)?;
    for part in [scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part)?;
    }
    let signature = hex(&mac(&key, &to_sign)?);
    sent.push((
        "authorization".to_owned(),
        format!(
            "{ALGORITHM} Credential={}/{place}, SignedHeaders={names}, Signature={signature}",
            keys.access_key_id
        ),
    ));
    Some(sent)
}

/// A path whose percent signs are encoded once more, as every service but S3 wants it.
fn encoded_again(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out
}

fn mac(key: &[u8], message: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}
