//! The catalogue: which GPU types a region has, in which zones, and at which prices.
//!
//! | piece | of | tells |
//! |---|---|---|
//! | `types` | `DescribeInstanceTypes` | GPUs, processors, memory, markets |
//! | `zones` | `DescribeInstanceTypeOfferings` | which zone has which type |
//! | `prices` | Price List, `GetProducts` | on-demand prices |
//! | `spot` | `DescribeSpotPriceHistory` | spot prices, by zone |
//! | `disk` | Price List, `GetProducts` | what a gigabyte of gp3 costs a month |
//!
//! Invariant: a price is never guessed: one that did not come is left open. A piece is cut down to what this
//! file reads before anybody stores it.
//!
//! In scope: what is asked, what is kept. Out of scope: putting it together (`shelf.rs`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_provider_api::{Dollars, Part, Query, Settings, rfc3339};

use crate::launch::VERSION;
use crate::query::Form;
use crate::settings;
use crate::xml::{Element, Xml};

/// Families with GPUs; others begin with these letters too, and are told by having none.
const FAMILIES: [&str; 2] = ["g*", "p*"];
/// The most that one may ask for.
const TYPES_A_PAGE: u32 = 100;
/// The same for zones and spot prices.
const ROWS_A_PAGE: u32 = 1000;

/// A piece of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Types,
    Zones,
    Prices,
    Spot,
    Disk,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Types,
        Self::Zones,
        Self::Prices,
        Self::Spot,
        Self::Disk,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Types => "types",
            Self::Zones => "zones",
            Self::Prices => "prices",
            Self::Spot => "spot",
            Self::Disk => "disk",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The pieces that an account's offers are made of.
pub(crate) fn shop(account: &Settings) -> Vec<Query> {
    let of_region = |region: String| {
        Kind::ALL.into_iter().map(move |kind| Query {
            kind: kind.as_str().to_owned(),
            region: Some(region.clone()),
            page: None,
        })
    };
    settings::regions(account)
        .into_iter()
        .flat_map(of_region)
        .collect()
}

/// The body that asks EC2 for a piece.
pub(crate) fn described(kind: Kind, page: Option<&str>, now_ms: i64) -> String {
    match kind {
        Kind::Types => {
            let mut form = Form::new("DescribeInstanceTypes", VERSION);
            form.add_filter(1, "instance-type", &FAMILIES);
            // The account's images are for this.
            form.add_filter(2, "processor-info.supported-architecture", &["x86_64"]);
            form.add("MaxResults", TYPES_A_PAGE);
            form.add_some("NextToken", page);
            form.finish()
        }
        Kind::Spot => {
            let (start, token) = match page.and_then(|page| page.split_once('|')) {
                Some((start, token)) => (start.to_owned(), Some(token)),
                None => (spot_start(now_ms), None),
            };
            let mut form = Form::new("DescribeSpotPriceHistory", VERSION);
            form.add_filter(1, "instance-type", &FAMILIES);
            form.add("MaxResults", ROWS_A_PAGE);
            form.add_some("NextToken", token);
            form.add("ProductDescription.1", "Linux/UNIX");
            form.add("StartTime", start);
            form.finish()
        }
        Kind::Zones | Kind::Prices | Kind::Disk => {
            let mut form = Form::new("DescribeInstanceTypeOfferings", VERSION);
            form.add("LocationType", "availability-zone");
            form.add_filter(1, "instance-type", &FAMILIES);
            form.add("MaxResults", ROWS_A_PAGE);
            form.add_some("NextToken", page);
            form.finish()
        }
    }
}

/// Prices that were valid from here on are shown. A moment that stands still for a while, since the pages after
/// the first must be asked for with the same one.
fn spot_start(now_ms: i64) -> String {
    const STEP_MS: i64 = 600_000;
    let start = now_ms.saturating_sub(now_ms.rem_euclid(STEP_MS));
    rfc3339::write(start).unwrap_or_default()
}

/// The body that asks the Price List for a piece.
pub(crate) fn products(region: &str, kind: Kind, page: Option<&str>, most: u32) -> Value {
    let wanted: &[(&str, &str)] = match kind {
        Kind::Disk => &[("productFamily", "Storage"), ("volumeApiName", "gp3")],
        Kind::Prices | Kind::Types | Kind::Zones | Kind::Spot => &[
            ("instanceFamily", "GPU instance"),
            ("operatingSystem", "Linux"),
            ("tenancy", "Shared"),
            ("preInstalledSw", "NA"),
            ("capacitystatus", "Used"),
        ],
    };
    let of_region = [("regionCode", region)];
    let filters: Vec<Value> = wanted
        .iter()
        .chain(&of_region)
        .map(|(field, value)| json!({"Type": "TERM_MATCH", "Field": field, "Value": value}))
        .collect();
    let mut body = json!({
        "ServiceCode": "AmazonEC2",
        "FormatVersion": "aws_v1",
        "Filters": filters,
        "MaxResults": most,
    });
    if let (Some(page), Some(fields)) = (page, body.as_object_mut()) {
        fields.insert("NextToken".to_owned(), page.into());
    }
    body
}

