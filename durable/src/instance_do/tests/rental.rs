//! A rented GPU: what its object sends to whom, and that it survives the loss of its memory at every step.

use serde_json::{Value, json};
use tidegate_provider_api::{
    Availability, Billing, DiskPrice, Fingerprint, Gpu, Machine, MachineState, Offer,
};

use super::*;
use crate::bindings::ledger::AdvanceAnswer;
use crate::bindings::rental::{
    CallHome, CallHomeAnswer, Candidate, Ends, Launch, MachineSays, RentalAnswer, RentalEvents,
    RentalState, RentalVerb, RentalView, RuntimeSpec, VendorAction, VendorFact,
};
use crate::driver::Driver;
use crate::rig::sent;

const MINUTE_MS: i64 = 60_000;

fn offer() -> Offer {
    Offer {
        region: "EU-RO-1".to_owned(),
        zone: None,
        machine_type: "NVIDIA L4".to_owned(),
        gpu: Gpu {
            model: "l4".to_owned(),
            name: "NVIDIA L4".to_owned(),
            count: 1,
            vram_gb: 24,
        },
        vcpus: None,
        memory_gb: None,
        spot: false,
        // With the disk 0.36 dollars an hour.
        microusd_per_hour: Some(356_400),
        // 3,600 micro-dollars an hour for the 40 GB that are launched.
        disk: Some(DiskPrice {
            microusd_per_gb_month: 64_800,
            added_gb: 0,
            least_gb: 0,
        }),
        address_microusd_per_hour: 0,
        availability: Availability::High,
    }
}

fn launch_at(vendor: &str) -> Launch {
    Launch {
        generation: 1,
        name: "chat".to_owned(),
        project: Some("lab".to_owned()),
        actor: "admin".to_owned(),
        runtime: RuntimeSpec {
            profile: "tiny".to_owned(),
            model_name: "llama".to_owned(),
            image: "ghcr.io/x/y".to_owned(),
            sealed_api_key: Some("sealed-server-key".to_owned()),
            port: 8000,
            health_path: "/health".to_owned(),
            disk_gb: 40,
            max_concurrency: 2,
            queue_depth: 2,
            ..RuntimeSpec::default()
        },
        candidates: vec![Candidate {
            account: "acc_1".to_owned(),
            vendor: vendor.to_owned(),
            fingerprint: Fingerprint::parse("0123456789").unwrap(),
            offer: offer(),
        }],
        ends: Ends {
            idle_ms: Some(5 * MINUTE_MS),
            max_lifetime_ms: 12 * 60 * MINUTE_MS,
            ..Ends::default()
        },
        callback_base: Some("https://gate.example/".to_owned()),
        ssh_public_key: None,
    }
}

/// A rental on its host: facts are delivered as soon as they are sent, and looked at by the test.
struct Rented {
    rig: Server,
    /// Every message so far: receiver and content.
    told: Vec<(String, Value)>,
    /// Effects that are neither messages nor moments.
    asked: Vec<Effect>,
    facts: u64,
    /// What the ledger says to everything from now on, instead of yes.
    denial: Option<String>,
}

impl Rented {
    fn launched(launch: Launch) -> Self {
        let mut rented = Self {
            rig: unregistered(),
            told: Vec::new(),
            asked: Vec::new(),
            facts: 0,
            denial: None,
        };
        rented.say(&InstanceCommand::Launch(Box::new(launch)));
        rented
    }

    fn say(&mut self, command: &InstanceCommand) -> Value {
        let turn = tell(&mut self.rig, command);
        let Some(Reply::Now(reply)) = turn.reply.clone() else {
            panic!("no answer: {turn:?}");
        };
        self.settle(turn);
        serde_json::from_str(&reply).unwrap()
    }

    fn settle(&mut self, turn: Turn) {
        for effect in turn.effects {
            match effect {
                Effect::Send { id, to, message } => {
                    let content: Value = serde_json::from_str(&message).unwrap();
                    let reply = self.answer_of(&content);
                    self.told.push((to.to_string(), content));
                    let turn = self.rig.done(id, Outcome::Delivered { reply });
                    self.settle(turn);
                }
                Effect::Soon { .. } => {}
                other => self.asked.push(other),
            }
        }
    }

