use serde_json::{Value, json};
use tidegate_edge::effect::CallOutcome;

use crate::rig::{Rig, offer, vendor_error};

fn prices(body: &Value) -> Vec<Value> {
    let data = body["data"].as_array().unwrap();
    data.iter().map(|it| it["price_per_hour"].clone()).collect()
}

/// Two vendors: one with two offers, one with three, of which one has no price.
fn two_vendors() -> (Rig, String, String) {
    let mut rig = Rig::new();
    let (runpod, aws) = (rig.connect("runpod", "main"), rig.connect("aws", "eu"));
    rig.offers(
        &runpod,
        &[
            offer(&[("microusd_per_hour", json!(690_000))]),
            offer(&[
                ("gpu.model", json!("h100-80gb")),
                ("gpu.name", json!("NVIDIA H100 80GB HBM3")),
                ("gpu.vram_gb", json!(80)),
                ("microusd_per_hour", json!(2_990_000)),
            ]),
        ],
    );
    let aws_offer = |changes: &[(&str, Value)]| {
        let base = [
            ("region", json!("eu-west-1")),
            ("zone", json!("eu-west-1a")),
            ("machine_type", json!("g6.xlarge")),
            ("availability", json!("unknown")),
        ];
        offer(&[&base, changes].concat())
    };
    rig.offers(
        &aws,
        &[
            aws_offer(&[("microusd_per_hour", json!(804_800))]),
            aws_offer(&[("microusd_per_hour", json!(241_401)), ("spot", json!(true))]),
            aws_offer(&[
                ("microusd_per_hour", Value::Null),
                ("gpu.count", json!(8)),
                ("machine_type", json!("g6.48xlarge")),
            ]),
        ],
    );
    (rig, runpod, aws)
}

#[test]
fn offers_of_all_vendors_are_merged_cheapest_first_and_the_unpriced_last() {
    let (mut rig, runpod, _) = two_vendors();
    let answer = rig.get("/admin/offers");
    assert_eq!(answer.status, 200);
    let expected = [
        json!("0.241401"),
        json!("0.69"),
        json!("0.8048"),
        json!("2.99"),
        Value::Null,
    ];
    assert_eq!(prices(&answer.body), expected);
    assert_eq!(answer.body["total"], 5);
    assert_eq!(answer.body["failures"], json!([]));
    assert_eq!(
        rig.asked(),
        ["fleet accounts", "account offers", "account offers"]
    );
    let l4 = &answer.body["data"][1];
    assert_eq!(l4["account_id"], json!(runpod));
    assert_eq!(l4["account_label"], "main");
    assert_eq!(
        (&l4["vendor"], &l4["reachable"]),
        (&json!("runpod"), &json!(true))
    );
    assert_eq!(l4["machine_price_per_hour"], "0.676");
    assert_eq!(l4["stopped_price_per_hour"], "0.014");
    assert_eq!(
        (&l4["age_seconds"], &l4["availability"]),
        (&json!(12), &json!("high"))
    );
    assert_eq!(l4["dead_man_switches"], json!(["alarm", "sweep"]));
    let spot = &answer.body["data"][0];
    assert_eq!(spot["stopped_price_per_hour"], Value::Null);
    assert_eq!(
        (&spot["vendor"], &spot["reachable"]),
        (&json!("aws"), &json!(false))
    );
    assert_eq!(
        spot["dead_man_switches"],
        json!(["alarm", "sweep", "guest_timer"])
    );
    assert!(spot["id"].as_str().unwrap().starts_with("off_"));
    let ids: std::collections::BTreeSet<String> = answer.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 5, "each has an id of its own");
}

