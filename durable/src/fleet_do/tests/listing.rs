use super::*;
use crate::bindings::fleet::ServerQuery;
use tidegate_domain::time::Span;

/// Registered in this order, a minute apart: id, model, price, priority.
const SERVERS: [(&str, &str, u64, i32); 4] = [
    ("d", "llama", 300, 1),
    ("b", "qwen", 100, 5),
    ("c", "llama", 200, 1),
    ("a", "qwen", 200, 0),
];

fn rig() -> Rig<Fleet> {
    let mut rig = fleet();
    for (id, model, price, priority) in SERVERS {
        let entry = ServerEntry {
            price_microusd_per_hour: price,
            priority,
            owner: Some(format!("owner-{model}")),
            ..entry(model, id)
        };
        settle(&mut rig, &register(id, entry));
        rig.wait(Span::from_secs(60));
    }
    rig
}

fn query() -> ServerQuery {
    ServerQuery {
        limit: 10,
        ..ServerQuery::default()
    }
}

fn sorted(sort: &str) -> ServerQuery {
    ServerQuery {
        sort: Some(sort.to_owned()),
        ..query()
    }
}

fn page(rig: &mut Rig<Fleet>, query: ServerQuery) -> (String, u32) {
    match ask(rig, &FleetCommand::Servers(query)) {
        FleetAnswer::Servers { servers, total } => (
            servers.iter().map(|server| server.id.as_str()).collect(),
            total,
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn servers_are_listed_in_each_order_with_ties_by_id() {
    let mut rig = rig();
    settle(
        &mut rig,
        &announce("d", 1, status(ServerState::Unhealthy, "")),
    );
    settle(
        &mut rig,
        &announce("a", 1, status(ServerState::Ejected, "")),
    );
    for (sort, order) in [
        ("created_at", "dbca"),
        ("-created_at", "acbd"),
        ("model", "cdab"),
        ("-model", "abcd"),
        ("price", "bacd"),
        ("-price", "dacb"),
        ("priority", "acdb"),
        ("-priority", "bcda"),
        ("state", "bcad"),
        ("-state", "dabc"),
    ] {
        let found = page(&mut rig, sorted(sort));
        assert_eq!(found, (order.to_owned(), 4), "{sort}");
    }
    assert_eq!(page(&mut rig, query()).0, "dbca");
}

#[test]
fn a_pause_that_is_over_is_shown_no_more() {
    let mut rig = rig();
    let until = rig.now + Span::from_secs(7);
    let pause = ServerStatus {
        until_ms: Some(until.as_ms()),
        ..status(ServerState::CoolingDown, "the server asked for a pause")
    };
    settle(&mut rig, &announce("d", 1, pause));
    let paused = |rig: &mut Rig<Fleet>| {
        let query = ServerQuery {
            state: Some(ServerState::CoolingDown),
            ..query()
        };
        let FleetAnswer::Stats { stats } = ask(rig, &FleetCommand::Stats) else {
            panic!("no stats");
        };
        let last = page(rig, sorted("state")).0.pop();
        (page(rig, query).0, stats.healthy, last)
    };
    rig.wait(Span::from_ms(6_999));
    assert_eq!(paused(&mut rig), ("d".to_owned(), 3, Some('d')));
    rig.wait(Span::from_ms(1));
    assert_eq!(paused(&mut rig), (String::new(), 4, Some('d')));
    let get = FleetCommand::Server { id: "d".to_owned() };
    let FleetAnswer::Server { server, .. } = ask(&mut rig, &get) else {
        panic!("no server");
    };
    assert_eq!(server.status.reason, "");
    assert_eq!(server.status.since_ms, until.as_ms());
}

#[test]
fn servers_are_filtered_before_they_are_counted() {
    let mut rig = rig();
    settle(
        &mut rig,
        &announce("d", 1, status(ServerState::Unhealthy, "")),
    );
    let llama = ServerQuery {
        model: Some("llama".to_owned()),
        ..query()
    };
    assert_eq!(page(&mut rig, llama.clone()), ("dc".to_owned(), 2));
    let healthy = ServerQuery {
        state: Some(ServerState::Healthy),
        ..llama
    };
    assert_eq!(page(&mut rig, healthy), ("c".to_owned(), 1));
    let owned = ServerQuery {
        owner: Some("owner-qwen".to_owned()),
        ..query()
    };
    assert_eq!(page(&mut rig, owned), ("ba".to_owned(), 2));
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let mut rig = rig();
    let at = |offset| ServerQuery {
        limit: 3,
        offset,
        ..sorted("model")
    };
    assert_eq!(page(&mut rig, at(0)), ("cda".to_owned(), 4));
    assert_eq!(page(&mut rig, at(3)), ("b".to_owned(), 4));
    assert_eq!(page(&mut rig, at(9)), (String::new(), 4));
}

#[test]
fn an_odd_order_or_page_size_is_refused() {
    let mut rig = fleet();
    let mut refused = |query| {
        let answer = ask(&mut rig, &FleetCommand::Servers(query));
        invalid(&answer).map(str::to_owned)
    };
    assert_eq!(refused(sorted("colour")).as_deref(), Some("sort"));
    for limit in [0, 201] {
        let query = ServerQuery { limit, ..query() };
        assert_eq!(refused(query).as_deref(), Some("limit"));
    }
}
