//! What is known of a call that did not go well: who must act, whether it was done, when to ask again.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_provider_api::{ErrorKind, Machine, ProviderError, Request};

use crate::rig::{HF_TOKEN, Rig, destroy, place, start, stop};

/// Ways in which nobody hears what became of a call that was carried out.
fn silent_deeds() -> [Value; 4] {
    [
        json!({"do": "reply_lost"}),
        json!({"do": "status", "status": 500, "done": true}),
        json!({"do": "truncated"}),
        json!({"do": "hang", "done": true}),
    ]
}

/// And of one that was not.
fn silent_failures() -> [Value; 4] {
    [
        json!({"do": "close"}),
        json!({"do": "status", "status": 500}),
        json!({"do": "html", "status": 503}),
        json!({"do": "hang", "done": false}),
    ]
}

/// A call that hangs is given up quickly; any other is not, however busy the computer is.
fn ask_in_vain(rig: &mut Rig, fault: &Value, request: Request) -> ProviderError {
    // Simcloud's kinds of calls are called as ours.
    let kind = request.operation();
    let patience = rig.timeout;
    if fault["do"] == "hang" {
        rig.timeout = Duration::from_millis(150);
    }
    let met = rig.sim.calls().len();
    rig.sim.once(kind, fault);
    let asked = rig.ask(request);
    rig.timeout = patience;
    // Who gives up may be gone before the call is even looked at.
    rig.sim.until_called(met + 1);
    asked.unwrap_err()
}

fn nobody_knows(error: &ProviderError, fault: &Value) {
    assert_eq!(error.kind, ErrorKind::Network, "{fault}: {error}");
    assert!(error.unclear && !error.permanent, "{fault}: {error}");
}

pub fn a_create_without_a_clear_answer_is_unclear_and_the_list_tells(rig: &mut Rig) {
    let mut attempt = 0;
    for fault in silent_deeds() {
        attempt += 1;
        let spec = rig.spec(attempt);
        let error = ask_in_vain(rig, &fault, Request::Create(Box::new(spec)));
        nobody_knows(&error, &fault);
        let marker = rig.marker(attempt);
        let listed = rig.list_all().unwrap();
        let found = listed.iter().filter(|m| m.marker.as_ref() == Some(&marker));
        assert_eq!(found.count(), 1, "{fault}");
    }
    for fault in silent_failures() {
        attempt += 1;
        let spec = rig.spec(attempt);
        let error = ask_in_vain(rig, &fault, Request::Create(Box::new(spec)));
        nobody_knows(&error, &fault);
    }
    assert_eq!(rig.sim.living(), silent_deeds().len());
    assert_eq!(rig.listed().len(), silent_deeds().len());
}

pub fn a_create_that_is_repeated_after_a_lost_reply_makes_one_or_is_seen_to_make_two(
    rig: &mut Rig,
) {
    let spec = rig.spec(1);
    ask_in_vain(
        rig,
        &json!({"do": "reply_lost"}),
        Request::Create(Box::new(spec.clone())),
    );
    let made = rig.create(spec).unwrap();
    let listed = rig.listed();
    let expected = if rig.capability.idempotent_create {
        1
    } else {
        2
    };
    assert_eq!((listed.len(), rig.sim.living()), (expected, expected));
    assert!(listed.contains(&made.id));
}

pub fn giving_back_without_a_clear_answer_is_unclear_and_was_done(rig: &mut Rig) {
    for (attempt, fault) in (1..).zip(silent_deeds()) {
        let machine = rig.running(attempt);
        if fault["do"] == "truncated" && rig.row.ends_without_a_word {
            // There is nothing in it that could be missing.
            rig.sim.once("destroy", &fault);
            rig.accepted(destroy(&machine));
            rig.sim.until(&machine.id, "terminated");
            continue;
        }
        let error = ask_in_vain(rig, &fault, destroy(&machine));
        nobody_knows(&error, &fault);
        rig.sim.until(&machine.id, "terminated");
    }
    let machine = rig.running(9);
    for fault in silent_failures() {
        let error = ask_in_vain(rig, &fault, destroy(&machine));
        nobody_knows(&error, &fault);
    }
    assert_eq!(rig.sim.living(), 1);
}

/// Needs to stop and start.
pub fn a_stop_or_start_without_a_clear_answer_is_unclear(rig: &mut Rig) {
    let machine = rig.running(1);
    for fault in silent_deeds() {
        let error = ask_in_vain(rig, &fault, stop(&machine));
        nobody_knows(&error, &fault);
        rig.sim.until(&machine.id, "stopped");
        let error = ask_in_vain(rig, &fault, start(&machine));
        nobody_knows(&error, &fault);
        rig.sim.until(&machine.id, "running");
    }
}

fn reads(rig: &Rig, machine: &Machine) -> Vec<Request> {
    let (region, id) = place(machine);
    let mut all = vec![
        Request::Verify,
        Request::Regions,
        Request::Shop(rig.provider.shop(&rig.settings).remove(0)),
        Request::Get { region, id },
        Request::List {
            region: rig.regions().remove(0),
            page: None,
        },
    ];
    if rig.capability.bills {
        all.push(rig.bill_request(machine));
    }
    all
}

pub fn a_read_without_a_clear_answer_says_nothing_of_what_is_there(rig: &mut Rig) {
    let machine = rig.running(1);
    for fault in silent_deeds().into_iter().chain(silent_failures()) {
        for request in reads(rig, &machine) {
            let error = ask_in_vain(rig, &fault, request);
            assert_eq!(error.kind, ErrorKind::Network, "{fault}: {error}");
            assert!(!error.unclear && !error.permanent, "{fault}: {error}");
        }
    }
}

