//! The Price List: `AWSPriceListService.GetProducts`.
//!
//! As in the real one each product is a string of JSON, prices are strings, and beside the product that is meant
//! there are others that differ in one attribute only: other systems, reserved capacity, other terms.

use serde_json::{Value, json};

use crate::aws::catalogue::{Catalogue, GP3_MICROUSD, REGIONS, Region, Type, digits, dollars};
use crate::aws::errors::{Refusal, refuse};
use crate::aws::offers::spoilt;
use crate::fault::Fault;
use crate::faults::Applied;

/// `JRTCKXETXF` is the code of on-demand terms everywhere, `6YS6EN2CT7` that of an hourly price.
const ON_DEMAND: &str = "JRTCKXETXF";
const RATE: &str = "6YS6EN2CT7";

/// Answers a request.
///
/// # Errors
/// For what is no such request.
pub fn products(
    catalogue: &Catalogue,
    target: &str,
    body: &[u8],
    applied: &Applied,
) -> Result<Value, Refusal> {
    if target != "AWSPriceListService.GetProducts" {
        return refuse("UnknownOperationException", "");
    }
    let Ok(asked) = serde_json::from_slice::<Value>(body) else {
        return refuse("SerializationException", "the body is not JSON");
    };
    if asked["ServiceCode"] != "AmazonEC2" {
        return refuse("NotFoundException", "The service code is not valid");
    }
    let filters = asked["Filters"].as_array().cloned().unwrap_or_default();
    if filters.iter().any(|filter| filter["Type"] != "TERM_MATCH") {
        return refuse("InvalidParameterException", "only TERM_MATCH is simulated");
    }
    let fits = |product: &Value| {
        filters.iter().all(|filter| {
            let field = filter["Field"].as_str().unwrap_or_default();
            let wanted = filter["Value"].as_str().unwrap_or_default();
            let inner = &product["product"];
            let value = match field {
                "productFamily" | "sku" => &inner[field],
                _ => &inner["attributes"][field],
            };
            value
                .as_str()
                .is_some_and(|value| value.eq_ignore_ascii_case(wanted))
        })
    };
    let all: Vec<Value> = everything(catalogue, applied)
        .into_iter()
        .filter(fits)
        .collect();
    let most = asked["MaxResults"].as_u64().unwrap_or(100);
    if !(1..=100).contains(&most) {
        return refuse(
            "InvalidParameterException",
            "MaxResults must be between 1 and 100",
        );
    }
    let most = usize::try_from(most).unwrap_or(100);
    let small = applied.find(|fault| match fault {
        Fault::SmallPages { size } => Some((*size).max(1)),
        _ => None,
    });
    let most = small.map_or(most, |small| small.min(most));
    let begins = match asked["NextToken"].as_str() {
        None => 0,
        Some(token) => match token
            .strip_prefix("simcloud:")
            .and_then(|at| at.parse().ok())
        {
            Some(at) => at,
            None => {
                return refuse(
                    "ExpiredNextTokenException",
                    "The pagination token is not valid",
                );
            }
        },
    };
    let ends = (begins + most).min(all.len());
    let page: Vec<String> = all
        .iter()
        .take(ends)
        .skip(begins)
        .map(Value::to_string)
        .collect();
    let mut answer = json!({"FormatVersion": "aws_v1", "PriceList": page});
    if ends < all.len() {
        answer["NextToken"] = json!(format!("simcloud:{ends}"));
    }
    Ok(answer)
}

fn everything(catalogue: &Catalogue, applied: &Applied) -> Vec<Value> {
    let mut all = Vec::new();
    for region in &REGIONS {
        for kind in catalogue
            .types
            .iter()
            .filter(|kind| !kind.zones(region).is_empty())
        {
            all.extend(of_type(kind, region, applied));
        }
        all.push(disk(region, applied));
    }
    all
}

