//! Callers without a key.

use serde_json::json;
use tidegate_durable::bindings::fleet::AnonymousPolicy;
use tidegate_edge::gateway::Manners;
use tidegate_edge::request::Head;

use crate::rig::{ANSWER, Rig, chat};

const CLIENT: &str = "cf-connecting-ip";

fn open(client_address: Option<&str>) -> Rig {
    let mut rig = Rig::with_manners(
        &["a"],
        Manners {
            client_address: client_address.map(str::to_owned),
            ..Manners::default()
        },
    );
    rig.snapshot.anonymous = Some(Box::new(AnonymousPolicy {
        enabled: true,
        models: vec!["m".to_owned()],
        concurrency: Some(2),
        ..AnonymousPolicy::default()
    }));
    rig
}

fn keyless(rig: &Rig, more: &[(&str, &str)]) -> Head {
    let mut head = rig.head("/v1/chat/completions");
    head.headers.retain(|(name, _)| name != "authorization");
    let more = more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    head.headers.extend(more);
    head
}

/// Which object is asked for the limits of this caller, and under which name.
fn place(rig: &mut Rig, more: &[(&str, &str)]) -> (String, String) {
    let head = keyless(rig, more);
    let (id, _) = rig.send(head, &chat());
    let asked = rig
        .talk(id)
        .asks
        .iter()
        .find(|open| open.to.as_str().starts_with("key/"));
    let asked = asked.expect("its limits are asked for");
    assert_eq!(
        asked.message["limits"],
        json!({ "requests_per_minute": 60, "concurrency": 2 })
    );
    let visitor = asked.message["visitor"].as_str().unwrap().to_owned();
    let text = asked.message.to_string();
    for (_, address) in more {
        assert!(!text.contains(address), "an address in the clear: {text}");
    }
    (asked.to.to_string(), visitor)
}

#[test]
fn each_address_has_a_place_of_its_own_in_one_of_the_shards() {
    let mut rig = open(Some(CLIENT));
    let mut shards = std::collections::BTreeSet::new();
    let mut visitors = std::collections::BTreeSet::new();
    for n in 0..200 {
        let address = format!("192.0.2.{n}");
        let (shard, visitor) = place(&mut rig, &[(CLIENT, &address)]);
        let number: u8 = shard
            .strip_prefix("key/default/anonymous-")
            .unwrap()
            .parse()
            .unwrap();
        assert!(number < 32);
        assert_eq!(
            place(&mut rig, &[(CLIENT, &address)]),
            (shard.clone(), visitor.clone())
        );
        shards.insert(shard);
        visitors.insert(visitor);
    }
    assert_eq!(visitors.len(), 200);
    assert!(shards.len() > 25, "{}", shards.len());
}

#[test]
fn a_forged_header_moves_its_sender_nowhere() {
    // Self-hosted, nothing is believed unless the installation names a header.
    let mut rig = open(None);
    let shared = place(&mut rig, &[]);
    for forged in [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        CLIENT,
        "true-client-ip",
    ] {
        assert_eq!(
            place(&mut rig, &[(forged, "203.0.113.77")]),
            shared,
            "{forged}"
        );
    }
    // Where one is named, others are not read, and of a list only what the nearest proxy added.
    let mut rig = open(Some("x-forwarded-for"));
    let own = place(&mut rig, &[("x-forwarded-for", "192.0.2.1")]);
    let forged = [
        ("x-forwarded-for", "203.0.113.77, 192.0.2.1"),
        (CLIENT, "203.0.113.7"),
    ];
    assert_eq!(place(&mut rig, &forged), own);
    assert_eq!(
        place(&mut rig, &[]),
        shared,
        "who is not told apart shares a place"
    );
    assert_eq!(place(&mut rig, &[("x-forwarded-for", "rubbish")]), shared);
}

