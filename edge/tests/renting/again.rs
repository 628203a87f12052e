//! A launch that is asked for again under its idempotency key, with the real registry behind it.

use serde_json::json;
use tidegate_domain::time::Span;
use tidegate_edge::request::Head;

use crate::rig::{PUBLIC_URL, Rig, gateway, offer};
use crate::world::{ADMIN_KEY, Answer, Running};

fn rig() -> Rig {
    let mut rig = Rig::new();
    let account = rig.connect("runpod", "main");
    rig.offers(&account, &[offer(&[])]);
    rig.profile();
    rig
}

fn start(rig: &mut Rig) -> Running {
    start_with(rig, r#"{"profile":"small"}"#)
}

fn start_with(rig: &mut Rig, body: &str) -> Running {
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let head = Head {
        method: "POST".to_owned(),
        path: "/admin/instances".to_owned(),
        headers: vec![line("x-api-key", ADMIN_KEY), line("idempotency-key", "one")],
        ..Head::default()
    };
    rig.world.asked.clear();
    rig.world.start(head, body.as_bytes())
}

fn finish(rig: &mut Rig, mut running: Running) -> (Answer, String) {
    while rig.world.advance(&mut running) {}
    let answer = running.answer.unwrap();
    rig.look_for_secrets("/admin/instances", &answer);
    (answer, running.text)
}

fn launch(rig: &mut Rig) -> (Answer, String) {
    let running = start(rig);
    finish(rig, running)
}

#[test]
fn the_same_again_is_answered_with_the_same_bytes_and_asks_nobody_else() {
    let mut rig = rig();
    let (first, text) = launch(&mut rig);
    assert_eq!(first.status, 201, "{}", first.body);
    let (again, same) = launch(&mut rig);
    assert_eq!((again.status, same), (201, text));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(rig.asked(), ["fleet reserve"]);
    assert_eq!(rig.world.count("rentals"), 1);
}

#[test]
fn twenty_at_once_are_one_launch() {
    let mut rig = rig();
    let mut open: Vec<Running> = (0..20).map(|_| start(&mut rig)).collect();
    let mut statuses = Vec::new();
    while !open.is_empty() {
        let mut still = Vec::new();
        for mut running in open {
            if rig.world.advance(&mut running) {
                still.push(running);
            } else {
                statuses.push(running.answer.unwrap().status);
            }
        }
        open = still;
    }
    let made = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!((made, statuses.len()), (1, 20));
    assert!(statuses.iter().all(|status| [201, 409].contains(status)));
    assert_eq!(rig.world.count("rentals"), 1);
}

/// Its end has come meanwhile. To be refused now would be to be told that nothing was launched.
#[test]
fn what_was_launched_is_shown_although_it_could_not_be_launched_any_more() {
    let body = r#"{"profile":"small","until":"2026-11-21T10:00:30Z"}"#;
    let mut rig = rig();
    let mut running = start_with(&mut rig, body);
    while rig.world.count("rentals") == 0 {
        assert!(rig.world.advance(&mut running));
    }
    drop(running);
    rig.world.gateway = gateway(1, Some(PUBLIC_URL));
    rig.world.wait(Span::from_secs(46));
    let running = start_with(&mut rig, body);
    let (again, _) = finish(&mut rig, running);
    assert_eq!(again.status, 201, "{}", again.body);
    assert_eq!(rig.world.count("rentals"), 1);
}

/// The isolate dies between any two effects. Meanwhile everything changes: what was launched is not chosen,
/// priced or judged again.
#[test]
fn a_crash_between_any_two_steps_makes_one_launch_and_the_same_answer() {
    let mut longest = 0;
    for steps in 0.. {
        let mut rig = rig();
        let mut running = start(&mut rig);
        let mut is_over = false;
        for _ in 0..steps {
            is_over = !rig.world.advance(&mut running);
            if is_over {
                break;
            }
        }
        let shown = running.answer.map(|answer| answer.body);
        let was_made = rig.world.count("rentals") == 1;
        rig.world.gateway = gateway(steps + 10, Some(PUBLIC_URL));
        if was_made {
            let denied = "the first one has used it up";
            rig.says(
                "ledger/estimate",
                json!({ "needed_microusd": 1, "budgets": [], "denied": denied }),
            );
            rig.says("account/offers", json!({ "offers": [] }));
        }
        rig.world.wait(Span::from_secs(1));
        let (early, _) = launch(&mut rig);
        if early.status == 409 {
            assert_eq!(early.error().1, "idempotency_in_progress");
            rig.world.wait(Span::from_secs(45));
        }
        let (again, _) = launch(&mut rig);
        assert_eq!(again.status, 201, "after {steps}: {}", again.body);
        assert_eq!(rig.world.count("rentals"), 1, "after {steps}");
        let there = rig.get("/admin/instances?profile=small").body;
        assert_eq!(there["data"][0]["id"], again.body["id"]);
        assert_eq!(again.body["estimate"]["price_per_hour"], "0.69");
        if let Some(shown) = shown {
            assert_eq!(again.body, shown, "after {steps}");
        }
        longest = steps;
        if is_over {
            break;
        }
    }
    assert!(longest >= 9, "{longest} steps");
}
