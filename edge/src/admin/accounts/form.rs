//! What an administrator filled in, against the form of the vendor.
//!
//! Invariant: what passes has every field that is required, none that the form does not have, and for what was left
//! out the form's own default; messages name fields and repeat no value.

use tidegate_provider_api::{Credential, Field, FieldKind, Provider, Settings};

use crate::admin::fields::{Fields, bad_value, missing, unknown};
use crate::api_error::ApiError;

/// Longer than any list of regions or ARN.
const LONGEST: usize = 2_048;

/// Reads the secret part.
pub fn credential(provider: &dyn Provider, fields: Option<Fields>) -> Result<Credential, ApiError> {
    let given = fields.map(|it| it.without_nulls().into_texts());
    let given = given.transpose()?.unwrap_or_default();
    let form = provider.form();
    let is_absent = |field: &&Field| given.get(field.name).is_none_or(String::is_empty);
    let mut required = form.credential.iter().filter(|field| field.required);
    if let Some(field) = required.find(is_absent) {
        return Err(missing(format!("credential.{}", field.name)));
    }
    Credential::read(form, given)
        .map_err(|refused| bad_value(format!("credential.{}", refused.field), &refused.must))
}

/// Reads the rest.
pub fn settings(provider: &dyn Provider, fields: Option<Fields>) -> Result<Settings, ApiError> {
    let given = fields.map(|it| it.without_nulls().into_texts());
    let mut given = given.transpose()?.unwrap_or_default();
    let form = provider.form();
    let mut settings = Settings::default();
    for field in form.settings {
        let text = given.remove(field.name).map(|text| text.trim().to_owned());
        let text = text
            .filter(|text| !text.is_empty())
            .or_else(|| field.default.map(str::to_owned));
        match text {
            Some(text) => {
                check(field, &text)?;
                settings.0.insert(field.name.to_owned(), text);
            }
            None if field.required => {
                return Err(missing(format!("settings.{}", field.name)));
            }
            None => {}
        }
    }
    if let Some(odd) = given.into_keys().next() {
        let known: Vec<&str> = form.settings.iter().map(|field| field.name).collect();
        return Err(unknown(format!("settings.{odd}"), &known.join(", ")));
    }
    provider
        .check_settings(&settings)
        .map_err(|refused| bad_value(format!("settings.{}", refused.field), &refused.must))?;
    Ok(settings)
}

fn check(field: &Field, text: &str) -> Result<(), ApiError> {
    let name = || format!("settings.{}", field.name);
    if text.len() > LONGEST || text.chars().any(char::is_control) {
        let must = format!("must be one line of at most {LONGEST} bytes");
        return Err(bad_value(name(), &must));
    }
    if field.kind == FieldKind::Choice && !field.choices.contains(&text) {
        let must = format!("must be one of {}", field.choices.join(", "));
        return Err(bad_value(name(), &must));
    }
    Ok(())
}

#[cfg(test)]
#[path = "form/tests.rs"]
mod tests;
