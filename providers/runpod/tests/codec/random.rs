//! Whatever comes back: no panic, no secret.

use proptest::prelude::*;
use serde_json::{Map, Value};
use tidegate_provider_api::{HttpReply, Provider, Reply};
use tidegate_provider_runpod::RunPod;

use crate::rig::{Rig, SECRETS, every_request, reply};

/// With secrets here and there, if asked for.
fn any_json(secrets: bool) -> impl Strategy<Value = Value> {
    let text = if secrets {
        prop::sample::select(SECRETS[..3].to_vec())
            .prop_map(str::to_owned)
            .boxed()
    } else {
        ".{0,12}".boxed()
    };
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::String),
        text.prop_map(Value::String),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "pods",
            "id",
            "name",
            "status",
            "detail",
            "title",
            "errors",
            "gpus",
            "records",
            "totalAmount",
            "podId",
            "pagination",
            "nextCursor",
            "hasNextPage",
            "cost",
            "message",
        ])
        .prop_map(str::to_owned),
        "[a-z]{0,6}",
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Puts something else in the place of the `nth` value of a document.
fn replaced(value: &mut Value, nth: &mut usize, with: &Value) {
    if *nth == 0 {
        *value = with.clone();
    }
    *nth = nth.wrapping_sub(1);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|each| replaced(each, nth, with)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|each| replaced(each, nth, with)),
        _ => {}
    }
}

/// What may show something of the answer.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    /// Errors: what the vendor repeats of ours is taken out.
    AtErrors,
    /// Everything.
    AtAll,
}

/// Reads it as the answer to everything, and looks for secrets in what comes of it.
fn survives(reply: &HttpReply, look: Look) -> Result<(), TestCaseError> {
    let rig = Rig::new();
    for (request, _, _) in every_request() {
        let read = rig.reply(&request, reply);
        if let Ok(Reply::Part(part)) = &read {
            let _ = RunPod.offers(&rig.settings, std::slice::from_ref(part));
        }
        let shown = match &read {
            Err(error) => format!("{error} {error:?}"),
            Ok(read) if look == Look::AtAll => format!("{read:?}"),
            Ok(_) => continue,
        };
        for secret in SECRETS {
            prop_assert!(!shown.contains(secret), "{}", shown);
        }
    }
    Ok(())
}

fn any_reply(body: impl Strategy<Value = String>) -> impl Strategy<Value = HttpReply> {
    let status = prop_oneof![
        Just(200_u16),
        Just(201),
        Just(400),
        Just(429),
        Just(503),
        any::<u16>(),
    ];
    let header = prop::sample::select(vec!["retry-after", "ratelimit", "content-type"]);
    let headers = prop::collection::vec((header, "[ -~]{0,30}"), 0..3);
    (status, headers, body).prop_map(|(status, headers, body)| HttpReply {
        status,
        headers: headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        body,
        now_ms: 0,
    })
}

proptest! {
    #[test]
    fn no_bytes_break_it(
        reply in any_reply(prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| {
            String::from_utf8_lossy(&bytes).into_owned()
        }))
    ) {
        survives(&reply, Look::AtAll)?;
    }

    #[test]
    fn no_json_breaks_it(reply in any_reply(any_json(true).prop_map(|json| json.to_string()))) {
        survives(&reply, Look::AtErrors)?;
    }

    #[test]
    fn no_good_answer_with_something_odd_in_it_breaks_it(
        which: prop::sample::Index,
        mut nth in 0..80_usize,
        with in any_json(false),
        cut: prop::sample::Index,
    ) {
        let requests = every_request();
        let (_, status, body) = which.get(&requests);
        let mut document: Value = serde_json::from_str(body).unwrap_or_default();
        replaced(&mut document, &mut nth, &with);
        let text = document.to_string();
        survives(&reply(*status, &text), Look::AtAll)?;
        let kept: String = text.chars().take(cut.index(text.len() + 1)).collect();
        survives(&reply(*status, &kept), Look::AtAll)?;
    }
}