    /// The ledger says yes unless it was told to refuse, everybody else acknowledges.
    fn answer_of(&self, content: &Value) -> String {
        if content["command"] != "advance" {
            return "{}".to_owned();
        }
        let window = content["window"].as_str().unwrap().to_owned();
        let number = content["number"].as_u64().unwrap();
        let answer = match self.denial.clone() {
            Some(reason) => AdvanceAnswer::Denied {
                window,
                number,
                reason,
            },
            None => AdvanceAnswer::Advanced {
                window,
                number,
                until_ms: self.rig.now.as_ms() + content["hold_ms"].as_i64().unwrap(),
            },
        };
        serde_json::to_string(&answer).unwrap()
    }

    fn hear(&mut self, fact: VendorFact) {
        self.facts += 1;
        let command = InstanceCommand::Heard {
            event_id: format!("account/acme/acc_1/{}", self.facts),
            sequence: self.facts,
            at_ms: self.rig.now.as_ms(),
            attempt: 1,
            fact,
        };
        self.say(&command);
    }

    fn see(&mut self, state: MachineState) {
        let machine = Box::new(machine(state));
        self.hear(VendorFact::Seen { machine });
    }

    fn wait(&mut self, secs: i64) {
        self.rig.wait(Span::from_secs(secs));
        let turn = self.rig.alarm();
        self.settle(turn);
    }

    /// The one effect that waits for its result.
    fn only_asked(&mut self) -> Effect {
        let asked = std::mem::take(&mut self.asked);
        let [effect] = asked.as_slice() else {
            panic!("one thing was to be asked: {asked:?}");
        };
        effect.clone()
    }

    fn fetched(&mut self, status: u16, body: &str) {
        let id = match self.only_asked() {
            Effect::Get { id, .. } | Effect::Post { id, .. } => id,
            other => panic!("{other:?}"),
        };
        let turn = self.rig.done(
            id,
            Outcome::Fetched {
                status,
                body: body.to_owned(),
                latency_ms: 5,
            },
        );
        self.settle(turn);
    }

