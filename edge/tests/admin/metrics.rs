//! `GET /metrics`, `/healthz`, `/readyz`: what is asked, what is written. That the formats are what they say
//! is checked with Prometheus' own parsers in `tests/e2e/looking_in.test.mjs`.

use serde_json::json;
use tidegate_domain::time::Span;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::instance::InstanceView;
use tidegate_durable::bindings::journal::JournalCommand;
use tidegate_durable::bindings::totals::{Histogram, Series, Sums, Totals};
use tidegate_edge::effect::CallOutcome;

use crate::world::{ADMIN_KEY, World};

fn add(world: &mut World, number: u64, series: Vec<Series>) {
    let command = JournalCommand::Add {
        source: "2026-11-21/0".to_owned(),
        number,
        delta: Totals { series, lost: 0 },
    };
    let message = serde_json::to_string(&command).unwrap();
    world.journal(&ObjectName::totals("default"), &message);
}

fn series(server: &str, last_ms: i64) -> Series {
    let mut duration = Histogram::default();
    duration.observe(30);
    duration.observe(400_000);
    Series {
        model: "tiny".to_owned(),
        server: server.to_owned(),
        sums: Sums {
            requests: [("200".to_owned(), 2), ("502".to_owned(), 1)].into(),
            errors: [("upstream_error".to_owned(), 1)].into(),
            duration,
            prompt_tokens: 5,
            completion_tokens: 7,
            cost_microusd: 1_500_001,
            attempts: 4,
            last_ms,
            ..Sums::default()
        },
    }
}

