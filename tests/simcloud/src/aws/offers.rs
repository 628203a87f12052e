//! `DescribeInstanceTypes`, `DescribeInstanceTypeOfferings` and `DescribeSpotPriceHistory`.

use crate::aws::catalogue::{Catalogue, Region, Type, dollars};
use crate::aws::errors::{Refusal, refuse};
use crate::aws::query::{Form, page};
use crate::aws::xml::Xml;
use crate::clock::{self, Millis};
use crate::fault::BadPrice;
use crate::faults::Applied;
use crate::runpod::catalog::bad_price;

/// Spot prices change at the full hour, and were a little different in the hour before.
const HOUR_MS: i64 = 3_600_000;

fn named<'a>(
    catalogue: &'a Catalogue,
    region: &Region,
    names: &[String],
) -> Result<Vec<&'a Type>, Refusal> {
    let here = |kind: &&Type| !kind.zones(region).is_empty();
    let is_here = |name: &String| catalogue.find(name).as_ref().is_some_and(here);
    if let Some(name) = names.iter().find(|name| !is_here(name)) {
        return refuse(
            "InvalidInstanceType",
            format!("The following supplied instance types do not exist: [{name}]"),
        );
    }
    let wanted = |kind: &&Type| names.is_empty() || names.iter().any(|name| name == kind.name);
    let mut types: Vec<_> = catalogue.types.iter().filter(here).filter(wanted).collect();
    types.sort_by_key(|kind| kind.name);
    Ok(types)
}

/// `DescribeInstanceTypes`.
///
/// # Errors
/// For types, filters and pages that nobody knows.
pub fn types(
    xml: &mut Xml,
    form: &Form,
    catalogue: &Catalogue,
    region: &Region,
    applied: &Applied,
) -> Result<(), Refusal> {
    let names = form.list("InstanceType");
    if form.number("MaxResults")?.is_some_and(|most| most > 100) {
        return refuse(
            "InvalidParameterValue",
            "Value for parameter maxResults is invalid. Expecting a value between 5 and 100.",
        );
    }
    let mut shown = Vec::new();
    for kind in named(catalogue, region, &names)? {
        let mut fits = true;
        for filter in form.filters() {
            fits &= match filter.name.as_str() {
                "instance-type" => filter.takes(kind.name),
                "current-generation" | "supported-virtualization-type" => true,
                "bare-metal" => filter.takes("false"),
                "supported-usage-class" => filter.takes("on-demand") || filter.takes("spot"),
                "processor-info.supported-architecture" => filter.takes("x86_64"),
                "vcpu-info.default-vcpus" => filter.takes(&kind.vcpus.to_string()),
                "memory-info.size-in-mib" => filter.takes(&kind.memory_mib.to_string()),
                _ => return filter.unknown(),
            };
        }
        shown.extend(fits.then_some(kind));
    }
    let page = page(shown, form, 5, |kind| kind.name.to_owned(), applied)?;
    xml.list("instanceTypeSet", page.items, write_type);
    if let Some(next) = page.next {
        xml.text("nextToken", next);
    }
    Ok(())
}

fn write_type(xml: &mut Xml, kind: &Type) {
    xml.text("instanceType", kind.name);
    xml.text("currentGeneration", "true")
        .text("freeTierEligible", "false");
    xml.list(
        "supportedUsageClasses",
        ["on-demand", "spot"],
        |xml, class| {
            xml.plain(class);
        },
    );
    xml.text("bareMetal", "false").text("hypervisor", "nitro");
    xml.with("processorInfo", |xml| {
        xml.list("supportedArchitectures", ["x86_64"], |xml, name| {
            xml.plain(name);
        });
    });
    xml.with("vCpuInfo", |xml| {
        xml.text("defaultVCpus", kind.vcpus.to_string());
        xml.text("defaultCores", (kind.vcpus / 2).to_string());
        xml.text("defaultThreadsPerCore", "2");
    });
    xml.with("memoryInfo", |xml| {
        xml.text("sizeInMiB", kind.memory_mib.to_string());
    });
    xml.text("instanceStorageSupported", "false");
    if let Some(gpu) = kind.gpu {
        xml.with("gpuInfo", |xml| {
            xml.list("gpus", [gpu], |xml, gpu| {
                xml.text("name", gpu.name).text("manufacturer", "NVIDIA");
                xml.text("count", gpu.count.to_string());
                xml.with("memoryInfo", |xml| {
                    xml.text("sizeInMiB", gpu.mib.to_string());
                });
            });
            let total = u64::from(gpu.count) * gpu.mib;
            xml.text("totalGpuMemoryInMiB", total.to_string());
        });
    }
    xml.text("hibernationSupported", "false");
    xml.text(
        "burstablePerformanceSupported",
        if kind.name.starts_with('t') {
            "true"
        } else {
            "false"
        },
    );
    xml.text("dedicatedHostsSupported", "false");
}