/// What is kept of a piece.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    /// Of `types`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) types: Vec<TypeRow>,
    /// Of `zones`: by type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) zones: BTreeMap<String, Vec<String>>,
    /// Of `prices`: micro-dollars an hour by type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) prices: BTreeMap<String, u64>,
    /// Of `spot`: by type and zone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) spot: BTreeMap<String, BTreeMap<String, SpotPrice>>,
    /// Of `disk`: micro-dollars for a gigabyte and month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gb_month: Option<u64>,
}

/// A type with GPUs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TypeRow {
    pub(crate) name: String,
    pub(crate) gpu: String,
    pub(crate) count: u32,
    pub(crate) vram_gb: u32,
    pub(crate) vcpus: Option<u32>,
    pub(crate) memory_gb: Option<u32>,
    pub(crate) on_demand: bool,
    pub(crate) spot: bool,
}

/// A spot price, and since when it has been that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct SpotPrice {
    pub(crate) at_ms: i64,
    pub(crate) microusd: u64,
}

/// Cuts a piece down; nothing when it is no such piece.
pub(crate) fn reduce(query: &Query, body: &str, now_ms: i64) -> Option<Part> {
    let kind = Kind::parse(&query.kind)?;
    let (kept, next) = match kind {
        Kind::Prices | Kind::Disk => priced(kind, body)?,
        Kind::Types | Kind::Zones | Kind::Spot => listed(kind, query, body, now_ms)?,
    };
    let next = next.map(|page| Query {
        page: Some(page),
        ..query.clone()
    });
    Some(Part {
        query: query.clone(),
        body: serde_json::to_value(kept).ok()?,
        next,
    })
}

fn listed(kind: Kind, query: &Query, body: &str, now_ms: i64) -> Option<(Kept, Option<String>)> {
    let xml = Xml::parse(body)?;
    let root = xml.root();
    let wanted = match kind {
        Kind::Types => "DescribeInstanceTypesResponse",
        Kind::Spot => "DescribeSpotPriceHistoryResponse",
        Kind::Zones | Kind::Prices | Kind::Disk => "DescribeInstanceTypeOfferingsResponse",
    };
    if root.name() != wanted {
        return None;
    }
    let mut kept = Kept::default();
    let mut next = root.text("nextToken").map(str::to_owned);
    match kind {
        Kind::Types => kept.types = root.items("instanceTypeSet").filter_map(type_row).collect(),
        Kind::Spot => {
            for item in root.items("spotPriceHistorySet") {
                keep_spot(&mut kept, &item);
            }
            let start = query.page.as_deref().and_then(|page| page.split_once('|'));
            let start = start.map_or_else(|| spot_start(now_ms), |(start, _)| start.to_owned());
            next = next.map(|token| format!("{start}|{token}"));
        }
        Kind::Zones | Kind::Prices | Kind::Disk => {
            for item in root.items("instanceTypeOfferingSet") {
                if let (Some(name), Some(zone)) = (item.text("instanceType"), item.text("location"))
                {
                    let zones = kept.zones.entry(name.to_owned()).or_default();
                    zones.push(zone.to_owned());
                }
            }
        }
    }
    Some((kept, next))
}

/// A type with whole GPUs that CUDA runs on. A fraction of one (`g6f`) is left out: it needs another driver than
/// the images have.
fn type_row(item: Element<'_, '_>) -> Option<TypeRow> {
    let gpu = item.items("gpuInfo/gpus").next()?;
    // "Between 0 (excluded) and 1 (included)".
    let size = gpu.text("gpuPartitionSize").unwrap_or("1.0");
    if gpu.text("manufacturer") != Some("NVIDIA") || size.starts_with('0') {
        return None;
    }
    let markets: Vec<&str> = item
        .items("supportedUsageClasses")
        .filter_map(|class| class.text(""))
        .collect();
    // Where nothing is said of markets, an answer is older than them.
    let sold = |class: &str| markets.is_empty() || markets.contains(&class);
    Some(TypeRow {
        name: item.text("instanceType")?.to_owned(),
        gpu: gpu.text("name")?.to_owned(),
        count: gpu.parsed("count").filter(|count| *count > 0)?,
        vram_gb: whole_gb(gpu.parsed("memoryInfo/sizeInMiB")?)?,
        vcpus: item.parsed("vCpuInfo/defaultVCpus"),
        memory_gb: item.parsed("memoryInfo/sizeInMiB").and_then(whole_gb),
        on_demand: sold("on-demand"),
        spot: sold("spot"),
    })
}

