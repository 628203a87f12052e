//! From pieces of the catalogue to offers.

use serde_json::{Value, json};
use tidegate_provider_api::{
    Availability, DiskPrice, Gpu, Offer, Part, Provider, Query, Reply, Request, Settings,
};

use super::{NOW_MS, account, map};
use crate::Aws;

fn query(kind: &str, region: &str) -> Query {
    Query {
        kind: kind.to_owned(),
        region: Some(region.to_owned()),
        page: None,
    }
}

fn part(query: &Query, body: &str) -> Part {
    match account()
        .decode(&Request::Shop(query.clone()), 200, body)
        .unwrap()
    {
        Reply::Part(part) => part,
        other => panic!("{other:?}"),
    }
}

struct Type {
    name: &'static str,
    maker: &'static str,
    gpu: &'static str,
    count: u32,
    size: &'static str,
    mib: u32,
    markets: &'static [&'static str],
}

const BOTH: &[&str] = &["on-demand", "spot"];

const TYPES: [Type; 6] = [
    Type {
        name: "g6.xlarge",
        maker: "NVIDIA",
        gpu: "L4",
        count: 1,
        size: "1.0",
        mib: 22_888,
        markets: BOTH,
    },
    Type {
        name: "p5.48xlarge",
        maker: "NVIDIA",
        gpu: "H100",
        count: 8,
        size: "1.0",
        mib: 81_920,
        markets: &["capacity-block", "on-demand"],
    },
    Type {
        name: "p5e.48xlarge",
        maker: "NVIDIA",
        gpu: "H200",
        count: 8,
        size: "1.0",
        mib: 144_384,
        markets: &["capacity-block"],
    },
    Type {
        name: "g6f.xlarge",
        maker: "NVIDIA",
        gpu: "L4",
        count: 0,
        size: "0.125",
        mib: 2_861,
        markets: BOTH,
    },
    Type {
        name: "g4ad.xlarge",
        maker: "AMD",
        gpu: "Radeon Pro V520",
        count: 1,
        size: "1.0",
        mib: 8_192,
        markets: BOTH,
    },
    Type {
        name: "g4dn.xlarge",
        maker: "NVIDIA",
        gpu: "T4",
        count: 1,
        size: "",
        mib: 16_384,
        markets: &[],
    },
];

fn types() -> String {
    let items: Vec<String> = TYPES
        .iter()
        .map(|each| {
            let markets: Vec<String> =
                each.markets.iter().map(|market| format!("<item>{market}</item>")).collect();
            let size = if each.size.is_empty() {
                String::new()
            } else {
                format!("<gpuPartitionSize>{}</gpuPartitionSize>", each.size)
            };
            format!(
                "<item><instanceType>{}</instanceType><currentGeneration>true</currentGeneration>\
                 <supportedUsageClasses>{}</supportedUsageClasses><vCpuInfo><defaultVCpus>4</defaultVCpus></vCpuInfo>\
                 <memoryInfo><sizeInMiB>16384</sizeInMiB></memoryInfo><gpuInfo><gpus><item><name>{}</name>\
                 <manufacturer>{}</manufacturer><count>{}</count>{size}<memoryInfo><sizeInMiB>{}</sizeInMiB>\
                 </memoryInfo></item></gpus></gpuInfo></item>",
                each.name, markets.concat(), each.gpu, each.maker, each.count, each.mib
            )
        })
        .collect();
    format!(
        "<DescribeInstanceTypesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><instanceTypeSet>{}\
         <item><instanceType>m7i.large</instanceType></item></instanceTypeSet></DescribeInstanceTypesResponse>",
        items.concat()
    )
}

fn zones(pairs: &[(&str, &str)], next: &str) -> String {
    let items: Vec<String> = pairs
        .iter()
        .map(|(name, zone)| {
            format!(
                "<item><instanceType>{name}</instanceType><locationType>availability-zone</locationType>\
                 <location>{zone}</location></item>"
            )
        })
        .collect();
    format!(
        "<DescribeInstanceTypeOfferingsResponse><instanceTypeOfferingSet>{}</instanceTypeOfferingSet>{next}\
         </DescribeInstanceTypeOfferingsResponse>",
        items.concat()
    )
}

fn spot(rows: &[(&str, &str, &str, &str)], next: &str) -> String {
    let items: Vec<String> = rows
        .iter()
        .map(|(name, zone, price, at)| {
            format!(
                "<item><instanceType>{name}</instanceType><productDescription>Linux/UNIX</productDescription>\
                 <spotPrice>{price}</spotPrice><timestamp>{at}</timestamp><availabilityZone>{zone}</availabilityZone>\
                 </item>"
            )
        })
        .collect();
    format!(
        "<DescribeSpotPriceHistoryResponse><spotPriceHistorySet>{}</spotPriceHistorySet>{next}\
         </DescribeSpotPriceHistoryResponse>",
        items.concat()
    )
}

