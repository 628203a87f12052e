//! What a rewrite changes, and that it changes nothing else.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{Edits, rewrite};
use crate::members::walk_object;
use crate::peek::{PeekLimits, peek};

fn rewritten(body: &str, edits: Edits<'_>) -> String {
    let seen = peek(body.as_bytes(), &PeekLimits::default()).unwrap();
    String::from_utf8(rewrite(body.as_bytes(), &seen, &edits).into_owned()).unwrap()
}

const RENAME: Edits<'static> = Edits {
    previous_response_id: None,
    model: Some("real/\"name\""),
    include_usage: false,
    drop_nulls: false,
};
const USAGE: Edits<'static> = Edits {
    previous_response_id: None,
    model: None,
    include_usage: true,
    drop_nulls: false,
};
const NULLS: Edits<'static> = Edits {
    previous_response_id: None,
    model: None,
    include_usage: false,
    drop_nulls: true,
};
const USAGE_AND_NULLS: Edits<'static> = Edits {
    previous_response_id: None,
    model: None,
    include_usage: true,
    drop_nulls: true,
};

#[test]
fn nothing_to_do_borrows_the_body() {
    let body = br#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    let seen = peek(body, &PeekLimits::default()).unwrap();
    let edits = Edits {
        previous_response_id: None,
        model: Some("m"),
        include_usage: true,
        drop_nulls: true,
    };
    assert!(matches!(rewrite(body, &seen, &edits), Cow::Borrowed(_)));
}

#[test]
fn the_model_is_replaced_however_it_was_spelled() {
    assert_eq!(
        rewritten("{ \"x\":1.0e5 ,\"mod\\u0065l\" :\t\"a\\u0062\"}\n", RENAME),
        "{ \"x\":1.0e5 ,\"mod\\u0065l\" :\t\"real/\\\"name\\\"\"}\n"
    );
}

#[test]
fn usage_is_asked_for_wherever_the_body_left_room() {
    for (before, after) in [
        (
            r#"{"model":"m","stream":true}"#,
            r#"{"model":"m","stream_options":{"include_usage":true},"stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":null,"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{ },"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true },"model":"m"}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"x":1},"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true,"x":1},"model":"m"}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":null},"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage":true},"model":"m"}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage": false},"model":"m"}"#,
            r#"{"stream":true,"stream_options":{"include_usage": true},"model":"m"}"#,
        ),
    ] {
        assert_eq!(rewritten(before, USAGE), after);
    }
}

#[test]
fn usage_is_not_asked_for_where_nothing_streams() {
    let body = r#"{"model":"m","stream":false}"#;
    assert_eq!(rewritten(body, USAGE), body);
}

#[test]
fn nulls_go_with_their_commas() {
    for (before, after) in [
        (r#"{"a":null,"model":"m"}"#, r#"{"model":"m"}"#),
        (
            r#"{ "a":null , "b":null, "model":"m" }"#,
            r#"{ "model":"m" }"#,
        ),
        (r#"{"model":"m", "a":null}"#, r#"{"model":"m"}"#),
        (
            r#"{"model":"m","a":null ,"b":1, "c":null,"d":null }"#,
            r#"{"model":"m" ,"b":1 }"#,
        ),
        (
            r#"{"a":null,"b":1,"c":null,"model":"m"}"#,
            r#"{"b":1,"model":"m"}"#,
        ),
        (
            r#"{"model":"m","a":{"b":null},"c":[null]}"#,
            r#"{"model":"m","a":{"b":null},"c":[null]}"#,
        ),
    ] {
        assert_eq!(rewritten(before, NULLS), after);
    }
}

#[test]
fn null_stream_options_are_dropped_and_asked_for_anew() {
    assert_eq!(
        rewritten(
            r#"{"stream_options":null,"model":"m","x":null,"stream":true}"#,
            USAGE_AND_NULLS
        ),
        r#"{"model":"m","stream_options":{"include_usage":true},"stream":true}"#
    );
}

#[test]
fn a_peek_of_another_body_gives_bytes_and_no_panic() {
    let seen = peek(
        br#"{"x":null,"model":"a long enough name","y":null}"#,
        &PeekLimits::default(),
    )
    .unwrap();
    for body in ["", "{}", "żółw", r#"{"model":"m"}"#] {
        let edits = Edits {
            previous_response_id: None,
            model: Some("z"),
            include_usage: true,
            drop_nulls: true,
        };
        let _bytes = rewrite(body.as_bytes(), &seen, &edits);
    }
}

/// One member as text: name, gap around the colon, value.
type Spelled = (String, String, String);

fn gap() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "", " ", "\n\t", "  \r\n"]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "1.0e5",
        "1E+2",
        "-0",
        "-0.0",
        "123456789012345678901234567890",
        "1e999",
        "0.1000",
        "null",
        "true",
        "\"\\u00e9\\/\\ud83d\\ude00\"",
        "\"żółw 🐢 \\\"model\\\":\"",
        "{ \"model\" : null , \"b\":[1.00, { }] }",
        "[ ]",
        "[null,{\"stream\":1}]",
    ]);
    prop_oneof![
        odd.prop_map(str::to_owned),
        "[a-z ]{0,12}".prop_map(|text| format!("\"{text}\""))
    ]
}

fn unknown_member() -> impl Strategy<Value = Spelled> {
    ("[a-zA-Z_é]{1,8}", gap(), value())
        .prop_map(|(name, gap, value)| (format!("\"x_{name}\""), gap, value))
}

/// Unknown members around the two that a rewrite of a stream looks at, at random places.
fn members() -> impl Strategy<Value = Vec<Spelled>> {
    (
        prop::collection::vec(unknown_member(), 0..8),
        gap(),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut members, gap, model_at, stream_at)| {
            let at = model_at.index(members.len() + 1);
            members.insert(
                at,
                ("\"model\"".to_owned(), gap.clone(), "\"alias\"".to_owned()),
            );
            let at = stream_at.index(members.len() + 1);
            members.insert(at, ("\"stream\"".to_owned(), gap, "true".to_owned()));
            members
        })
}

fn spell(members: &[Spelled], gap: &str) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, colon, value)| format!("{gap}{name}{colon}:{colon}{value}{gap}"))
        .collect();
    format!("{gap}{{{}}}{gap}", members.join(","))
}

fn read_back(body: &str) -> Vec<(String, String)> {
    let mut members = Vec::new();
    walk_object(body, |member| {
        members.push((member.name.into_owned(), member.value.get().to_owned()))
    })
    .unwrap();
    members
}

proptest! {
    #[test]
    fn every_byte_outside_a_splice_stays(members in members(), gap in gap()) {
        let body = spell(&members, &gap);
        let edits = Edits { previous_response_id: None, model: Some("real"), include_usage: true, drop_nulls: false };
        let expected: Vec<Spelled> = members
            .into_iter()
            .map(|(name, colon, value)| match name.as_str() {
                "\"model\"" => (name, colon, "\"real\",\"stream_options\":{\"include_usage\":true}".to_owned()),
                _ => (name, colon, value),
            })
            .collect();
        prop_assert_eq!(rewritten(&body, edits), spell(&expected, &gap));
    }

    #[test]
    fn dropping_nulls_leaves_all_other_members_as_spelled(members in members(), gap in gap()) {
        let body = spell(&members, &gap);
        let mut expected = read_back(&body);
        expected.retain(|(_, value)| value != "null");
        prop_assert_eq!(read_back(&rewritten(&body, NULLS)), expected);
    }
}
