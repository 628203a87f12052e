//! Web pages that call from another origin.

use tidegate_edge::gateway::{Manners, Origins};
use tidegate_edge::request::Head;

use crate::rig::{ANSWER, Rig, SSE, WORD, chat, streamed};

const PAGE: &str = "https://app.example.com";

fn open_to(origins: &str) -> Rig {
    let origins = Origins::parse(origins).unwrap();
    Rig::with_manners(
        &["a"],
        Manners {
            origins,
            ..Manners::default()
        },
    )
}

fn from_page(rig: &Rig, path: &str) -> Head {
    let mut head = rig.head(path);
    head.headers.push(("origin".to_owned(), PAGE.to_owned()));
    head
}

fn preflight(path: &str, origin: &str) -> Head {
    let line = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Head {
        method: "OPTIONS".to_owned(),
        path: path.to_owned(),
        headers: vec![
            line("origin", origin),
            line("access-control-request-method", "POST"),
            line(
                "access-control-request-headers",
                "authorization, x-stainless-os",
            ),
        ],
        ..Head::default()
    }
}

#[test]
fn a_preflight_is_answered_without_asking_anybody() {
    let mut rig = open_to(PAGE);
    let (id, lines) = rig.arrive(preflight("/v1/chat/completions", PAGE));
    assert_eq!(lines, ["respond 204", "log", "done"]);
    assert!(rig.fleet_asked.is_empty());
    let talk = rig.talk(id);
    assert_eq!(talk.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(
        talk.header("access-control-allow-headers"),
        Some("authorization, x-stainless-os")
    );
    assert_eq!(talk.header("access-control-allow-credentials"), None);
    assert!(
        talk.header("access-control-allow-methods")
            .unwrap()
            .contains("POST")
    );
}

#[test]
fn a_page_that_is_not_listed_is_refused_and_named_nowhere() {
    let mut rig = open_to(PAGE);
    for origin in ["https://evil.example", "null"] {
        let (id, lines) = rig.arrive(preflight("/v1/chat/completions", origin));
        assert_eq!(lines, ["respond 403", "log", "done"]);
        assert_eq!(rig.talk(id).header("access-control-allow-origin"), None);
        assert_eq!(rig.talk(id).header("vary"), Some("Origin"));
    }
}

#[test]
fn answers_errors_and_streams_can_be_read_by_the_page() {
    let mut rig = open_to(PAGE);
    let head = from_page(&rig, "/v1/chat/completions");
    let (plain, _) = rig.send(head.clone(), &chat());
    rig.grant(plain, "a");
    rig.answer(plain, 0, 200, ANSWER);
    let (stream, _) = rig.send(head.clone(), &streamed());
    rig.grant(stream, "a");
    rig.headers(stream, 0, 200, SSE);
    rig.chunk(stream, 0, WORD);
    let (refused, _) = rig.send(head.clone(), &serde_json::json!({ "model": "m" }));
    let mut keyless = head;
    keyless.headers.retain(|(name, _)| name != "authorization");
    keyless
        .headers
        .push(("authorization".to_owned(), "Bearer tg_wrong".to_owned()));
    let (stranger, _) = rig.arrive(keyless);
    for (id, status) in [(plain, 200), (stream, 200), (refused, 400), (stranger, 401)] {
        let talk = rig.talk(id);
        assert_eq!(talk.status, Some(status));
        assert_eq!(talk.header("access-control-allow-origin"), Some(PAGE));
        let exposed = talk.header("access-control-expose-headers").unwrap();
        for name in [
            "x-request-id",
            "x-gateway-server-id",
            "retry-after",
            "x-should-retry",
        ] {
            assert!(exposed.contains(name), "{name}");
        }
        assert_eq!(talk.header("vary"), Some("Origin"));
    }
}

#[test]
fn the_host_is_told_what_its_own_answers_must_carry() {
    let mut rig = open_to("*");
    let head = from_page(&rig, "/v1/chat/completions");
    let (id, _) = rig.arrive(head);
    let always = rig.gateway.always(id);
    let names: Vec<&str> = always.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "access-control-allow-origin",
            "access-control-expose-headers",
            "x-request-id"
        ]
    );
    assert_eq!(always[0].1, "*");
    assert_eq!(rig.gateway.always(id + 1), []);
}

#[test]
fn without_origins_nothing_speaks_of_them() {
    let mut rig = Rig::new(&["a"]);
    let (id, lines) = rig.arrive(preflight("/v1/chat/completions", PAGE));
    assert_eq!(lines, ["respond 405", "log", "done"]);
    let head = from_page(&rig, "/v1/chat/completions");
    let (plain, _) = rig.send(head, &chat());
    rig.grant(plain, "a");
    rig.answer(plain, 0, 200, ANSWER);
    for id in [id, plain] {
        let odd =
            |(name, _): &&(String, String)| name.starts_with("access-control-") || name == "vary";
        assert_eq!(rig.talk(id).headers.iter().find(odd), None);
    }
}
