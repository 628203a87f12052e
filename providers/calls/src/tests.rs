use std::collections::BTreeMap;

use serde_json::json;
use tidegate_durable::turn::{Bearer, VendorCall};
use tidegate_provider_api::{
    Callback, Capability, CreateSpec, Credential, CredentialForm, CredentialRefused, EncodeCx,
    ErrorKind, Field, FieldKind, Fingerprint, HttpCall, HttpReply, Marker, Method, Offer, Part,
    Permission, Provider, ProviderError, Query, Reply, Request, Runtime, SealedEnv, Settings,
    StoppedBilling,
};
use tidegate_providers::VendorOrigins;
use tidegate_vault::{Context, Installation, Keyring, Organisation, SEAL_RANDOM, Secret, seal};

use super::*;

const KEY: &str = "vendor-key-very-secret";
const TOKEN: &str = "hub-token-very-secret";
const INSTANCE: &str = "srv_0bPELAU4eqF0bPErPOCgqv";

/// A vendor that sends all it is told, and answers by what is sent back.
struct Scripted;

static FORM: CredentialForm = CredentialForm {
    credential: &[Field {
        name: "api_key",
        label: "API key",
        kind: FieldKind::Secret,
        required: true,
        help: "",
        choices: &[],
        default: None,
    }],
    settings: &[],
    least_privilege: "",
    help: "",
};

static CAPABILITY: Capability = Capability {
    spot: false,
    stop_start: true,
    idempotent_create: false,
    tags: false,
    public_tls: true,
    bills: false,
    time_limit: None,
    stopped_billing: StoppedBilling::Disk,
    list_lag_ms: 0,
    create_timeout_ms: 1,
    call_timeout_ms: 1,
    startup_timeout_ms: 1,
    large_startup_timeout_ms: 1,
    stop_lead_ms: 1,
    billing_minimum_ms: 1,
    billing_step_ms: 1,
    calls_per_minute: 1,
    first_token_cap_ms: None,
    webhooks: false,
};

impl Provider for Scripted {
    fn vendor(&self) -> &'static str {
        "runpod"
    }

    fn title(&self) -> &'static str {
        "Scripted"
    }

    fn hosts(&self) -> &'static [&'static str] {
        &["*.scripted.example"]
    }

    fn capability(&self) -> &'static Capability {
        &CAPABILITY
    }

    fn form(&self) -> &'static CredentialForm {
        &FORM
    }

    fn permissions(&self) -> &'static [Permission] {
        &[]
    }

    fn list_regions(&self, _: &Settings) -> Vec<String> {
        Vec::new()
    }

    fn check_settings(&self, _: &Settings) -> Result<(), CredentialRefused> {
        Ok(())
    }

    /// The region becomes the host: what a vendor or a person may have written gets as far as it can.
    fn encode(&self, cx: &EncodeCx<'_>, request: &Request) -> Result<HttpCall, ProviderError> {
        let key = cx.credential.get("api_key").unwrap_or_default();
        let region = match request {
            Request::Get { region, .. } | Request::List { region, .. } => region.as_str(),
            Request::Create(spec) => spec.region.as_str(),
            other => {
                let words = format!("no such thing for {key}");
                let error = ProviderError::new(ErrorKind::Validation, other.operation(), &words);
                return Err(error);
            }
        };
        let root = match &cx.origins.api {
            Some(root) => root.clone(),
            None => format!("https://{region}.scripted.example"),
        };
        let env = cx.secrets.env.iter();
        let env: BTreeMap<&str, Option<&str>> = env
            .map(|(name, value)| (name.as_str(), value.expose_str()))
            .collect();
        let boot = cx.secrets.boot_token.as_ref().map(Secret::expose_str);
        Ok(HttpCall {
            method: Method::Post,
            url: format!("{root}/machines"),
            headers: vec![("authorization".to_owned(), format!("Bearer {key}"))],
            body: Some(json!({ "at": cx.now_ms, "env": env, "boot": boot }).to_string()),
        })
    }

    fn decode(
        &self,
        _: &EncodeCx<'_>,
        request: &Request,
        reply: &HttpReply,
    ) -> Result<Reply, ProviderError> {
        match reply.status {
            200 => Ok(Reply::Allowed),
            status => {
                let operation = request.operation();
                let error = ProviderError::new(ErrorKind::Auth, operation, &reply.body);
                Err(error.status(status).code(&reply.body))
            }
        }
    }

    fn shop(&self, _: &Settings) -> Vec<Query> {
        Vec::new()
    }

    fn offers(&self, _: &Settings, _: &[Part]) -> Vec<Offer> {
        Vec::new()
    }
}