#[test]
fn an_anonymous_request_is_answered_as_any_other_and_gives_back_its_place() {
    let mut rig = open(Some(CLIENT));
    let head = keyless(&rig, &[(CLIENT, "192.0.2.1")]);
    let (id, _) = rig.send(head, &chat());
    rig.grant(id, "a");
    let asked = rig.talk(id).asks[0].clone();
    let allowed = r#"{"answer":"allowed","windows":{"requests":{"limit":60,"remaining":59,"reset_ms":60000}}}"#;
    let outcome = tidegate_edge::effect::CallOutcome::Answered(allowed.to_owned());
    let effects = rig.gateway.answered(id, rig.now, asked.call, outcome);
    rig.take(id, effects);
    rig.answer(id, 0, 200, ANSWER);
    let talk = rig.talk(id);
    assert_eq!(talk.status, Some(200));
    assert_eq!(talk.header("x-ratelimit-remaining-requests"), Some("59"));
    assert!(talk.done);
    let settled = rig
        .sent
        .iter()
        .find(|(_, message, _)| message["command"] == "settle");
    let (to, message, _) = settled.expect("its place is given back");
    assert_eq!(to, &asked.to);
    assert_eq!(message["visitor"], asked.message["visitor"]);
    let line = rig.talk(id).logs.last().unwrap().to_string();
    assert!(
        line.contains("anonymous") && !line.contains("192.0.2.1"),
        "{line}"
    );
}

#[test]
fn over_the_limit_the_words_speak_of_the_address() {
    let mut rig = open(Some(CLIENT));
    for (limit, words) in [
        ("requests", "This address is over the limit of requests"),
        ("visitors", "Too many callers without a key"),
    ] {
        let head = keyless(&rig, &[(CLIENT, "192.0.2.1")]);
        let (id, _) = rig.send(head, &chat());
        let call = rig.talk(id).asks[0].call;
        let denied = format!(
            r#"{{"answer":"denied","limit":"{limit}","retry_after_ms":1500,"windows":{{}}}}"#
        );
        let outcome = tidegate_edge::effect::CallOutcome::Answered(denied);
        let effects = rig.gateway.answered(id, rig.now, call, outcome);
        rig.take(id, effects);
        let talk = rig.talk(id);
        assert_eq!(talk.error(), (429, "rate_limit_exceeded".to_owned()));
        assert!(talk.text().contains(words), "{}", talk.text());
        assert_eq!(talk.header("retry-after"), Some("2"));
    }
}

#[test]
fn only_the_models_that_are_named_are_seen_and_asked_for() {
    let mut rig = open(Some(CLIENT));
    rig.snapshot.anonymous.as_mut().unwrap().models = vec!["other".to_owned()];
    let head = keyless(&rig, &[]);
    let (id, _) = rig.send(head.clone(), &chat());
    assert_eq!(rig.talk(id).error(), (404, "model_not_found".to_owned()));
    let list = Head {
        method: "GET".to_owned(),
        path: "/v1/models".to_owned(),
        ..head
    };
    let (id, _) = rig.arrive(list);
    assert_eq!(rig.talk(id).json()["data"], json!([]));
}

#[test]
fn off_or_with_a_wrong_key_it_is_401() {
    let mut rig = open(Some(CLIENT));
    for (name, value) in [
        ("authorization", "Bearer tg_wrong"),
        ("authorization", "Bearer "),
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("x-api-key", "tg_wrong"),
        ("api-key", "x"),
    ] {
        let head = keyless(&rig, &[(name, value)]);
        let (id, _) = rig.arrive(head);
        assert_eq!(
            rig.talk(id).error(),
            (401, "invalid_api_key".to_owned()),
            "{name}: {value}"
        );
    }
    rig.snapshot.anonymous = None;
    rig.snapshot.version += 1;
    rig.pass(10_000);
    let head = keyless(&rig, &[(CLIENT, "192.0.2.1")]);
    let (id, _) = rig.arrive(head);
    assert_eq!(rig.talk(id).error(), (401, "invalid_api_key".to_owned()));
}
