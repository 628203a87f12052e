use tidegate_provider_api::{
    Capability, CredentialForm, CredentialRefused, EncodeCx, ErrorKind, HttpCall, HttpReply, Offer,
    Part, Permission, ProviderError, Query, Reply, Request,
};

use super::*;

/// A vendor whose form has a field of every kind.
struct Vendor;

const fn field(name: &'static str, kind: FieldKind, required: bool) -> Field {
    Field {
        name,
        label: name,
        kind,
        required,
        help: "",
        choices: &[],
        default: None,
    }
}

static FORM: CredentialForm = CredentialForm {
    credential: &[
        field("id", FieldKind::Text, true),
        field("key", FieldKind::Secret, true),
        field("session", FieldKind::Secret, false),
    ],
    settings: &[
        field("regions", FieldKind::List, true),
        Field {
            choices: &["SECURE", "COMMUNITY"],
            default: Some("SECURE"),
            ..field("cloud", FieldKind::Choice, false)
        },
        field("subnet", FieldKind::Text, false),
    ],
    least_privilege: "",
    help: "",
};

impl Provider for Vendor {
    fn vendor(&self) -> &'static str {
        "vendor"
    }
    fn title(&self) -> &'static str {
        "Vendor"
    }
    fn capability(&self) -> &'static Capability {
        tidegate_providers::ALL[0].capability()
    }
    fn form(&self) -> &'static CredentialForm {
        &FORM
    }
    fn permissions(&self) -> &'static [Permission] {
        &[]
    }
    fn list_regions(&self, settings: &Settings) -> Vec<String> {
        settings
            .list("regions")
            .into_iter()
            .map(str::to_owned)
            .collect()
    }
    fn check_settings(&self, settings: &Settings) -> Result<(), CredentialRefused> {
        match settings.get("subnet") {
            Some("taken") => Err(CredentialRefused {
                field: "subnet".to_owned(),
                must: "must be free".to_owned(),
            }),
            _ => Ok(()),
        }
    }
    fn encode(&self, _: &EncodeCx<'_>, request: &Request) -> Result<HttpCall, ProviderError> {
        Err(ProviderError::new(
            ErrorKind::Validation,
            request.operation(),
            "",
        ))
    }
    fn decode(
        &self,
        _: &EncodeCx<'_>,
        request: &Request,
        _: &HttpReply,
    ) -> Result<Reply, ProviderError> {
        Err(ProviderError::new(
            ErrorKind::Validation,
            request.operation(),
            "",
        ))
    }
    fn shop(&self, _: &Settings) -> Vec<Query> {
        Vec::new()
    }
    fn offers(&self, _: &Settings, _: &[Part]) -> Vec<Offer> {
        Vec::new()
    }
}

fn fields(json: &str) -> Option<Fields> {
    Some(Fields::read(json.as_bytes()).unwrap())
}

/// Code and parameter.
fn refusal(error: &ApiError) -> (&str, &str) {
    let envelope = error.envelope();
    assert!(!envelope.message.contains("s3cret"), "{}", envelope.message);
    (
        envelope.code.as_deref().unwrap(),
        envelope.param.as_deref().unwrap(),
    )
}

#[test]
fn a_credential_has_what_is_required_and_nothing_else() {
    let read = credential(
        &Vendor,
        fields(r#"{"id":"a","key":"s3cret","session":null}"#),
    )
    .unwrap();
    assert_eq!(
        (read.get("id"), read.get("key"), read.get("session")),
        (Some("a"), Some("s3cret"), None)
    );
    for (json, code, param) in [
        (
            r#"{"key":"s3cret"}"#,
            "missing_required_parameter",
            "credential.id",
        ),
        (
            r#"{"id":"a","key":""}"#,
            "missing_required_parameter",
            "credential.key",
        ),
        (
            r#"{"id":"a","key":"s3cret x"}"#,
            "invalid_value",
            "credential.key",
        ),
        (
            r#"{"id":"a","key":"s3cret","k":"s3cret"}"#,
            "invalid_value",
            "credential.k",
        ),
    ] {
        let refused = credential(&Vendor, fields(json)).unwrap_err();
        assert_eq!(refusal(&refused), (code, param), "{json}");
    }
    let none = credential(&Vendor, None).unwrap_err();
    assert_eq!(
        refusal(&none),
        ("missing_required_parameter", "credential.id")
    );
}

#[test]
fn settings_are_trimmed_and_what_is_left_out_is_the_forms_default() {
    let read = settings(&Vendor, fields(r#"{"regions":" a, b "}"#)).unwrap();
    let expected = [("cloud", "SECURE"), ("regions", "a, b")];
    let pairs: Vec<(&str, &str)> = read
        .0
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(pairs, expected);
    let read = settings(
        &Vendor,
        fields(r#"{"regions":"a","cloud":"COMMUNITY","subnet":"s"}"#),
    )
    .unwrap();
    assert_eq!(
        (read.get("cloud"), read.get("subnet")),
        (Some("COMMUNITY"), Some("s"))
    );
}

#[test]
fn a_setting_that_the_form_or_the_vendor_does_not_take_is_named() {
    for (json, code, param) in [
        ("{}", "missing_required_parameter", "settings.regions"),
        (
            r#"{"regions":" "}"#,
            "missing_required_parameter",
            "settings.regions",
        ),
        (
            r#"{"regions":"a","cloud":"PRIVATE"}"#,
            "invalid_value",
            "settings.cloud",
        ),
        (r#"{"regions":"a\nb"}"#, "invalid_value", "settings.regions"),
        (
            r#"{"regions":"a","colour":"red"}"#,
            "invalid_value",
            "settings.colour",
        ),
        (
            r#"{"regions":"a","subnet":"taken"}"#,
            "invalid_value",
            "settings.subnet",
        ),
    ] {
        let refused = settings(&Vendor, fields(json)).unwrap_err();
        assert_eq!(refusal(&refused), (code, param), "{json}");
    }
    let long = format!(r#"{{"regions":"{}"}}"#, "a".repeat(LONGEST + 1));
    let refused = settings(&Vendor, fields(&long)).unwrap_err();
    assert_eq!(refusal(&refused), ("invalid_value", "settings.regions"));
}
