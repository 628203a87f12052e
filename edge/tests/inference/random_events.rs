//! Whatever happens in whatever order: one answer, one end, nothing after it, and no slot kept.
//!
//! Objects are played by their ledgers: a slot is taken when an ask is granted, also when the answer is
//! lost, and freed by a settlement or a cancellation.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_durable::bindings::ObjectKind;
use tidegate_durable::bindings::key::KeyLimits;
use tidegate_edge::effect::{BodyEnd, CallOutcome};

use crate::rig::{ANSWER, DONE, FINISH, JSON, PROMPT, ROLE, Rig, SSE, USAGE, WORD, chat, streamed};

/// A source of choices that ends.
struct Dice(std::vec::IntoIter<u32>);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0.next().unwrap_or_default() as usize % sides
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())].clone()
    }

    fn is_spent(&self) -> bool {
        self.0.len() == 0
    }
}

#[derive(Default)]
struct World {
    /// Slots taken, by server and request.
    slots: BTreeSet<(String, String)>,
    /// Admissions of keys that were not settled yet, by request.
    charges: BTreeSet<String>,
    /// What each open call will hear, decided when it arrives; `None` for a lost answer.
    replies: BTreeMap<(u32, u32), Option<Value>>,
    seen: usize,
}

impl World {
    /// Delivers what was sent since.
    fn deliver(&mut self, rig: &Rig, dice: &mut Dice) {
        for (to, message, call) in &rig.sent[self.seen..] {
            // One in eight calls does not even arrive; tells do (the host sends them twice).
            let arrives = call.is_none() || dice.roll(8) > 0;
            let reply = if arrives {
                match to.kind() {
                    ObjectKind::Instance => self.instance(to.tail().unwrap(), message, dice),
                    ObjectKind::Key => self.key(message, dice),
                    ObjectKind::Model => self.model(message, dice),
                    other => panic!("{other:?}"),
                }
            } else {
                None
            };
            if let Some(call) = call {
                self.replies
                    .insert(*call, reply.filter(|_| dice.roll(8) > 0));
            }
        }
        self.seen = rig.sent.len();
    }

    fn instance(&mut self, server: &str, message: &Value, dice: &mut Dice) -> Option<Value> {
        let name = |value: &Value| (server.to_owned(), value.as_str().unwrap().to_owned());
        for settled in message["settled"].as_array().into_iter().flatten() {
            self.slots.remove(&name(&settled["request"]));
        }
        for cancelled in message["cancelled"].as_array().into_iter().flatten() {
            self.slots.remove(&name(cancelled));
        }
        let ask = message.get("ask")?;
        if dice.roll(2) == 0 {
            self.slots.insert(name(&ask["request"]));
            let (running, queued) = (dice.roll(5), dice.roll(2));
            return Some(json!({
                "answer": "granted", "lease_until_ms": 0, "running": running, "queued": queued,
                "capacity": 4, "score": dice.roll(2000),
            }));
        }
        let denied = dice.of(&[
            json!({"why": "ejected", "since_ms": 0, "until_ms": 9, "reason": "x"}),
            json!({"why": "cooling_down", "until_ms": 9}),
            json!({"why": "unhealthy", "since_ms": 0, "reason": "x"}),
            json!({"why": "draining"}),
            json!({"why": "busy", "score": 1500}),
            json!({"why": "queue_full", "depth": 9}),
            json!({"why": "queue_timeout"}),
            json!({"why": "retry_budget_spent"}),
            json!({"why": "deadline_too_short"}),
            json!({"why": "panic_spent", "until_ms": 9}),
            json!({"why": "not_registered"}),
        ]);
        Some(json!({"answer": "denied", "denied": denied, "retry_after_ms": 700}))
    }

    fn key(&mut self, message: &Value, dice: &mut Dice) -> Option<Value> {
        let request = message["request"].as_str().unwrap().to_owned();
        match message["command"].as_str().unwrap() {
            "admit" => {
                let allowed = json!({"answer": "allowed", "windows": {}});
                let over = json!({"answer": "denied", "limit": "requests", "retry_after_ms": 9, "windows": {}});
                let answer = dice.of(&[allowed.clone(), allowed, over]);
                if answer["answer"] == "allowed" {
                    self.charges.insert(request);
                }
                Some(answer)
            }
            "settle" => {
                self.charges.remove(&request);
                None
            }
            _ => None,
        }
    }

    fn model(&self, message: &Value, dice: &mut Dice) -> Option<Value> {
        if message["command"] == "give_up" {
            return None;
        }
        let said = dice.of(&[
            json!({"said": "go", "instance": "a"}),
            json!({"said": "go", "instance": "nobody"}),
            json!({"said": "again"}),
            json!({"said": "full", "retry_after_ms": 500}),
        ]);
        Some(said)
    }
}

const CHUNKS: [&[u8]; 18] = [
    ROLE,
    WORD,
    FINISH,
    USAGE,
    DONE,
    b"data: <html>\n\n",
    b"data: {\"error\":{\"message\":\"oops\",\"code\":500}}\n\n",
    b"data: {\"error\":{\"message\":\"maximum context length\"}}\n\n",
    b": comment\n\n",
    b"data: {\"choi",
    b"\xff\xfe\n\n",
    ANSWER,
    b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n",
    b"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}\n\n",
    b"event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"invalid_prompt\"}}}\n\n",
    b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{}}\n\n",
    b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
];

