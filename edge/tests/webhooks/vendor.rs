//! `POST /webhooks/{vendor}/{org}~{account}`: the named tests of inbound webhooks.

use serde_json::{Value, json};
use tidegate_domain::time::Span;
use tidegate_durable::bindings::account::HintAnswer;
use tidegate_edge::effect::CallOutcome;
use tidegate_vault::{Installation, Organisation, mint_account_id};
use tidegate_wire_webhooks::Key;

use crate::account::Account;
use crate::rig::{Answer, ORG, Rig, Sent, said};

const STOPPED: &str = r#"{"detail":{"instance-id":"i-1","state":"stopped"}}"#;
const STARTED: &str = r#"{"detail":{"instance-id":"i-1","state":"running"}}"#;

fn deliver(rig: &mut Rig, account: &mut Account, sent: &Sent) -> Answer {
    rig.send(sent, |_, message| account.take(message))
}

fn status(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["status"].as_str().unwrap())
}

#[test]
fn a_signed_event_makes_the_account_look_at_its_machine() {
    let (mut rig, mut account) = (Rig::new(), Account::default());
    let sent = rig.event("evt_1", STOPPED);
    let answer = deliver(&mut rig, &mut account, &sent);
    assert_eq!(status(&answer), (200, "heard"));
    let [(to, message)] = rig.asked.as_slice() else {
        panic!("{:?}", rig.asked);
    };
    assert_eq!(*to, format!("account/{ORG}/{}", rig.account()));
    let digest = message["digest"].as_str().unwrap();
    assert_eq!(digest.len(), 32);
    assert_eq!(
        *message,
        json!({ "command": "hint", "event_id": "evt_1", "digest": digest, "machine": "i-1" })
    );
    let line = rig.lines.last().unwrap();
    assert_eq!(line["route"], "/webhooks/{vendor}/{account}");
    assert_eq!(line["org"], ORG);
}

/// W1: duplicate ×100 concurrent → 1 effect.
#[test]
fn a_hundred_copies_at_once_have_one_effect() {
    let (mut rig, mut account) = (Rig::new(), Account::default());
    let sent = rig.event("evt_1", STOPPED);
    let mut open: Vec<_> = (0..100).map(|_| rig.begin(&sent)).collect();
    for running in &mut open {
        let (_, _, message) = running.asks.clone().expect("a question");
        let outcome = account.take(&message);
        rig.answer(running, outcome);
    }
    let answers: Vec<_> = open.iter().map(|it| it.answer.as_ref().unwrap()).collect();
    assert_eq!(status(answers[0]), (200, "heard"));
    assert!(
        answers[1..]
            .iter()
            .all(|it| status(it) == (200, "heard_before"))
    );
    assert_eq!(account.looks, [Some("i-1".to_owned())]);
    assert_eq!((account.alerts, rig.gateway.open_exchanges()), (0, 0));
}

/// W2: out of order (stopped, then started) → the final state does not follow from the order, because no
/// message carries one: the vendor is asked.
#[test]
fn events_in_another_order_ask_for_the_same_look() {
    let looks = |events: [(&str, &str); 2]| {
        let (mut rig, mut account) = (Rig::new(), Account::default());
        for (id, body) in events {
            let sent = rig.event(id, body);
            assert_eq!(deliver(&mut rig, &mut account, &sent).status, 200);
        }
        for (_, message) in &rig.asked {
            let text = message.to_string();
            assert!(
                !text.contains("stopped") && !text.contains("running"),
                "{text}"
            );
        }
        account.looks
    };
    let one = looks([("evt_1", STOPPED), ("evt_2", STARTED)]);
    let other = looks([("evt_2", STARTED), ("evt_1", STOPPED)]);
    assert_eq!(one, [Some("i-1".to_owned()), Some("i-1".to_owned())]);
    assert_eq!(one, other);
}

/// W3: late (after tolerance) → 400, nothing done; +300 s edge, +301 s; future +301 s fails too.
#[test]
fn an_event_that_is_not_from_now_is_refused_either_way() {
    let (mut rig, mut account) = (Rig::new(), Account::default());
    let now = rig.seconds();
    for (at, id) in [(now - 300, "evt_1"), (now + 300, "evt_2")] {
        let sent = rig.event_at(id, at, STOPPED);
        assert_eq!(deliver(&mut rig, &mut account, &sent).status, 200);
    }
    for at in [now - 301, now + 301, now - 86_400, 0] {
        let sent = rig.event_at("evt_3", at, STOPPED);
        let refused = rig.refused(&sent);
        let expected = (400, "invalid_value", Some("webhook-timestamp"));
        assert_eq!(refused.error(), expected, "{at}");
    }
    assert_eq!(account.looks.len(), 2);
}