/// Servers answer that they are full.
fn live(world: &mut World) {
    let view = InstanceView {
        in_service: true,
        breaker: "admitting".to_owned(),
        running: 3,
        queued: 2,
        capacity: 3,
        ..InstanceView::default()
    };
    let view = serde_json::to_string(&view).unwrap();
    world.script = Box::new(move |to, _| match to.kind() {
        tidegate_durable::bindings::ObjectKind::Instance => {
            Some(CallOutcome::Answered(view.clone()))
        }
        tidegate_durable::bindings::ObjectKind::Model => {
            Some(CallOutcome::Answered(r#"{"waiting":9}"#.to_owned()))
        }
        _ => None,
    });
}

fn scrape(world: &mut World) -> String {
    let answer = world.get("/metrics");
    assert_eq!(answer.status, 200);
    answer.body.as_str().unwrap().to_owned()
}

#[test]
fn every_sum_and_every_state_is_a_sample() {
    let mut world = World::new();
    let id = world.register(json!({ "price_per_hour": "1" }));
    add(&mut world, 1, vec![series(&id, 1)]);
    live(&mut world);
    let text = scrape(&mut world);
    let of = format!("model=\"tiny\",server=\"{id}\"");
    for expected in [
        format!("tidegate_requests_total{{{of},status=\"200\"}} 2"),
        format!("tidegate_requests_total{{{of},status=\"502\"}} 1"),
        format!("tidegate_errors_total{{{of},code=\"upstream_error\"}} 1"),
        format!("tidegate_attempts_total{{{of}}} 4"),
        format!("tidegate_request_duration_seconds_bucket{{{of},le=\"0.025\"}} 0"),
        format!("tidegate_request_duration_seconds_bucket{{{of},le=\"0.05\"}} 1"),
        format!("tidegate_request_duration_seconds_bucket{{{of},le=\"300.0\"}} 1"),
        format!("tidegate_request_duration_seconds_bucket{{{of},le=\"+Inf\"}} 2"),
        format!("tidegate_request_duration_seconds_sum{{{of}}} 400.03"),
        format!("tidegate_request_duration_seconds_count{{{of}}} 2"),
        format!("tidegate_tokens_total{{{of},kind=\"prompt\"}} 5"),
        format!("tidegate_tokens_total{{{of},kind=\"completion\"}} 7"),
        format!("tidegate_cost_dollars_total{{{of}}} 1.500001"),
        "tidegate_log_entries_lost_total 0".to_owned(),
        format!("tidegate_server_state{{{of},state=\"healthy\"}} 1"),
        format!("tidegate_server_state{{{of},state=\"ejected\"}} 0"),
        format!("tidegate_server_breaker{{{of},state=\"admitting\"}} 1"),
        format!("tidegate_server_breaker{{{of},state=\"probing\"}} 0"),
        format!("tidegate_server_in_flight{{{of}}} 3"),
        format!("tidegate_server_capacity{{{of}}} 3"),
        format!("tidegate_server_queued{{{of}}} 2"),
        "tidegate_model_waiting{model=\"tiny\"} 9".to_owned(),
    ] {
        assert!(
            text.lines().any(|line| line == expected),
            "{expected} is not in\n{text}"
        );
    }
    assert!(
        !text.contains("tidegate_first_token_seconds_"),
        "nothing streamed"
    );
}

#[test]
fn each_format_is_given_to_whoever_asks_for_it() {
    let mut world = World::new();
    add(&mut world, 1, vec![series("", 1)]);
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (accept, kind) in [
        ("application/openmetrics-text; version=1.0.0", open),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
    ] {
        let headers = [("x-api-key", ADMIN_KEY), ("accept", accept)];
        let answer = world.raw("GET", "/metrics", &headers, b"");
        assert_eq!(answer.header("content-type"), Some(kind));
        let text = answer.body.as_str().unwrap();
        let is_open = kind == open;
        assert_eq!(text.ends_with("# EOF\n"), is_open);
        assert_eq!(text.contains("# TYPE tidegate_requests counter"), is_open);
        assert_eq!(
            text.contains("# TYPE tidegate_requests_total counter"),
            !is_open
        );
    }
}

#[test]
fn an_administrator_or_a_key_for_reading_sees_metrics_and_nobody_else() {
    let mut world = World::new();
    let mut mint = |scope: &str| {
        let body = json!({ "name": "a", "scopes": [scope] });
        world
            .admin("POST", "/admin/keys", body)
            .text("key")
            .to_owned()
    };
    let (reading, inferring) = (mint("read"), mint("inference"));
    let mut status = |key: &str| {
        let bearer = format!("Bearer {key}");
        let answer = world.raw("GET", "/metrics", &[("authorization", &bearer)], b"");
        answer.status
    };
    assert_eq!(status(&reading), 200);
    assert_eq!(status(ADMIN_KEY), 200);
    assert_eq!((status(&inferring), status("tg_forged")), (403, 403));
}

#[test]
fn a_scrape_wakes_a_bounded_number_of_servers_those_that_were_used_last() {
    let mut world = World::new();
    let ids: Vec<String> = (0..40)
        .map(|n| {
            let url = format!("https://gpu{n}.example.com/v1");
            world.register(json!({ "endpoint_url": url }))
        })
        .collect();
    let used = ids.iter().zip(0..).map(|(id, at)| series(id, at)).collect();
    add(&mut world, 1, used);
    live(&mut world);
    let text = scrape(&mut world);
    let asked = |name: &str| world.asked.iter().any(|(to, _)| to.ends_with(name));
    let woken: Vec<bool> = ids.iter().map(|id| asked(id)).collect();
    assert_eq!(woken, (0..40).map(|n| n >= 8).collect::<Vec<_>>());
    assert!(
        !text.contains("tidegate_model_waiting{"),
        "some server may have room"
    );
    let states = text
        .lines()
        .filter(|line| line.starts_with("tidegate_server_state{"));
    assert_eq!(states.count(), 40 * 5);
}

#[test]
fn silence_of_the_totals_is_no_zero_and_of_a_server_no_error() {
    let mut world = World::new();
    world.register(json!({}));
    let lost = CallOutcome::Failed("timed out".to_owned());
    let silent = lost.clone();
    world.script = Box::new(move |to, _| {
        (to.kind() == tidegate_durable::bindings::ObjectKind::Instance).then(|| silent.clone())
    });
    let text = scrape(&mut world);
    assert!(text.contains("tidegate_server_state{") && !text.contains("in_flight{"));
    world.script = Box::new(move |to, _| to.as_str().ends_with("totals").then(|| lost.clone()));
    assert_eq!(world.get("/metrics").status, 503);
}

#[test]
fn being_alive_asks_nobody_and_being_ready_one_object_every_two_seconds() {
    let mut world = World::new();
    let alive = world.raw("GET", "/healthz", &[], b"");
    assert_eq!((alive.status, alive.text("status")), (200, "ok"));
    assert_eq!(world.asked, []);

    let ready = world.raw("GET", "/readyz", &[], b"");
    assert_eq!((ready.status, ready.text("status")), (200, "ready"));
    assert_eq!(world.asked.len(), 1);
    assert_eq!(world.asked[0].0, "fleet/default");
    world.wait(Span::from_ms(1999));
    world.raw("GET", "/readyz", &[("x-tidegate-org", "made-up")], b"");
    assert_eq!(world.asked, []);

    world.wait(Span::from_ms(1));
    world.silence(tidegate_durable::bindings::ObjectKind::Fleet);
    let unready = world.raw("GET", "/readyz", &[], b"");
    assert_eq!((unready.status, unready.text("status")), (503, "unready"));
    world.raw("GET", "/readyz", &[], b"");
    assert_eq!(world.asked, [], "that is believed as well");
}

#[test]
fn every_admin_request_has_a_line_with_its_actor_and_route() {
    let mut world = World::new();
    world.get("/admin/keys?secret=tg_x");
    world.raw(
        "GET",
        "/admin/servers/srv_1",
        &[("x-api-key", "tg_wrong")],
        b"",
    );
    let lines: Vec<_> = world
        .lines
        .iter()
        .map(|line| {
            ["method", "route", "status", "actor", "org", "error"].map(|it| line[it].clone())
        })
        .collect();
    let (none, all) = (json!(null), world.lines.iter().map(|it| it.to_string()));
    assert!(all.into_iter().all(|line| !line.contains("tg_")));
    assert_eq!(
        lines,
        [
            [
                json!("GET"),
                json!("/admin/keys"),
                json!(200),
                json!("admin"),
                json!("default"),
                none.clone()
            ],
            [
                json!("GET"),
                json!("/admin/servers/{id}"),
                json!(403),
                none.clone(),
                none,
                json!("insufficient_permissions")
            ],
        ]
    );
}
