use serde_json::{Value, json};
use tidegate_durable::bindings::rental::RentalState;

use crate::rig::{Rig, foreign, offer, vacant};
use crate::world::START;

fn path(id: &str) -> String {
    format!("/admin/instances/{id}")
}

fn status(state: &str) -> Value {
    json!({
        "state": state, "since_ms": START.as_ms(), "reason": "", "attempt": 1, "machine": "pod1",
        "billing": "full", "microusd_per_hour": 690_000,
        "endpoint": "https://pod1-8000.proxy.example.net",
    })
}

fn rental(state: &str) -> Value {
    json!({
        "status": status(state),
        "phases": [{ "state": "requested", "at_ms": START.as_ms() }, { "state": state, "at_ms": START.as_ms() + 1 }],
        "timers": [{ "timer": "max_lifetime", "at_ms": START.as_ms() + 43_200_000 }],
        "attempts": [{ "number": 1, "account": "acc_x", "outcome": "created", "machine": "pod1" }],
        "last_active_ms": START.as_ms() + 2,
        "address": "203.0.113.7",
    })
}

#[test]
fn an_instance_is_shown_with_what_its_own_object_knows() {
    let mut rig = Rig::new();
    let id = rig.launch();
    let answer = json!({ "answer": "already_so", "rental": rental("ready") });
    rig.says("instance/rental", answer);
    let shown = rig.get(&path(&id));
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!(
        rig.asked(),
        ["fleet rental", "instance rental", "ledger cost"]
    );
    assert_eq!(rig.told("cost")["instance"], json!(id));
    let body = &shown.body;
    assert_eq!(
        (&body["status"], &body["machine_id"]),
        (&json!("ready"), &json!("pod1"))
    );
    assert_eq!(
        (&body["price_per_hour"], &body["cost"]),
        (&json!("0.69"), &json!("0.3312"))
    );
    assert_eq!(
        (&body["vendor"], &body["gpu"]),
        (&json!("runpod"), &json!("l4"))
    );
    assert_eq!(body["phases"][1]["reached_at"], "2026-11-21T10:00:00.001Z");
    assert_eq!(body["timers"][0]["due_at"], "2026-11-21T22:00:00.000Z");
    assert_eq!(body["attempts"][0]["outcome"], "created");
    assert_eq!(body["dead_man_switches"], json!(["alarm", "sweep"]));
    assert_eq!(
        (&body["live_error"], &body["launched_by"]),
        (&Value::Null, &json!("admin"))
    );
}

#[test]
fn why_it_cannot_be_reached_is_told() {
    let mut rig = Rig::new();
    let id = rig.launch();
    let mut hidden = rental("ready_unreachable");
    hidden["status"]["reason"] = json!("what runs there is not reachable over public TLS");
    hidden["status"]["endpoint"] = Value::Null;
    rig.says(
        "instance/rental",
        json!({ "answer": "accepted", "rental": hidden }),
    );
    let body = rig.get(&path(&id)).body;
    assert_eq!(
        (&body["status"], &body["endpoint_url"]),
        (&json!("ready_unreachable"), &Value::Null)
    );
    assert!(
        body["status_reason"]
            .as_str()
            .unwrap()
            .contains("not reachable over public TLS")
    );
}

#[test]
fn the_registrys_part_stands_by_itself() {
    let mut rig = Rig::new();
    let id = rig.launch();
    rig.is_silent("instance/rental");
    for _ in 0..2 {
        let shown = rig.get(&path(&id));
        assert_eq!((shown.status, shown.text("status")), (200, "requested"));
        assert_eq!(shown.body["phases"], Value::Null);
        assert!(shown.text("live_error").contains("did not answer"));
        // Not heard of it yet.
        rig.says("instance/rental", json!({ "answer": "not_found" }));
    }
}

