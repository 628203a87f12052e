//! From a name to servers.

use std::collections::BTreeMap;

use tidegate_durable::bindings::fleet::{ServerState, Strategy};
use tidegate_durable::bindings::instance::DeniedWire;

use crate::rig::{Rig, chat, route};

/// The order in which servers are asked when each refuses, one after the other.
fn order(rig: &mut Rig, model: &str) -> Vec<String> {
    let mut body = chat();
    body["model"] = model.into();
    let (id, _) = rig.chat(&body);
    let mut order = Vec::new();
    while let Some(open) = rig.talk(id).asks.front() {
        let server = open.to.tail().unwrap().to_owned();
        rig.deny(id, &server, DeniedWire::Draining);
        order.push(server);
    }
    assert!(rig.talk(id).done);
    order
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// Servers of models named like themselves, and routes.
fn rig(servers: &[&str], routes: &[(&str, &[&str], &[&str])]) -> Rig {
    let mut rig = Rig::new(servers);
    for server in &mut rig.snapshot.servers {
        server.entry.model_name = format!("model-{}", server.id);
    }
    for (name, targets, fallbacks) in routes {
        let mut route = route(targets, fallbacks);
        route.strategy = Strategy::Cost;
        rig.snapshot.routes.insert((*name).to_owned(), route);
    }
    rig
}

#[test]
fn a_model_is_served_by_its_own_servers_only() {
    let mut rig = Rig::new(&["a", "b", "c"]);
    rig.entry(2).model_name = "other".to_owned();
    assert_eq!(sorted(order(&mut rig, "m")), ["a", "b"]);
}

#[test]
fn an_alias_reaches_models_servers_and_other_routes() {
    let mut rig = rig(
        &["a", "b", "c", "d"],
        &[
            ("gpt", &["model-a", "b", "more"], &[]),
            ("more", &["c"], &[]),
        ],
    );
    assert_eq!(sorted(order(&mut rig, "gpt")), ["a", "b", "c"]);
}

#[test]
fn fallbacks_come_after_targets_tier_by_tier() {
    let mut rig = rig(
        &["a", "b", "c", "d"],
        &[
            ("gpt", &["a"], &["second", "model-d"]),
            ("second", &["b"], &["c"]),
        ],
    );
    // The fallback's own fallback shares its tier with the second fallback.
    let order = order(&mut rig, "gpt");
    assert_eq!(order[..2], ["a", "b"]);
    assert_eq!(sorted(order[2..].to_vec()), ["c", "d"]);
}

#[test]
fn what_is_reached_twice_stands_in_its_best_tier() {
    let mut rig = rig(
        &["a", "b"],
        // By way of `x`, `b` is a fallback; `gpt` names it a target.
        &[("gpt", &["x", "b"], &[]), ("x", &["a"], &["b"])],
    );
    rig.entry(0).priority = 0;
    rig.entry(1).priority = 1;
    assert_eq!(
        order(&mut rig, "gpt"),
        ["b", "a"],
        "the same tier: priority decides"
    );
}

#[test]
fn routes_that_point_at_each_other_end() {
    let mut rig = rig(
        &["a", "b"],
        &[
            ("x", &["a"], &["y"]),
            ("y", &["b"], &["x"]),
            ("self", &["self"], &["self"]),
        ],
    );
    assert_eq!(order(&mut rig, "x"), ["a", "b"]);
    assert_eq!(order(&mut rig, "y"), ["b", "a"]);
    assert_eq!(order(&mut rig, "self"), [""; 0]);
}

#[test]
fn a_route_named_like_its_model_means_the_model() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(0).priority = -1;
    let mut alias = route(&["m"], &[]);
    alias.strategy = Strategy::Cost;
    rig.snapshot.routes.insert("m".to_owned(), alias);
    assert_eq!(order(&mut rig, "m"), ["b", "a"]);
}

#[test]
fn a_net_of_routes_is_walked_once_however_wide_and_deep() {
    let mut rig = rig(&["a"], &[]);
    // 200 routes, each of which points at all: followed path by path, this would never end.
    let names: Vec<String> = (0..200).map(|n| format!("r{n}")).collect();
    let targets: Vec<&str> = names.iter().map(String::as_str).chain(["a"]).collect();
    for name in &names {
        rig.snapshot
            .routes
            .insert(name.clone(), route(&targets, &targets));
    }
    assert_eq!(order(&mut rig, "r7"), ["a"]);
}

