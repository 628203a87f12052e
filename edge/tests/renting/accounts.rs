use serde_json::{Value, json};
use tidegate_vault::Organisation;

use crate::rig::{
    CREDENTIAL, PUBLIC_URL, Rig, account, credential, foreign, installation, offer, settings,
    vacant, vendor_error,
};

const ACCOUNTS: &str = "/admin/providers/runpod/accounts";

fn path(id: &str) -> String {
    format!("{ACCOUNTS}/{id}")
}

#[test]
fn a_credential_is_sealed_before_anybody_is_asked_and_shown_to_nobody() {
    for vendor in ["runpod", "aws"] {
        let mut rig = Rig::new();
        let at = format!("/admin/providers/{vendor}/accounts");
        let answer = rig.post(&at, account(vendor, "main"));
        assert_eq!(answer.status, 201);
        let id = answer.text("id").to_owned();
        assert!(id.starts_with("acc_"));
        assert_eq!(
            (answer.text("vendor"), answer.text("label")),
            (vendor, "main")
        );
        assert_eq!(answer.text("created_at"), "2026-11-21T10:00:00.000Z");
        assert_eq!(rig.asked(), ["fleet connect_account", "account configure"]);
        let (connect, configure) = (rig.told("connect_account"), rig.told("configure"));
        assert_eq!(connect["sealed"], configure["sealed"]);
        assert_eq!(configure["spec"]["generation"], 1);
        assert_eq!(
            configure["spec"]["fingerprint"],
            connect["entry"]["fingerprint"]
        );
        assert_eq!(answer.body["fingerprint"], connect["entry"]["fingerprint"]);
        let record = format!("account/{id}");
        let opened = rig.opened(&record, "credential", &connect["sealed"]);
        let opened: Value = serde_json::from_str(&opened).unwrap();
        assert_eq!(opened, credential(vendor));
    }
}

