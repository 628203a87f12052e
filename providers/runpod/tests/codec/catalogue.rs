//! Regions and offers.

use serde_json::{Value, json};
use tidegate_provider_api::{
    Availability, DiskPrice, Gpu, Offer, Part, Provider, Region, Reply, Request,
};
use tidegate_provider_runpod::RunPod;

use crate::rig::{DATA_CENTERS, GPUS, Rig, shop};

/// Asks for every piece, gets the same catalogue for each, and puts the answers together.
fn offers(rig: &Rig, body: &str) -> Vec<Offer> {
    let pieces = RunPod.shop(&rig.settings).into_iter();
    let parts: Vec<Part> = pieces
        .map(|query| match rig.answer(&Request::Shop(query), 200, body) {
            Ok(Reply::Part(part)) => part,
            other => panic!("{other:?}"),
        })
        .collect();
    RunPod.offers(&rig.settings, &parts)
}

fn lines(offers: &[Offer]) -> Vec<String> {
    let line = |offer: &Offer| {
        let Gpu { model, count, .. } = &offer.gpu;
        let rate = offer
            .microusd_per_hour
            .map_or("?".to_owned(), |rate| rate.to_string());
        format!(
            "{count} {model} {} {rate} {:?}",
            offer.region, offer.availability
        )
    };
    offers.iter().map(line).collect()
}

#[test]
fn the_catalogue_is_asked_for_once_for_each_number_of_gpus() {
    let kinds: Vec<_> = RunPod
        .shop(&Rig::new().settings)
        .into_iter()
        .map(|query| query.kind)
        .collect();
    assert_eq!(kinds, ["gpus/1", "gpus/2", "gpus/4", "gpus/8"]);
    let call = Rig::with(&[("cloud", "COMMUNITY")]).call(&shop(2));
    assert!(call.url.ends_with("count=2&cloud=COMMUNITY"));
}

#[test]
fn each_type_number_and_data_centre_is_an_offer() {
    let found = offers(&Rig::new(), GPUS);
    assert_eq!(
        lines(&found)[..8],
        [
            "1 l4 EU-RO-1 390000 High",
            "1 l4 US-KS-2 390000 Low",
            "1 rtx4090 EU-RO-1 690000 Medium",
            "1 h100-80gb global 2990000 None",
            "2 l4 EU-RO-1 780000 High",
            "2 l4 US-KS-2 780000 Low",
            "2 rtx4090 EU-RO-1 1380000 Medium",
            "2 h100-80gb global 5980000 None",
        ]
    );
    assert_eq!(found.len(), 16);
    assert_eq!(
        found[0],
        Offer {
            region: "EU-RO-1".to_owned(),
            zone: None,
            machine_type: "NVIDIA L4".to_owned(),
            gpu: Gpu {
                model: "l4".to_owned(),
                name: "L4".to_owned(),
                count: 1,
                vram_gb: 24,
            },
            vcpus: None,
            memory_gb: None,
            spot: false,
            microusd_per_hour: Some(390_000),
            disk: Some(DiskPrice {
                microusd_per_gb_month: 200_000,
                added_gb: 0,
                least_gb: 10,
            }),
            address_microusd_per_hour: 0,
            availability: Availability::High,
        }
    );
}

#[test]
fn only_chosen_data_centres_are_offered() {
    let found = offers(&Rig::with(&[("data_centers", "US-KS-2")]), GPUS);
    let regions: Vec<_> = found.iter().map(|offer| offer.region.as_str()).collect();
    assert_eq!(regions, ["US-KS-2"; 4]);
}

#[test]
fn the_community_cloud_has_its_own_prices_and_limits_and_no_places() {
    let mut catalogue: Value = serde_json::from_str(GPUS).unwrap();
    for gpu in catalogue["gpus"].as_array_mut().unwrap() {
        gpu.as_object_mut().unwrap().remove("dataCenters");
    }
    let found = offers(
        &Rig::with(&[("cloud", "COMMUNITY")]),
        &catalogue.to_string(),
    );
    // No more than two in one machine.
    assert_eq!(
        lines(&found),
        [
            "1 rtx4090 global 340000 Medium",
            "2 rtx4090 global 680000 Medium"
        ]
    );
}