#[test]
fn a_keys_project_narrows_where_its_requests_go() {
    let mut rig = Rig::new(&["a", "b", "c"]);
    rig.record().project = Some("research".to_owned());
    rig.snapshot
        .routes
        .insert("research".to_owned(), route(&["b"], &["c"]));
    assert_eq!(order(&mut rig, "m"), ["b", "c"]);
}

#[test]
fn a_project_that_shares_no_server_with_the_model_leaves_none() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(1).model_name = "other".to_owned();
    rig.record().project = Some("research".to_owned());
    rig.snapshot
        .routes
        .insert("research".to_owned(), route(&["b"], &[]));
    let (id, lines) = rig.chat(&chat());
    assert_eq!(lines, ["respond 503", "log", "flush 20", "done"]);
    assert_eq!(rig.talk(id).error(), (503, "no_healthy_server".to_owned()));
}

#[test]
fn a_project_without_a_route_narrows_nothing() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.record().project = Some("research".to_owned());
    assert_eq!(sorted(order(&mut rig, "m")), ["a", "b"]);
}

#[test]
fn a_routes_weights_count_instead_of_the_servers_own() {
    let mut rig = Rig::new(&["a", "b"]);
    rig.entry(0).weight = 1_000;
    let mut alias = route(&["a", "b"], &[]);
    alias.strategy = Strategy::Weighted;
    alias.weights = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 9)]);
    rig.snapshot.routes.insert("alias".to_owned(), alias);
    let firsts = (0..400)
        .filter(|_| order(&mut rig, "alias")[0] == "b")
        .count();
    assert!(
        (330..390).contains(&firsts),
        "9 of 10 expected, {firsts} of 400"
    );
}

#[test]
fn servers_that_are_out_are_not_asked_and_the_client_learns_why() {
    let mut rig = Rig::new(&["a", "b"]);
    for (index, state) in [(0, ServerState::Unhealthy), (1, ServerState::Draining)] {
        rig.snapshot.servers[index].status.state = state;
    }
    rig.snapshot.servers[0].status.reason = "health checks fail with status 500".to_owned();
    let (id, lines) = rig.chat(&chat());
    assert_eq!(lines, ["respond 503", "log", "flush 20", "done"]);
    let message = rig.talk(id).text();
    assert!(
        message.contains("in service: its health checks fail with status 500. "),
        "{message}"
    );
}

#[test]
fn an_address_that_may_not_be_called_any_more_takes_its_server_out() {
    let mut rig = Rig::new(&["a"]);
    rig.entry(0).endpoint_url = "http://127.0.0.1:9000".to_owned();
    let (id, lines) = rig.chat(&chat());
    assert_eq!(lines[0], "respond 503");
    assert!(!rig.talk(id).text().contains("127.0.0.1"));
}

#[test]
fn two_are_compared_only_where_either_will_do() {
    let first_lines = |change: fn(&mut Rig)| {
        let mut rig = Rig::new(&["a", "b"]);
        change(&mut rig);
        let lines = rig.chat(&chat()).1;
        lines
            .into_iter()
            .filter(|line| line.starts_with("ask"))
            .collect::<Vec<_>>()
    };
    assert_eq!(first_lines(|_| {}).len(), 2);
    assert_eq!(
        first_lines(|rig| rig.entry(1).priority = 5),
        ["ask b: first tentative"],
        "a preferred server does not lose its request for being busier"
    );
    assert_eq!(
        first_lines(|rig| {
            rig.snapshot.servers[1].status.state = ServerState::Ejected;
            rig.snapshot.servers[1].status.until_ms = Some(rig.now.as_ms());
        }),
        ["ask b: first tentative"],
        "nor does a server that awaits its probe lose that"
    );
    assert_eq!(
        first_lines(|rig| {
            rig.snapshot.servers[0].status.state = ServerState::CoolingDown;
            rig.snapshot.servers[0].status.until_ms = Some(rig.now.as_ms() + 9_000);
        }),
        ["ask b: first tentative"],
        "one that rests is asked last"
    );
}
