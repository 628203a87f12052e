//! Changes that are asked for again: through the gateway, with the real registry behind it. The names begin
//! with what each of them holds to: I1 one execution, I2 the same bytes, I3 another body, I4 other askers,
//! I5 odd keys, I6 crashes, I7 the end of the day, I8 refusals.

use serde_json::{Value, json};
use tidegate_domain::time::Span;
use tidegate_durable::bindings::ObjectKind;
use tidegate_edge::effect::CallOutcome;
use tidegate_edge::request::Head;

use crate::world::{ADMIN_KEY, Answer, Running, SERVER_KEY, URL, World, probed};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

fn head(path: &str, key: &str) -> Head {
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Head {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: vec![line("x-api-key", ADMIN_KEY), line("idempotency-key", key)],
        ..Head::default()
    }
}

fn start(world: &mut World, path: &str, key: &str, body: &Value) -> Running {
    world.start(head(path, key), body.to_string().as_bytes())
}

/// The answer, and its body as it was sent.
fn post(world: &mut World, path: &str, key: &str, body: &Value) -> (Answer, String) {
    world.asked.clear();
    let mut running = start(world, path, key, body);
    while world.advance(&mut running) {}
    (running.answer.unwrap(), running.text)
}

fn ci() -> Value {
    json!({ "name": "ci" })
}

fn server() -> Value {
    json!({ "model_name": "tiny", "endpoint_url": URL, "api_key": SERVER_KEY })
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

#[test]
fn i1_fifty_at_once_make_one_change_and_the_others_are_told_to_come_back() {
    for (path, body, table) in [
        ("/admin/keys", ci(), "keys"),
        ("/admin/register", server(), "servers"),
    ] {
        let mut world = World::new();
        let mut open: Vec<Running> = (0..50)
            .map(|_| start(&mut world, path, KEY, &body))
            .collect();
        // All of them a step at a time: the first to ask holds the key while the others come.
        let mut answers = Vec::new();
        while !open.is_empty() {
            let mut still = Vec::new();
            for mut running in open {
                if world.advance(&mut running) {
                    still.push(running);
                } else {
                    answers.push(running.answer.unwrap());
                }
            }
            open = still;
        }
        let made = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!((made, answers.len()), (1, 50));
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!(refused.error(), (409, "idempotency_in_progress", None));
            assert_eq!(refused.header("retry-after"), Some("1"));
            assert_eq!(refused.header("x-should-retry"), Some("true"));
        }
        assert_eq!(world.count(table), 1);
        let (again, _) = post(&mut world, path, KEY, &body);
        assert!(again.status == 201 && is_replayed(&again));
        assert_eq!(world.count(table), 1);
    }
}

#[test]
fn i2_a_repetition_is_answered_with_the_same_bytes() {
    for (path, body) in [("/admin/keys", ci()), ("/admin/register", server())] {
        let mut world = World::new();
        let (first, text) = post(&mut world, path, KEY, &body);
        assert!(first.status == 201 && !is_replayed(&first));
        world.lose_isolate(9);
        world.wait(Span::from_secs(60));
        let (again, same) = post(&mut world, path, KEY, &body);
        assert!(is_replayed(&again));
        assert_eq!((again.status, same), (201, text));
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
        let mine = |name: &str| name != "x-request-id" && name != "idempotency-replayed";
        let lines = |answer: &Answer| -> Vec<(String, String)> {
            let lines = answer.headers.iter().filter(|(name, _)| mine(name));
            lines.cloned().collect()
        };
        assert_eq!(lines(&again), lines(&first));
        assert_eq!(world.commands(), ["reserve"], "nobody else is asked");
    }
}

#[test]
fn i2_a_fault_is_repeated_as_well() {
    let mut world = World::new();
    // A registry of another release: it makes the change and says something that nobody here understands.
    world.script = Box::new(|_, message| {
        let odd = r#"{"answer":"done"}"#.to_owned();
        (message["command"] == "mint_key").then_some(CallOutcome::Answered(odd))
    });
    let (first, text) = post(&mut world, "/admin/keys", KEY, &ci());
    assert_eq!(first.error(), (500, "internal_error", None));
    world.script = Box::new(|_, _| None);
    let (again, same) = post(&mut world, "/admin/keys", KEY, &ci());
    assert!(again.status == 500 && is_replayed(&again) && same == text);
}

#[test]
fn i3_another_body_under_the_same_key_is_refused() {
    let mut world = World::new();
    post(&mut world, "/admin/keys", KEY, &ci());
    let (refused, _) = post(&mut world, "/admin/keys", KEY, &json!({ "name": "other" }));
    assert_eq!(
        refused.error(),
        (422, "idempotency_key_reused", Some("Idempotency-Key"))
    );
    assert_eq!(world.count("keys"), 1);
}