/// The one that is meant, and those that differ in a single attribute.
fn of_type(kind: &Type, region: &Region, applied: &Applied) -> Vec<Value> {
    let price = kind.on_demand(region);
    let variants = [
        ("Linux", "Shared", "NA", "Used", price),
        ("Windows", "Shared", "NA", "Used", price + 184_000),
        ("Linux", "Dedicated", "NA", "Used", price + price / 10),
        ("Linux", "Shared", "SQL Web", "Used", price + 67_700),
        ("Linux", "Shared", "NA", "AllocatedCapacityReservation", 0),
        ("Linux", "Shared", "NA", "UnusedCapacityReservation", price),
    ];
    let product = |(system, tenancy, software, capacity, microusd): (
        &str,
        &str,
        &str,
        &str,
        u64,
    )| {
        let attributes = json!({
            "servicecode": "AmazonEC2", "servicename": "Amazon Elastic Compute Cloud",
            "instanceType": kind.name, "regionCode": region.name, "location": region.location,
            "locationType": "AWS Region", "operatingSystem": system, "tenancy": tenancy,
            "preInstalledSw": software, "capacitystatus": capacity, "marketoption": "OnDemand",
            "licenseModel": "No License required", "operation": "RunInstances",
            "usagetype": format!("{}BoxUsage:{}", region.mark, kind.name),
            "vcpu": kind.vcpus.to_string(), "memory": format!("{} GiB", kind.memory_mib / 1024),
            "gpu": kind.gpu.map(|gpu| gpu.count.to_string()),
            "currentGeneration": "Yes", "instanceFamily": if kind.gpu.is_some() { "GPU instance" } else { "General purpose" },
        });
        let about = format!("{system} {}", kind.name);
        let mut product = offer(
            "Compute Instance",
            attributes,
            "Hrs",
            &about,
            microusd,
            applied,
        );
        if system == "Linux" && microusd > 0 {
            product["terms"]["Reserved"] = json!({"X.38NPMPTW36": {"priceDimensions": {"X.38NPMPTW36.2TG2D8R56U": {
                "unit": "Quantity", "pricePerUnit": {"USD": "1"}}}}});
        }
        product
    };
    variants.map(product).to_vec()
}

fn disk(region: &Region, applied: &Applied) -> Value {
    let attributes = json!({
        "servicecode": "AmazonEC2", "servicename": "Amazon Elastic Compute Cloud",
        "regionCode": region.name, "location": region.location, "locationType": "AWS Region",
        "volumeApiName": "gp3", "volumeType": "General Purpose", "storageMedia": "SSD-backed",
        "usagetype": format!("{}EBS:VolumeUsage.gp3", region.mark), "operation": "",
    });
    let about = "General Purpose (gp3) provisioned storage";
    offer(
        "Storage",
        attributes,
        "GB-Mo",
        about,
        region.price(GP3_MICROUSD),
        applied,
    )
}

fn offer(
    family: &str,
    attributes: Value,
    unit: &str,
    about: &str,
    microusd: u64,
    applied: &Applied,
) -> Value {
    let sku = digits(&attributes.to_string()).to_uppercase();
    let price = dollars(microusd, 10);
    let mut dimension = json!({
        "unit": unit, "beginRange": "0", "endRange": "Inf", "appliesTo": [],
        "description": format!("${price} per {about} {unit}"),
        "rateCode": format!("{sku}.{ON_DEMAND}.{RATE}"), "pricePerUnit": {},
    });
    if let Some(price) = spoilt(&price, applied) {
        dimension["pricePerUnit"]["USD"] = json!(price);
    }
    let rate = format!("{sku}.{ON_DEMAND}.{RATE}");
    let term = json!({
        "sku": sku, "offerTermCode": ON_DEMAND, "effectiveDate": "2026-11-01T00:00:00Z",
        "termAttributes": {}, "priceDimensions": { rate: dimension },
    });
    let code = format!("{sku}.{ON_DEMAND}");
    json!({
        "product": {"productFamily": family, "sku": sku, "attributes": attributes},
        "serviceCode": "AmazonEC2", "version": "20261101000000", "publicationDate": "2026-11-01T00:00:00Z",
        "terms": {"OnDemand": { code: term }},
    })
}
