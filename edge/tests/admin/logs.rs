//! The request log as administrators read it: pages, filters, CSV.

use serde_json::{Value, json};
use tidegate_domain::time::Span;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::journal::{JournalCommand, day_of};
use tidegate_durable::bindings::log::LogEntry;
use tidegate_edge::effect::CallOutcome;

use crate::world::{ADMIN_KEY, START, World};

fn entry(n: i64, at_ms: i64) -> LogEntry {
    LogEntry {
        at_ms,
        request: format!("r{n}"),
        key: "key_a".to_owned(),
        model: "tiny".to_owned(),
        known: true,
        endpoint: "/v1/chat/completions".to_owned(),
        status: 200,
        ..LogEntry::default()
    }
}

/// An isolate writes a batch.
fn write(world: &mut World, part: u32, id: &str, entries: Vec<LogEntry>) {
    let day = day_of(entries[0].at_ms);
    let command = JournalCommand::Log {
        batch: id.to_owned(),
        entries,
        lost: 0,
    };
    let message = serde_json::to_string(&command).unwrap();
    world.journal(&ObjectName::log("default", &day, part), &message);
}

fn requests(body: &Value) -> Vec<String> {
    let data = body["data"].as_array().unwrap().iter();
    data.map(|it| it["request_id"].as_str().unwrap().to_owned())
        .collect()
}

