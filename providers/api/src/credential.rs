//! What a vendor wants to see of its customer, as a form that people fill in.
//!
//! Invariant: a [`Credential`] cannot be printed, and leaves in the clear only towards the vendor (through a
//! codec) and towards the vault (to be sealed).

use std::collections::BTreeMap;

use serde::Serialize;
use tidegate_vault::Secret;

/// Everything that is asked when an account is connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialForm {
    /// The secret part: sealed at once, never shown again.
    pub credential: &'static [Field],
    /// The rest: where and how to rent. Shown and changed like any setting.
    pub settings: &'static [Field],
    /// What the credential should be allowed to do and no more: text to copy into the vendor's console.
    pub least_privilege: &'static str,
    /// Where to make it, in words.
    pub help: &'static str,
}

/// One field of the form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name in the body.
    pub name: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// What may stand in it.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// Whether it must be there.
    pub required: bool,
    /// What it is for, and what it looks like.
    pub help: &'static str,
    /// What it may be, where that is a closed list; else empty.
    pub choices: &'static [&'static str],
    /// What it is where it is left out.
    pub default: Option<&'static str>,
}

/// What may stand in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Visible ASCII that is never shown again.
    Secret,
    /// A line of text.
    Text,
    /// Several, separated by commas.
    List,
    /// One of the choices.
    Choice,
}

/// A filled-in secret part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential(BTreeMap<String, Secret>);

/// Why the filled-in fields will not do. Names the field, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {must}")]
pub struct CredentialRefused {
    /// Which field.
    pub field: String,
    /// What it must be; goes on after its name.
    pub must: String,
}

/// Vendors' keys stay under 200 characters, session tokens under 4,000.
const LONGEST: usize = 8 * 1024;

impl Credential {
    /// Checks fields against the form.
    ///
    /// # Errors
    /// With the first field that is missing, unknown, too long, or holds what no header can.
    pub fn read(
        form: &CredentialForm,
        mut given: BTreeMap<String, String>,
    ) -> Result<Self, CredentialRefused> {
        let mut fields = BTreeMap::new();
        for field in form.credential {
            let value = given.remove(field.name).filter(|text| !text.is_empty());
            match value {
                Some(text) => {
                    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
                    if text.len() > LONGEST || !is_plain {
                        return Err(refused(
                            field.name,
                            "must be visible ASCII characters without spaces",
                        ));
                    }
                    fields.insert(field.name.to_owned(), Secret::from(text));
                }
                None if field.required => return Err(refused(field.name, "is missing")),
                None => {}
            }
        }
        match given.into_keys().next() {
            Some(name) => Err(refused(&name, "is no field of this vendor's credential")),
            None => Ok(Self(fields)),
        }
    }

    /// A field in the clear.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Secret::expose_str)
    }

    /// Every field in the clear.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(Secret::expose_str)
    }

    /// The whole credential as bytes to seal.
    pub fn to_plaintext(&self) -> Secret {
        let fields: BTreeMap<&str, &str> = self
            .0
            .iter()
            .filter_map(|(name, secret)| Some((name.as_str(), secret.expose_str()?)))
            .collect();
        Secret::from(serde_json::to_vec(&fields).unwrap_or_default())
    }

    /// What [`Credential::to_plaintext`] wrote; nothing when it is something else.
    pub fn from_plaintext(plaintext: &Secret) -> Option<Self> {
        let fields: BTreeMap<String, String> = serde_json::from_slice(plaintext.expose()).ok()?;
        Some(Self(
            fields
                .into_iter()
                .map(|(name, text)| (name, Secret::from(text)))
                .collect(),
        ))
    }
}

fn refused(field: &str, must: &str) -> CredentialRefused {
    CredentialRefused {
        field: field.to_owned(),
        must: must.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: CredentialForm = CredentialForm {
        credential: &[
            Field {
                name: "api_key",
                label: "API key",
                kind: FieldKind::Secret,
                required: true,
                help: "",
                choices: &[],
                default: None,
            },
            Field {
                name: "token",
                label: "Token",
                kind: FieldKind::Secret,
                required: false,
                help: "",
                choices: &[],
                default: None,
            },
        ],
        settings: &[],
        least_privilege: "",
        help: "",
    };

    fn read(fields: &[(&str, &str)]) -> Result<Credential, CredentialRefused> {
        let owned = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Credential::read(&FORM, owned.collect())
    }

    #[test]
    fn a_credential_is_read_sealed_and_read_back_and_never_printed() {
        let credential = read(&[("api_key", "s3cret")]).unwrap();
        assert_eq!(credential.get("api_key"), Some("s3cret"));
        assert_eq!(credential.get("token"), None);
        assert!(!format!("{credential:?}").contains("s3cret"));
        let plaintext = credential.to_plaintext();
        assert_eq!(Credential::from_plaintext(&plaintext), Some(credential));
        assert_eq!(Credential::from_plaintext(&Secret::from("no")), None);
    }

    #[test]
    fn what_is_missing_unknown_or_unsendable_is_named_without_its_value() {
        for (fields, field) in [
            (vec![], "api_key"),
            (vec![("api_key", "")], "api_key"),
            (vec![("api_key", "s3cret\n")], "api_key"),
            (vec![("api_key", "s3 cret")], "api_key"),
            (vec![("api_key", "s3cret"), ("apikey", "s3cret")], "apikey"),
        ] {
            let refused = read(&fields).unwrap_err();
            assert_eq!(refused.field, field);
            assert!(!refused.to_string().contains("s3"));
        }
    }
}