/// W4: body re-serialised (space, key order, BOM) → reject.
#[test]
fn a_body_that_was_written_anew_is_refused() {
    let mut rig = Rig::new();
    let sent = rig.event("evt_1", r#"{"machine":"i-1","n":1}"#);
    for body in [
        r#"{"machine": "i-1", "n": 1}"#,
        r#"{"n":1,"machine":"i-1"}"#,
        "\u{feff}{\"machine\":\"i-1\",\"n\":1}",
        "{\"machine\":\"i-1\",\"n\":1}\n",
        "",
    ] {
        let refused = rig.refused(&sent.clone().saying(body));
        let expected = (401, "invalid_signature", Some("webhook-signature"));
        assert_eq!(refused.error(), expected, "{body}");
    }
}

/// W5: rotation: old and new signatures; 50 signatures (cap).
#[test]
fn one_good_signature_among_several_counts_and_fifty_are_too_many() {
    let (mut rig, mut account) = (Rig::new(), Account::default());
    let other = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let theirs = other.sign("evt_1", rig.seconds(), STOPPED.as_bytes());
    let sent = rig.event("evt_1", STOPPED);
    let (_, ours) = sent.headers.last().cloned().unwrap();
    for list in [format!("{ours} {theirs}"), format!("{theirs} {ours}")] {
        let sent = sent.clone().with("webhook-signature", &list);
        assert_eq!(deliver(&mut rig, &mut account, &sent).status, 200);
    }
    assert_eq!(account.looks.len(), 1);
    let alone = sent.clone().with("webhook-signature", &theirs);
    assert_eq!(rig.refused(&alone).status, 401);
    let fifty = vec![ours.as_str(); 50].join(" ");
    let refused = rig.refused(&sent.with("webhook-signature", &fifty));
    let expected = (400, "invalid_value", Some("webhook-signature"));
    assert_eq!(refused.error(), expected);
}

/// W6: wrong scheme `v0`, empty, non-base64, unicode digits in the timestamp.
#[test]
fn headers_that_are_not_as_the_standard_says_are_refused() {
    let mut rig = Rig::new();
    let sent = rig.event("evt_1", STOPPED);
    let (_, ours) = sent.headers.last().cloned().unwrap();
    let bare = ours.strip_prefix("v1,").unwrap();
    for signature in [
        format!("v0,{bare}"),
        String::new(),
        "v1,".to_owned(),
        "v1,not base64".to_owned(),
        bare.to_owned(),
    ] {
        let refused = rig.refused(&sent.clone().with("webhook-signature", &signature));
        let expected = (401, "invalid_signature", Some("webhook-signature"));
        assert_eq!(refused.error(), expected, "{signature}");
    }
    for timestamp in ["١٧٩٥٢٥٥٢٠٠", "+1795255200", "1795255200.5", ""] {
        let refused = rig.refused(&sent.clone().with("webhook-timestamp", timestamp));
        let expected = (400, "invalid_value", Some("webhook-timestamp"));
        assert_eq!(refused.error(), expected, "{timestamp}");
    }
    for header in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let refused = rig.refused(&sent.clone().without(header));
        let expected = (400, "missing_required_parameter", Some(header));
        assert_eq!(refused.error(), expected);
    }
    let refused = rig.refused(&sent.with("webhook-id", "evt.1"));
    assert_eq!(refused.error(), (400, "invalid_value", Some("webhook-id")));
}

/// W7: replay with same id inside tolerance → 200, no-op.
#[test]
fn a_replay_within_the_tolerance_changes_nothing() {
    let (mut rig, mut account) = (Rig::new(), Account::default());
    let sent = rig.event("evt_1", STOPPED);
    assert_eq!(
        status(&deliver(&mut rig, &mut account, &sent)),
        (200, "heard")
    );
    rig.wait(Span::from_secs(299));
    let again = deliver(&mut rig, &mut account, &sent);
    assert_eq!(status(&again), (200, "heard_before"));
    assert_eq!((account.looks.len(), account.alerts), (1, 0));
}

/// W8: same id, different body → alert.
#[test]
fn the_same_id_with_another_body_is_a_conflict_and_an_alert() {
    let (mut rig, mut account) = (Rig::new(), Account::default());
    let sent = rig.event("evt_1", STOPPED);
    deliver(&mut rig, &mut account, &sent);
    let other = rig.event("evt_1", STARTED);
    let refused = deliver(&mut rig, &mut account, &other);
    assert_eq!(refused.error(), (409, "conflict", Some("webhook-id")));
    assert_eq!((account.looks.len(), account.alerts), (1, 1));
}

