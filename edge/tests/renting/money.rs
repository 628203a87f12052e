use serde_json::{Value, json};

use crate::rig::Rig;
use crate::world::START;

pub fn budget(scope: &str) -> Value {
    json!({
        "scope": scope,
        "budget": { "period": "month", "cap_microusd": 200_000_000, "target_microusd": null, "thresholds": [50, 80] },
        "period_from_ms": 1_793_491_200_000_i64,
        "spent_microusd": 199_999_999, "held_microusd": 2,
    })
}

#[test]
fn a_budget_is_put_shown_and_removed() {
    let mut rig = Rig::new();
    let key = rig
        .post("/admin/keys", json!({ "name": "app" }))
        .text("id")
        .to_owned();
    for scope in [
        "organisation".to_owned(),
        "project/a/b".to_owned(),
        format!("key/{key}"),
    ] {
        rig.says(
            "ledger/put_budget",
            json!({ "answer": "budget", "budget": budget(&scope) }),
        );
        let at = format!("/admin/budgets/{scope}");
        let body = json!({ "period": "month", "cap": "200", "thresholds": [50, 80] });
        let put = rig.put(&at, body);
        assert_eq!(put.status, 200, "{}", put.body);
        let expected = json!({
            "scope": scope, "period": "month", "cap": "200", "target": null, "thresholds": [50, 80],
            "period_from_at": "2026-11-01T00:00:00.000Z", "spent": "199.999999", "held": "0.000002", "left": "0",
        });
        assert_eq!(put.body, expected);
        let asked = json!({
            "command": "put_budget", "scope": scope, "actor": "admin",
            "budget": { "period": "month", "cap_microusd": 200_000_000, "target_microusd": null, "thresholds": [50, 80] },
        });
        assert_eq!(rig.world.asked, [("ledger/default".to_owned(), asked)]);
        rig.says("ledger/delete_budget", json!({ "answer": "deleted" }));
        assert_eq!(
            rig.delete(&at).body,
            json!({ "scope": scope, "deleted": true })
        );
        rig.says("ledger/delete_budget", json!({ "answer": "not_found" }));
        assert_eq!(rig.delete(&at).error(), (404, "not_found", None));
    }
    rig.says(
        "ledger/budgets",
        json!({ "budgets": [budget("organisation")] }),
    );
    assert_eq!(
        rig.get("/admin/budgets").body["data"][0]["scope"],
        "organisation"
    );
    let slash = rig.put("/admin/budgets/project%2Fa", json!({ "cap": 1 }));
    assert_eq!(
        (slash.status, &rig.told("put_budget")["scope"]),
        (200, &json!("project/a"))
    );
    assert_eq!(rig.told("put_budget")["budget"]["cap_microusd"], 1_000_000);
}

#[test]
fn a_budget_that_makes_no_sense_is_refused() {
    let mut rig = Rig::new();
    for scope in ["everything", "project/", "project", "key/x", "key/", "a/b"] {
        for (method, body) in [("PUT", json!({ "cap": 1 })), ("DELETE", Value::Null)] {
            let answer = rig.ask(method, &format!("/admin/budgets/{scope}"), body);
            assert_eq!(answer.error(), (404, "not_found", None), "{scope}");
            assert_eq!(rig.world.asked, []);
        }
    }
    for (body, code, param) in [
        (json!({}), "missing_required_parameter", "cap"),
        (json!({ "cap": "much" }), "invalid_value", "cap"),
        (json!({ "cap": -1 }), "invalid_value", "cap"),
        (
            json!({ "cap": 1, "period": "week" }),
            "invalid_value",
            "period",
        ),
        (
            json!({ "cap": 1, "thresholds": 80 }),
            "invalid_type",
            "thresholds",
        ),
        (
            json!({ "cap": 1, "thresholds": [300] }),
            "invalid_type",
            "thresholds",
        ),
        (json!({ "cap": 1, "limit": 1 }), "invalid_value", "limit"),
    ] {
        let answer = rig.put("/admin/budgets/organisation", body.clone());
        assert_eq!(answer.error(), (400, code, Some(param)), "{body}");
        assert_eq!(rig.world.asked, []);
    }
    rig.says(
        "ledger/put_budget",
        json!({ "answer": "invalid", "param": "thresholds", "reason": "must be in ascending order" }),
    );
    let refused = rig.put(
        "/admin/budgets/organisation",
        json!({ "cap": 1, "thresholds": [9, 8] }),
    );
    assert_eq!(refused.error(), (400, "invalid_value", Some("thresholds")));
    rig.is_silent("ledger/put_budget");
    let lost = rig.put("/admin/budgets/organisation", json!({ "cap": 1 }));
    assert_eq!(lost.error(), (503, "gateway_unavailable", None));
    assert!(lost.message().contains("The ledger did not answer in time"));
}

#[test]
fn the_books_and_their_postings_are_shown_exactly() {
    let mut rig = Rig::new();
    rig.says(
        "ledger/books",
        json!({
            "balances": [
                { "account": "vendor/acc_x", "microusd": -331_201 },
                { "account": "idle/srv_x", "microusd": 331_201 },
            ],
            "open": [{
                "window": "srv_x/1", "from_ms": START.as_ms(), "microusd": 331_201,
                "microusd_per_hour": 690_000, "advanced_until_ms": START.as_ms() + 60_000,
            }],
        }),
    );
    let books = rig.get("/admin/ledger").body;
    assert_eq!(
        books["balances"][0],
        json!({ "account": "vendor/acc_x", "balance": "-0.331201" })
    );
    assert_eq!(books["open"][0]["cost"], "0.331201");
    assert_eq!(
        books["open"][0]["advanced_until_at"],
        "2026-11-21T10:01:00.000Z"
    );
    rig.says(
        "ledger/entries",
        json!({
            "entries": [{
                "number": 7, "at_ms": START.as_ms(), "debit": "idle/srv_x", "credit": "gpu/srv_x",
                "microusd": 1, "window": "srv_x/1", "memo": "idle",
            }],
            "next_before": 7,
        }),
    );
    let page = rig
        .get("/admin/ledger/entries?instance=srv_x&limit=1&before=9")
        .body;
    assert_eq!(
        (&page["data"][0]["amount"], &page["next_before"]),
        (&json!("0.000001"), &json!(7))
    );
    let asked = json!({ "command": "entries", "limit": 1, "before": 9, "instance": "srv_x" });
    assert_eq!(*rig.told("entries"), asked);
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("before=-1", "before"),
    ] {
        let answer = rig.get(&format!("/admin/ledger/entries?{query}"));
        assert_eq!(answer.error(), (400, "invalid_value", Some(param)));
        assert_eq!(rig.world.asked, []);
    }
    for (command, path) in [
        ("books", "/admin/ledger"),
        ("entries", "/admin/ledger/entries"),
        ("budgets", "/admin/budgets"),
    ] {
        rig.is_silent(&format!("ledger/{command}"));
        assert_eq!(rig.get(path).error(), (503, "gateway_unavailable", None));
    }
}
