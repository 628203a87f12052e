//! Who gets in.

use serde_json::{Value, json};
use tidegate_edge::routes::{Access, ROUTES};

use crate::rig::{Rig, vacant};

pub const ROOTS: [&str; 6] = [
    "/admin/providers",
    "/admin/offers",
    "/admin/profiles",
    "/admin/instances",
    "/admin/budgets",
    "/admin/ledger",
];

/// Every operation of renting, as method and path.
fn operations() -> Vec<(&'static str, String)> {
    let is_ours = |path: &str| ROOTS.iter().any(|root| path.starts_with(root));
    let own = ROUTES.iter().filter(|route| is_ours(route.path));
    let path = |template: &str| {
        let account = template.contains("accounts");
        let id = vacant(if account { "account" } else { "instance" });
        template
            .replace("{vendor}", "runpod")
            .replace("{id}", &id)
            .replace("{name}", "small")
            .replace("{scope*}", "organisation")
    };
    own.map(|route| {
        assert_eq!(route.access(), Access::Admin);
        (route.method, path(route.path))
    })
    .collect()
}

#[test]
fn without_the_admin_key_every_route_of_renting_is_403() {
    let mut rig = Rig::new();
    let operations = operations();
    assert_eq!(operations.len(), 32);
    for headers in [
        &[][..],
        &[("x-api-key", "wrong")],
        &[("authorization", "Bearer tg_0123456789")],
    ] {
        for (method, path) in &operations {
            let answer = rig.world.raw(method, path, headers, b"{}");
            assert_eq!(
                answer.error(),
                (403, "insufficient_permissions", None),
                "{method} {path}"
            );
            assert_eq!(
                rig.world.asked,
                [],
                "nobody is asked on behalf of a stranger"
            );
        }
    }
}

#[test]
fn a_key_of_scope_read_looks_and_changes_nothing() {
    let mut rig = Rig::new();
    let minted = rig.post("/admin/keys", json!({ "name": "read", "scopes": ["read"] }));
    let bearer = format!("Bearer {}", minted.text("key"));
    for (command, answer) in [
        ("ledger/budgets", json!({ "budgets": [] })),
        ("ledger/books", json!({ "balances": [], "open": [] })),
        ("ledger/entries", json!({ "entries": [] })),
        (
            "fleet/rentals",
            json!({ "answer": "rentals", "rentals": [], "total": 0 }),
        ),
    ] {
        rig.says(command, answer);
    }
    for (method, path) in operations() {
        let answer = rig
            .world
            .raw(method, &path, &[("authorization", &bearer)], b"{}");
        if method == "GET" {
            assert!(
                [200, 404].contains(&answer.status),
                "{path}: {}",
                answer.body
            );
        } else {
            assert_eq!(answer.status, 403, "{method} {path}");
        }
    }
}

#[test]
fn the_audit_and_the_launch_name_the_key_that_asked() {
    let mut rig = Rig::new();
    let minted = rig.post("/admin/keys", json!({ "name": "ops", "scopes": ["admin"] }));
    let (id, bearer) = (minted.text("id"), format!("Bearer {}", minted.text("key")));
    let account = rig.connect("runpod", "main");
    rig.offers(&account, &[crate::rig::offer(&[])]);
    rig.profile();
    let headers = [("authorization", bearer.as_str())];
    let answer = rig.world.raw(
        "POST",
        "/admin/instances",
        &headers,
        br#"{"profile":"small"}"#,
    );
    assert_eq!(answer.body["launched_by"], format!("key/{id}"));
    let at = format!("/admin/instances/{}/ssh-key", answer.text("id"));
    assert_eq!(rig.world.raw("POST", &at, &headers, b"").status, 200);
    let audit = rig.get("/admin/audit").body;
    assert_eq!(audit["data"][0]["actor"], format!("key/{id}"));
}

#[test]
fn another_organisation_sees_nothing_of_it() {
    let mut rig = Rig::new();
    let account = rig.connect("runpod", "main");
    let mut other = Rig::of_org("acme");
    for path in [
        "/admin/providers/runpod/accounts",
        "/admin/profiles",
        "/admin/offers",
    ] {
        assert_eq!(other.get(path).body["data"], json!([]), "{path}");
        assert!(other.world.asked.iter().all(|(to, _)| to == "fleet/acme"));
    }
    let at = format!("/admin/providers/runpod/accounts/{account}");
    for (method, tail) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/test"),
        ("GET", "/regions"),
    ] {
        let answer = other.ask(method, &format!("{at}{tail}"), Value::Null);
        assert_eq!(answer.error(), (404, "not_found", None));
        assert_eq!(
            other.world.asked,
            [],
            "an id is good for its organisation alone"
        );
    }
}

#[test]
fn a_wrong_method_is_405_and_says_which_are_right() {
    let mut rig = Rig::new();
    for (method, path, allowed) in [
        ("POST", "/admin/providers", "GET"),
        ("DELETE", "/admin/providers/runpod/accounts", "GET, POST"),
        (
            "POST",
            "/admin/providers/runpod/accounts/x",
            "GET, PUT, DELETE",
        ),
        ("GET", "/admin/providers/runpod/accounts/x/test", "POST"),
        ("GET", "/admin/instances:estimate", "POST"),
        ("PUT", "/admin/instances", "GET, POST"),
        ("DELETE", "/admin/instances/x", "GET"),
        ("GET", "/admin/instances/x/terminate", "POST"),
        ("GET", "/admin/budgets/organisation", "PUT, DELETE"),
        ("POST", "/admin/profiles/x", "GET, PUT, DELETE"),
    ] {
        let answer = rig.ask(method, path, Value::Null);
        assert_eq!(
            answer.error(),
            (405, "method_not_allowed", None),
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
    for path in [
        "/admin/providers/runpod",
        "/admin/profiles/a/b",
        "/admin/instances/x/y",
        "/admin/ledger/x",
    ] {
        assert_eq!(rig.get(path).error(), (404, "not_found", None), "{path}");
    }
}