/// W9: handler crash after effect before ack → redelivery is a no-op.
#[test]
fn an_event_whose_answer_was_lost_is_delivered_again_and_counts_once() {
    let (mut rig, mut account) = (Rig::new(), Account::default());
    let sent = rig.event("evt_1", STOPPED);
    let lost = rig.send(&sent, |_, message| account.take_and_die(message));
    assert_eq!(lost.error(), (503, "gateway_unavailable", None));
    rig.wait(Span::from_secs(5));
    let again = rig.event("evt_1", STOPPED);
    let answer = deliver(&mut rig, &mut account, &again);
    assert_eq!(status(&answer), (200, "heard_before"));
    assert_eq!(account.looks.len(), 1);
}

/// W11: clock skew ±10 min on sender.
#[test]
fn a_sender_whose_clock_is_ten_minutes_off_is_told_so() {
    let mut rig = Rig::new();
    for skew in [-600, 600] {
        let sent = rig.event_at("evt_1", rig.seconds() + skew, STOPPED);
        let refused = rig.refused(&sent);
        assert_eq!(refused.status, 400);
        let words = refused.body["error"]["message"].as_str().unwrap();
        assert!(words.contains("300 s from now"), "{words}");
    }
}

#[test]
fn an_address_that_was_not_made_here_reaches_no_object() {
    let mut rig = Rig::new();
    let account = rig.account();
    let sent = rig.event("evt_1", STOPPED);
    let theirs = Installation::derive(b"another-secret-of-enough-length!!").unwrap();
    let org = Organisation::parse(ORG).unwrap();
    let forged = mint_account_id(&theirs, &org, [5; 10]);
    let instance = rig.instance();
    for path in [
        format!("/webhooks/aws/other~{account}"),
        format!("/webhooks/aws/{ORG}~{forged}"),
        format!("/webhooks/aws/{ORG}~{instance}"),
        format!("/webhooks/aws/{ORG}~"),
        format!("/webhooks/aws/{account}"),
        format!("/webhooks/aws/~{account}"),
        format!("/webhooks/aws/{ORG}~{account}~"),
        format!("/webhooks/aws/{ORG}%2F~{account}"),
        format!("/webhooks/azure/{ORG}~{account}"),
    ] {
        let refused = rig.refused(&sent.clone().at(&path));
        assert_eq!(refused.error(), (404, "not_found", None), "{path}");
    }
}

#[test]
fn the_secret_of_one_account_signs_nothing_for_another() {
    let mut rig = Rig::new();
    let org = Rig::org();
    let other = mint_account_id(&rig.installation, &org, [7; 10]);
    let sent = rig.event("evt_1", STOPPED);
    let refused = rig.refused(&sent.at(&format!("/webhooks/aws/{ORG}~{other}")));
    assert_eq!(refused.status, 401);
}

#[test]
fn an_event_need_not_name_a_machine_but_must_be_one() {
    let (mut rig, mut account) = (Rig::new(), Account::default());
    for (id, body, machine) in [
        ("evt_1", "{}", None),
        ("evt_2", r#"{"machine":"m-2"}"#, Some("m-2".to_owned())),
    ] {
        let sent = rig.event(id, body);
        assert_eq!(deliver(&mut rig, &mut account, &sent).status, 200);
        assert_eq!(account.looks.last(), Some(&machine));
    }
    let sent = rig.event("evt_3", "[]");
    assert_eq!(rig.refused(&sent).error(), (400, "invalid_json", None));
    let sent = rig.event("evt_4", r#"{"machine":7}"#);
    assert_eq!(
        rig.refused(&sent).error(),
        (400, "invalid_type", Some("machine"))
    );
    let sent = rig.event("evt_5", &" ".repeat(64 * 1024 + 1));
    assert_eq!(rig.refused(&sent).error(), (413, "request_too_large", None));
}

#[test]
fn an_account_that_is_gone_is_not_found_and_one_out_of_reach_is_asked_again() {
    let mut rig = Rig::new();
    let sent = rig.event("evt_1", STOPPED);
    let gone = rig.send(&sent, |_, _: &Value| said(&HintAnswer::NotFound));
    assert_eq!(gone.error(), (404, "not_found", None));
    let lost = rig.send(&sent, |_, _| CallOutcome::Failed("out of reach".to_owned()));
    assert_eq!(lost.error(), (503, "gateway_unavailable", None));
    assert!(lost.headers.iter().any(|(name, _)| name == "retry-after"));
}