/// Follows a search to its end; the pages' requests.
fn walk(world: &mut World, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = world.get(&format!("/admin/logs?{query}{cursor}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let parts = world.asked.len();
        assert!(parts <= 12, "{parts} objects for one page");
        pages.push(requests(&answer.body));
        assert!(pages.len() < 50, "no end");
        match answer.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

#[test]
fn parts_and_days_are_one_list_newest_first_without_gaps_or_repetitions() {
    let mut world = World::new();
    let hour = 3_600_000;
    // 40 entries, three quarters of an hour apart: into yesterday, over all parts.
    for n in (0..40).rev() {
        let at_ms = START.as_ms() - n * hour / 4 * 3;
        let part = u32::try_from(n * 7 % 4).unwrap();
        write(&mut world, part, &format!("b{n}"), vec![entry(n, at_ms)]);
    }
    let all: Vec<String> = (0..=32).map(|n| format!("r{n}")).collect();
    for limit in [1, 3, 7, 100] {
        let pages = walk(
            &mut world,
            &format!("limit={limit}&from=2026-11-20T10:00:00Z"),
        );
        assert_eq!(pages.concat(), all, "limit {limit}");
        assert!(pages.iter().all(|page| page.len() <= limit));
    }
    // Unless somebody says otherwise, a day.
    assert_eq!(walk(&mut world, "limit=500").concat().len(), 33);
    let window = "from=2026-11-21T08:00:00Z&to=2026-11-21T09:00:01%2B00:00";
    assert_eq!(walk(&mut world, window).concat(), ["r2"]);
}

#[test]
fn a_search_that_finds_little_goes_on_where_it_stopped() {
    let mut world = World::new();
    for n in 0..90 {
        let rare = if n == 3 { "rare" } else { "tiny" };
        let it = LogEntry {
            model: rare.to_owned(),
            ..entry(n, START.as_ms() - 1000 + n)
        };
        write(&mut world, 1, &format!("b{n}"), vec![it]);
    }
    write(
        &mut world,
        2,
        "older",
        vec![LogEntry {
            model: "rare".to_owned(),
            ..entry(100, START.as_ms() - 5000)
        }],
    );
    let pages = walk(&mut world, "model=rare");
    assert_eq!(pages.concat(), ["r3", "r100"]);
    assert!(
        pages.len() > 2,
        "a part looks at forty batches a call: {pages:?}"
    );
}

#[test]
fn filters_are_read_and_what_is_none_is_refused() {
    let mut world = World::new();
    let failed = LogEntry {
        status: 503,
        error: Some("no_healthy_server".to_owned()),
        ..entry(1, START.as_ms() - 10)
    };
    let slow = LogEntry {
        server: Some("srv_1".to_owned()),
        key: "key_b".to_owned(),
        duration_ms: 5000,
        ..entry(2, START.as_ms() - 5)
    };
    write(&mut world, 0, "b", vec![failed, slow]);
    for (query, found) in [
        ("", vec!["r2", "r1"]),
        ("status=503", vec!["r1"]),
        ("status=5xx", vec!["r1"]),
        ("status=2xx&key=key_b", vec!["r2"]),
        ("error=no_healthy_server", vec!["r1"]),
        ("server=srv_1", vec!["r2"]),
        ("min_duration_ms=5000", vec!["r2"]),
        ("model=other", vec![]),
    ] {
        let answer = world.get(&format!("/admin/logs?{query}"));
        assert_eq!(requests(&answer.body), found, "{query}");
        assert_eq!(answer.body["next_cursor"], Value::Null);
    }
    for (query, param) in [
        ("status=99", "status"),
        ("status=6xx", "status"),
        ("from=yesterday", "from"),
        ("to=2026-11-21", "to"),
        ("limit=501", "limit"),
        ("min_duration_ms=-1", "min_duration_ms"),
        ("cursor=made-up", "cursor"),
    ] {
        let answer = world.get(&format!("/admin/logs?{query}"));
        assert_eq!(
            answer.error(),
            (400, "invalid_value", Some(param)),
            "{query}"
        );
        assert_eq!(world.asked, [], "nobody is asked");
    }
}

#[test]
fn only_days_that_are_kept_are_asked_for() {
    let mut world = World::new();
    world.get("/admin/logs?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z");
    assert_eq!(world.asked, []);
    let pages = walk(&mut world, "from=1970-01-01T00:00:00Z");
    assert_eq!(pages.concat(), [""; 0]);
    assert_eq!(pages.len(), 11, "32 days, three a page");
    // Made-up cursors lead no further.
    let answer = world.get("/admin/logs?cursor=1999-01-01.0._._._._");
    assert_eq!((requests(&answer.body).len(), world.asked.len()), (0, 0));
    let answer = world.get("/admin/logs?cursor=2999-01-01.0._._._._");
    assert_eq!(answer.error(), (400, "invalid_value", Some("cursor")));
}

#[test]
fn a_part_that_does_not_answer_is_an_error_and_no_gap() {
    let mut world = World::new();
    let lost = CallOutcome::Failed("timed out".to_owned());
    world.script = Box::new(move |to, _| (to.as_str().ends_with("/3")).then(|| lost.clone()));
    let answer = world.get("/admin/logs");
    assert_eq!(answer.error().0, 503);
}

#[test]
fn csv_has_a_header_and_no_formulas() {
    let mut world = World::new();
    let odd = LogEntry {
        model: "=cmd|' /C calc'!A0,\"x\"".to_owned(),
        cost_microusd: 17,
        first_token_ms: Some(3),
        ..entry(1, START.as_ms() - 5)
    };
    write(&mut world, 0, "b", vec![odd, entry(2, START.as_ms() - 4)]);
    let mut csv = |query: &str, accept: &str| {
        let headers = [("x-api-key", ADMIN_KEY), ("accept", accept)];
        world.raw("GET", &format!("/admin/logs{query}"), &headers, b"")
    };
    for (query, accept) in [
        ("?format=csv", "*/*"),
        ("", "text/csv"),
        ("", "text/html, text/csv;q=0.9"),
    ] {
        let answer = csv(query, accept);
        let lines: Vec<&str> = answer.body.as_str().unwrap().split("\r\n").collect();
        let columns = "ended_at,request_id,key_id,project,model,server_id,endpoint,status,error,stream,attempts,first_token_ms,duration_ms,prompt_tokens,completion_tokens,cost_microusd,trace_id";
        assert_eq!(lines[0], columns);
        assert_eq!(
            lines[1..],
            [
                "2026-11-21T09:59:59.996Z,r2,key_a,,tiny,,/v1/chat/completions,200,,false,0,,0,0,0,0,",
                "2026-11-21T09:59:59.995Z,r1,key_a,,\"'=cmd|' /C calc'!A0,\"\"x\"\"\",,/v1/chat/completions,200,,false,0,3,0,0,0,17,",
                "",
            ]
        );
        assert_eq!(answer.header("x-next-cursor"), None);
    }
    assert!(
        csv("?format=csv&limit=1", "*/*")
            .header("x-next-cursor")
            .is_some()
    );
    assert!(csv("?format=json", "text/csv").body.is_object());
}

#[test]
fn the_audit_comes_as_csv_as_well() {
    let mut world = World::new();
    world.register(json!({}));
    world.wait(Span::from_secs(1));
    world.admin("POST", "/admin/keys", json!({ "name": "a" }));
    let answer = world.get("/admin/audit?format=csv&limit=1");
    let text = answer.body.as_str().unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(lines[0], "happened_at,actor,action,subject,reason");
    assert!(
        lines[1].starts_with("2026-11-21T10:00:01.000Z,admin,key.minted,"),
        "{text}"
    );
    let next = answer.header("x-next-before").unwrap().to_owned();
    let answer = world.get(&format!("/admin/audit?format=csv&before={next}"));
    assert!(answer.body.as_str().unwrap().contains("server.registered"));
    assert_eq!(answer.header("x-next-before"), None);
}