#[test]
fn each_verb_is_asked_of_the_instance_at_once() {
    let mut rig = Rig::new();
    let id = rig.launch();
    for (verb, state) in [
        ("start", "starting"),
        ("stop", "stopping"),
        ("drain", "draining"),
        ("resume", "ready"),
        ("terminate", "terminating"),
    ] {
        let at = format!("{}/{verb}", path(&id));
        for result in ["accepted", "already_so"] {
            let answer = json!({ "answer": result, "rental": rental(state) });
            rig.says("instance/do", answer);
            let told = rig.post(&at, Value::Null);
            assert_eq!(told.status, 200, "{}", told.body);
            assert_eq!((told.text("result"), told.text("status")), (result, state));
            assert_eq!(told.body["id"], json!(id));
            assert_eq!(
                rig.asked(),
                ["instance do"],
                "the registry is not waited for"
            );
            let asked = rig.told("do");
            assert_eq!(
                (&asked["verb"], &asked["actor"]),
                (&json!(verb), &json!("admin"))
            );
        }
        let reason = "it is being given back; launch another";
        let refused =
            json!({ "answer": "refused", "reason": reason, "rental": rental("terminating") });
        rig.says("instance/do", refused);
        let refused = rig.post(&at, Value::Null);
        assert_eq!(refused.error(), (409, "conflict", None));
        assert!(refused.message().contains(&format!(
            "The instance is terminating, and nothing was done: {reason}"
        )));
        rig.is_silent("instance/do");
        let lost = rig.post(&at, Value::Null);
        assert_eq!(lost.error(), (503, "gateway_unavailable", None));
        assert!(lost.message().contains("a repetition does no harm"));
        assert_eq!(lost.header("retry-after"), Some("1"));
    }
}

#[test]
fn a_verb_that_comes_before_the_launch_is_told_from_one_for_nothing() {
    let mut rig = Rig::new();
    let id = rig.launch();
    rig.says("instance/do", json!({ "answer": "not_found" }));
    let early = rig.post(&format!("{}/terminate", path(&id)), Value::Null);
    assert_eq!(early.error(), (503, "gateway_unavailable", None));
    assert!(early.message().contains("has not heard of it yet"));
    let none = rig.post(
        &format!("{}/terminate", path(&vacant("instance"))),
        Value::Null,
    );
    assert_eq!(none.error(), (404, "not_found", None));
    assert_eq!(rig.asked(), ["instance do", "fleet rental"]);
}

#[test]
fn rentals_are_listed_filtered_and_paged() {
    let mut rig = Rig::new();
    let id = rig.launch();
    rig.post("/admin/instances", json!({ "profile": "small" }));
    rig.world.tell_registry(&json!({
        "command": "announce_rental", "event_id": "1", "instance": id, "status": status("ready"), "sequence": 1,
    }));
    let list = rig.get("/admin/instances").body;
    assert_eq!(
        (&list["total"], &list["limit"], &list["offset"]),
        (&json!(2), &json!(50), &json!(0))
    );
    let rows = list["data"].as_array().unwrap();
    let shown = rows.iter().find(|row| row["id"] == json!(id)).unwrap();
    assert_eq!(
        (&shown["status"], &shown["vendor"], &shown["gpu"]),
        (&json!("ready"), &json!("runpod"), &json!("l4"))
    );
    assert_eq!(
        (&shown["price_per_hour"], &shown["machine_id"]),
        (&json!("0.69"), &json!("pod1"))
    );
    let account = shown["account_id"].as_str().unwrap().to_owned();
    for (query, total) in [
        ("state=ready", 1),
        ("state=requested", 1),
        ("state=lost", 0),
        ("over=false", 2),
        ("over=true", 0),
        ("profile=small", 2),
        ("profile=large", 0),
        (&format!("account={account}"), 2),
        ("account=acc_x", 0),
    ] {
        let list = rig.get(&format!("/admin/instances?{query}")).body;
        assert_eq!(list["total"], total, "{query}");
    }
    let page = rig.get("/admin/instances?limit=1&offset=1").body;
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    for state in RentalState::ALL {
        assert_eq!(
            rig.get(&format!("/admin/instances?state={}", state.as_str()))
                .status,
            200
        );
    }
    for (query, param) in [
        ("state=dead", "state"),
        ("over=maybe", "over"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("offset=-1", "offset"),
    ] {
        let answer = rig.get(&format!("/admin/instances?{query}"));
        assert_eq!(answer.error(), (400, "invalid_value", Some(param)));
        assert_eq!(rig.world.asked, []);
    }
}

#[test]
fn what_happened_is_read_page_by_page() {
    let mut rig = Rig::new();
    let id = rig.launch();
    let event =
        json!({ "number": 4, "at_ms": START.as_ms(), "what": "instance.ready", "detail": "d" });
    rig.says(
        "instance/events",
        json!({ "events": [event], "next_before": 4 }),
    );
    let at = format!("{}/events", path(&id));
    let page = rig.get(&at).body;
    let shown = json!({
        "number": 4, "happened_at": "2026-11-21T10:00:00.000Z", "event": "instance.ready", "detail": "d",
    });
    assert_eq!(
        (&page["data"][0], &page["next_before"]),
        (&shown, &json!(4))
    );
    rig.get(&format!("{at}?limit=7&before=4"));
    let asked = rig.told("events");
    assert_eq!((&asked["limit"], &asked["before"]), (&json!(7), &json!(4)));
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("before=x", "before"),
    ] {
        let answer = rig.get(&format!("{at}?{query}"));
        assert_eq!(answer.error(), (400, "invalid_value", Some(param)));
        assert_eq!(rig.world.asked, []);
    }
    rig.is_silent("instance/events");
    assert_eq!(rig.get(&at).error(), (503, "gateway_unavailable", None));
}