#[test]
fn a_price_that_cannot_be_read_is_none_and_a_strange_type_costs_the_others_nothing() {
    let gpu = |id: &str, changes: Value| {
        let mut gpu = json!({
            "id": id, "name": id, "memory": 24, "secure": true, "community": false,
            "price": {"secure": 0.5, "community": 0}, "maxCount": {"secure": 1, "community": 0},
        });
        for (name, value) in changes.as_object().unwrap() {
            gpu[name] = value.clone();
        }
        gpu
    };
    let catalogue = json!({"gpus": [
        gpu("free", json!({"price": {"secure": 0, "community": 0}})),
        gpu("text", json!({"price": {"secure": "0.5", "community": 0}})),
        gpu("debt", json!({"price": {"secure": -0.5, "community": 0}})),
        gpu("none", json!({"price": {}})),
        gpu("word", json!({"availability": "PLENTY"})),
        gpu("size", json!({"memory": "24"})),
        gpu("gone", json!({"secure": false})),
        7,
        null,
        gpu("last", json!({"availability": "LOW"})),
    ]});
    assert_eq!(
        lines(&offers(&Rig::new(), &catalogue.to_string())),
        [
            "1 free global ? Unknown",
            "1 text global ? Unknown",
            "1 debt global ? Unknown",
            "1 none global ? Unknown",
            "1 word global 500000 Unknown",
            "1 last global 500000 Low",
        ]
    );
}

#[test]
fn a_catalogue_that_is_none_is_an_error_and_a_part_that_is_none_is_left_out() {
    let rig = Rig::new();
    for body in ["", "{}", r#"{"gpus":{}}"#, "<html></html>"] {
        assert!(rig.answer(&shop(1), 200, body).is_err());
    }
    let Ok(Reply::Part(part)) = rig.answer(&shop(1), 200, GPUS) else {
        panic!("no part");
    };
    let strange = Part {
        body: json!({"other": true}),
        ..part.clone()
    };
    let mut foreign = part.clone();
    foreign.query.kind = "prices".to_owned();
    assert_eq!(
        RunPod
            .offers(&rig.settings, &[strange, foreign, part])
            .len(),
        4
    );
    assert_eq!(RunPod.offers(&rig.settings, &[]), []);
}

#[test]
fn a_part_keeps_what_offers_are_made_of_and_no_more() {
    let Ok(Reply::Part(part)) = Rig::new().answer(&shop(1), 200, GPUS) else {
        panic!("no part");
    };
    assert_eq!(
        part.body[1],
        json!({
            "id": "NVIDIA GeForce RTX 4090", "name": "RTX 4090", "vram_gb": 24,
            "microusd_per_hour": 690_000, "availability": "MEDIUM",
            "data_centers": [{"id": "EU-RO-1", "availability": "MEDIUM"}],
        })
    );
    assert_eq!(part.next, None);
}

#[test]
fn regions_are_the_data_centres_and_anywhere() {
    let enabled = |rig: &Rig| match rig.answer(&Request::Regions, 200, DATA_CENTERS) {
        Ok(Reply::Regions { regions }) => regions
            .into_iter()
            .map(|Region { id, enabled, .. }| (id, enabled))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let regions = |global, romania, kansas| {
        [
            ("global", global),
            ("EU-RO-1", romania),
            ("US-KS-2", kansas),
        ]
        .map(|(id, enabled)| (id.to_owned(), enabled))
        .to_vec()
    };
    assert_eq!(enabled(&Rig::new()), regions(true, true, true));
    let chosen = Rig::with(&[("data_centers", "US-KS-2")]);
    assert_eq!(enabled(&chosen), regions(true, false, true));
    let community = Rig::with(&[("cloud", "COMMUNITY")]);
    assert_eq!(enabled(&community), regions(true, false, false));
    assert_eq!(RunPod.list_regions(&Rig::new().settings), ["global"]);
}
