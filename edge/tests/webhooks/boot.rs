//! `POST /webhooks/boot/{org}~{instance}`: a rented machine calls home.

use serde_json::{Value, json};
use tidegate_durable::bindings::rental::CallHomeAnswer;
use tidegate_edge::effect::CallOutcome;
use tidegate_vault::{Installation, Organisation, mint_instance_id};

use crate::rig::{ORG, Rig, Sent, said};

const NONCE: &str = "9f86d081884c7d659a2feaa0c55ad015";

fn call(rig: &Rig, attempt: u32, body: &str) -> Sent {
    let token = format!("Bearer {}", rig.boot_token(attempt));
    Sent::default()
        .at(&format!("/webhooks/boot/{ORG}~{}", rig.instance()))
        .with("authorization", &token)
        .saying(body)
}

fn body(says: &str) -> String {
    json!({ "nonce": NONCE, "says": says }).to_string()
}

#[test]
fn a_machine_that_is_waited_for_is_heard_and_told_when_to_call_again() {
    let mut rig = Rig::new();
    for says in ["booted", "alive", "preempting"] {
        let sent = call(&rig, 3, &body(says));
        let heard = said(&CallHomeAnswer::Heard {
            heartbeat_ms: 15_000,
        });
        let answer = rig.send(&sent, |_, _| heard);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, json!({ "heartbeat_ms": 15_000 }));
        let (to, message) = rig.asked.last().unwrap();
        assert_eq!(*to, format!("instance/{ORG}/{}", rig.instance()));
        let expected =
            json!({ "command": "call_home", "attempt": 3, "nonce": NONCE, "says": says });
        assert_eq!(*message, expected);
    }
    let line = rig.lines.last().unwrap();
    assert_eq!(line["route"], "/webhooks/boot/{id}");
    assert_eq!(line["org"], ORG);
}

#[test]
fn another_machine_and_one_that_nobody_waits_for_are_told_to_end() {
    let mut rig = Rig::new();
    let sent = call(&rig, 3, &body("booted"));
    let other = rig.send(&sent, |_, _: &Value| said(&CallHomeAnswer::OtherMachine));
    assert_eq!(other.error(), (409, "conflict", None));
    let late = rig.send(&sent, |_, _| said(&CallHomeAnswer::NotExpected));
    assert_eq!(late.error(), (410, "gone", None));
    let lost = rig.send(&sent, |_, _| CallOutcome::Failed("out of reach".to_owned()));
    assert_eq!(lost.error(), (503, "gateway_unavailable", None));
}

#[test]
fn a_token_that_is_not_this_machines_addresses_no_object() {
    let mut rig = Rig::new();
    let good = call(&rig, 3, &body("booted"));
    let token = rig.boot_token(3);
    let org = Rig::org();
    let sibling = mint_instance_id(&rig.installation, &org, [7; 10]);
    let siblings = rig.installation.boot_token(&org, &sibling, 3);
    let other = Organisation::parse("other").unwrap();
    let foreign = rig.installation.boot_token(&other, &rig.instance(), 3);
    let end = if token.ends_with('0') { "1" } else { "0" };
    let altered = format!("{}{end}", &token[..token.len() - 1]);
    for authorization in [
        format!("Bearer {}", siblings.expose_str().unwrap()),
        format!("Bearer {}", foreign.expose_str().unwrap()),
        format!("Bearer {altered}"),
        "Bearer admin-key-0123456789".to_owned(),
        "Bearer ".to_owned(),
        format!("Basic {token}"),
        token,
    ] {
        let refused = rig.refused(&good.clone().with("authorization", &authorization));
        assert_eq!(
            refused.error(),
            (401, "invalid_api_key", None),
            "{authorization}"
        );
    }
    let refused = rig.refused(&good.without("authorization"));
    assert_eq!(refused.error(), (401, "invalid_api_key", None));
}

#[test]
fn an_address_that_was_not_made_here_is_not_found_whatever_token_comes_with_it() {
    let mut rig = Rig::new();
    let good = call(&rig, 3, &body("booted"));
    let theirs = Installation::derive(b"another-secret-of-enough-length!!").unwrap();
    let forged = mint_instance_id(&theirs, &Rig::org(), [6; 10]);
    let (instance, account) = (rig.instance(), rig.account());
    for at in [
        format!("other~{instance}"),
        format!("{ORG}~{forged}"),
        format!("{ORG}~{account}"),
        instance.clone(),
        format!("{ORG}~"),
        format!("ACME~{instance}"),
    ] {
        let refused = rig.refused(&good.clone().at(&format!("/webhooks/boot/{at}")));
        assert_eq!(refused.error(), (404, "not_found", None), "{at}");
    }
}

#[test]
fn what_is_said_is_read_strictly() {
    let mut rig = Rig::new();
    let with = |nonce: &str, says: &str| json!({ "nonce": nonce, "says": says }).to_string();
    for (body, code, param) in [
        (String::new(), "missing_required_parameter", Some("nonce")),
        ("{".to_owned(), "invalid_json", None),
        ("[]".to_owned(), "invalid_json", None),
        (
            json!({ "nonce": NONCE }).to_string(),
            "missing_required_parameter",
            Some("says"),
        ),
        (with(&NONCE[..15], "booted"), "invalid_value", Some("nonce")),
        (
            with(&NONCE.repeat(3), "booted"),
            "invalid_value",
            Some("nonce"),
        ),
        (
            with("not hexadecimal!", "booted"),
            "invalid_value",
            Some("nonce"),
        ),
        (with(NONCE, "ready"), "invalid_value", Some("says")),
        (
            json!({ "nonce": 7, "says": "booted" }).to_string(),
            "invalid_type",
            Some("nonce"),
        ),
        (
            json!({ "nonce": NONCE, "says": "booted", "attempt": 4 }).to_string(),
            "invalid_value",
            Some("attempt"),
        ),
        (
            format!(r#"{{"nonce":"{NONCE}","nonce":"{NONCE}","says":"booted"}}"#),
            "duplicate_parameter",
            Some("nonce"),
        ),
    ] {
        let sent = call(&rig, 3, &body);
        let refused = rig.refused(&sent);
        assert_eq!(refused.error(), (400, code, param), "{body}");
    }
    let long = format!("{}{}", body("booted"), " ".repeat(4 * 1024));
    let sent = call(&rig, 3, &long);
    assert_eq!(rig.refused(&sent).error(), (413, "request_too_large", None));
}

#[test]
fn a_nonce_is_one_number_however_it_is_spelled() {
    let mut rig = Rig::new();
    let spelled = json!({ "nonce": NONCE.to_uppercase(), "says": "alive" }).to_string();
    let sent = call(&rig, 3, &spelled);
    rig.send(&sent, |_, message| {
        assert_eq!(message["nonce"], NONCE);
        said(&CallHomeAnswer::Heard { heartbeat_ms: 1 })
    });
}