    fn serving() -> Self {
        let mut rented = Self::launched(launch_at("runpod"));
        rented.hear(VendorFact::CreateSent);
        rented.see(MachineState::Running);
        rented.fetched(200, "{}");
        rented.fetched(200, r#"{"choices":[{}]}"#);
        rented
    }

    fn view(&mut self) -> RentalView {
        match serde_json::from_value(self.say(&InstanceCommand::Rental)).unwrap() {
            RentalAnswer::AlreadySo { rental } => *rental,
            other => panic!("{other:?}"),
        }
    }

    fn state(&mut self) -> RentalState {
        self.view().status.state
    }

    /// What was told to objects whose name begins so, since the last time.
    fn told_to(&mut self, prefix: &str) -> Vec<Value> {
        let (these, others) = std::mem::take(&mut self.told)
            .into_iter()
            .partition(|(to, _)| to.starts_with(prefix));
        self.told = others;
        let these: Vec<(String, Value)> = these;
        these.into_iter().map(|(_, content)| content).collect()
    }
}

fn machine(state: MachineState) -> Machine {
    Machine {
        id: "pod1".to_owned(),
        marker: None,
        state,
        raw_state: format!("{state:?}"),
        reason: None,
        region: "EU-RO-1".to_owned(),
        zone: None,
        machine_type: None,
        gpu_count: Some(1),
        microusd_per_hour: None,
        billing: match state {
            MachineState::Stopped => Billing::Disk,
            MachineState::Terminated => Billing::None,
            _ => Billing::Full,
        },
        billed_from_ms: None,
        billed_until_ms: None,
        endpoint: Some("https://pod1-8000.proxy.example".to_owned()),
        address: None,
    }
}

#[test]
fn a_launch_asks_for_the_money_and_then_for_the_machine_with_all_that_it_needs() {
    let mut rented = Rented::launched(launch_at("runpod"));
    let ledger = rented.told_to("ledger/acme");
    assert_eq!(
        ledger,
        [json!({
            "command": "advance", "instance": "a", "window": "a/1", "number": 1, "project": "lab",
            "microusd_per_hour": 360_000, "hold_ms": 361_000
        })]
    );
    let account = rented.told_to("account/acme/acc_1");
    let [rent] = account.as_slice() else {
        panic!("{account:?}");
    };
    assert_eq!(rent["command"], "rent");
    let spec = &rent["spec"];
    assert_eq!(spec["marker"], "tidegate-0123456789-a-1");
    assert_eq!(spec["machine_type"], "NVIDIA L4");
    assert_eq!(spec["lifetime_secs"], 43_200);
    assert_eq!(
        spec["callback"]["url"],
        "https://gate.example/webhooks/boot/acme~a"
    );
    let fleet = rented.told_to("fleet/acme");
    let states: Vec<(i64, &str)> = fleet
        .iter()
        .map(|it| {
            let sequence = it["sequence"].as_i64().unwrap();
            (sequence, it["status"]["state"].as_str().unwrap())
        })
        .collect();
    // The ledger's answer is back before the first announcement is delivered.
    assert_eq!(states, [(2, "provisioning"), (1, "requested")]);
    let audit = rented.told_to("journal/acme/");
    let actions: Vec<&str> = audit
        .iter()
        .flat_map(|it| it["entries"].as_array().unwrap())
        .map(|entry| entry["action"].as_str().unwrap())
        .collect();
    // Likewise; each entry has its own time.
    assert_eq!(
        actions,
        [
            "instance.attempt_begun",
            "instance.provisioning",
            "instance.requested"
        ]
    );
    assert_eq!(rented.told, []);
    assert_eq!(rented.asked, []);
    rented.say(&InstanceCommand::Launch(Box::new(launch_at("runpod"))));
    assert_eq!(rented.told, [], "the same launch again is the same rental");
}

#[test]
fn it_warms_in_three_steps_and_is_announced_with_its_address_only_then() {
    let mut rented = Rented::launched(launch_at("runpod"));
    rented.hear(VendorFact::CreateSent);
    rented.see(MachineState::Running);
    let Effect::Get { url, bearer, .. } = rented.asked[0].clone() else {
        panic!("{:?}", rented.asked);
    };
    assert_eq!(url, "https://pod1-8000.proxy.example/health");
    assert_eq!(bearer.unwrap().record, "server/a");
    rented.fetched(502, "");
    assert_eq!(rented.state(), RentalState::Warming);
    rented.wait(1);
    rented.fetched(200, "ok");
    let Effect::Post { url, body, .. } = rented.asked[0].clone() else {
        panic!("{:?}", rented.asked);
    };
    assert_eq!(url, "https://pod1-8000.proxy.example/v1/chat/completions");
    assert!(body.contains("\"max_tokens\":1"), "{body}");
    rented.fetched(404, "{}");
    let Effect::Post { url, .. } = rented.asked[0].clone() else {
        panic!("{:?}", rented.asked);
    };
    assert_eq!(url, "https://pod1-8000.proxy.example/v1/completions");
    let before = rented.told_to("fleet/acme");
    assert!(
        before
            .iter()
            .all(|it| it["status"].get("endpoint").is_none_or(Value::is_null))
    );
    rented.fetched(200, r#"{"choices":[{"text":"a"}]}"#);
    let fleet = rented.told_to("fleet/acme");
    let last = fleet.last().unwrap();
    assert_eq!(last["status"]["state"], "ready");
    assert_eq!(
        last["status"]["endpoint"],
        "https://pod1-8000.proxy.example"
    );
}

#[test]
fn an_error_that_comes_with_200_is_no_token() {
    let mut rented = Rented::launched(launch_at("runpod"));
    rented.see(MachineState::Running);
    rented.fetched(200, "ok");
    rented.fetched(200, r#"{"error":{"message":"loading"}}"#);
    assert_eq!(rented.state(), RentalState::Warming);
    assert_eq!(rented.asked, [], "the next try has a pause before it");
}

#[test]
fn it_idles_out_is_given_back_and_the_ledger_hears_of_every_step() {
    let mut rented = Rented::serving();
    rented.told.clear();
    let configure = configure(InstanceSpec {
        endpoint_url: "https://pod1-8000.proxy.example/v1".to_owned(),
        ..spec(1)
    });
    let turn = tell(&mut rented.rig, &configure);
    rented.settle(turn);
    rented.asked.clear();
    let turn = ask(&mut rented.rig, "r1");
    rented.settle(turn);
    for _ in 0..14 {
        rented.wait(50);
        let renewed = Turnover {
            renewed: vec!["r1".to_owned()],
            ..Turnover::default()
        };
        let turn = turnover(&mut rented.rig, renewed);
        rented.settle(turn);
    }
    let turn = ask(&mut rented.rig, "r2");
    rented.settle(turn);
    assert_eq!(rented.state(), RentalState::Ready, "a request runs");
    let done = Turnover {
        settled: vec![settled("r2", OutcomeWire::Success)],
        cancelled: vec!["r1".to_owned()],
        ..Turnover::default()
    };
    let turn = turnover(&mut rented.rig, done);
    rented.settle(turn);
    rented.wait(170);
    assert_eq!(rented.state(), RentalState::Ready);
    rented.wait(131);
    assert_eq!(rented.state(), RentalState::Terminating);
    let orders = rented.told_to("account/acme/acc_1");
    assert_eq!(
        orders.last().unwrap(),
        &json!({
            "command": "act", "instance": "a", "attempt": 1, "action": "destroy", "number": 1
        })
    );
    rented.hear(VendorFact::ActionTaken {
        action: VendorAction::Destroy,
    });
    rented.told.clear();
    rented.see(MachineState::Terminated);
    assert_eq!(rented.state(), RentalState::Terminated);
    let ledger = rented.told_to("ledger/acme");
    let statement = &ledger.last().unwrap()["statement"];
    assert_eq!(statement["window"], "a/1");
    assert_eq!(statement["until_ms"], rented.rig.now.as_ms());
    rented.wait(60);
    let bills = rented.told_to("account/acme/acc_1");
    assert_eq!(bills.last().unwrap()["command"], "bill");
    rented.hear(VendorFact::Billed { microusd: 98_765 });
    let ledger = rented.told_to("ledger/acme");
    assert_eq!(
        ledger.last().unwrap()["statement"]["billed_microusd"],
        98_765
    );
}

#[test]
fn what_the_fleet_has_not_heard_yet_does_not_undrain_it() {
    let mut rented = Rented::serving();
    let configure = configure(spec(1));
    let turn = tell(&mut rented.rig, &configure);
    rented.settle(turn);
    grant(&mut rented.rig, "r1");
    rented.say(&InstanceCommand::Do {
        verb: RentalVerb::Drain,
        actor: "admin".to_owned(),
    });
    for command in [InstanceCommand::Resume, InstanceCommand::Drain] {
        rented.say(&command);
        assert_eq!(denied(&ask(&mut rented.rig, "r2")), DeniedWire::Draining);
    }
    rented.say(&InstanceCommand::Do {
        verb: RentalVerb::Resume,
        actor: "admin".to_owned(),
    });
    rented.say(&InstanceCommand::Drain);
    grant(&mut rented.rig, "r3");
}

#[test]
fn a_drain_that_came_before_the_registration_holds_for_it() {
    let mut rented = Rented::serving();
    rented.say(&InstanceCommand::Do {
        verb: RentalVerb::Drain,
        actor: "admin".to_owned(),
    });
    let turn = tell(&mut rented.rig, &configure(spec(1)));
    rented.settle(turn);
    assert_eq!(denied(&ask(&mut rented.rig, "r1")), DeniedWire::Draining);
}

#[test]
fn statements_of_a_window_are_numbered_and_an_eviction_does_not_begin_them_anew() {
    let mut rented = Rented::launched(launch_at("runpod"));
    rented.hear(VendorFact::CreateSent);
    rented.rig.evict();
    let mut priced = machine(MachineState::Running);
    priced.microusd_per_hour = Some(400_000);
    rented.hear(VendorFact::Seen {
        machine: Box::new(priced),
    });
    let revisions: Vec<Value> = rented
        .told_to("ledger/acme")
        .into_iter()
        .filter(|it| it["command"] == "state")
        .map(|it| it["statement"]["revision"].clone())
        .collect();
    assert_eq!(revisions, [1, 2]);
}

#[test]
fn losing_its_memory_at_every_step_changes_nothing() {
    let steps: [fn(&mut Rented); 6] = [
        |it| it.hear(VendorFact::CreateSent),
        |it| it.see(MachineState::Pending),
        |it| it.see(MachineState::Running),
        |it| it.wait(90),
        |it| it.fetched(200, "ok"),
        |it| it.fetched(200, r#"{"choices":[]}"#),
    ];
    let mut kept = Rented::launched(launch_at("runpod"));
    let mut evicted = Rented::launched(launch_at("runpod"));
    for (number, step) in steps.iter().enumerate() {
        if number == 3 {
            // What was asked before the eviction is lost; its timer asks again.
            kept.asked.clear();
            evicted.asked.clear();
        }
        step(&mut kept);
        if number < 3 {
            evicted.rig.evict();
        }
        step(&mut evicted);
    }
    assert_eq!(kept.state(), RentalState::Ready);
    assert_eq!(evicted.view(), kept.view());
}

#[test]
fn a_machine_that_calls_binds_its_token_and_a_copy_of_it_is_told_off() {
    let mut rented = Rented::launched(launch_at("aws"));
    rented.hear(VendorFact::CreateSent);
    rented.see(MachineState::Running);
    assert_eq!(rented.state(), RentalState::Booting);
    let call = |nonce: &str| {
        InstanceCommand::CallHome(CallHome {
            attempt: 1,
            nonce: nonce.to_owned(),
            says: MachineSays::Booted,
        })
    };
    let answer = |value: Value| serde_json::from_value::<CallHomeAnswer>(value).unwrap();
    let heard = CallHomeAnswer::Heard {
        heartbeat_ms: 15_000,
    };
    assert_eq!(answer(rented.say(&call("aa"))), heard);
    assert_eq!(answer(rented.say(&call("aa"))), heard);
    assert_eq!(
        answer(rented.say(&call("bb"))),
        CallHomeAnswer::OtherMachine
    );
    let other_attempt = InstanceCommand::CallHome(CallHome {
        attempt: 2,
        nonce: "aa".to_owned(),
        says: MachineSays::Alive,
    });
    assert_eq!(
        answer(rented.say(&other_attempt)),
        CallHomeAnswer::NotExpected
    );
    rented.see(MachineState::Running);
    let view = rented.view();
    assert_eq!(view.status.state, RentalState::ReadyUnreachable);
    assert!(
        view.status.reason.contains("public TLS"),
        "{}",
        view.status.reason
    );
    assert_eq!(view.status.endpoint, None, "nothing is put into rotation");
    let events: RentalEvents = serde_json::from_value(rented.say(&InstanceCommand::Events {
        limit: 100,
        before: None,
    }))
    .unwrap();
    let copied = events
        .events
        .iter()
        .filter(|event| event.what == "instance.boot_token_copied")
        .count();
    assert_eq!(copied, 1);
}

#[test]
fn commands_are_admitted_or_refused_with_words() {
    let mut rented = Rented::launched(launch_at("runpod"));
    let order = |verb| InstanceCommand::Do {
        verb,
        actor: "key/1".to_owned(),
    };
    let answer = |value: Value| serde_json::from_value::<RentalAnswer>(value).unwrap();
    let RentalAnswer::Refused { reason, .. } = answer(rented.say(&order(RentalVerb::Stop))) else {
        panic!("there is nothing to stop yet");
    };
    assert!(reason.contains("terminate"), "{reason}");
    rented.told.clear();
    let RentalAnswer::Accepted { rental } = answer(rented.say(&order(RentalVerb::Terminate)))
    else {
        panic!("it can always be ended");
    };
    assert!(rental.status.reason.contains("given back"), "{rental:?}");
    assert_eq!(
        rented.told_to("account/acme/acc_1"),
        [json!({ "command": "withdraw", "instance": "a", "attempt": 1 })]
    );
    let audit = rented.told_to("journal/acme/");
    assert_eq!(audit[0]["entries"][0]["actor"], "key/1");
    assert!(matches!(
        answer(rented.say(&order(RentalVerb::Terminate))),
        RentalAnswer::AlreadySo { .. }
    ));
    rented.hear(VendorFact::Withdrawn);
    assert_eq!(rented.state(), RentalState::Terminated);
}

#[test]
fn a_server_that_is_taken_out_of_the_registry_goes_on_being_rented() {
    let mut rented = Rented::serving();
    let turn = tell(&mut rented.rig, &configure(spec(1)));
    rented.settle(turn);
    rented.told.clear();
    rented.say(&InstanceCommand::Remove { generation: 2 });
    assert_eq!(rented.state(), RentalState::Ready);
    rented.rig.evict();
    assert_eq!(rented.state(), RentalState::Ready);
}

#[test]
fn events_are_paged_from_the_newest_and_the_oldest_are_dropped() {
    let mut rented = Rented::serving();
    let page = |rented: &mut Rented, limit, before| {
        let value = rented.say(&InstanceCommand::Events { limit, before });
        serde_json::from_value::<RentalEvents>(value).unwrap()
    };
    let all = page(&mut rented, 500, None);
    assert_eq!(all.next_before, None);
    let first = page(&mut rented, 2, None);
    assert_eq!(first.events, all.events[..2]);
    let second = page(&mut rented, 2, first.next_before);
    assert_eq!(second.events, all.events[2..4]);
    for _ in 0..520 {
        let machine = Box::new(machine(MachineState::Running));
        let error = tidegate_provider_api::ProviderError::no_answer("create", "lost");
        rented.hear(VendorFact::CreateUnclear { error });
        rented.hear(VendorFact::Seen { machine });
    }
    assert_eq!(rented.rig.count("events"), 500);
}

#[test]
fn no_secret_of_a_launch_is_in_what_is_told_but_for_the_account() {
    let mut rented = Rented::serving();
    let account = rented.told_to("account/");
    assert!(!account.is_empty());
    let others = serde_json::to_string(&rented.told).unwrap();
    assert!(!others.contains("sealed-server-key"), "{others}");
    let messages = sent(&[]);
    assert_eq!(messages, []);
}

#[test]
fn a_request_pays_for_its_place_and_the_ledger_hears_of_it_within_a_minute() {
    let mut rented = Rented::serving();
    let turn = tell(&mut rented.rig, &configure(spec(1)));
    rented.settle(turn);
    let paying = |rig: &Server, name: &str| Turnover {
        ask: Some(Ask {
            payer: Some("key/1".to_owned()),
            ..request(rig, name)
        }),
        ..Turnover::default()
    };
    let asked = paying(&rented.rig, "r1");
    let turn = turnover(&mut rented.rig, asked);
    rented.settle(turn);
    rented.wait(50);
    let done = Turnover {
        settled: vec![super::settled("r1", OutcomeWire::Success)],
        ..Turnover::default()
    };
    let turn = turnover(&mut rented.rig, done);
    rented.settle(turn);
    rented.told.clear();
    rented.wait(60);
    let ledger = rented.told_to("ledger/acme");
    let statement = &ledger.last().unwrap()["statement"];
    // 0.36 dollars an hour, two places: 50 s of one of them.
    assert_eq!(statement["shares"], json!({ "key/1": 2_500 }));
    rented.rig.evict();
    rented.hear(VendorFact::ActionTaken {
        action: VendorAction::Destroy,
    });
    rented.see(MachineState::Terminated);
    let ledger = rented.told_to("ledger/acme");
    let statement = &ledger.last().unwrap()["statement"];
    assert_eq!(statement["shares"], json!({ "key/1": 2_500 }));
}

/// P7: a hard cap works although the vendor's API is down, and so does serving until then.
#[test]
fn a_cap_ends_a_server_whose_vendor_says_nothing_and_until_then_it_serves() {
    let mut rented = Rented::serving();
    let turn = tell(&mut rented.rig, &configure(spec(1)));
    rented.settle(turn);
    rented.told.clear();
    // Nothing is heard of the vendor any more; a request a minute comes and goes.
    let mut served = 0;
    while rented.state() == RentalState::Ready {
        served += 1;
        assert!(served < 100, "the cap was never noticed");
        if served == 30 {
            rented.denial = Some("the budget of organisation is spent".to_owned());
        }
        let id = format!("r{served}");
        let turn = ask(&mut rented.rig, &id);
        assert!(
            matches!(answer(&turn), AskAnswer::Granted { .. }),
            "{turn:?}"
        );
        rented.settle(turn);
        let done = Turnover {
            settled: vec![settled(&id, OutcomeWire::Success)],
            ..Turnover::default()
        };
        let turn = turnover(&mut rented.rig, done);
        rented.settle(turn);
        rented.wait(60);
    }
    // Thirty minutes on the vendor's silence, and then for as long as was paid ahead: 361 s, 60 of them the way down.
    assert!((30..=36).contains(&served), "{served}");
    let destroy = json!({
        "command": "act", "instance": "a", "attempt": 1, "action": "destroy", "number": 1
    });
    let orders = rented.told_to("account/acme/acc_1");
    assert_eq!(orders, [destroy]);
    let spent = rented.told_to("ledger/acme");
    let asked = spent.iter().filter(|it| it["command"] == "advance").count();
    for _ in 0..60 {
        rented.wait(60);
    }
    assert_eq!(
        rented.state(),
        RentalState::Terminating,
        "nobody said that it is gone"
    );
    let later = rented.told_to("ledger/acme");
    let again = later.iter().filter(|it| it["command"] == "advance").count();
    assert!(asked > 0 && again == 0, "{asked} {again}");
    assert!(
        later.iter().all(|it| it["statement"]["until_ms"].is_null()),
        "its meter runs"
    );
}

#[test]
fn what_the_vendor_asks_for_the_machine_is_not_all_that_it_costs() {
    let mut rented = Rented::launched(launch_at("runpod"));
    rented.hear(VendorFact::CreateSent);
    let mut dearer = machine(MachineState::Running);
    dearer.microusd_per_hour = Some(400_000);
    rented.hear(VendorFact::Seen {
        machine: Box::new(dearer),
    });
    let statement = rented.told_to("ledger/acme").pop().unwrap()["statement"].clone();
    // And its disk.
    assert_eq!(
        statement["segments"][0]["microusd_per_hour"], 403_600,
        "{statement}"
    );
}

/// Serves a request a minute, until it has been ready for longer than it may idle.
fn in_use() -> Rented {
    let mut rented = Rented::serving();
    let turn = tell(&mut rented.rig, &configure(spec(1)));
    rented.settle(turn);
    for number in 0..6 {
        rented.wait(60);
        let id = format!("r{number}");
        let turn = ask(&mut rented.rig, &id);
        rented.settle(turn);
        let done = Turnover {
            settled: vec![settled(&id, OutcomeWire::Success)],
            ..Turnover::default()
        };
        let turn = turnover(&mut rented.rig, done);
        rented.settle(turn);
    }
    rented.rig.wait(Span::from_secs(10));
    let turn = rented.rig.turn(Driver::soon).unwrap();
    rented.settle(turn);
    rented
}

/// An object that nobody asks leaves memory within seconds, and the next thing that it hears is its alarm.
#[test]
fn one_that_lost_its_memory_does_not_idle_out_while_it_is_used() {
    for wakes_by_alarm in [true, false] {
        let mut rented = in_use();
        rented.rig.evict();
        if wakes_by_alarm {
            rented.wait(30);
        } else {
            rented.rig.wait(Span::from_secs(30));
            rented.say(&InstanceCommand::Tick);
        }
        assert_eq!(rented.state(), RentalState::Ready, "used 40 seconds ago");
        rented.wait(261);
        assert_eq!(rented.state(), RentalState::Terminating);
    }
}

#[test]
fn one_that_lost_its_memory_lets_requests_finish_that_run() {
    let mut rented = in_use();
    let turn = ask(&mut rented.rig, "long");
    rented.settle(turn);
    rented.rig.wait(Span::from_secs(1));
    let turn = rented.rig.turn(Driver::soon).unwrap();
    rented.settle(turn);
    rented.say(&InstanceCommand::Do {
        verb: RentalVerb::Stop,
        actor: "admin".to_owned(),
    });
    assert_eq!(rented.state(), RentalState::Draining);
    rented.rig.evict();
    rented.wait(5);
    assert_eq!(rented.state(), RentalState::Draining, "a request runs");
}

#[test]
fn a_fact_that_is_delivered_again_is_not_told_again() {
    let mut rented = Rented::launched(launch_at("runpod"));
    rented.hear(VendorFact::CreateSent);
    let error = tidegate_provider_api::ProviderError::no_answer("create", "lost");
    let unclear = VendorFact::CreateUnclear { error };
    rented.hear(unclear.clone());
    rented.told.clear();
    rented.facts -= 1;
    rented.hear(unclear);
    assert_eq!(rented.told, []);
}