#[test]
fn a_vendor_that_fails_stands_beside_what_the_others_offer() {
    let (mut rig, runpod, aws) = two_vendors();
    let partly = json!({
        "offers": [offer(&[])], "failures": [vendor_error("rate_limited", "slow down")],
    });
    let outcomes = [
        (&runpod, CallOutcome::Answered(partly.to_string())),
        (&aws, CallOutcome::Failed("timed out".to_owned())),
    ];
    for (id, outcome) in outcomes {
        rig.cloud.borrow_mut().offers.insert(id.clone(), outcome);
    }
    let body = rig.get("/admin/offers").body;
    assert_eq!(prices(&body), [json!("0.69")]);
    assert_eq!(
        body["data"][0]["age_seconds"],
        Value::Null,
        "nobody said when"
    );
    let failures = body["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 2);
    assert_eq!(failures[0]["account_id"], json!(runpod));
    assert_eq!(failures[0]["error"]["kind"], "rate_limited");
    assert_eq!(
        failures[0]["message"],
        "shop failed (rate_limited, HTTP 503): slow down"
    );
    assert_eq!(
        (&failures[1]["vendor"], &failures[1]["error"]),
        (&json!("aws"), &Value::Null)
    );
    assert!(
        failures[1]["message"]
            .as_str()
            .unwrap()
            .contains("did not answer in time")
    );
}

#[test]
fn offers_are_narrowed_and_ordered_as_asked() {
    let (mut rig, ..) = two_vendors();
    for (query, expected) in [
        ("gpu=L4", vec!["0.241401", "0.69", "0.8048", ""]),
        ("gpu=NVIDIA+H100+80GB+HBM3", vec!["2.99"]),
        ("min_vram_gb=80", vec!["2.99"]),
        ("count=8", vec![""]),
        ("region=EU-WEST-1&spot=false", vec!["0.8048", ""]),
        ("max_price=0.69", vec!["0.241401", "0.69"]),
        ("max_price=0.689999", vec!["0.241401"]),
        ("spot=true", vec!["0.241401"]),
        ("vendor=runpod", vec!["0.69", "2.99"]),
        ("sort=-price&limit=2", vec!["2.99", "0.8048"]),
        (
            "sort=vram&count=1",
            vec!["0.241401", "0.69", "0.8048", "2.99"],
        ),
        ("sort=-vram&limit=2", vec!["", "2.99"]),
        ("gpu=", vec!["0.241401", "0.69", "0.8048", "2.99", ""]),
    ] {
        let body = rig.get(&format!("/admin/offers?{query}")).body;
        let found: Vec<String> = prices(&body)
            .iter()
            .map(|it| it.as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(found, expected, "{query}");
    }
    rig.get("/admin/offers?vendor=runpod");
    assert_eq!(
        rig.asked(),
        ["fleet accounts", "account offers"],
        "the other is not asked"
    );
    let body = rig.get("/admin/offers?limit=1").body;
    assert_eq!(
        (body["data"].as_array().unwrap().len(), &body["total"]),
        (1, &json!(5))
    );
}

#[test]
fn a_query_that_makes_no_sense_asks_nobody() {
    let (mut rig, ..) = two_vendors();
    for (query, param) in [
        ("min_vram_gb=-1", "min_vram_gb"),
        ("min_vram_gb=x", "min_vram_gb"),
        ("count=0", "count"),
        ("max_price=cheap", "max_price"),
        ("max_price=0.0000001", "max_price"),
        ("max_price=-1", "max_price"),
        ("spot=maybe", "spot"),
        ("vendor=nobody", "vendor"),
        ("sort=cost", "sort"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
    ] {
        let answer = rig.get(&format!("/admin/offers?{query}"));
        assert_eq!(
            answer.error(),
            (400, "invalid_value", Some(param)),
            "{query}"
        );
        assert_eq!(rig.world.asked, [], "{query}");
    }
}

#[test]
fn without_an_account_there_is_nothing_and_nobody_is_waited_for() {
    let mut rig = Rig::new();
    let answer = rig.get("/admin/offers");
    assert_eq!((answer.status, &answer.body["total"]), (200, &json!(0)));
    assert_eq!(rig.asked(), ["fleet accounts"]);
}
