//! A launch that is asked for again under its idempotency key. The registry's side of it follows a script here, as
//! the real one does for every change: what was made is remembered with its note, whatever became of the answer.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};
use tidegate_domain::time::Span;
use tidegate_edge::effect::CallOutcome;
use tidegate_edge::request::Head;

use crate::rig::{PUBLIC_URL, Rig, gateway, offer};
use crate::world::{ADMIN_KEY, Answer, Running};

/// One key's entry.
#[derive(Default)]
struct Once {
    seed: String,
    token: u32,
    made: bool,
    note: Value,
    reply: Option<Value>,
}

/// A rig whose registry knows one key.
fn rig() -> (Rig, Rc<RefCell<Once>>) {
    let mut rig = Rig::new();
    let account = rig.connect("runpod", "main");
    rig.offers(&account, &[offer(&[])]);
    rig.profile();
    let once = Rc::new(RefCell::new(Once::default()));
    let (entry, cloud) = (Rc::clone(&once), Rc::clone(&rig.cloud));
    let mut behind = std::mem::replace(&mut rig.world.script, Box::new(|_, _| None));
    rig.world.script = Box::new(move |to, message| {
        let mut entry = entry.borrow_mut();
        let answer = |it: Value| Some(CallOutcome::Answered(it.to_string()));
        match message["command"].as_str()? {
            "reserve" => {
                if let Some(reply) = &entry.reply {
                    return answer(json!({ "answer": "replay", "reply": reply }));
                }
                entry.token += 1;
                "seed".clone_into(&mut entry.seed);
                answer(json!({
                    "answer": "go", "token": entry.token.to_string(), "seed": entry.seed,
                    "made": entry.made, "note": entry.note,
                }))
            }
            "launch" if to.as_str() == "fleet/default" => {
                assert!(!entry.made, "launched twice");
                let once = &message["once"];
                assert_eq!(once["token"], entry.token.to_string());
                entry.made = true;
                entry.note = once["note"].clone();
                cloud
                    .borrow_mut()
                    .launched(message["id"].as_str()?, message);
                behind(to, &json!({ "command": "rental", "id": message["id"] }))
            }
            "conclude" => {
                if !message["reply"].is_null() {
                    entry.reply = Some(message["reply"].clone());
                }
                answer(json!({ "answer": "done" }))
            }
            _ => behind(to, message),
        }
    });
    (rig, once)
}

fn start(rig: &mut Rig) -> Running {
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let head = Head {
        method: "POST".to_owned(),
        path: "/admin/instances".to_owned(),
        headers: vec![line("x-api-key", ADMIN_KEY), line("idempotency-key", "one")],
        ..Head::default()
    };
    rig.world.asked.clear();
    rig.world.start(head, br#"{"profile":"small"}"#)
}

fn finish(rig: &mut Rig, mut running: Running) -> (Answer, String) {
    while rig.world.advance(&mut running) {}
    let answer = running.answer.unwrap();
    rig.look_for_secrets("/admin/instances", &answer);
    (answer, running.text)
}

#[test]
fn the_same_again_is_answered_with_the_same_bytes_and_asks_nobody_else() {
    let (mut rig, _) = rig();
    let first = start(&mut rig);
    let (first, text) = finish(&mut rig, first);
    assert_eq!(first.status, 201, "{}", first.body);
    assert_eq!(
        first.header("cache-control"),
        None,
        "nothing in it is secret"
    );
    let again = start(&mut rig);
    let (again, same) = finish(&mut rig, again);
    assert_eq!((again.status, same), (201, text));
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(rig.asked(), ["fleet reserve"]);
}

#[test]
fn a_crash_between_any_two_steps_makes_one_launch_and_the_same_answer() {
    let mut longest = 0;
    for steps in 0.. {
        let (mut rig, once) = rig();
        let mut running = start(&mut rig);
        let mut is_over = false;
        for _ in 0..steps {
            is_over = !rig.world.advance(&mut running);
            if is_over {
                break;
            }
        }
        let shown = running.answer.map(|answer| answer.body);
        let was_made = once.borrow().made;
        rig.world.gateway = gateway(steps + 10, Some(PUBLIC_URL));
        rig.world.wait(Span::from_secs(60));
        if was_made {
            // Everything has changed meanwhile: what was launched is not judged again.
            rig.says(
                "ledger/estimate",
                json!({
                    "needed_microusd": 1, "budgets": [], "denied": "the first one has used it up",
                }),
            );
            rig.says("account/offers", json!({ "offers": [] }));
        }
        let again = start(&mut rig);
        let (again, _) = finish(&mut rig, again);
        assert_eq!(again.status, 201, "after {steps}: {}", again.body);
        assert_eq!(rig.cloud.borrow().rentals.len(), 1, "after {steps}");
        assert!(rig.cloud.borrow().rentals.contains_key(again.text("id")));
        assert_eq!(again.body["estimate"]["price_per_hour"], "0.69");
        if let Some(shown) = shown {
            assert_eq!(again.body, shown, "after {steps}");
        }
        if was_made {
            assert!(!rig.asked().contains(&"account offers".to_owned()));
        }
        longest = steps;
        if is_over {
            break;
        }
    }
    assert!(longest >= 9, "{longest} steps");
}
