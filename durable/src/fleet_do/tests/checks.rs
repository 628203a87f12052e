use serde_json::json;

use super::*;
use crate::bindings::key::KeyLimits;

fn good_entry() -> ServerEntry {
    ServerEntry {
        model_name: "meta-llama/Llama-3".to_owned(),
        endpoint_url: "https://gpu/v1".to_owned(),
        sealed_api_key: None,
        owner: None,
        max_concurrency: 1,
        queue_depth: 0,
        weight: 1,
        priority: 0,
        price_microusd_per_hour: 0,
        metadata: BTreeMap::new(),
        upstream_model: None,
        first_token_cap_ms: None,
    }
}

fn entry_param(change: impl FnOnce(&mut ServerEntry)) -> Option<String> {
    let mut changed = good_entry();
    change(&mut changed);
    entry(&changed).err().map(|refused| refused.param)
}

fn key_param(change: impl FnOnce(&mut KeyRecord)) -> Option<String> {
    let mut changed = KeyRecord {
        id: "k".to_owned(),
        name: "ci".to_owned(),
        secret_hash: "0123456789abcdef".repeat(4),
        scopes: vec!["admin".to_owned()],
        created_at_ms: 10,
        ..KeyRecord::default()
    };
    change(&mut changed);
    key(&changed).err().map(|refused| refused.param)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn to(targets: &[&str], fallbacks: &[&str]) -> Route {
    Route {
        targets: names(targets),
        fallbacks: names(fallbacks),
        ..Route::default()
    }
}

/// Checks a route where `m` and `n` are models, and `x` (to `m`), `y` (to `x`) are routes.
fn route_reason(name: &str, candidate: &Route) -> Option<String> {
    let routes = [
        ("x".to_owned(), to(&["m"], &[])),
        ("y".to_owned(), to(&["x"], &["m"])),
    ]
    .into();
    route(name, candidate, &|name| name == "m" || name == "n", &routes)
        .err()
        .map(|refused| refused.to_string())
}

#[test]
fn an_entry_passes_at_its_bounds_and_not_beyond() {
    assert_eq!(entry_param(|_| ()), None);
    type Set = fn(&mut ServerEntry, u32);
    let params: [(&str, Set, u32, u32); 3] = [
        (
            "max_concurrency",
            |it, to| it.max_concurrency = to,
            1,
            10_000,
        ),
        ("queue_depth", |it, to| it.queue_depth = to, 0, 100_000),
        ("weight", |it, to| it.weight = to, 1, 1_000),
    ];
    for (param, set, low, high) in params {
        assert_eq!(entry_param(|it| set(it, low)), None, "{param}");
        assert_eq!(entry_param(|it| set(it, high)), None, "{param}");
        let above = entry_param(|it| set(it, high + 1));
        assert_eq!(above.as_deref(), Some(param));
        if low > 0 {
            let below = entry_param(|it| set(it, low - 1));
            assert_eq!(below.as_deref(), Some(param));
        }
    }
}

#[test]
fn names_are_bounded_printable_and_not_blank() {
    for (name, passes) in [
        ("a".repeat(256), true),
        ("a".repeat(257), false),
        (String::new(), false),
        (" ".to_owned(), false),
        ("a\nb".to_owned(), false),
        ("модель".to_owned(), true),
    ] {
        let refused = entry_param(|it| it.model_name = name.clone());
        assert_eq!(refused.is_none(), passes, "{name:?}");
        let refused = entry_param(|it| it.owner = Some(name.clone()));
        assert_eq!(refused.is_none(), passes, "{name:?}");
        let refused = entry_param(|it| it.upstream_model = Some(name.clone()));
        assert_eq!(refused.is_none(), passes, "{name:?}");
        let refused = key_param(|it| it.name = name.clone());
        assert_eq!(refused.is_none(), passes, "{name:?}");
        assert_eq!(server_id(&name).is_ok(), passes, "{name:?}");
    }
    let refused = entry_param(|it| it.endpoint_url = "u".repeat(2_049));
    assert_eq!(refused.as_deref(), Some("endpoint_url"));
}

#[test]
fn other_numbers_of_an_entry_are_bounded_too() {
    let refused = entry_param(|it| it.priority = -1_001);
    assert_eq!(refused.as_deref(), Some("priority"));
    let refused = entry_param(|it| it.price_microusd_per_hour = u64::MAX);
    assert_eq!(refused.as_deref(), Some("price_per_hour"));
    let refused = entry_param(|it| it.first_token_cap_ms = Some(0));
    assert_eq!(refused.as_deref(), Some("first_token_cap_ms"));
    let refused = entry_param(|it| it.sealed_api_key = Some("s".repeat(16 * 1024 + 1)));
    assert_eq!(refused.as_deref(), Some("api_key"));
}

#[test]
fn metadata_is_at_most_four_kibibytes_of_json() {
    // {"k":"…"} is eight bytes around the text.
    let text = |length| [("k".to_owned(), json!("x".repeat(length)))].into();
    assert_eq!(entry_param(|it| it.metadata = text(4_096 - 8)), None);
    let refused = entry_param(|it| it.metadata = text(4_096 - 7));
    assert_eq!(refused.as_deref(), Some("metadata"));
}

#[test]
fn a_key_needs_known_scopes_a_hash_and_limits_above_zero() {
    assert_eq!(key_param(|_| ()), None);
    let refused = key_param(|it| it.scopes.clear());
    assert_eq!(refused.as_deref(), Some("scopes"));
    let refused = key_param(|it| it.scopes.push("root".to_owned()));
    assert_eq!(refused.as_deref(), Some("scopes"));
    for hash in ["", "abc", &"A".repeat(64), &"0".repeat(65)] {
        let refused = key_param(|it| it.secret_hash = hash.to_owned());
        assert_eq!(refused.as_deref(), Some("secret_hash"));
    }
    let no_requests = KeyLimits {
        requests_per_minute: Some(0),
        ..KeyLimits::default()
    };
    let refused = key_param(|it| it.limits = no_requests);
    assert_eq!(refused.as_deref(), Some("requests_per_minute"));
    let refused = key_param(|it| it.models = names(&[""]));
    assert_eq!(refused.as_deref(), Some("models"));
    let refused = key_param(|it| it.project = Some(String::new()));
    assert_eq!(refused.as_deref(), Some("project"));
    assert_eq!(key_param(|it| it.expires_at_ms = Some(11)), None);
    let refused = key_param(|it| it.expires_at_ms = Some(10));
    assert_eq!(refused.as_deref(), Some("expires_at"));
}

#[test]
fn a_route_leads_to_what_exists() {
    assert_eq!(route_reason("z", &to(&["m", "x"], &["n", "y"])), None);
    assert_eq!(
        route_reason("z", &to(&["m", "q"], &[])).as_deref(),
        Some("`targets` `q` is no server, model or route")
    );
    assert_eq!(
        route_reason("z", &to(&["m"], &["q"])).as_deref(),
        Some("`fallbacks` `q` is no server, model or route")
    );
    assert!(route_reason("z", &to(&[], &["m"])).is_some());
    assert!(route_reason("z", &to(&["m", "m"], &[])).is_some());
}

#[test]
fn a_route_of_a_models_own_name_adds_fallbacks_to_it() {
    assert_eq!(route_reason("m", &to(&["m"], &["n"])), None);
}

#[test]
fn a_route_never_leads_back_to_itself() {
    let lead_back = "`targets` lead back to `z`, so that no server would ever be found";
    assert_eq!(
        route_reason("z", &to(&["z"], &[])).as_deref(),
        Some(lead_back)
    );
    // x is taken by a route to m and becomes one to y, which leads to x.
    assert!(route_reason("x", &to(&["y"], &[])).is_some());
    assert_eq!(
        route_reason("z", &to(&["m"], &["z"])).as_deref(),
        Some("`fallbacks` a route cannot fall back on itself")
    );
}

#[test]
fn two_routes_may_stand_in_for_each_other() {
    // y falls back on m, and m on y.
    assert_eq!(route_reason("m", &to(&["m"], &["y"])), None);
}

#[test]
fn weights_belong_to_targets_and_leave_one_with_a_share() {
    let weighted = |weights: &[(&str, u32)]| Route {
        weights: weights
            .iter()
            .map(|(name, weight)| ((*name).to_owned(), *weight))
            .collect(),
        ..to(&["m", "n"], &[])
    };
    assert_eq!(
        route_reason("z", &weighted(&[("m", 0), ("n", 1_000)])),
        None
    );
    assert_eq!(route_reason("z", &weighted(&[("m", 0)])), None);
    assert!(route_reason("z", &weighted(&[("m", 0), ("n", 0)])).is_some());
    assert!(route_reason("z", &weighted(&[("m", 1_001)])).is_some());
    assert!(route_reason("z", &weighted(&[("x", 1)])).is_some());
}