#[test]
fn i4_the_same_key_of_another_asker_or_path_is_another_key() {
    let mut world = World::new();
    let (minted, _) = post(
        &mut world,
        "/admin/keys",
        KEY,
        &json!({ "name": "root", "scopes": ["admin"] }),
    );
    let root = minted.text("key").to_owned();
    let as_key = [
        ("authorization", format!("Bearer {root}")),
        ("idempotency-key", KEY.to_owned()),
    ];
    let headers: Vec<(&str, &str)> = as_key.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let body = json!({ "name": "root", "scopes": ["admin"] }).to_string();
    let other = world.raw("POST", "/admin/keys", &headers, body.as_bytes());
    assert!(other.status == 201 && !is_replayed(&other), "another actor");
    let id = minted.text("id");
    let (rotated, _) = post(
        &mut world,
        &format!("/admin/keys/{id}/rotate"),
        KEY,
        &json!({}),
    );
    assert!(
        rotated.status == 200 && !is_replayed(&rotated),
        "another path"
    );
    let mut elsewhere = World::of_org("acme");
    let org = [
        ("x-api-key", ADMIN_KEY),
        ("x-tidegate-org", "acme"),
        ("idempotency-key", KEY),
    ];
    let foreign = elsewhere.raw("POST", "/admin/keys", &org, body.as_bytes());
    assert!(
        foreign.status == 201 && !is_replayed(&foreign),
        "another organisation"
    );
}

#[test]
fn i5_a_key_is_up_to_255_visible_characters() {
    let mut world = World::new();
    let longest = "k".repeat(255);
    assert_eq!(
        post(&mut world, "/admin/keys", &longest, &ci()).0.status,
        201
    );
    let too_long = "k".repeat(256);
    for odd in ["", &too_long, "clé", "a b", "a\tb", "one, two", "one,one"] {
        let mut running = start(&mut world, "/admin/keys", odd, &ci());
        world.asked.clear();
        while world.advance(&mut running) {}
        let refused = running.answer.unwrap();
        assert_eq!(
            refused.error(),
            (400, "invalid_value", Some("Idempotency-Key")),
            "{odd}"
        );
        assert_eq!(world.commands(), [""; 0]);
    }
    assert_eq!(world.count("keys"), 1);
}

/// The isolate dies between any two effects, before or after the registry heard of the last one, and the
/// client asks another one until it is answered: one change, and the key that was shown is the one that works.
#[test]
fn i6_a_crash_between_any_two_steps_makes_one_change() {
    for (path, body, table) in [
        ("/admin/keys", ci(), "keys"),
        ("/admin/register", server(), "servers"),
    ] {
        let mut longest = 0;
        for steps in 0.. {
            let mut world = World::new();
            let mut running = start(&mut world, path, KEY, &body);
            let mut is_over = false;
            for _ in 0..steps {
                is_over = !world.advance(&mut running);
                if is_over {
                    break;
                }
            }
            let shown = running.answer.map(|answer| answer.body);
            world.lose_isolate(steps + 10);
            // The server has gone meanwhile: a check that was passed once is not made again.
            let was_made = world.count(table) == 1;
            if was_made {
                world.probe = probed(500, "");
            }
            world.wait(Span::from_secs(1));
            let (early, _) = post(&mut world, path, KEY, &body);
            if early.status == 409 {
                assert_eq!(early.error().1, "idempotency_in_progress");
                world.wait(Span::from_secs(45));
            }
            let (again, _) = post(&mut world, path, KEY, &body);
            assert_eq!(again.status, 201, "{path} after {steps}: {}", again.body);
            assert_eq!(world.count(table), 1, "{path} after {steps}");
            if let Some(shown) = shown {
                assert_eq!(again.body, shown, "{path} after {steps}");
            }
            if path == "/admin/keys" {
                let key = format!("Bearer {}", again.text("key"));
                let works = world.raw("GET", "/admin/keys", &[("authorization", &key)], b"");
                assert_eq!(works.status, 403, "known, and without the scope");
                assert!(works.message().contains("asks for the admin key"));
                let record = world.told("key");
                assert_eq!(record["id"], again.body["id"]);
            } else {
                assert_eq!(again.body["models_at_server"], json!(["tiny"]));
            }
            longest = steps;
            if is_over {
                break;
            }
        }
        assert!(longest >= 6, "{path}: {longest} steps");
    }
}