fn step(rig: &mut Rig, world: &mut World, id: u32, dice: &mut Dice) {
    let attempts = rig.talk(id).fetches.len().max(1);
    let attempt = dice.roll(attempts) as u32;
    let streams = rig.talk(id).fetches.iter().any(|fetched| fetched.stream);
    match dice.roll(12) {
        0..=3 => {
            let open = rig.talk(id).asks.len();
            if open > 0 {
                let place = dice.roll(open);
                let open = rig.talks.get_mut(&id).unwrap().asks.remove(place).unwrap();
                let outcome = match world.replies.remove(&(id, open.call)).flatten() {
                    Some(reply) => CallOutcome::Answered(reply.to_string()),
                    None => CallOutcome::Failed("lost".to_owned()),
                };
                let effects = rig.gateway.answered(id, rig.now, open.call, outcome);
                rig.take(id, effects);
            }
        }
        4 => {
            let status = dice.of(&[
                200, 200, 200, 200, 400, 401, 404, 405, 429, 500, 501, 503, 307,
            ]);
            let kind = dice.of(&[SSE, SSE, JSON]);
            rig.headers(id, attempt, status, kind);
        }
        5..=7 if streams => {
            let chunk = dice.of(&CHUNKS);
            rig.chunk(id, attempt, chunk);
        }
        5..=8 if !streams => {
            let body = dice.of(&[
                ANSWER,
                b"{}",
                b"",
                b"<html>",
                br#"{"error":"x"}"#,
                br#"{"results":[]}"#,
            ]);
            rig.whole(id, attempt, body);
        }
        8 | 9 => {
            let end = dice.of(&[
                BodyEnd::Eof,
                BodyEnd::Eof,
                BodyEnd::Broken,
                BodyEnd::TooLarge,
            ]);
            rig.end(id, attempt, end);
        }
        10 => {
            rig.pass(dice.of(&[1, 150, 4_000, 20_000, 61_000, 301_000]));
            if dice.roll(2) == 0 {
                rig.wake(id);
            } else {
                rig.wake_slow_client(id);
            }
        }
        _ if dice.roll(6) == 0 => {
            rig.leave(id);
        }
        _ => {
            rig.flush();
        }
    }
}

fn requests(dice: &mut Dice) -> Rig {
    let servers: &[&str] = dice.of(&[&["a"][..], &["a", "b"], &["a", "b", "c"]]);
    let mut rig = Rig::new(servers);
    rig.never_forgets = dice.roll(2) == 0;
    if dice.roll(2) == 0 {
        rig.entry(0).priority = 1;
    }
    if dice.roll(3) == 0 {
        rig.record().limits = KeyLimits {
            requests_per_minute: Some(9),
            ..KeyLimits::default()
        };
    }
    rig
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_request_ends_once_with_one_answer_and_keeps_no_slot(
        rolls in prop::collection::vec(any::<u32>(), 20..260)
    ) {
        let mut dice = Dice(rolls.into_iter());
        let mut rig = requests(&mut dice);
        let mut world = World::default();
        let ids: Vec<u32> = (0..1 + dice.roll(2))
            .map(|_| {
                let (path, body) = dice.of(&[
                    ("/v1/chat/completions", chat()),
                    ("/v1/chat/completions", streamed()),
                    ("/v1/messages", streamed()),
                    ("/v1/responses", json!({"model": "m", "input": PROMPT, "stream": true})),
                    ("/v1/rerank", json!({"model": "m", "query": PROMPT, "documents": []})),
                ]);
                let id = rig.request(path, &body).0;
                rig.sent.retain(|(to, ..)| to.kind() != ObjectKind::Fleet);
                world.deliver(&rig, &mut dice);
                id
            })
            .collect();
        while !dice.is_spent() {
            let id = dice.of(&ids);
            step(&mut rig, &mut world, id, &mut dice);
            world.deliver(&rig, &mut dice);
            let talk = rig.talk(id);
            let waits_for_something = !talk.asks.is_empty() || !talk.live.is_empty();
            prop_assert!(talk.done || waits_for_something, "only a timer can end it");
        }
        // From here on nobody says anything any more: timers alone must bring every request to its end.
        for id in &ids {
            for _ in 0..300 {
                if rig.talk(*id).done {
                    break;
                }
                rig.now = rig.talk(*id).wake_at.expect("a timer").max(rig.now);
                rig.wake(*id);
                world.deliver(&rig, &mut dice);
            }
            prop_assert!(rig.talk(*id).done, "hangs");
            let gone = rig.talk(*id).status.is_none();
            prop_assert_eq!(rig.talk(*id).logs.len(), 1);
            prop_assert!(gone || rig.talk(*id).closed);
        }
        rig.flush();
        world.deliver(&rig, &mut dice);
        prop_assert_eq!(world.slots, BTreeSet::new());
        prop_assert_eq!(world.charges, BTreeSet::new());
        prop_assert_eq!(rig.flush(), [""; 0]);
        // Late events, for a host that remembers the exchange.
        for id in ids {
            for late in [rig.wake(id), rig.leave(id), rig.chunk(id, 0, WORD), rig.whole(id, 0, ANSWER)] {
                prop_assert_eq!(late, [""; 0]);
            }
        }
        prop_assert_eq!(rig.flush(), [""; 0]);
    }
}