/// GB as its maker writes them: 2^30 bytes where that comes out even (a T4's 16,384 MiB are 16), else 10^9 (an
/// L4's 22,888 MiB are 24).
fn whole_gb(mib: u64) -> Option<u32> {
    let gb = if mib.is_multiple_of(1024) {
        mib / 1024
    } else {
        mib.checked_mul(1 << 20)?.checked_add(500_000_000)? / 1_000_000_000
    };
    u32::try_from(gb).ok()
}

fn keep_spot(kept: &mut Kept, item: &Element<'_, '_>) {
    let read = || {
        let name = item.text("instanceType")?;
        let zone = item.text("availabilityZone")?;
        let price = SpotPrice {
            at_ms: item.text("timestamp").and_then(rfc3339::parse)?,
            microusd: microusd(item.text("spotPrice")?).filter(|price| *price > 0)?,
        };
        Some((name, zone, price))
    };
    let Some((name, zone, price)) = read() else {
        return;
    };
    let zones = kept.spot.entry(name.to_owned()).or_default();
    let newest = zones.entry(zone.to_owned()).or_insert(price);
    *newest = price.max(*newest);
}

/// A page of the Price List.
#[derive(Deserialize)]
struct PriceList {
    #[serde(rename = "PriceList")]
    entries: Vec<String>,
    #[serde(rename = "NextToken", default)]
    next: Option<String>,
}

/// An entry: JSON in a string, of which nearly all is about reservations.
#[derive(Deserialize)]
struct Entry {
    product: Product,
    terms: Terms,
}

#[derive(Deserialize)]
struct Product {
    attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    #[serde(default)]
    instance_type: Option<String>,
    #[serde(default)]
    marketoption: Option<String>,
}

#[derive(Deserialize)]
struct Terms {
    #[serde(rename = "OnDemand", default)]
    on_demand: BTreeMap<String, Term>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Term {
    #[serde(default)]
    price_dimensions: BTreeMap<String, Dimension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dimension {
    unit: String,
    price_per_unit: BTreeMap<String, String>,
}

/// Whether a body is a page of the Price List.
pub(crate) fn is_price_list(body: &str) -> bool {
    serde_json::from_str::<PriceList>(body).is_ok()
}

fn priced(kind: Kind, body: &str) -> Option<(Kept, Option<String>)> {
    let list: PriceList = serde_json::from_str(body).ok()?;
    let mut kept = Kept::default();
    for text in &list.entries {
        // An entry that cannot be read leaves its price open; the others count.
        let Ok(entry) = serde_json::from_str::<Entry>(text) else {
            continue;
        };
        if kind == Kind::Disk {
            let price = entry.highest("GB-Mo");
            kept.gb_month = kept.gb_month.max(price);
            continue;
        }
        let attributes = &entry.product.attributes;
        // Capacity blocks are listed at zero, and paid in advance.
        let market = attributes.marketoption.as_deref();
        let is_on_demand = market.is_none_or(|market| market == "OnDemand");
        let name = attributes.instance_type.as_deref();
        if let (true, Some(name), Some(price)) = (is_on_demand, name, entry.highest("Hrs")) {
            let known = kept.prices.entry(name.to_owned()).or_default();
            *known = price.max(*known);
        }
    }
    Some((kept, list.next.filter(|token| !token.is_empty())))
}

impl Entry {
    /// The highest price in dollars for this unit; nothing for none and for zero.
    fn highest(&self, unit: &str) -> Option<u64> {
        let terms = self.terms.on_demand.values();
        terms
            .flat_map(|term| term.price_dimensions.values())
            .filter(|dimension| dimension.unit == unit)
            .filter_map(|dimension| microusd(dimension.price_per_unit.get("USD")?))
            .filter(|price| *price > 0)
            .max()
    }
}

/// Decimal dollars as micro-dollars.
fn microusd(text: &str) -> Option<u64> {
    Dollars::parse(text).map(Dollars::microusd)
}