#[test]
fn i6_a_change_whose_answer_was_lost_on_the_way_is_found_by_the_next_request() {
    let mut world = World::new();
    // The change arrives or not: here it does not.
    world.script = Box::new(|_, message| {
        (message["command"] == "mint_key").then(|| CallOutcome::Failed("timed out".to_owned()))
    });
    let (first, _) = post(&mut world, "/admin/keys", KEY, &ci());
    assert_eq!(first.error(), (503, "gateway_unavailable", None));
    assert!(first.message().contains("same Idempotency-Key"));
    assert_eq!(first.header("retry-after"), Some("1"));
    assert_eq!(first.header("x-should-retry"), None, "a repetition is safe");
    world.script = Box::new(|_, _| None);
    let (again, _) = post(&mut world, "/admin/keys", KEY, &ci());
    assert_eq!(
        (again.status, world.count("keys")),
        (201, 1),
        "at once, not after the lease"
    );
}

#[test]
fn i7_a_key_is_new_again_after_a_day() {
    let mut world = World::new();
    let drain = json!({});
    let id = world.register(json!({}));
    let path = format!("/admin/servers/{id}/drain");
    let (_, text) = post(&mut world, &path, KEY, &drain);
    world.wait(Span::from_secs(24 * 3600 - 1));
    let (before, same) = post(&mut world, &path, KEY, &drain);
    assert!(is_replayed(&before) && same == text);
    world.wait(Span::from_secs(2));
    let (after, _) = post(&mut world, &path, KEY, &drain);
    assert!(after.status == 200 && !is_replayed(&after));
}

#[test]
fn i8_what_was_refused_may_be_mended_under_the_same_key() {
    let mut world = World::new();
    let (refused, _) = post(&mut world, "/admin/keys", KEY, &json!({ "nam": "ci" }));
    assert_eq!(refused.status, 400);
    world.probe = probed(500, "");
    let (failed, _) = post(&mut world, "/admin/register", KEY, &server());
    assert_eq!(failed.status, 503, "its first check");
    assert_eq!(world.count("once"), 0, "nothing is kept of either");
    world.probe = crate::world::models(&["tiny"]);
    for (path, body) in [("/admin/keys", ci()), ("/admin/register", server())] {
        let (mended, _) = post(&mut world, path, KEY, &body);
        assert!(
            mended.status == 201 && !is_replayed(&mended),
            "{}",
            mended.body
        );
    }
    let (conflict, _) = post(&mut world, "/admin/register", "another", &server());
    assert_eq!(conflict.error().0, 409);
    assert_eq!(conflict.header("x-should-retry"), Some("false"));
}

#[test]
fn a_key_is_told_again_for_ten_minutes_and_rests_sealed_until_then() {
    let mut world = World::new();
    let (first, text) = post(&mut world, "/admin/keys", KEY, &ci());
    let key = first.text("key").to_owned();
    assert!(
        !world.stored_repeats().contains(&key[10..40]),
        "in the clear"
    );
    world.wait(Span::from_secs(599));
    assert_eq!(post(&mut world, "/admin/keys", KEY, &ci()).1, text);
    world.wait(Span::from_secs(1));
    let (erased, _) = post(&mut world, "/admin/keys", KEY, &ci());
    assert_eq!(erased.error(), (409, "idempotency_reply_erased", None));
    assert_eq!(erased.header("x-should-retry"), Some("false"));
    assert_eq!(world.count("keys"), 1);
}

#[test]
fn nothing_of_a_body_is_kept_but_a_mac() {
    let mut world = World::new();
    post(&mut world, "/admin/register", KEY, &server());
    let stored = world.stored_repeats();
    assert!(
        !stored.contains(SERVER_KEY) && !stored.contains(KEY),
        "{stored}"
    );
}

#[test]
fn without_the_header_or_by_another_method_nothing_is_reserved() {
    let mut world = World::new();
    world.admin("POST", "/admin/keys", ci());
    assert_eq!(world.commands(), ["mint_key"]);
    let mut reading = head("/admin/keys", KEY);
    reading.method = "GET".to_owned();
    let mut running = world.start(reading, b"");
    while world.advance(&mut running) {}
    assert_eq!(running.answer.unwrap().status, 200);
    assert_eq!(world.count("once"), 0);
}

#[test]
fn a_registry_that_does_not_answer_decides_nothing() {
    let mut world = World::new();
    world.silence(ObjectKind::Fleet);
    let (refused, _) = post(&mut world, "/admin/keys", KEY, &ci());
    assert_eq!(refused.error(), (503, "gateway_unavailable", None));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(world.commands(), ["reserve"]);
}
