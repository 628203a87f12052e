use serde_json::{Value, json};
use tidegate_edge::effect::CallOutcome;

use crate::rig::{HF_TOKEN, PUBLIC_URL, Rig, foreign, gateway, offer, vacant, vendor_error};

const ESTIMATE: &str = "/admin/instances:estimate";
const LAUNCH: &str = "/admin/instances";

fn small(more: Value) -> Value {
    let mut body = json!({ "profile": "small" });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

/// A profile, and an account that offers one L4.
fn ready() -> (Rig, String) {
    let mut rig = Rig::new();
    let account = rig.connect("runpod", "main");
    rig.offers(&account, &[offer(&[])]);
    rig.profile();
    (rig, account)
}

#[test]
fn an_estimate_tells_sums_to_the_micro_dollar_and_rents_nothing() {
    let (mut rig, account) = ready();
    rig.says(
        "ledger/estimate",
        json!({
            "needed_microusd": 69_192,
            "budgets": [{
                "scope": "organisation",
                "budget": { "period": "month", "cap_microusd": 200_000_000, "thresholds": [80] },
                "period_from_ms": 1_793_491_200_000_i64,
                "spent_microusd": 41_280_000, "held_microusd": 69_000,
            }],
        }),
    );
    let answer = rig.post(ESTIMATE, small(json!({ "project": "lab" })));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        rig.asked(),
        [
            "fleet sealed_profile",
            "fleet accounts",
            "account offers",
            "ledger estimate"
        ]
    );
    let body = &answer.body;
    for (name, dollars) in [
        ("price_per_hour", "0.69"),
        ("dearest_price_per_hour", "0.69"),
        ("first_hour", "0.69"),
        ("whole_life", "8.28"),
        ("billing_minimum", "0.000192"),
        ("needed_now", "0.069192"),
    ] {
        assert_eq!(body[name], dollars, "{name}");
    }
    assert_eq!(body["whole_life_seconds"], 43_200);
    assert_eq!(body["candidates"][0]["account_id"], json!(account));
    assert_eq!(
        (&body["allowed"], &body["denied"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(body["budgets"][0]["left"], "158.651");
    assert_eq!(body["warnings"], json!([]));
    let asked = rig.told("estimate");
    assert_eq!(
        (&asked["project"], &asked["microusd_per_hour"]),
        (&json!("lab"), &json!(690_000))
    );
    assert_eq!(asked["hold_ms"], 300_000 + 60_000 + 1_000);
    assert_eq!(rig.world.count("rentals"), 0);
}

#[test]
fn an_end_that_comes_sooner_makes_the_whole_life_cheaper() {
    let (mut rig, _) = ready();
    let mut whole = |more: Value| {
        let body = rig.post(ESTIMATE, small(more)).body;
        [
            &body["first_hour"],
            &body["whole_life"],
            &body["whole_life_seconds"],
        ]
        .map(Value::to_string)
    };
    assert_eq!(
        whole(json!({ "max_lifetime_seconds": 7_200 })),
        ["\"0.69\"", "\"1.38\"", "7200"]
    );
    assert_eq!(
        whole(json!({ "until": "2026-11-21T10:30:00Z" })),
        ["\"0.345\"", "\"0.345\"", "1800"]
    );
}

#[test]
fn a_budget_that_denies_is_told_before_and_refuses_the_launch() {
    let (mut rig, _) = ready();
    let denied = "`organisation` has 0.02 of 200 dollars left this month";
    rig.says(
        "ledger/estimate",
        json!({ "needed_microusd": 69_192, "budgets": [], "denied": denied }),
    );
    let estimate = rig.post(ESTIMATE, small(json!({}))).body;
    assert_eq!(
        (&estimate["allowed"], &estimate["denied"]),
        (&json!(false), &json!(denied))
    );
    let refused = rig.post(LAUNCH, small(json!({})));
    assert_eq!(refused.error(), (402, "budget_exceeded", None));
    assert!(refused.message().contains(denied));
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert_eq!(rig.world.count("rentals"), 0);
    rig.is_silent("ledger/estimate");
    let unknown = rig.post(LAUNCH, small(json!({})));
    assert_eq!(
        unknown.error(),
        (503, "gateway_unavailable", None),
        "unknown is no yes"
    );
    assert_eq!(rig.world.count("rentals"), 0);
}

#[test]
fn a_launch_holds_all_that_the_instance_needs_with_its_secrets_sealed() {
    let (mut rig, account) = ready();
    let answer = rig.post(
        LAUNCH,
        small(json!({
            "name": "night shift", "project": "lab", "idle_timeout_seconds": null, "on_idle": "stop",
            "max_lifetime_seconds": 7_200, "until": "2026-11-22T00:00:00Z",
            "stop_windows": [{ "from": "22:00", "to": "06:30" }],
        })),
    );
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(
        rig.asked(),
        [
            "fleet sealed_profile",
            "fleet accounts",
            "account offers",
            "ledger estimate",
            "fleet launch",
            "instance launch",
        ]
    );
    let id = answer.text("id").to_owned();
    let (_, message) = &rig.world.asked[4];
    let launch = &message["launch"];
    assert_eq!(
        (&message["actor"], &launch["actor"]),
        (&json!("admin"), &json!("admin"))
    );
    assert_eq!(
        (&launch["generation"], &launch["name"]),
        (&json!(1), &json!("night shift"))
    );
    assert_eq!(launch["callback_base"], PUBLIC_URL);
    let ends = json!({
        "idle_ms": null, "on_idle": "stop", "max_lifetime_ms": 7_200_000,
        "until_ms": 1_795_305_600_000_i64,
        "stop_windows": [{ "from_minute": 1_320, "to_minute": 390 }],
    });
    assert_eq!(launch["ends"], ends);
    let candidate = &launch["candidates"][0];
    assert_eq!(
        (&candidate["account"], &candidate["vendor"]),
        (&json!(account), &json!("runpod"))
    );
    assert_eq!(candidate["offer"], offer(&[]));
    let runtime = &launch["runtime"];
    assert_eq!(
        (&runtime["profile"], &runtime["model_name"]),
        (&json!("small"), &json!("tiny"))
    );
    assert_eq!(runtime["upstream_model"], "acme/tiny");
    let [token, key] = runtime["sealed_env"].as_array().unwrap().as_slice() else {
        panic!("two secrets: {runtime}");
    };
    assert_eq!(
        (&token["record"], &token["field"]),
        (&json!("profile/small"), &json!("env/HF_TOKEN"))
    );
    assert_eq!(
        rig.opened("profile/small", "env/HF_TOKEN", &token["sealed"]),
        HF_TOKEN
    );
    let record = format!("server/{id}");
    assert_eq!(
        (&key["name"], &key["record"]),
        (&json!("VLLM_API_KEY"), &json!(record))
    );
    assert_eq!(
        (&key["field"], &key["sealed"]),
        (&json!("api_key"), &runtime["sealed_api_key"])
    );
    let server_key = rig.opened(&record, "api_key", &key["sealed"]);
    assert!(server_key.len() >= 32);
    let pair = rig.opened(
        &format!("instance/{id}"),
        "ssh_key",
        &message["sealed_ssh_key"],
    );
    assert!(pair.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
    let public = launch["ssh_public_key"].as_str().unwrap();
    assert!(public.starts_with("ssh-ed25519 ") && public.ends_with(&format!("{id}@default")));
    let courtesy = &rig.world.asked[5];
    assert_eq!(courtesy.0, format!("instance/default/{id}"));
    assert_eq!(courtesy.1["runtime"], *runtime);

    let body = &answer.body;
    assert_eq!(
        (&body["status"], &body["vendor"]),
        (&json!("requested"), &json!("runpod"))
    );
    assert_eq!(
        (&body["gpu"], &body["region"]),
        (&json!("l4"), &json!("EU-RO-1"))
    );
    assert_eq!(
        body["ends"]["stop_windows"],
        json!([{ "from": "22:00", "to": "06:30" }])
    );
    assert_eq!(body["ends"]["until"], "2026-11-22T00:00:00.000Z");
    assert_eq!(body["ends"]["idle_timeout_seconds"], Value::Null);
    assert_eq!(body["has_ssh_key"], true);
    assert_eq!(body["estimate"]["whole_life"], "1.38");
}

#[test]
fn what_is_left_out_comes_from_the_profile_and_two_launches_share_no_key() {
    let (mut rig, _) = ready();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let answer = rig.post(LAUNCH, small(json!({})));
        let (_, message) = &rig.world.asked[4];
        let launch = &message["launch"];
        let ends = json!({
            "idle_ms": 900_000, "on_idle": "terminate", "max_lifetime_ms": 43_200_000,
            "until_ms": null, "stop_windows": [],
        });
        assert_eq!(launch["ends"], ends);
        let id = answer.text("id");
        assert_eq!(launch["name"], format!("small-{}", &id[id.len() - 6..]));
        let record = format!("server/{id}");
        keys.push(rig.opened(&record, "api_key", &launch["runtime"]["sealed_api_key"]));
        keys.push(launch["ssh_public_key"].to_string());
        keys.push(id.to_owned());
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 6);
}

#[test]
fn without_ssh_or_a_key_variable_none_is_made_and_somebody_is_warned() {
    let (mut rig, _) = ready();
    rig.world.gateway = gateway(4, None);
    let body = json!({ "kind": "ollama", "model_name": "tiny" });
    rig.put("/admin/profiles/open", body);
    let answer = rig.post(LAUNCH, json!({ "profile": "open", "ssh": false }));
    assert_eq!(answer.status, 201, "{}", answer.body);
    let (_, message) = &rig.world.asked[4];
    assert_eq!(message["sealed_ssh_key"], Value::Null);
    assert_eq!(message["launch"]["ssh_public_key"], Value::Null);
    assert_eq!(message["launch"]["callback_base"], Value::Null);
    assert_eq!(message["launch"]["runtime"]["sealed_api_key"], Value::Null);
    assert_eq!(message["launch"]["runtime"]["sealed_env"], json!([]));
    let warnings = answer.body["estimate"]["warnings"].to_string();
    assert!(warnings.contains("whoever finds its address may use it"));
    assert!(warnings.contains("PUBLIC_URL is not set"));
}

#[test]
fn the_cheapest_that_fits_is_tried_first_and_a_spot_machine_only_when_asked_for() {
    let (mut rig, runpod) = ready();
    let aws = rig.connect("aws", "eu");
    let at = |price: u32| ("microusd_per_hour", json!(price));
    rig.offers(
        &runpod,
        &[
            offer(&[at(800_000)]),
            offer(&[at(100_000), ("gpu.vram_gb", json!(12))]),
            offer(&[at(200_000), ("availability", json!("none"))]),
            offer(&[("microusd_per_hour", Value::Null)]),
            offer(&[at(9_000_000)]),
        ],
    );
    rig.offers(
        &aws,
        &[
            offer(&[at(700_000), ("machine_type", json!("g6.xlarge"))]),
            offer(&[at(250_000), ("spot", json!(true))]),
        ],
    );
    let mut prices = |constraints: Value| -> Vec<String> {
        let answer = rig.post(ESTIMATE, small(json!({ "constraints": constraints })));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let candidates = answer.body["candidates"].as_array().unwrap();
        let price = |it: &Value| it["price_per_hour"].as_str().unwrap().to_owned();
        candidates.iter().map(price).collect()
    };
    assert_eq!(
        prices(json!({})),
        ["0.7", "0.8"],
        "and nothing at ten times the price"
    );
    assert_eq!(
        prices(json!({ "max_price_per_hour": 10 })),
        ["0.7", "0.8", "9"]
    );
    assert_eq!(prices(json!({ "max_price_per_hour": "0.75" })), ["0.7"]);
    assert_eq!(prices(json!({ "spot": true })), ["0.25"]);
    assert_eq!(prices(json!({ "vendor": "runpod" })), ["0.8"]);
    let body = rig.post(ESTIMATE, small(json!({}))).body;
    assert_eq!(
        (&body["price_per_hour"], &body["dearest_price_per_hour"]),
        (&json!("0.7"), &json!("0.8"))
    );
    let warnings = body["warnings"].to_string();
    assert!(warnings.contains("AWS EC2 is not reachable over public TLS"));
}

#[test]
fn an_offer_is_rented_at_the_price_that_was_shown_or_less() {
    let (mut rig, account) = ready();
    rig.offers(
        &account,
        &[offer(&[]), offer(&[("region", json!("US-KS-2"))])],
    );
    let offers = rig.get("/admin/offers").body;
    let id = offers["data"][1]["id"].clone();
    let order = |id: &Value| small(json!({ "offer_id": id }));
    let answer = rig.post(LAUNCH, order(&id));
    assert_eq!((answer.status, answer.text("region")), (201, "US-KS-2"));
    assert_eq!(answer.body["candidates"], 1);
    assert_eq!(rig.asked()[2], "account offers", "its own account alone");
    let there = |price: u32| {
        offer(&[
            ("region", json!("US-KS-2")),
            ("microusd_per_hour", json!(price)),
        ])
    };
    rig.offers(&account, &[there(650_000)]);
    assert_eq!(rig.post(LAUNCH, order(&id)).status, 201);
    rig.offers(&account, &[there(690_001)]);
    let dearer = rig.post(LAUNCH, order(&id));
    assert_eq!(dearer.error(), (409, "no_offer", None));
    assert!(
        dearer
            .message()
            .contains("costs 0.690001 dollars an hour by now, not 0.69")
    );
    rig.offers(&account, &[offer(&[])]);
    let gone = rig.post(LAUNCH, order(&id));
    assert_eq!(gone.error(), (409, "no_offer", None));
    assert!(gone.message().contains("is gone"));
    let silent = CallOutcome::Failed("timed out".to_owned());
    rig.cloud.borrow_mut().offers.insert(account, silent);
    let unknown = rig.post(LAUNCH, order(&id));
    assert_eq!(unknown.error(), (409, "no_offer", None));
    assert!(unknown.message().contains("did not answer in time"));
}

#[test]
fn an_offer_that_the_profile_does_not_fit_on_or_without_a_price_is_refused() {
    let (mut rig, account) = ready();
    rig.offers(
        &account,
        &[
            offer(&[("gpu.vram_gb", json!(12))]),
            offer(&[("microusd_per_hour", Value::Null)]),
        ],
    );
    let offers = rig.get("/admin/offers").body;
    let small_one = small(json!({ "offer_id": offers["data"][0]["id"] }));
    let refused = rig.post(LAUNCH, small_one);
    assert_eq!(refused.error(), (400, "invalid_value", Some("offer_id")));
    assert!(
        refused
            .message()
            .contains("has 1 × 12 GB, and the profile needs 1 × 16 GB")
    );
    rig.offers(&account, &[offer(&[("microusd_per_hour", Value::Null)])]);
    let refused = rig.post(
        LAUNCH,
        small(json!({ "offer_id": offers["data"][1]["id"] })),
    );
    assert_eq!(refused.error(), (409, "no_offer", None));
    assert!(refused.message().contains("no price that is known"));
}

#[test]
fn an_offer_of_somebody_else_addresses_nobody() {
    let (mut rig, account) = ready();
    let offers = rig.get("/admin/offers").body;
    let id = offers["data"][0]["id"].as_str().unwrap().to_owned();
    let swapped = |other: &str| {
        use base64ct::{Base64UrlUnpadded, Encoding};
        let json = Base64UrlUnpadded::decode_vec(&id[4..]).unwrap();
        let json = String::from_utf8(json).unwrap().replace(&account, other);
        format!("off_{}", Base64UrlUnpadded::encode_string(json.as_bytes()))
    };
    for other in [foreign("account"), "acc_x".to_owned(), "../x".to_owned()] {
        let refused = rig.post(LAUNCH, small(json!({ "offer_id": swapped(&other) })));
        assert_eq!(refused.error(), (409, "no_offer", None));
        assert_eq!(rig.asked(), ["fleet sealed_profile"]);
    }
    let refused = rig.post(
        LAUNCH,
        small(json!({ "offer_id": swapped(&vacant("account")) })),
    );
    assert_eq!(refused.error(), (409, "no_offer", None));
    assert_eq!(
        rig.asked(),
        ["fleet sealed_profile", "fleet accounts"],
        "nobody is asked for offers"
    );
}

#[test]
fn a_launch_that_finds_nothing_says_what_there_was() {
    let (mut rig, account) = ready();
    let message = |rig: &mut Rig, constraints: Value| {
        let refused = rig.post(LAUNCH, small(json!({ "constraints": constraints })));
        assert_eq!(refused.error(), (409, "no_offer", None));
        assert_eq!(refused.header("x-should-retry"), Some("false"));
        refused.message().to_owned()
    };
    rig.offers(
        &account,
        &[
            offer(&[]),
            offer(&[("microusd_per_hour", Value::Null)]),
            offer(&[("availability", json!("none"))]),
            offer(&[
                ("gpu.model", json!("h100-80gb")),
                ("gpu.name", json!("H100")),
            ]),
        ],
    );
    let dear = message(
        &mut rig,
        json!({ "gpu": "l4", "max_price_per_hour": "0.5" }),
    );
    assert!(
        dear.contains(
            "of 4 offers 3 are the right machine, 1 without a known price, 1 sold out, 1 dearer than was allowed, \
             from 0.69 dollars an hour"
        ),
        "{dear}"
    );
    let none = message(&mut rig, json!({ "gpu": "b200" }));
    assert!(
        none.contains("of 4 offers 0 are the right machine"),
        "{none}"
    );
    rig.says(
        "account/offers",
        json!({ "offers": [], "failures": [vendor_error("auth", "bad key")] }),
    );
    let failed = message(&mut rig, json!({}));
    assert!(failed.contains("The account `main` could not tell what it has: shop failed (auth"));
    let nobody = message(&mut rig, json!({ "vendor": "aws" }));
    assert!(nobody.contains("No account is connected"));
    assert_eq!(rig.world.count("rentals"), 0);
}

#[test]
fn a_bad_order_asks_for_no_offers() {
    let (mut rig, _) = ready();
    let hour = |from: &str, to: &str| json!([{ "from": from, "to": to }]);
    for (field, value, code, param) in [
        (
            "profile",
            Value::Null,
            "missing_required_parameter",
            "profile",
        ),
        ("profile", json!("large"), "invalid_value", "profile"),
        ("offer_id", json!("x"), "invalid_value", "offer_id"),
        ("constraints", json!([]), "invalid_type", "constraints"),
        (
            "constraints",
            json!({ "cpu": 1 }),
            "invalid_value",
            "constraints.cpu",
        ),
        (
            "constraints",
            json!({ "count": 0 }),
            "invalid_value",
            "constraints.count",
        ),
        (
            "constraints",
            json!({ "vendor": "nobody" }),
            "invalid_value",
            "constraints.vendor",
        ),
        (
            "constraints",
            json!({ "spot": "yes" }),
            "invalid_type",
            "constraints.spot",
        ),
        (
            "constraints",
            json!({ "max_price_per_hour": "cheap" }),
            "invalid_value",
            "constraints.max_price_per_hour",
        ),
        ("name", json!(""), "invalid_value", "name"),
        ("project", json!("a\nb"), "invalid_value", "project"),
        (
            "idle_timeout_seconds",
            json!(0),
            "invalid_value",
            "idle_timeout_seconds",
        ),
        ("on_idle", json!("sleep"), "invalid_value", "on_idle"),
        (
            "max_lifetime_seconds",
            json!(2_592_001),
            "invalid_value",
            "max_lifetime_seconds",
        ),
        ("until", json!("tomorrow"), "invalid_value", "until"),
        (
            "until",
            json!("2026-11-21T10:00:00Z"),
            "invalid_value",
            "until",
        ),
        ("stop_windows", json!({}), "invalid_type", "stop_windows"),
        (
            "stop_windows",
            hour("22:00", "22:00"),
            "invalid_value",
            "stop_windows",
        ),
        (
            "stop_windows",
            hour("09:59", "10:01"),
            "invalid_value",
            "stop_windows",
        ),
        (
            "stop_windows",
            hour("24:00", "06:00"),
            "invalid_value",
            "stop_windows",
        ),
        (
            "stop_windows",
            hour("9:00", "10:00"),
            "invalid_value",
            "stop_windows",
        ),
        (
            "stop_windows",
            json!(vec![hour("01:00", "02:00")[0].clone(); 11]),
            "invalid_value",
            "stop_windows",
        ),
        ("ssh", json!("yes"), "invalid_type", "ssh"),
        ("budget", json!(1), "invalid_value", "budget"),
    ] {
        let mut body = small(json!({}));
        body[field] = value;
        for path in [ESTIMATE, LAUNCH] {
            let answer = rig.post(path, body.clone());
            assert_eq!(answer.error(), (400, code, Some(param)), "{body}");
            assert!(!rig.asked().contains(&"account offers".to_owned()));
        }
    }
    let offers = rig.get("/admin/offers").body;
    let both = json!({ "offer_id": offers["data"][0]["id"], "constraints": {} });
    let refused = rig.post(LAUNCH, small(both));
    assert_eq!(refused.error(), (400, "invalid_value", Some("constraints")));
    rig.put(
        "/admin/profiles/two",
        json!({ "kind": "vllm", "model_name": "m", "gpu_count": 2 }),
    );
    let fewer = json!({ "profile": "two", "constraints": { "count": 1 } });
    let refused = rig.post(LAUNCH, fewer);
    assert_eq!(
        refused.error(),
        (400, "invalid_value", Some("constraints.count"))
    );
}

#[test]
fn what_the_registry_makes_of_a_launch_is_told() {
    let (mut rig, _) = ready();
    rig.put(
        "/admin/profiles/one",
        json!({ "kind": "vllm", "model_name": "m" }),
    );
    let one = json!({ "profile": "one" });
    assert_eq!(rig.post(LAUNCH, one.clone()).status, 201);
    let refused = rig.post(LAUNCH, one);
    assert_eq!(refused.error(), (400, "invalid_value", Some("profile")));
    assert!(refused.message().contains("its max_instances is 1"));
    rig.is_silent("fleet/launch");
    let lost = rig.post(LAUNCH, small(json!({})));
    assert_eq!(lost.error(), (503, "gateway_unavailable", None));
    assert!(
        lost.message()
            .contains("may or may not have been made. Look at GET /admin/instances")
    );
    assert_eq!(lost.header("x-should-retry"), Some("false"));
    rig.cloud.borrow_mut().says.remove("fleet/launch");
    rig.is_silent("instance/launch");
    let told = rig.post(LAUNCH, small(json!({})));
    assert_eq!(told.status, 201, "the registry's outbox tells it");
}