#[test]
fn the_private_key_is_shown_after_the_audit_has_it_and_is_not_to_be_stored() {
    let mut rig = Rig::new();
    let id = rig.launch();
    let at = format!("{}/ssh-key", path(&id));
    let shown = rig.post(&at, Value::Null);
    assert_eq!(shown.status, 200);
    assert!(
        shown
            .text("private_key")
            .starts_with("-----BEGIN OPENSSH PRIVATE KEY-----")
    );
    assert!(shown.text("public_key").starts_with("ssh-ed25519 "));
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    assert_eq!(rig.asked(), ["fleet rental", "fleet note_rental"]);
    let audit = rig.get("/admin/audit").body;
    let entry = &audit["data"][0];
    assert_eq!(
        (&entry["action"], &entry["subject"]),
        (&json!("instance.ssh_key_shown"), &json!(id))
    );
    assert_eq!(entry["actor"], "admin");
    rig.is_silent("fleet/note_rental");
    let unnoted = rig.post(&at, Value::Null);
    assert_eq!(unnoted.error(), (503, "gateway_unavailable", None));
    rig.cloud.borrow_mut().says.clear();

    let other = rig.post(
        "/admin/instances",
        json!({ "profile": "small", "ssh": false }),
    );
    let mut rental = json!({
        "id": id, "launch": rig.told("launch"), "status": status("ready"),
        "created_at_ms": START.as_ms(), "sealed_ssh_key": "sealed1.AAAA",
    });
    rental["launch"].as_object_mut().unwrap().remove("command");
    rig.says(
        "fleet/rental",
        json!({ "answer": "rental", "rental": rental }),
    );
    let odd = rig.post(&at, Value::Null);
    assert_eq!(odd.error(), (409, "conflict", None));
    assert!(odd.message().contains("cannot be read any more"));
    rig.cloud.borrow_mut().says.clear();
    let at = format!("{}/ssh-key", path(other.text("id")));
    let none = rig.post(&at, Value::Null);
    assert_eq!(none.error(), (409, "conflict", None));
    assert!(none.message().contains("`ssh` false"));
}

#[test]
fn an_id_of_somebody_else_addresses_nobody() {
    let mut rig = Rig::new();
    let account = rig.connect("runpod", "main");
    rig.offers(&account, &[offer(&[])]);
    for (method, tail) in [
        ("GET", ""),
        ("POST", "/start"),
        ("POST", "/stop"),
        ("POST", "/drain"),
        ("POST", "/resume"),
        ("POST", "/terminate"),
        ("GET", "/events"),
        ("POST", "/ssh-key"),
    ] {
        for id in [&foreign("instance"), &account, "srv_", "..%2Fx"] {
            let answer = rig.ask(method, &format!("{}{tail}", path(id)), Value::Null);
            assert_eq!(
                answer.error(),
                (404, "not_found", None),
                "{method} {id}{tail}"
            );
            assert_eq!(rig.world.asked, [], "{method} {id}{tail}");
        }
    }
}