fn find(vendor: &str) -> Option<&'static dyn Provider> {
    (vendor == "runpod").then_some(&Scripted as &dyn Provider)
}

fn calls_of(secret: &[u8], origins: &str) -> VendorCalls {
    let installation = Installation::derive(secret).unwrap();
    VendorCalls {
        keyring: Keyring::new(installation.wrapping_key().clone(), None),
        installation,
        origins: VendorOrigins::parse(origins).unwrap(),
        find,
    }
}

fn calls() -> VendorCalls {
    calls_of(b"0123456789abcdef0123456789abcdef", "")
}

fn sealed(org: &str, record: &str, field: &str, plaintext: &[u8]) -> String {
    let context = Context {
        organisation: org,
        record,
        field,
    };
    let sealed = seal(&calls().keyring, &context, plaintext, &[7; SEAL_RANDOM]);
    sealed.unwrap().into_string()
}

fn credential() -> Bearer {
    let fields = BTreeMap::from([("api_key".to_owned(), KEY.to_owned())]);
    let plaintext = Credential::read(&FORM, fields).unwrap().to_plaintext();
    Bearer {
        org: "default".to_owned(),
        record: "account/acc_a".to_owned(),
        sealed: sealed("default", "account/acc_a", "credential", plaintext.expose()),
    }
}

fn call(request: Request) -> VendorCall {
    VendorCall {
        id: 1,
        vendor: "runpod".to_owned(),
        credential: credential(),
        settings: Settings::default(),
        request,
        timeout_ms: 1_000,
    }
}

fn get(region: &str) -> Request {
    Request::Get {
        region: region.to_owned(),
        id: "m-1".to_owned(),
    }
}

fn create(sealed_env: Vec<SealedEnv>) -> Request {
    Request::Create(Box::new(CreateSpec {
        marker: Marker {
            fingerprint: Fingerprint::parse("0123456789").unwrap(),
            instance: INSTANCE.to_owned(),
            attempt: 3,
        },
        region: "eu".to_owned(),
        zone: None,
        machine_type: "l4".to_owned(),
        gpu_count: 1,
        spot: false,
        max_microusd_per_hour: None,
        disk_gb: 40,
        runtime: Runtime {
            sealed_env,
            ..Runtime::default()
        },
        lifetime_secs: 3_600,
        ssh_public_key: None,
        callback: Some(Callback {
            url: "https://gateway.example/webhooks/boot/x".to_owned(),
        }),
    }))
}

fn token_env() -> SealedEnv {
    SealedEnv {
        name: "HF_TOKEN".to_owned(),
        record: "profile/tiny".to_owned(),
        field: "env.HF_TOKEN".to_owned(),
        sealed: sealed("default", "profile/tiny", "env.HF_TOKEN", TOKEN.as_bytes()),
    }
}

fn reply(status: u16, body: &str) -> HttpReply {
    HttpReply {
        status,
        headers: Vec::new(),
        body: body.to_owned(),
        now_ms: 5,
    }
}

#[test]
fn a_call_leaves_with_what_was_sealed_for_it_and_a_token_of_its_attempt() {
    let calls = calls();
    let http = calls.prepare(17, &call(create(vec![token_env()]))).unwrap();
    assert_eq!(http.url, "https://eu.scripted.example/machines");
    let bearer = ("authorization".to_owned(), format!("Bearer {KEY}"));
    assert_eq!(http.headers, [bearer]);
    let body: serde_json::Value = serde_json::from_str(&http.body.unwrap()).unwrap();
    assert_eq!(body["at"], 17);
    assert_eq!(body["env"], json!({ "HF_TOKEN": TOKEN }));
    let org = Organisation::parse("default").unwrap();
    let boot = body["boot"].as_str().unwrap();
    let attempt = calls.installation.verify_boot_token(&org, INSTANCE, boot);
    assert_eq!(attempt, Some(3));
}

#[test]
fn a_request_that_makes_no_machine_opens_nothing_but_the_credential() {
    let http = calls().prepare(17, &call(get("eu"))).unwrap();
    let body = http.body.unwrap();
    assert_eq!(
        body,
        json!({ "at": 17, "env": {}, "boot": null }).to_string()
    );
}

