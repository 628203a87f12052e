//! A vendor may quote what it was sent: its words are kept without that.

use tidegate_provider_api::{CreateSecrets, Credential, CredentialForm, ProviderError};
use tidegate_vault::Secret;

const REDACTED: &str = "[redacted]";
/// Shorter ones are no secrets, and would be found in any text.
const SHORTEST: usize = 6;

/// The same error without anything that was sealed.
pub fn from(
    error: ProviderError,
    form: &CredentialForm,
    credential: &Credential,
    secrets: &CreateSecrets,
) -> ProviderError {
    let fields = form.credential.iter();
    let of_account = fields.filter_map(|field| credential.get(field.name));
    let env = secrets.env.values().chain(&secrets.boot_token);
    let sealed: Vec<&str> = of_account
        .chain(env.filter_map(Secret::expose_str))
        .filter(|text| text.len() >= SHORTEST)
        .collect();
    let without = |mut text: String| {
        for secret in &sealed {
            if text.contains(secret) {
                text = text.replace(secret, REDACTED);
            }
        }
        without_begun(text, &sealed)
    };
    ProviderError {
        words: without(error.words),
        code: error.code.map(without),
        ..error
    }
}

/// Words that were cut may end in the beginning of a secret.
fn without_begun(text: String, sealed: &[&str]) -> String {
    let Some(kept) = text.strip_suffix('…') else {
        return text;
    };
    let begun = |secret: &&str| {
        let ends = secret.char_indices().map(|(at, _)| at).rev();
        ends.take_while(|end| *end >= SHORTEST)
            .filter_map(|end| secret.get(..end))
            .find_map(|start| kept.strip_suffix(start).map(str::to_owned))
    };
    match sealed.iter().find_map(begun) {
        Some(before) => format!("{before}{REDACTED}…"),
        None => text,
    }
}
