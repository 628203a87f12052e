//! Requests that are refused by their heads: before anybody is asked and any body is read.

use crate::rig::Rig;

#[test]
fn an_oversized_head_or_a_compressed_body_reaches_nobody() {
    let long = "x".repeat(40_000);
    for (status, code, header) in [
        (413, "request_too_large", ("content-length", "10485761")),
        (415, "unsupported_encoding", ("content-encoding", "gzip")),
        (431, "headers_too_large", ("cookie", long.as_str())),
    ] {
        let mut rig = Rig::new(&["a"]);
        let mut head = rig.head("/v1/chat/completions");
        head.headers
            .push((header.0.to_owned(), header.1.to_owned()));
        let (id, lines) = rig.arrive(head);
        assert_eq!(lines, [&format!("respond {status}"), "log", "done"]);
        assert_eq!(rig.talk(id).error(), (status, code.to_owned()));
        assert!(rig.fleet_asked.is_empty(), "not even for the key");
    }
}

#[test]
fn a_url_that_nobody_would_need_is_refused_and_one_at_the_limit_is_read() {
    let mut rig = Rig::new(&["a"]);
    let mut head = rig.head("/v1/models");
    head.method = "GET".to_owned();
    head.query = "q".repeat(8192 - head.path.len());
    let (id, _) = rig.arrive(head.clone());
    assert_eq!(rig.talk(id).status, Some(200));
    head.query.push('q');
    let (id, lines) = rig.arrive(head);
    assert_eq!(lines, ["respond 414", "log", "done"]);
    assert_eq!(rig.talk(id).error(), (414, "uri_too_long".to_owned()));
}

#[test]
fn a_body_at_its_limit_is_read_and_one_without_a_length_is_counted() {
    let mut rig = Rig::new(&["a"]);
    let mut head = rig.head("/v1/chat/completions");
    head.headers
        .push(("content-length".to_owned(), "10485760".to_owned()));
    let (_, lines) = rig.arrive(head);
    assert_eq!(lines.last().unwrap(), "read_body");
}

#[test]
fn two_authorizations_are_none() {
    let mut rig = Rig::new(&["a"]);
    let mut head = rig.head("/v1/chat/completions");
    // Platforms join repeated headers so.
    let twice = format!("{}, {}", head.headers[0].1, head.headers[0].1);
    head.headers[0].1 = twice;
    let (id, _) = rig.arrive(head);
    assert_eq!(rig.talk(id).error(), (401, "invalid_api_key".to_owned()));
}
