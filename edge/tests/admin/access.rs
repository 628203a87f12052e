//! Who gets in, where nothing is, and which methods there are.

use serde_json::{Value, json};
use tidegate_domain::time::Span;

use crate::world::{ADMIN_KEY, World};

#[test]
fn without_the_admin_key_every_admin_route_is_403() {
    let mut world = World::new();
    for headers in [
        &[][..],
        &[("x-api-key", "")],
        &[("x-api-key", "wrong")],
        &[("authorization", "Bearer wrong")],
        &[("authorization", ADMIN_KEY)],
        &[("x-api-key", "tg_0123456789")],
    ] {
        for (method, path) in [
            ("POST", "/admin/register"),
            ("GET", "/admin/keys"),
            ("GET", "/admin/nothing"),
        ] {
            let answer = world.raw(method, path, headers, b"{}");
            assert_eq!(
                answer.error(),
                (403, "insufficient_permissions", None),
                "{headers:?}"
            );
            assert_eq!(world.asked, [], "nobody is asked on behalf of a stranger");
        }
    }
}

#[test]
fn the_admin_key_is_taken_from_either_header() {
    let mut world = World::new();
    let bearer = format!("Bearer {ADMIN_KEY}");
    for header in [("x-api-key", ADMIN_KEY), ("authorization", bearer.as_str())] {
        assert_eq!(world.raw("GET", "/admin/stats", &[header], b"").status, 200);
    }
}

#[test]
fn an_organisation_is_named_by_a_header_and_must_be_one() {
    let mut world = World::of_org("acme");
    assert_eq!(world.get("/admin/stats").status, 200);
    assert_eq!(world.asked[0].0, "fleet/acme");
    let headers = [("x-api-key", ADMIN_KEY), ("x-tidegate-org", "a/b")];
    let answer = world.raw("GET", "/admin/stats", &headers, b"");
    assert_eq!(
        answer.error(),
        (400, "invalid_value", Some("X-Tidegate-Org"))
    );
    assert_eq!(world.asked, []);
}

#[test]
fn a_key_of_scope_read_looks_and_one_of_scope_admin_changes() {
    let mut world = World::new();
    let mut mint = |scope: &str| {
        let body = json!({ "name": scope, "scopes": [scope] });
        format!(
            "Bearer {}",
            world.admin("POST", "/admin/keys", body).text("key")
        )
    };
    let (inference, read, admin) = (mint("inference"), mint("read"), mint("admin"));
    let body = json!({ "name": "x" }).to_string();
    let mut status = |key: &str, method: &str| {
        world
            .raw(
                method,
                "/admin/keys",
                &[("authorization", key)],
                body.as_bytes(),
            )
            .status
    };
    assert_eq!(
        (status(&inference, "GET"), status(&inference, "POST")),
        (403, 403)
    );
    assert_eq!((status(&read, "GET"), status(&read, "POST")), (200, 403));
    assert_eq!((status(&admin, "GET"), status(&admin, "POST")), (200, 201));
}