pub fn a_refused_create_says_who_must_act_and_that_nothing_was_made(rig: &mut Rig) {
    for (fault, kind, permanent) in [
        ("no_capacity", ErrorKind::Capacity, false),
        ("no_quota", ErrorKind::Quota, true),
        ("token_expired", ErrorKind::Auth, true),
        ("denied", ErrorKind::Auth, true),
    ] {
        rig.sim.once("create", &json!({ "do": fault }));
        let spec = rig.spec(1);
        let error = rig.create(spec).unwrap_err();
        assert_eq!(
            (error.kind, error.permanent),
            (kind, permanent),
            "{fault}: {error}"
        );
        assert!(!error.unclear, "{fault}: {error}");
        assert!(error.http_status.is_some() && !error.words.is_empty());
    }
    assert_eq!(rig.sim.living(), 0);
    // A type that there is not is the request's fault, or none of it is left.
    let mut spec = rig.spec(1);
    "nothing-of-the-kind".clone_into(&mut spec.machine_type);
    let error = rig.create(spec).unwrap_err();
    let is_no = matches!(error.kind, ErrorKind::Validation | ErrorKind::Capacity);
    assert!(is_no && !error.unclear, "{error}");
    assert_eq!(rig.sim.living(), 0);
}

pub fn a_credential_that_ends_in_the_middle_stops_everything_and_changes_nothing(rig: &mut Rig) {
    let machine = rig.running(1);
    let mut all = reads(rig, &machine);
    all.push(destroy(&machine));
    for fault in ["token_expired", "denied"] {
        for request in all.clone() {
            let error = ask_in_vain(rig, &json!({ "do": fault }), request);
            assert_eq!(error.kind, ErrorKind::Auth, "{fault}: {error}");
            assert!(error.permanent && !error.unclear, "{fault}: {error}");
        }
    }
    assert_eq!(rig.listed(), [machine.id]);
}

pub fn too_many_calls_are_told_with_the_time_to_wait_where_the_vendor_names_one(rig: &mut Rig) {
    let machine = rig.running(1);
    let create = Request::Create(Box::new(rig.spec(2)));
    let mut all = reads(rig, &machine);
    all.extend([create, destroy(&machine)]);
    for (fault, wait) in [
        (json!({"do": "rate_limited"}), None),
        (json!({"do": "rate_limited", "retry_after": 7}), Some(7_000)),
    ] {
        for request in all.clone() {
            let error = ask_in_vain(rig, &fault, request);
            assert_eq!(error.kind, ErrorKind::RateLimited, "{error}");
            assert!(!error.permanent && !error.unclear, "{error}");
            let wait = wait.filter(|_| rig.row.tells_wait);
            assert_eq!(error.retry_after_ms, wait, "{error}");
        }
    }
    assert_eq!(rig.listed(), [machine.id]);
}

pub fn a_brown_out_is_nobodys_no(rig: &mut Rig) {
    let machine = rig.running(1);
    let create = Request::Create(Box::new(rig.spec(2)));
    let mut all = reads(rig, &machine);
    all.extend([create, destroy(&machine)]);
    for status in [502, 503, 404, 403] {
        for request in all.clone() {
            let is_change = request.is_change();
            let fault = json!({"do": "html", "status": status});
            let error = ask_in_vain(rig, &fault, request);
            assert_eq!(error.kind, ErrorKind::Network, "{status}: {error}");
            assert_eq!(error.unclear, is_change, "{status}: {error}");
            assert!(!error.permanent && !error.words.contains('<'), "{error}");
        }
    }
    // Nothing of it was done, and it is over.
    assert_eq!(rig.listed(), [machine.id]);
}

pub fn words_that_repeat_what_was_sent_come_back_without_it(rig: &mut Rig) {
    let token = rig.boot_token(1);
    let mut told: Vec<String> = rig.secrets().iter().cloned().collect();
    told.push(token.clone());
    assert!(told.iter().any(|secret| secret == HF_TOKEN));
    let words = format!("no such thing as {}", told.join(" and "));
    let (status, body) = (rig.row.refusal)(&words);
    let fault = json!({"do": "status", "status": status, "body": body});
    rig.sim.once("create", &fault);
    let spec = rig.full_spec(1);
    let error = rig.create(spec).unwrap_err();
    assert!(error.words.starts_with("no such thing as "), "{error}");
    for secret in &told {
        assert!(!error.words.contains(secret.as_str()), "{error}");
    }
    assert_eq!(
        error.words.matches("[redacted]").count(),
        told.len(),
        "{error}"
    );
    // A very long tale is cut, and not in the middle of a secret.
    let tale = format!(
        "{} {}",
        "x".repeat(ProviderError::LONGEST - 10),
        told.join(" ")
    );
    let (status, body) = (rig.row.refusal)(&tale);
    rig.sim.once(
        "create",
        &json!({"do": "status", "status": status, "body": body}),
    );
    let spec = rig.full_spec(1);
    let error = rig.create(spec).unwrap_err();
    assert!(error.words.chars().count() <= ProviderError::LONGEST + 1);
    for secret in &told {
        let begun: String = secret.chars().take(8).collect();
        assert!(!error.words.contains(&begun), "{error}");
    }
}
