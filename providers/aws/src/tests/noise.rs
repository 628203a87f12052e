//! Nothing that comes back is too strange to be read, and nothing that was confided comes out again.

use proptest::prelude::*;
use tidegate_provider_api::{Part, Provider, Query, Request};

use super::{SECRET, SESSION, account, create, destroy, get, list, map, spec};
use crate::Aws;

/// One request of each kind.
fn requests() -> Vec<Request> {
    let (region, id) = ("us-east-1".to_owned(), "i-0abc".to_owned());
    let shop = |kind: &str| {
        Request::Shop(Query {
            kind: kind.to_owned(),
            region: Some("us-east-1".to_owned()),
            page: None,
        })
    };
    let check = |permission: &str| Request::Check {
        permission: permission.to_owned(),
        region: "us-east-1".to_owned(),
    };
    let mut all = vec![
        Request::Verify,
        Request::Regions,
        create(spec()),
        get(),
        list(),
        destroy(),
        Request::Stop {
            region: region.clone(),
            id: id.clone(),
        },
        Request::Start {
            region: region.clone(),
            id: id.clone(),
        },
        Request::Bill {
            region,
            id,
            since_ms: 0,
            until_ms: 1,
        },
    ];
    all.extend(["types", "zones", "prices", "spot", "disk", "weather"].map(shop));
    all.extend(
        [
            "ec2:RunInstances",
            "ec2:DescribeInstances",
            "pricing:GetProducts",
        ]
        .map(check),
    );
    all
}

const NAMES: &str = "(RunInstancesResponse|DescribeInstancesResponse|DescribeInstanceTypesResponse|\
                     DescribeSpotPriceHistoryResponse|DescribeInstanceTypeOfferingsResponse|Response|ErrorResponse|\
                     Errors|Error|Code|Message|reservationSet|instancesSet|item|instanceId|instanceState|code|name|\
                     launchTime|reason|tagSet|key|value|gpuInfo|gpus|count|memoryInfo|sizeInMiB|spotPriceHistorySet|\
                     spotPrice|instanceTypeSet|nextToken)";

/// XML that is well formed and means anything.
fn xml() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[ -;=?-~]{0,20}",
        Just("99999999999999999999".to_owned()),
        Just("-1".to_owned()),
        Just("2026-11-20T12:00:00Z".to_owned()),
        Just("User initiated (2026-11-20 12:00:00 GMT)".to_owned()),
    ]
    .prop_map(|text| text.replace('&', "&amp;"));
    leaf.prop_recursive(6, 40, 5, |inner| {
        (NAMES, prop::collection::vec(inner, 0..5))
            .prop_map(|(name, inner)| format!("<{name}>{}</{name}>", inner.concat()))
    })
}

fn body() -> impl Strategy<Value = String> {
    let json = "[\\[\\]{}:,\"a-zA-Z0-9 ]{0,60}";
    let prices = "(-1|[0-9]{0,30}|[0-9]{1,4}\\.[0-9]{0,12}|1e9|NaN|)".prop_map(|price| {
        let entry = serde_json::json!({
            "product": {"attributes": {"instanceType": "g6.xlarge"}},
            "terms": {"OnDemand": {"a": {"priceDimensions": {"b": {"unit": "Hrs", "pricePerUnit": {"USD": price}}}}}},
        });
        serde_json::json!({"PriceList": [entry.to_string()]}).to_string()
    });
    prop_oneof![xml(), json, "\\PC{0,80}", prices]
}

proptest! {
    #[test]
    fn no_answer_is_too_strange_to_be_read(body in body(), status in 100_u16..600) {
        let account = account();
        for request in requests() {
            match account.decode(&request, status, &body) {
                Ok(reply) => prop_assert!((200..300).contains(&status), "{status}: {reply:?}"),
                Err(error) => {
                    prop_assert_eq!(error.operation.as_str(), request.operation());
                    prop_assert!(!error.unclear || request.is_change());
                }
            }
        }
    }

    #[test]
    fn no_error_tells_a_secret(before in "[ -;=?-~]{0,40}", after in "[ -;=?-~]{0,40}", code in "[A-Za-z.]{1,20}", which in 0_usize..4) {
        let account = account().with_session();
        let secret = [SECRET, SESSION, "sk-only-for-this-server", "boot-0123456789abcdef"][which];
        let words = format!("{before}{secret}{after}").replace('&', "&amp;");
        let xml = format!("<Response><Errors><Error><Code>{code}</Code><Message>{words}</Message></Error></Errors></Response>");
        let json = serde_json::json!({"__type": code, "message": format!("{before}{secret}{after}")}).to_string();
        for body in [xml, json] {
            for request in requests() {
                if let Err(error) = account.decode(&request, 400, &body) {
                    let shown = format!("{error} {error:?}");
                    prop_assert!(!shown.contains(secret), "{}", shown);
                }
            }
        }
    }

    #[test]
    fn nothing_that_is_asked_for_is_too_strange_to_be_encoded(
        region in "\\PC{0,12}", id in "\\PC{0,12}", page in "\\PC{0,12}", origin in proptest::option::of("\\PC{0,20}"),
        argument in "\\PC{0,20}", now_ms in proptest::num::i64::ANY,
    ) {
        let mut account = account();
        account.origins.api = origin;
        let mut launch = spec();
        launch.region.clone_from(&region);
        launch.machine_type.clone_from(&id);
        launch.runtime.args.push(argument);
        let shop = |kind: &str| Request::Shop(Query { kind: kind.to_owned(), region: Some(region.clone()), page: Some(page.clone()) });
        let mut cx = account.cx();
        cx.now_ms = now_ms;
        for request in [
            create(launch),
            Request::Get { region: region.clone(), id: id.clone() },
            Request::List { region: region.clone(), page: Some(page.clone()) },
            Request::Check { permission: "ec2:RunInstances".to_owned(), region: region.clone() },
            shop("types"), shop("spot"), shop("prices"),
        ] {
            if let Ok(call) = Aws.encode(&cx, &request) {
                let shown = format!("{call:?}");
                prop_assert!(!shown.contains(SECRET));
                let lines = call.headers.iter().all(|(_, value)| !value.contains(['\r', '\n']));
                prop_assert!(lines);
            }
        }
    }

    #[test]
    fn no_catalogue_and_no_settings_are_too_strange(
        body in body(), kind in "(types|zones|prices|spot|disk|x)", name in "(regions|subnet_id|ami_id|key_name|x)", text in "\\PC{0,30}",
    ) {
        let settings = map(&[("regions", "us-east-1"), (name.as_str(), text.as_str())]);
        let _ = Aws.check_settings(&settings);
        let _ = Aws.list_regions(&settings);
        let query = Query { kind, region: Some("us-east-1".to_owned()), page: None };
        let stored = serde_json::from_str(&body).unwrap_or(serde_json::Value::Null);
        let part = Part { query, body: stored, next: None };
        Aws.offers(&settings, &[part]);
    }
}
