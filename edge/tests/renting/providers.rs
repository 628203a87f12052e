use serde_json::json;

use crate::rig::Rig;

#[test]
fn every_vendor_is_shown_with_its_form_its_limits_and_its_accounts() {
    let mut rig = Rig::new();
    let id = rig.connect("aws", "eu");
    let answer = rig.get("/admin/providers");
    assert_eq!(answer.status, 200);
    let vendors = answer.body["data"].as_array().unwrap();
    let names: Vec<_> = vendors
        .iter()
        .map(|it| it["vendor"].as_str().unwrap())
        .collect();
    let known: Vec<_> = tidegate_providers::ALL
        .iter()
        .map(|it| it.vendor())
        .collect();
    assert_eq!(names, known);
    for (shown, vendor) in vendors.iter().zip(tidegate_providers::ALL) {
        let form = serde_json::to_value(vendor.form()).unwrap();
        for part in ["credential", "settings", "help", "least_privilege"] {
            assert_eq!(shown[part], form[part], "{}", vendor.vendor());
        }
    }
    let [runpod, aws] = vendors.as_slice() else {
        panic!("two vendors");
    };
    assert_eq!(runpod["accounts"], json!([]));
    assert_eq!(aws["accounts"], json!([{ "id": id, "label": "eu" }]));
    assert_eq!(rig.asked(), ["fleet accounts"], "no vendor is called");
}

#[test]
fn what_a_vendor_cannot_do_is_told_in_words() {
    let mut rig = Rig::new();
    let answer = rig.get("/admin/providers");
    let limits = |at: usize| answer.body["data"][at]["limits"].to_string();
    let (runpod, aws) = (limits(0), limits(1));
    assert!(aws.contains("ready_unreachable") && !runpod.contains("ready_unreachable"));
    assert!(runpod.contains("no spot machines") && !aws.contains("no spot machines"));
    assert!(runpod.contains("up to 10 minutes pass until lists have told"));
    assert!(runpod.contains("two dead-man's switches guard it, not three"));
    assert!(runpod.contains("no answer for 100 seconds"));
    assert!(aws.contains("does not tell what a machine has cost"));
    let switches = |at: usize| answer.body["data"][at]["dead_man_switches"].clone();
    assert_eq!(switches(0), json!(["alarm", "sweep"]));
    assert_eq!(switches(1), json!(["alarm", "sweep", "guest_timer"]));
}