/// An entry of the Price List: JSON in a string.
fn entry(attributes: &Value, unit: &str, usd: &str) -> String {
    json!({
        "product": {"productFamily": "Compute Instance", "attributes": attributes, "sku": "SKU"},
        "serviceCode": "AmazonEC2",
        "terms": {
            "OnDemand": {"SKU.JRTCKXETXF": {
                "sku": "SKU",
                "priceDimensions": {"SKU.JRTCKXETXF.6YS6EN2CT7": {
                    "unit": unit, "endRange": "Inf", "beginRange": "0", "appliesTo": [],
                    "pricePerUnit": {"USD": usd},
                }},
            }},
            "Reserved": {"SKU.4NA7Y494T4": {"priceDimensions": {"x": {
                "unit": "Hrs", "pricePerUnit": {"USD": "0.0001"},
            }}}},
        },
        "version": "20261119000000",
    })
    .to_string()
}

fn price_list(entries: &[String], next: Option<&str>) -> String {
    json!({"FormatVersion": "aws_v1", "PriceList": entries, "NextToken": next}).to_string()
}

fn prices() -> String {
    let of = |name: &str| json!({"instanceType": name, "marketoption": "OnDemand", "regionCode": "us-east-1"});
    let mut block = of("p5.48xlarge");
    block["marketoption"] = json!("CapacityBlock");
    price_list(
        &[
            entry(&of("g6.xlarge"), "Hrs", "0.8048000000"),
            entry(&block, "Hrs", "0.0000000000"),
            entry(&of("p5.48xlarge"), "Hrs", "55.0400000000"),
            entry(&of("g4dn.xlarge"), "Quantity", "1"),
            "not JSON".to_owned(),
            "{\"product\":{}}".to_owned(),
        ],
        None,
    )
}

fn disk() -> String {
    price_list(
        &[entry(
            &json!({"volumeApiName": "gp3"}),
            "GB-Mo",
            "0.0800000000",
        )],
        None,
    )
}

const OFFERED: &[(&str, &str)] = &[
    ("g6.xlarge", "us-east-1a"),
    ("g6.xlarge", "us-east-1b"),
    ("p5.48xlarge", "us-east-1b"),
    ("p5e.48xlarge", "us-east-1b"),
    ("g6f.xlarge", "us-east-1b"),
];

const SPOT: &[(&str, &str, &str, &str)] = &[
    (
        "g6.xlarge",
        "us-east-1a",
        "0.310000",
        "2026-11-20T09:00:00.000Z",
    ),
    (
        "g6.xlarge",
        "us-east-1a",
        "0.290000",
        "2026-11-20T11:00:00.000Z",
    ),
    (
        "g6.xlarge",
        "us-east-1a",
        "0.350000",
        "2026-11-20T10:00:00.000Z",
    ),
    (
        "g6.xlarge",
        "us-east-1b",
        "0.305100",
        "2026-11-20T11:00:00.000Z",
    ),
    ("g6.xlarge", "us-east-1c", "-1", "2026-11-20T11:00:00.000Z"),
];

fn parts() -> Vec<Part> {
    [
        ("types", types()),
        ("zones", zones(OFFERED, "")),
        ("prices", prices()),
        ("spot", spot(SPOT, "")),
        ("disk", disk()),
    ]
    .iter()
    .map(|(kind, body)| part(&query(kind, "us-east-1"), body))
    .collect()
}

fn without(kind: &str) -> Vec<Part> {
    let kept = parts().into_iter().filter(|part| part.query.kind != kind);
    kept.collect()
}

