//! What is sealed, opened at the last moment before it is sent.
//!
//! Invariant: whatever is opened says itself which record and field it was sealed for; the organisation is
//! always the one that the call's credential belongs to, so nothing of another's can be passed off.

use tidegate_durable::turn::Bearer;
use tidegate_provider_api::{CreateSecrets, CreateSpec, Credential, Request, SealedEnv};
use tidegate_vault::{Context, Installation, Keyring, Organisation, Secret, open};

/// The field of an account's record that its credential is sealed for.
const CREDENTIAL: &str = "credential";

/// The account's credential; or why not, in words without a secret.
pub fn credential(keyring: &Keyring, sealed: &Bearer) -> Result<Credential, String> {
    let Bearer {
        org,
        record,
        sealed,
    } = sealed;
    let context = Context {
        organisation: org,
        record,
        field: CREDENTIAL,
    };
    let opened = open(keyring, &context, sealed)
        .map_err(|refused| format!("the account's credential does not open: {refused}"))?;
    Credential::from_plaintext(&opened)
        .ok_or_else(|| "what was sealed as the account's credential is none".to_owned())
}

/// What goes onto a machine that is created; nothing for any other request.
pub fn secrets(
    installation: &Installation,
    keyring: &Keyring,
    org: &str,
    request: &Request,
) -> Result<CreateSecrets, String> {
    let Request::Create(spec) = request else {
        return Ok(CreateSecrets::default());
    };
    let variable = |sealed: &SealedEnv| -> Result<(String, Secret), String> {
        let name = &sealed.name;
        let context = Context {
            organisation: org,
            record: &sealed.record,
            field: &sealed.field,
        };
        let value = open(keyring, &context, &sealed.sealed)
            .map_err(|refused| format!("the variable `{name}` does not open: {refused}"))?;
        match value.expose_str() {
            Some(_) => Ok((name.clone(), value)),
            None => Err(format!("the variable `{name}` is no text")),
        }
    };
    let sealed = &spec.runtime.sealed_env;
    Ok(CreateSecrets {
        env: sealed.iter().map(variable).collect::<Result<_, _>>()?,
        boot_token: boot_token(installation, org, spec)?,
    })
}

fn boot_token(
    installation: &Installation,
    org: &str,
    spec: &CreateSpec,
) -> Result<Option<Secret>, String> {
    if spec.callback.is_none() {
        return Ok(None);
    }
    let organisation = Organisation::parse(org).map_err(|refused| refused.to_string())?;
    let marker = &spec.marker;
    let token = installation.boot_token(&organisation, &marker.instance, marker.attempt);
    Ok(Some(token))
}