#[test]
fn an_account_is_listed_at_its_vendor_and_shown_with_what_its_object_does() {
    let mut rig = Rig::new();
    let id = rig.connect("runpod", "main");
    rig.connect("aws", "other");
    let list = rig.get(ACCOUNTS).body;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(list["data"][0]["id"], json!(id));
    rig.says(
        "account/describe",
        json!({
            "connected": true, "live": 2, "calls": 1,
            "strays": [{
                "machine": "m1", "marker": "tidegate-0123456789-srv_x-1", "region": "EU-RO-1",
                "first_seen_ms": 1_795_255_200_000_i64, "sightings": 2, "destroying": false,
            }],
            "sweeps": [{ "region": "EU-RO-1", "begun_at_ms": 1_795_255_200_000_i64 }],
            "backs_off_until_ms": 1_795_255_260_000_i64,
            "last_error": vendor_error("network", "Service Unavailable"),
            "last_error_ms": 1_795_255_200_000_i64,
        }),
    );
    let shown = rig.get(&path(&id)).body;
    assert_eq!(shown["fingerprint"], list["data"][0]["fingerprint"]);
    assert_eq!(
        (&shown["live_attempts"], &shown["calls"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(shown["strays"][0]["machine_id"], "m1");
    assert_eq!(shown["backs_off_until_at"], "2026-11-21T10:01:00.000Z");
    assert_eq!(shown["last_error"]["message"], "Service Unavailable");
    assert_eq!(shown["last_error"]["retry_after_seconds"], 8);
    assert_eq!(shown["live_error"], Value::Null);
    rig.is_silent("account/describe");
    let shown = rig.get(&path(&id));
    assert_eq!(shown.status, 200, "the registry's part stands by itself");
    assert_eq!(shown.body["connected"], Value::Null);
    assert!(shown.text("live_error").contains("did not answer"));
}

#[test]
fn a_label_and_settings_are_changed_and_the_account_is_told() {
    let mut rig = Rig::new();
    let id = rig.connect("runpod", "main");
    let answer = rig.put(&path(&id), json!({ "label": "spare" }));
    assert_eq!((answer.status, answer.text("label")), (200, "spare"));
    assert_eq!(
        rig.asked(),
        ["fleet account", "fleet update_account", "account configure"]
    );
    assert_eq!(rig.told("configure")["sealed"], Value::Null);
    assert_eq!(rig.told("configure")["spec"]["generation"], 2);
    assert_eq!(
        rig.told("update_account")["settings"],
        Value::Null,
        "they stay"
    );
    let answer = rig.put(
        &path(&id),
        json!({ "settings": settings("runpod"), "label": null }),
    );
    assert_eq!((answer.status, answer.text("label")), (200, "spare"));
    rig.connect("runpod", "second");
    let taken = rig.put(&path(&id), json!({ "label": "second" }));
    assert_eq!(taken.error(), (409, "conflict", None));
    let body = json!({ "label": "x", "credential": credential("runpod") });
    let refused = rig.put(&path(&id), body);
    assert_eq!(refused.error(), (400, "invalid_value", Some("credential")));
}

#[test]
fn an_account_goes_only_when_its_own_object_agrees() {
    let mut rig = Rig::new();
    let id = rig.connect("runpod", "main");
    rig.says(
        "account/remove",
        json!({ "answer": "kept", "reason": "2 machines may be alive", "instances": ["srv_a", "srv_b"] }),
    );
    let kept = rig.delete(&path(&id));
    assert_eq!(kept.error(), (409, "conflict", None));
    assert!(kept.message().contains("2 machines may be alive"));
    assert!(kept.message().contains("srv_a, srv_b"));
    assert_eq!(rig.asked(), ["fleet account", "account remove"]);
    assert_eq!(rig.told("remove")["generation"], 2);
    rig.is_silent("account/remove");
    let lost = rig.delete(&path(&id));
    assert_eq!(lost.error(), (503, "gateway_unavailable", None));
    assert!(lost.message().contains("may or may not have done it"));
    assert_eq!(rig.get(ACCOUNTS).body["data"][0]["id"], json!(id));
    rig.says("account/remove", json!({ "answer": "removed" }));
    let gone = rig.delete(&path(&id));
    assert_eq!(gone.body, json!({ "id": id, "deleted": true }));
    assert_eq!(rig.get(ACCOUNTS).body["data"], json!([]));
    assert_eq!(rig.delete(&path(&id)).error(), (404, "not_found", None));
}

#[test]
fn a_test_says_what_is_missing() {
    let mut rig = Rig::new();
    let id = rig.connect("runpod", "main");
    let at = format!("{}/test", path(&id));
    let report = |required: bool, allowed: Value| {
        json!({
            "reachable": true, "authenticated": true, "principal": "arn:aws:iam::1:user/t",
            "permissions": [
                { "name": "list", "allowed": true, "required": true },
                { "name": "spot", "allowed": allowed, "required": required, "detail": "no spot machines" },
            ],
        })
    };
    for (required, allowed, ok, missing) in [
        (true, json!(false), false, json!(["spot"])),
        (false, json!(false), true, json!(["spot"])),
        (true, Value::Null, true, json!([])),
        (true, json!(true), true, json!([])),
    ] {
        rig.says("account/test", report(required, allowed));
        let answer = rig.post(&at, Value::Null);
        assert_eq!(answer.status, 200);
        assert_eq!(
            (&answer.body["ok"], &answer.body["missing"]),
            (&json!(ok), &missing)
        );
    }
    rig.says(
        "account/test",
        json!({ "reachable": true, "authenticated": false, "error": vendor_error("auth", "bad key") }),
    );
    let answer = rig.post(&at, Value::Null).body;
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["error"]["kind"], "auth");
    assert!(
        answer["error"]["advice"]
            .as_str()
            .unwrap()
            .contains("rotate the credential")
    );
    rig.is_silent("account/test");
    assert_eq!(rig.post(&at, Value::Null).error().0, 503);
}

#[test]
fn another_credential_takes_over_or_is_refused_in_words() {
    let mut rig = Rig::new();
    let id = rig.connect("runpod", "main");
    let at = format!("{}/rotate", path(&id));
    let body = json!({ "credential": credential("runpod") });
    rig.says("account/rotate", json!({ "answer": "rotated" }));
    let answer = rig.post(&at, body.clone());
    assert_eq!(
        (answer.status, &answer.body["rotated"]),
        (200, &json!(true))
    );
    assert_eq!(
        rig.asked(),
        ["fleet account", "account rotate", "fleet note_account"]
    );
    assert_eq!(rig.told("note_account")["actor"], "admin");
    let record = format!("account/{id}");
    let opened = rig.opened(&record, "credential", &rig.told("rotate")["sealed"]);
    let opened: Value = serde_json::from_str(&opened).unwrap();
    assert_eq!(opened, credential("runpod"));
    rig.says(
        "account/rotate",
        json!({ "answer": "refused", "reason": "it belongs to another account", "missing": ["pod1"] }),
    );
    let refused = rig.post(&at, body.clone());
    assert_eq!(refused.error(), (409, "conflict", None));
    assert!(
        refused
            .message()
            .contains("it belongs to another account. It does not show pod1.")
    );
    rig.is_silent("account/rotate");
    assert!(rig.post(&at, body).message().contains("may or may not"));
}

#[test]
fn what_signs_a_vendors_reports_is_shown_after_the_audit_has_it() {
    let mut rig = Rig::new();
    let id = rig.connect("runpod", "main");
    let at = format!("{}/webhook-secret", path(&id));
    let shown = rig.post(&at, Value::Null);
    assert_eq!(shown.status, 200, "{}", shown.body);
    let where_to = format!("/webhooks/runpod/default~{id}");
    assert_eq!(shown.text("path"), where_to);
    assert_eq!(shown.text("url"), format!("{PUBLIC_URL}{where_to}"));
    let own = Organisation::parse("default").unwrap();
    let secret = installation().webhook_secret(&own, &id);
    assert_eq!(Some(shown.text("secret")), secret.expose_str());
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    assert_eq!(rig.asked(), ["fleet account", "fleet note_account"]);
    let audit = rig.get("/admin/audit").body;
    assert_eq!(audit["data"][0]["action"], "account.webhook_secret_shown");
    rig.is_silent("fleet/note_account");
    assert_eq!(
        rig.post(&at, Value::Null).error(),
        (503, "gateway_unavailable", None)
    );
}

#[test]
fn regions_and_gpus_are_told_by_the_vendor_through_the_account() {
    let mut rig = Rig::new();
    let id = rig.connect("runpod", "main");
    let at = format!("{}/regions", path(&id));
    let region = json!({ "id": "EU-RO-1", "name": "Romania", "enabled": true });
    rig.says(
        "account/regions",
        json!({ "answer": "regions", "regions": [region] }),
    );
    assert_eq!(rig.get(&at).body["data"], json!([region]));
    let error = vendor_error("network", "Service Unavailable");
    rig.says(
        "account/regions",
        json!({ "answer": "failed", "error": error }),
    );
    let failed = rig.get(&at);
    assert_eq!(failed.error(), (502, "vendor_error", None));
    assert!(failed.message().contains("Service Unavailable"));
    assert_eq!(failed.header("retry-after"), Some("8"));

    let at = format!("{}/gpu-types", path(&id));
    rig.offers(
        &id,
        &[
            offer(&[("microusd_per_hour", json!(700_000))]),
            offer(&[
                ("gpu.count", json!(2)),
                ("microusd_per_hour", json!(1_380_001)),
            ]),
            offer(&[
                ("region", json!("US-KS-2")),
                ("microusd_per_hour", Value::Null),
            ]),
            offer(&[
                ("gpu.model", json!("h100-80gb")),
                ("gpu.vram_gb", json!(80)),
                ("spot", json!(true)),
            ]),
        ],
    );
    let types = rig.get(&at).body;
    assert_eq!(types["fetched_at"], "2026-11-21T09:59:47.655Z");
    assert_eq!(types["data"].as_array().unwrap().len(), 2);
    let l4 = &types["data"][1];
    assert_eq!(
        (&l4["model"], &l4["counts"]),
        (&json!("l4"), &json!([1, 2]))
    );
    assert_eq!(l4["regions"], json!(["EU-RO-1", "US-KS-2"]));
    assert_eq!(
        l4["price_per_gpu_hour_from"], "0.690001",
        "half of 1.380001, rounded"
    );
    assert_eq!(types["data"][0]["spot"], true);
    rig.says(
        "account/offers",
        json!({ "offers": [], "failures": [error] }),
    );
    assert_eq!(rig.get(&at).error(), (502, "vendor_error", None));
}

#[test]
fn an_id_of_somebody_else_or_of_another_vendor_is_not_found() {
    let mut rig = Rig::new();
    let id = rig.connect("runpod", "main");
    let requests = [
        ("GET", "", Value::Null),
        ("PUT", "", json!({})),
        ("DELETE", "", Value::Null),
        ("POST", "/test", Value::Null),
        ("POST", "/rotate", json!({})),
        ("POST", "/webhook-secret", Value::Null),
        ("GET", "/regions", Value::Null),
        ("GET", "/gpu-types", Value::Null),
    ];
    for (method, tail, body) in requests {
        for odd in [
            &foreign("account"),
            "acc_",
            "srv_0bPELAU4eqF0bPErPOCgqv",
            "..%2Fx",
        ] {
            let answer = rig.ask(method, &format!("{}{tail}", path(odd)), body.clone());
            assert_eq!(
                answer.error(),
                (404, "not_found", None),
                "{method} {odd}{tail}"
            );
            assert_eq!(rig.world.asked, [], "no object is addressed");
        }
        let there = format!("/admin/providers/aws/accounts/{id}{tail}");
        for at in [format!("{}{tail}", path(&vacant("account"))), there] {
            let answer = rig.ask(method, &at, body.clone());
            assert_eq!(answer.error(), (404, "not_found", None), "{method} {at}");
            assert_eq!(rig.asked(), ["fleet account"]);
        }
        let nobody = format!("/admin/providers/nobody/accounts/{id}{tail}");
        let answer = rig.ask(method, &nobody, body.clone());
        assert_eq!(answer.error(), (404, "not_found", None));
        assert!(answer.message().contains("Known are runpod, aws"));
        assert_eq!(rig.world.asked, []);
    }
    for method in ["GET", "POST"] {
        let answer = rig.ask(method, "/admin/providers/nobody/accounts", Value::Null);
        assert_eq!(answer.error(), (404, "not_found", None));
    }
}

#[test]
fn a_bad_body_connects_nothing_and_repeats_no_value() {
    let mut rig = Rig::new();
    let with = |name: &str, value: Value| {
        let mut body = account("runpod", "main");
        body[name] = value;
        body
    };
    let unknown = {
        let mut given = credential("runpod");
        given["secret_key"] = json!(CREDENTIAL);
        given
    };
    for (body, code, param) in [
        (
            with("label", Value::Null),
            "missing_required_parameter",
            "label",
        ),
        (with("label", json!(7)), "invalid_type", "label"),
        (with("label", json!("")), "invalid_value", "label"),
        (
            with("credential", json!(CREDENTIAL)),
            "invalid_type",
            "credential",
        ),
        (
            with("credential", json!({ "a": 7 })),
            "invalid_type",
            "credential.a",
        ),
        (
            with("credential", unknown),
            "invalid_value",
            "credential.secret_key",
        ),
        (with("settings", json!([])), "invalid_type", "settings"),
        (
            with("settings", json!({ "colour": "red" })),
            "invalid_value",
            "settings.colour",
        ),
        (
            with("api_key", json!(CREDENTIAL)),
            "invalid_value",
            "api_key",
        ),
    ] {
        let answer = rig.post(ACCOUNTS, body);
        assert_eq!(answer.error(), (400, code, Some(param)));
    }
    let twice = br#"{"label":"a","credential":{"k":"x","k":"y"}}"#;
    let headers = [("x-api-key", crate::world::ADMIN_KEY)];
    let answer = rig.world.raw("POST", ACCOUNTS, &headers, twice);
    assert_eq!(
        answer.error(),
        (400, "duplicate_parameter", Some("credential.k"))
    );
    for vendor in tidegate_providers::ALL {
        for field in vendor
            .form()
            .credential
            .iter()
            .filter(|field| field.required)
        {
            let mut body = account(vendor.vendor(), "main");
            body["credential"][field.name] = Value::Null;
            let at = format!("/admin/providers/{}/accounts", vendor.vendor());
            let param = format!("credential.{}", field.name);
            let answer = rig.post(&at, body);
            assert_eq!(
                answer.error(),
                (400, "missing_required_parameter", Some(param.as_str()))
            );
        }
    }
    assert_eq!(rig.world.count("accounts"), 0);
    rig.connect("runpod", "main");
    let again = rig.post(ACCOUNTS, account("runpod", "main"));
    assert_eq!(again.error(), (409, "conflict", None));
    assert_eq!(rig.world.count("accounts"), 1);
}

#[test]
fn what_happens_to_an_account_stands_in_the_audit() {
    let mut rig = Rig::new();
    let id = rig.connect("runpod", "main");
    rig.put(&path(&id), json!({ "label": "spare" }));
    rig.says("account/remove", json!({ "answer": "removed" }));
    rig.delete(&path(&id));
    let audit = rig.get("/admin/audit").body;
    let entries = audit["data"].as_array().unwrap();
    let actions: Vec<_> = entries
        .iter()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["account.removed", "account.updated", "account.connected"]
    );
    assert!(
        entries
            .iter()
            .all(|entry| entry["actor"] == "admin" && entry["subject"] == json!(id))
    );
}