type Row = (&'static str, bool, Option<String>, Option<u64>);

fn rows(settings: &Settings, parts: &[Part]) -> Vec<Row> {
    let short = |offer: Offer| {
        let known = TYPES.iter().find(|each| each.name == offer.machine_type);
        (
            known.unwrap().name,
            offer.spot,
            offer.zone,
            offer.microusd_per_hour,
        )
    };
    Aws.offers(settings, parts).into_iter().map(short).collect()
}

fn zone(letter: &str) -> Option<String> {
    Some(format!("us-east-1{letter}"))
}

#[test]
fn on_demand_is_offered_by_region_and_spot_by_zone() {
    let settings = map(&[("regions", "us-east-1")]);
    assert_eq!(
        rows(&settings, &parts()),
        [
            ("g6.xlarge", false, None, Some(804_800)),
            ("g6.xlarge", true, zone("a"), Some(290_000)),
            ("g6.xlarge", true, zone("b"), Some(305_100)),
            ("p5.48xlarge", false, None, Some(55_040_000)),
        ]
    );
    let offers = Aws.offers(&settings, &parts());
    let l4 = Offer {
        region: "us-east-1".to_owned(),
        zone: None,
        machine_type: "g6.xlarge".to_owned(),
        gpu: Gpu {
            model: "l4".to_owned(),
            name: "L4".to_owned(),
            count: 1,
            vram_gb: 24,
        },
        vcpus: Some(4),
        memory_gb: Some(16),
        spot: false,
        microusd_per_hour: Some(804_800),
        disk: Some(DiskPrice {
            microusd_per_gb_month: 80_000,
            // The system's.
            added_gb: 50,
            least_gb: 0,
        }),
        address_microusd_per_hour: 5_000,
        availability: Availability::Unknown,
    };
    assert_eq!(offers[0], l4);
    assert_eq!(offers[1].disk, l4.disk, "a spot machine's costs as much");
    let h100 = &offers[3].gpu;
    assert_eq!(
        (h100.model.as_str(), h100.count, h100.vram_gb),
        ("h100-80gb", 8, 80)
    );
}

#[test]
fn what_is_not_known_without_a_piece_is_left_open() {
    let settings = map(&[("regions", "us-east-1")]);
    assert_eq!(rows(&settings, &without("types")), []);
    let unpriced = rows(&settings, &without("prices"));
    assert_eq!(unpriced[0], ("g6.xlarge", false, None, None));
    assert_eq!(unpriced[1], ("g6.xlarge", true, zone("a"), Some(290_000)));
    let bidless = rows(&settings, &without("spot"));
    assert_eq!(bidless[1], ("g6.xlarge", true, zone("a"), None));
    assert_eq!(bidless[2], ("g6.xlarge", true, zone("b"), None));
    // Without the zones, those with a price are known, and the region may have every type.
    assert_eq!(
        rows(&settings, &without("zones")),
        [
            ("g4dn.xlarge", false, None, None),
            ("g6.xlarge", false, None, Some(804_800)),
            ("g6.xlarge", true, zone("a"), Some(290_000)),
            ("g6.xlarge", true, zone("b"), Some(305_100)),
            ("p5.48xlarge", false, None, Some(55_040_000)),
        ]
    );
    let diskless = Aws.offers(&settings, &without("disk"));
    assert!(diskless.iter().all(|offer| offer.disk.is_none()));
    assert_eq!(Aws.offers(&settings, &[]), []);
}

#[test]
fn half_of_the_zones_does_not_tell_what_there_is_not() {
    let settings = map(&[("regions", "us-east-1")]);
    let mut parts = without("zones");
    let first = part(
        &query("zones", "us-east-1"),
        &zones(&[("p5.48xlarge", "us-east-1b")], "<nextToken>t</nextToken>"),
    );
    let next = first.next.clone().unwrap();
    parts.push(first);
    let names = |parts: &[Part]| {
        let rows = rows(&settings, parts).into_iter();
        rows.filter(|row| !row.1)
            .map(|row| row.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&parts), ["g4dn.xlarge", "g6.xlarge", "p5.48xlarge"]);
    parts.push(part(&next, &zones(&[("g6.xlarge", "us-east-1a")], "")));
    assert_eq!(names(&parts), ["g6.xlarge", "p5.48xlarge"]);
}

#[test]
fn no_zones_at_all_is_no_reason_to_offer_nothing() {
    let settings = map(&[("regions", "us-east-1")]);
    let mut parts = without("zones");
    let before = rows(&settings, &parts);
    parts.push(part(&query("zones", "us-east-1"), &zones(&[], "")));
    assert_eq!(rows(&settings, &parts), before);
}

#[test]
fn offers_are_for_places_that_have_a_subnet() {
    let zone_only = map(&[
        ("regions", "us-east-1"),
        ("subnet_id", "us-east-1b=subnet-b"),
    ]);
    assert_eq!(
        rows(&zone_only, &parts()),
        [
            ("g6.xlarge", false, zone("b"), Some(804_800)),
            ("g6.xlarge", true, zone("b"), Some(305_100)),
            ("p5.48xlarge", false, zone("b"), Some(55_040_000)),
        ]
    );
    // Its zone is not known, so the dearest counts.
    let region_wide = map(&[("regions", "us-east-1"), ("subnet_id", "subnet-any")]);
    assert_eq!(
        rows(&region_wide, &parts()),
        [
            ("g6.xlarge", false, None, Some(804_800)),
            ("g6.xlarge", true, None, Some(305_100)),
            ("p5.48xlarge", false, None, Some(55_040_000)),
        ]
    );
    let both = map(&[
        ("regions", "us-east-1"),
        ("subnet_id", "us-east-1=subnet-any,us-east-1a=subnet-a"),
    ]);
    assert_eq!(
        rows(&both, &parts())[..2],
        [
            ("g6.xlarge", false, None, Some(804_800)),
            ("g6.xlarge", true, zone("a"), Some(290_000)),
        ]
    );
}

#[test]
fn regions_are_kept_apart_and_those_that_are_not_the_accounts_left_out() {
    let mut parts = parts();
    parts.push(part(&query("types", "eu-west-1"), &types()));
    let two = map(&[("regions", "eu-west-1,us-east-1")]);
    let offers = Aws.offers(&two, &parts);
    let count = |region: &str| offers.iter().filter(|offer| offer.region == region).count();
    assert_eq!(
        (count("eu-west-1"), count("us-east-1"), offers.len()),
        (3, 4, 7)
    );
    let one = map(&[("regions", "ap-south-1")]);
    assert_eq!(Aws.offers(&one, &parts), []);
}

#[test]
fn a_piece_is_cut_down_and_says_where_it_goes_on() {
    let types = part(&query("types", "us-east-1"), &types());
    assert_eq!(types.next, None);
    assert_eq!(
        types.body["types"][0],
        json!({
            "name": "g6.xlarge", "gpu": "L4", "count": 1, "vram_gb": 24, "vcpus": 4, "memory_gb": 16,
            "on_demand": true, "spot": true,
        })
    );
    let prices = price_list(
        &[entry(
            &json!({"instanceType": "g6.xlarge"}),
            "Hrs",
            "0.8048",
        )],
        Some("page2"),
    );
    let prices = part(&query("prices", "us-east-1"), &prices);
    assert_eq!(prices.body, json!({"prices": {"g6.xlarge": 804_800}}));
    assert_eq!(prices.next.unwrap().page.as_deref(), Some("page2"));
    let disk = part(&query("disk", "us-east-1"), &disk());
    assert_eq!(disk.body, json!({"gb_month": 80_000}));
    let zones = part(
        &query("zones", "us-east-1"),
        &zones(OFFERED, "<nextToken>z</nextToken>"),
    );
    assert_eq!(
        zones.body["zones"]["g6.xlarge"],
        json!(["us-east-1a", "us-east-1b"])
    );
    assert_eq!(zones.next.unwrap().page.as_deref(), Some("z"));
}

/// The pages of one history are asked for with one moment, however long the first took to come.
#[test]
fn spot_pages_keep_their_moment() {
    let account = account();
    let first = query("spot", "us-east-1");
    let body = account.body(&Request::Shop(first.clone()));
    assert!(
        body.ends_with("&StartTime=2026-11-20T12%3A00%3A00Z"),
        "{body}"
    );
    let mut cx = account.cx();
    cx.now_ms = NOW_MS + 300_000;
    let reply = super::http(200, &spot(SPOT, "<nextToken>abc|=</nextToken>"));
    let read = Aws.decode(&cx, &Request::Shop(first), &reply).unwrap();
    let Reply::Part(Part {
        next: Some(next),
        body,
        ..
    }) = read
    else {
        panic!("{read:?}");
    };
    assert_eq!(
        body,
        json!({"spot": {"g6.xlarge": {
            "us-east-1a": {"at_ms": NOW_MS - 3_600_000, "microusd": 290_000},
            "us-east-1b": {"at_ms": NOW_MS - 3_600_000, "microusd": 305_100},
        }}})
    );
    assert_eq!(next.page.as_deref(), Some("2026-11-20T12:00:00Z|abc|="));
    cx.now_ms = NOW_MS + 3_600_000;
    let call = Aws.encode(&cx, &Request::Shop(next.clone())).unwrap();
    let asked = call.body.unwrap();
    assert!(asked.contains("&NextToken=abc%7C%3D&"), "{asked}");
    assert!(
        asked.ends_with("&StartTime=2026-11-20T12%3A00%3A00Z"),
        "{asked}"
    );
    let third = part(&next, &spot(SPOT, "<nextToken>def</nextToken>"));
    assert_eq!(
        third.next.unwrap().page.as_deref(),
        Some("2026-11-20T12:00:00Z|def")
    );
}

#[test]
fn another_pieces_answer_is_none_of_this_one() {
    for (kind, body) in [
        ("types", zones(OFFERED, "")),
        ("zones", types()),
        ("spot", types()),
        ("prices", "{}".to_owned()),
        ("prices", "[]".to_owned()),
        ("disk", types()),
    ] {
        let request = Request::Shop(query(kind, "us-east-1"));
        let error = account().decode(&request, 200, &body).unwrap_err();
        assert_eq!(error.operation, "shop");
        assert!(!error.unclear && !error.permanent, "{kind}");
    }
}