#[test]
fn a_wrong_method_is_405_and_says_which_are_right() {
    let mut world = World::new();
    for (method, path, allowed) in [
        ("GET", "/admin/register", "POST"),
        ("POST", "/admin/register/x", "PUT, DELETE"),
        ("POST", "/admin/servers", "GET"),
        ("DELETE", "/admin/servers/x", "GET"),
        ("GET", "/admin/servers/x/health-check", "POST"),
        ("GET", "/admin/servers/x/drain", "POST"),
        ("PUT", "/admin/servers/x/resume", "POST"),
        ("POST", "/admin/stats", "GET"),
        ("DELETE", "/admin/audit", "GET"),
        ("POST", "/admin/routes", "GET"),
        ("POST", "/admin/routes/a/b", "GET, PUT, DELETE"),
        ("DELETE", "/admin/policies/reliability", "GET, PUT"),
        ("PUT", "/admin/keys", "GET, POST"),
        ("GET", "/admin/keys/x", "DELETE"),
        ("GET", "/admin/keys/x/rotate", "POST"),
    ] {
        let answer = world.admin(method, path, Value::Null);
        assert_eq!(
            answer.error(),
            (405, "method_not_allowed", None),
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        assert_eq!(world.asked, []);
    }
}

#[test]
fn an_unknown_path_is_404() {
    let mut world = World::new();
    for path in [
        "/admin/nothing",
        "/admin/servers/a/b",
        "/admin/servers/a/b/c",
        "/admin/register/a/b",
        "/admin/policies",
        "/admin/policies/other",
        "/admin/keys/a/b",
        "/admin/stats/x",
    ] {
        assert_eq!(world.get(path).error(), (404, "not_found", None), "{path}");
        assert_eq!(world.asked, []);
    }
}

#[test]
fn a_registry_that_does_not_answer_is_503_and_a_lost_change_is_not_called_undone() {
    use tidegate_durable::bindings::ObjectKind;
    let mut world = World::new();
    world.silence(ObjectKind::Fleet);
    let read = world.get("/admin/servers");
    assert_eq!(read.error(), (503, "gateway_unavailable", None));
    assert_eq!(read.header("retry-after"), Some("1"));
    let change = world.admin("POST", "/admin/keys", json!({ "name": "x" }));
    assert_eq!(change.error(), (503, "gateway_unavailable", None));
    assert!(change.message().contains("may or may not have been made"));
    assert!(!change.body.to_string().contains("tg_"));
}

#[test]
fn an_answer_that_makes_no_sense_is_an_error_and_not_a_hang() {
    use tidegate_edge::effect::CallOutcome;
    let mut world = World::new();
    for (reply, status) in [
        (r#"{"answer":"done"}"#, 500),
        ("rubbish", 503),
        (r#"{"answer":"unheard"}"#, 503),
    ] {
        world.script = Box::new(move |_, _| Some(CallOutcome::Answered(reply.to_owned())));
        assert_eq!(world.get("/admin/stats").status, status, "{reply}");
    }
}

#[test]
fn stats_and_audit_tell_what_happened() {
    let mut world = World::new();
    world.register(json!({}));
    world.wait(Span::from_secs(1));
    let stats = world.get("/admin/stats").body;
    assert_eq!(
        (
            &stats["servers"],
            &stats["healthy_servers"],
            &stats["models"]
        ),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(stats["totals"]["requests"], 0);
    let audit = world.get("/admin/audit").body;
    assert_eq!(audit["day"], "2026-11-21");
    assert_eq!(audit["previous_day"], "2026-11-20");
    let entry = &audit["data"][0];
    assert_eq!(entry["action"], "server.registered");
    assert_eq!(entry["happened_at"], "2026-11-21T10:00:00.000Z");
}

#[test]
fn the_audit_tells_which_key_changed_something() {
    let mut world = World::new();
    let body = json!({ "name": "ops", "scopes": ["admin"] });
    let minted = world.admin("POST", "/admin/keys", body);
    let bearer = format!("Bearer {}", minted.text("key"));
    let route = json!({ "targets": ["tiny"] }).to_string();
    world.register(json!({}));
    let answer = world.raw(
        "PUT",
        "/admin/routes/fast",
        &[("authorization", &bearer)],
        route.as_bytes(),
    );
    assert_eq!(answer.status, 200);
    let audit = world.get("/admin/audit").body;
    let actors: Vec<_> = audit["data"].as_array().unwrap().iter().collect();
    let actors: Vec<_> = actors.iter().map(|entry| &entry["actor"]).collect();
    let key = json!(format!("key/{}", minted.text("id")));
    assert_eq!(actors, [&key, &json!("admin"), &json!("admin")]);
}

#[test]
fn the_audit_is_paged_and_only_days_that_are_kept_are_asked_for() {
    let mut world = World::new();
    for name in ["a", "b", "c"] {
        assert_eq!(
            world
                .admin("POST", "/admin/keys", json!({ "name": name }))
                .status,
            201
        );
    }
    let first = world.get("/admin/audit?limit=2").body;
    assert_eq!(first["data"].as_array().map(Vec::len), Some(2));
    let before = first["next_before"].as_i64().unwrap();
    let second = world
        .get(&format!("/admin/audit?limit=2&before={before}"))
        .body;
    assert_eq!(second["data"].as_array().map(Vec::len), Some(1));
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=x", "limit"),
        ("before=-1", "before"),
        ("before=9007199254740992", "before"),
        ("day=2026-11-22", "day"),
        ("day=2026-08-21", "day"),
        ("day=yesterday", "day"),
        ("day=2026-11-31", "day"),
        ("day=../other", "day"),
    ] {
        let answer = world.get(&format!("/admin/audit?{query}"));
        assert_eq!(
            answer.error(),
            (400, "invalid_value", Some(param)),
            "{query}"
        );
        assert_eq!(world.asked, [], "{query}");
    }
}