#[test]
fn nothing_is_sent_when_the_credential_does_not_open() {
    let other = calls_of(b"another-secret-of-enough-length!!", "");
    let error = other.prepare(17, &call(get("eu"))).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert_eq!(error.code.as_deref(), Some(UNREADABLE_CREDENTIAL));
    assert!(!error.unclear && error.permanent);

    // Sealed for another account, for another organisation, and no credential at all.
    let mut moved = call(get("eu"));
    moved.credential.record = "account/acc_b".to_owned();
    let mut taken = call(get("eu"));
    taken.credential.org = "other".to_owned();
    let mut none = call(get("eu"));
    none.credential.sealed = sealed("default", "account/acc_a", "credential", b"[]");
    for call in [moved, taken, none] {
        let error = calls().prepare(17, &call).unwrap_err();
        assert_eq!(error.code.as_deref(), Some(UNREADABLE_CREDENTIAL));
        assert!(!error.unclear);
    }
}

#[test]
fn nothing_is_sent_when_a_variable_does_not_open_or_the_vendor_is_unknown() {
    let mut foreign = token_env();
    foreign.sealed = sealed("other", "profile/tiny", "env.HF_TOKEN", TOKEN.as_bytes());
    let mut bytes = token_env();
    bytes.sealed = sealed("default", "profile/tiny", "env.HF_TOKEN", &[0xff]);
    for env in [foreign, bytes] {
        let error = calls().prepare(17, &call(create(vec![env]))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Validation);
        assert!(
            error.words.contains("HF_TOKEN") && !error.unclear,
            "{error}"
        );
    }
    let mut unknown = call(get("eu"));
    unknown.vendor = "nobody".to_owned();
    let error = calls().prepare(17, &unknown).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Validation);
    assert!(!error.unclear);
}

#[test]
fn a_credential_goes_to_the_vendor_alone_or_where_the_operator_says() {
    for region in [
        "evil.com/",
        "evil.com#",
        "a.b",
        "u@evil.com/",
        "127.0.0.1:80/",
        "",
    ] {
        let error = calls().prepare(17, &call(get(region))).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Validation, "{region}");
        assert!(
            !error.unclear && error.words.contains("nothing was sent"),
            "{error}"
        );
    }
    let proxied = calls_of(
        b"0123456789abcdef0123456789abcdef",
        "runpod=http://127.0.0.1:9201/proxy",
    );
    let http = proxied.prepare(17, &call(get("evil.com/"))).unwrap();
    assert_eq!(http.url, "http://127.0.0.1:9201/proxy/machines");
}

#[test]
fn no_error_repeats_what_was_sealed() {
    let calls = calls();
    let error = calls.prepare(17, &call(Request::Verify)).unwrap_err();
    assert_eq!(error.words, "no such thing for [redacted]");

    let create = call(create(vec![token_env()]));
    let org = Organisation::parse("default").unwrap();
    let boot = calls.installation.boot_token(&org, INSTANCE, 3);
    let boot = boot.expose_str().unwrap();
    let quoted = format!("bad {KEY} {TOKEN} {boot}");
    let error = calls.read(&create, &reply(422, &quoted)).unwrap_err();
    assert_eq!(error.words, "bad [redacted] [redacted] [redacted]");
    assert_eq!(error.code.as_deref(), Some(error.words.as_str()));
    assert_eq!(error.http_status, Some(422));
}

#[test]
fn an_answer_is_read_by_the_vendors_codec() {
    let read = calls().read(&call(get("eu")), &reply(200, ""));
    assert_eq!(read, Ok(Reply::Allowed));
}

#[test]
fn without_an_answer_only_a_change_may_have_been_made() {
    let error = VendorCalls::unanswered(&call(get("eu")), "no answer within 5 ms");
    assert_eq!((error.kind, error.unclear), (ErrorKind::Network, false));
    let error = VendorCalls::unanswered(&call(create(Vec::new())), "no answer within 5 ms");
    assert_eq!((error.kind, error.unclear), (ErrorKind::Network, true));
    assert_eq!(error.words, "no answer within 5 ms");
}

#[test]
fn an_answer_to_a_change_that_cannot_be_read_any_more_leaves_it_open() {
    let other = calls_of(b"another-secret-of-enough-length!!", "");
    let error = other
        .read(&call(create(Vec::new())), &reply(200, ""))
        .unwrap_err();
    assert_eq!((error.kind, error.unclear), (ErrorKind::Network, true));
}
