//! Which machine a webhook is about.
//!
//! Everything else in it is left alone: it would be a second, weaker source of what the vendor's own answers
//! say.

use serde_json::Value;
use tidegate_wire_openai::ErrorCode;

use crate::admin::fields::{bad_type, bad_value};
use crate::api_error::ApiError;

/// Vendors' ids stay below 40 characters.
const LONGEST: usize = 128;

/// The vendor's id of the machine; nothing when the body names none, which asks for a look at all of them.
pub fn machine(vendor: &str, body: &[u8]) -> Result<Option<String>, ApiError> {
    let read: Value = serde_json::from_slice(body).map_err(|_| not_json())?;
    let members = read.as_object().ok_or_else(not_json)?;
    let (name, found) = match vendor_member(vendor, &read) {
        Some((name, value)) => (name, Some(value)),
        None => ("machine", members.get("machine")),
    };
    match found {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if is_id(id) => Ok(Some(id.clone())),
        Some(Value::String(_)) => Err(bad_value(
            name,
            "must be the vendor's id of a machine: up to 128 letters, digits, '-', '_', '.' and ':'",
        )),
        Some(_) => Err(bad_type(name, "must be a text")),
    }
}

/// Where a vendor's own events have it.
fn vendor_member<'a>(vendor: &str, read: &'a Value) -> Option<(&'static str, &'a Value)> {
    match vendor {
        // Source: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-instance-state-changes.html>.
        "aws" => Some((
            "detail.instance-id",
            read.get("detail")?.get("instance-id")?,
        )),
        _ => None,
    }
}

fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(fits)
}

fn not_json() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidJson,
        "The body is not a JSON object, so it was not taken. Send the vendor's event as it is, or \
         {\"machine\": \"…\"}.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(vendor: &str, body: &str) -> Option<String> {
        machine(vendor, body.as_bytes()).unwrap()
    }

    #[test]
    fn an_event_of_ec2_names_its_machine() {
        let event = r#"{
            "id": "7bf73129-1428-4cd3-a780-95db273d1602",
            "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2", "account": "123456789012", "time": "2021-11-11T21:29:54Z",
            "region": "us-east-1",
            "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
            "detail": {"instance-id": "i-abcd1111", "state": "pending"}
        }"#;
        assert_eq!(named("aws", event).as_deref(), Some("i-abcd1111"));
        assert_eq!(named("runpod", event), None);
    }

    #[test]
    fn any_vendors_machine_may_be_named_plainly_or_not_at_all() {
        for vendor in ["aws", "runpod"] {
            assert_eq!(
                named(vendor, r#"{"machine":"m-1"}"#).as_deref(),
                Some("m-1")
            );
            for body in ["{}", r#"{"machine":null}"#, r#"{"detail":{}}"#] {
                assert_eq!(named(vendor, body), None, "{body}");
            }
        }
    }

    #[test]
    fn what_is_no_event_and_no_id_is_refused() {
        let code = |body: &[u8]| {
            let refused = machine("aws", body).unwrap_err();
            let envelope = refused.envelope();
            (
                envelope.code.clone().unwrap_or_default().into_owned(),
                envelope.param.clone().map(|param| param.into_owned()),
            )
        };
        for body in [
            b"".as_slice(),
            b"[]",
            b"1",
            b"{",
            b"\xff",
            b"\xef\xbb\xbf{}",
        ] {
            assert_eq!(code(body), ("invalid_json".to_owned(), None));
        }
        let param = || Some("machine".to_owned());
        assert_eq!(
            code(br#"{"machine":1}"#),
            ("invalid_type".to_owned(), param())
        );
        let long = format!(r#"{{"machine":"{}"}}"#, "x".repeat(129));
        for body in [
            r#"{"machine":""}"#,
            r#"{"machine":"a/b"}"#,
            r#"{"machine":"a b"}"#,
            &long,
        ] {
            assert_eq!(code(body.as_bytes()), ("invalid_value".to_owned(), param()));
        }
        let nested = br#"{"detail":{"instance-id":["i-1"]}}"#;
        let param = Some("detail.instance-id".to_owned());
        assert_eq!(code(nested), ("invalid_type".to_owned(), param));
    }
}