/// `DescribeInstanceTypeOfferings`: what is offered, which says nothing of what is there.
///
/// # Errors
/// For kinds of location, filters and pages that nobody knows.
pub fn offerings(
    xml: &mut Xml,
    form: &Form,
    catalogue: &Catalogue,
    region: &Region,
    applied: &Applied,
) -> Result<(), Refusal> {
    let by = form.get("LocationType").unwrap_or("region");
    let mut rows = Vec::new();
    for kind in named(catalogue, region, &[])? {
        match by {
            "region" => rows.push((kind.name, region.name.to_owned())),
            "availability-zone" => {
                rows.extend(kind.zones(region).into_iter().map(|zone| (kind.name, zone)));
            }
            _ => {
                let message = format!("Invalid value '{by}' for LocationType");
                return refuse("InvalidParameterValue", message);
            }
        }
    }
    let mut shown = Vec::new();
    for (kind, location) in rows {
        let mut fits = true;
        for filter in form.filters() {
            fits &= match filter.name.as_str() {
                "instance-type" => filter.takes(kind),
                "location" => filter.takes(&location),
                _ => return filter.unknown(),
            };
        }
        shown.extend(fits.then_some((kind, location)));
    }
    let key = |(kind, location): &(&str, String)| format!("{kind} {location}");
    let page = page(shown, form, 5, key, applied)?;
    xml.list(
        "instanceTypeOfferingSet",
        page.items,
        |xml, (kind, location)| {
            xml.text("instanceType", kind).text("locationType", by);
            xml.text("location", location);
        },
    );
    if let Some(next) = page.next {
        xml.text("nextToken", next);
    }
    Ok(())
}

/// One price of one hour.
struct Quote {
    kind: &'static str,
    zone: String,
    microusd: u64,
    at: Millis,
}

/// `DescribeSpotPriceHistory`: newest first within type and zone; with a `StartTime` of now only what is in force.
///
/// # Errors
/// For times, filters and pages that nobody knows.
pub fn spot(
    xml: &mut Xml,
    form: &Form,
    catalogue: &Catalogue,
    region: &Region,
    now: Millis,
    applied: &Applied,
) -> Result<(), Refusal> {
    let time = |name: &str| match form.get(name) {
        None => Ok(None),
        Some(text) => match clock::parse_rfc3339(text) {
            Some(at) => Ok(Some(at)),
            None => refuse(
                "InvalidParameterValue",
                format!("Value ({text}) for parameter {name} is invalid"),
            ),
        },
    };
    let (start, end) = (time("StartTime")?, time("EndTime")?);
    let products = form.list("ProductDescription");
    let is_linux =
        products.is_empty() || products.iter().any(|name| name.starts_with("Linux/UNIX"));
    let names = form.list("InstanceType");
    let zone = form.get("AvailabilityZone");
    let hour = now.div_euclid(HOUR_MS) * HOUR_MS;
    let mut quotes = Vec::new();
    for kind in named(catalogue, region, &names)?
        .into_iter()
        .filter(|_| is_linux)
    {
        for place in kind.zones(region) {
            let mut fits = zone.is_none_or(|zone| zone == place);
            for filter in form.filters() {
                fits &= match filter.name.as_str() {
                    "availability-zone" => filter.takes(&place),
                    "instance-type" => filter.takes(kind.name),
                    "product-description" => filter.takes("Linux/UNIX"),
                    _ => return filter.unknown(),
                };
            }
            let price = kind.spot(region, &place);
            for (at, microusd) in [(hour, price), (hour - HOUR_MS, price + price / 10)] {
                let in_force = start.is_none_or(|start| at + HOUR_MS > start);
                if fits && in_force && end.is_none_or(|end| at <= end) {
                    quotes.push(Quote {
                        kind: kind.name,
                        zone: place.clone(),
                        microusd,
                        at,
                    });
                }
            }
        }
    }
    let key = |quote: &Quote| format!("{} {} {:020}", quote.kind, quote.zone, i64::MAX - quote.at);
    let page = page(quotes, form, 1, key, applied)?;
    xml.list("spotPriceHistorySet", page.items, |xml, quote| {
        xml.text("instanceType", quote.kind)
            .text("productDescription", "Linux/UNIX");
        if let Some(price) = spoilt(&dollars(quote.microusd, 6), applied) {
            xml.text("spotPrice", price);
        }
        xml.text("timestamp", clock::rfc3339_millis(quote.at));
        xml.text("availabilityZone", quote.zone);
    });
    // Empty when there is no more, as this operation has it.
    xml.text("nextToken", page.next.unwrap_or_default());
    Ok(())
}

/// A price, or what faults make of it; `None` = it is left out.
pub fn spoilt(price: &str, applied: &Applied) -> Option<String> {
    match bad_price(applied) {
        None => Some(price.to_owned()),
        Some(BadPrice::Missing) => None,
        Some(BadPrice::Null) => Some(String::new()),
        Some(BadPrice::Negative) => Some(format!("-{price}")),
        Some(BadPrice::Zero) => Some(String::from("0.0000000000")),
        Some(BadPrice::Text) => Some(String::from("a good deal")),
    }
}
