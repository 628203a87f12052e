//! What RunPod has to rent: `/v2/catalog/gpus` and `/v2/catalog/datacenters`.
//!
//! Prices are kept in whole micro-dollars an hour for one GPU and written in dollars.

use serde_json::{Map, Value, json};

use crate::fault::{BadPrice, Fault};
use crate::faults::Applied;
use crate::http::Asked;
use crate::runpod::errors::Problem;

/// One GPU type.
#[derive(Debug, Clone)]
pub struct Gpu {
    /// As a create takes it.
    pub id: String,
    /// As people say it.
    pub name: String,
    /// Serverless pool.
    pub pool: Option<String>,
    /// Who makes it.
    pub manufacturer: String,
    /// VRAM in GB.
    pub memory: u64,
    /// For one, in RunPod's own data centres; 0 = not offered there.
    pub secure_microusd: u64,
    /// For one, at others'; 0 = not offered there.
    pub community_microusd: u64,
    /// Most in one pod.
    pub most: u32,
    /// CUDA versions of the hosts.
    pub cuda: Vec<&'static str>,
    /// Stock in each data centre that has it: `NONE`, `LOW`, `MEDIUM`, `HIGH`.
    pub stock: Vec<(String, String)>,
}

/// One data centre.
#[derive(Debug, Clone, Copy)]
pub struct DataCenter {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its region.
    pub region: &'static str,
    /// Its country.
    pub country: &'static str,
}

const DATA_CENTERS: [DataCenter; 5] = [
    data_center("CA-MTL-1", "CA Montreal 1", "NORTH_AMERICA", "CA"),
    data_center("EU-RO-1", "EU Romania 1", "EUROPE", "RO"),
    data_center("EU-SE-1", "EU Sweden 1", "EUROPE", "SE"),
    data_center("EUR-IS-1", "EU Iceland 1", "EUROPE", "IS"),
    data_center("US-KS-2", "US Kansas 2", "NORTH_AMERICA", "US"),
];

const fn data_center(
    id: &'static str,
    name: &'static str,
    region: &'static str,
    country: &'static str,
) -> DataCenter {
    DataCenter {
        id,
        name,
        region,
        country,
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// GPU types.
    pub gpus: Vec<Gpu>,
}

impl Default for Catalog {
    fn default() -> Self {
        let nvidia =
            |id: &str, name: &str, memory, secure, community, most, stock: &[(&str, &str)]| Gpu {
                id: id.to_owned(),
                name: name.to_owned(),
                pool: None,
                manufacturer: String::from("NVIDIA"),
                memory,
                secure_microusd: secure,
                community_microusd: community,
                most,
                cuda: vec!["12.8", "12.4"],
                stock: stock
                    .iter()
                    .map(|(place, level)| ((*place).to_owned(), (*level).to_owned()))
                    .collect(),
            };
        let everywhere = [
            ("EU-RO-1", "HIGH"),
            ("EU-SE-1", "MEDIUM"),
            ("US-KS-2", "HIGH"),
        ];
        let scarce = [("CA-MTL-1", "LOW"), ("US-KS-2", "MEDIUM")];
        Self {
            gpus: vec![
                nvidia(
                    "NVIDIA GeForce RTX 4090",
                    "RTX 4090",
                    24,
                    690_000,
                    340_000,
                    8,
                    &everywhere,
                ),
                nvidia("NVIDIA L4", "L4", 24, 430_000, 0, 8, &everywhere),
                nvidia(
                    "NVIDIA RTX A6000",
                    "RTX A6000",
                    48,
                    490_000,
                    330_000,
                    8,
                    &everywhere,
                ),
                nvidia("NVIDIA L40S", "L40S", 48, 860_000, 790_000, 8, &scarce),
                nvidia(
                    "NVIDIA A100 80GB PCIe",
                    "A100 PCIe",
                    80,
                    1_640_000,
                    1_190_000,
                    8,
                    &scarce,
                ),
                nvidia(
                    "NVIDIA A100-SXM4-80GB",
                    "A100 SXM",
                    80,
                    1_740_000,
                    1_390_000,
                    8,
                    &everywhere,
                ),
                nvidia(
                    "NVIDIA H100 80GB HBM3",
                    "H100 SXM",
                    80,
                    2_990_000,
                    2_690_000,
                    8,
                    &scarce,
                ),
                nvidia(
                    "NVIDIA H200",
                    "H200 SXM",
                    141,
                    3_990_000,
                    0,
                    8,
                    &[("US-KS-2", "NONE")],
                ),
                Gpu {
                    manufacturer: String::from("AMD"),
                    cuda: Vec::new(),
                    ..nvidia(
                        "AMD Instinct MI300X OAM",
                        "MI300X",
                        192,
                        2_990_000,
                        0,
                        8,
                        &[("EU-RO-1", "LOW")],
                    )
                },
            ],
        }
    }
}

/// What may be asked of the catalogue.
struct Filters {
    availability: bool,
    cloud: String,
    count: u32,
    countries: Vec<String>,
}

impl Catalog {
    /// A GPU type.
    pub fn find(&self, id: &str) -> Option<&Gpu> {
        self.gpus.iter().find(|gpu| gpu.id == id)
    }

    /// `GET /v2/catalog/gpus`.
    ///
    /// # Errors
    /// 400 for filters that do not go together.
    pub fn list(&self, asked: &Asked, applied: &Applied) -> Result<Value, Problem> {
        let filters = filters(asked)?;
        let fits = |gpu: &&Gpu| filters.countries.is_empty() || !gpu.places(&filters).is_empty();
        let gpus = self.gpus.iter().filter(fits);
        let gpus: Vec<Value> = gpus.map(|gpu| gpu.view(&filters, applied)).collect();
        Ok(json!({ "gpus": gpus }))
    }

    /// `GET /v2/catalog/gpus/{id}`.
    ///
    /// # Errors
    /// 404, and 400 for filters that do not go together.
    pub fn one(&self, id: &str, asked: &Asked, applied: &Applied) -> Result<Value, Problem> {
        let filters = filters(asked)?;
        let gpu = self.find(id).ok_or_else(|| Problem::not_found("gpu"))?;
        Ok(gpu.view(&filters, applied))
    }

    /// `GET /v2/catalog/datacenters`.
    ///
    /// # Errors
    /// 422 for words that mean nothing.
    pub fn data_centers(&self, asked: &Asked) -> Result<Value, Problem> {
        let include = words(asked, "include");
        one_of(
            "include",
            &include,
            &["GPU_AVAILABILITY", "CPU_AVAILABILITY"],
        )?;
        let regions = words(asked, "regions");
        let with_gpus = include.iter().any(|word| word == "GPU_AVAILABILITY");
        let centers = DATA_CENTERS
            .iter()
            .filter(|center| regions.is_empty() || regions.iter().any(|r| r == center.region));
        let view = |center: &DataCenter| {
            let mut view = json!({
                "id": center.id, "name": center.name, "region": center.region,
                "globalNetwork": center.id == "US-KS-2", "networkVolumeTypes": ["STANDARD"],
                "compliance": ["SOC_2_TYPE_2"],
            });
            let stock: Vec<Value> = self.stock_of(center.id);
            if with_gpus && !stock.is_empty() {
                view["gpuAvailability"] = json!(stock);
            }
            view
        };
        let centers: Vec<Value> = centers.map(view).collect();
        Ok(json!({ "dataCenters": centers }))
    }

    fn stock_of(&self, center: &str) -> Vec<Value> {
        let here = |gpu: &Gpu| {
            let (_, level) = gpu.stock.iter().find(|(place, _)| place == center)?;
            Some(json!({"id": gpu.id, "name": gpu.name, "availability": level}))
        };
        self.gpus.iter().filter_map(here).collect()
    }
}

impl Gpu {
    /// For one of them, an hour; `None` where that cloud has none.
    pub fn price(&self, community: bool) -> Option<u64> {
        let price = if community {
            self.community_microusd
        } else {
            self.secure_microusd
        };
        (price > 0).then_some(price)
    }

    /// The data centre for a pod: the first that has some. An empty wish is no wish.
    pub fn place(&self, wished: &[String]) -> Option<&str> {
        let has_some = |(place, level): &&(String, String)| {
            level != "NONE" && (wished.is_empty() || wished.contains(place))
        };
        self.stock
            .iter()
            .find(has_some)
            .map(|(place, _)| place.as_str())
    }

    fn places(&self, filters: &Filters) -> Vec<(&DataCenter, &str)> {
        let offered =
            self.price(filters.cloud == "COMMUNITY").is_some() && filters.count <= self.most;
        let place = |(id, level): &'_ (String, String)| {
            let center = DATA_CENTERS.iter().find(|center| center.id == id)?;
            let countries = &filters.countries;
            let fits = countries.is_empty() || countries.iter().any(|code| code == center.country);
            (fits && offered).then_some((center, level.clone()))
        };
        let found: Vec<_> = self.stock.iter().filter_map(place).collect();
        found
            .into_iter()
            .map(|(center, level)| (center, level_name(&level)))
            .collect()
    }

    fn view(&self, filters: &Filters, applied: &Applied) -> Value {
        let mut view = json!({
            "id": self.id, "name": self.name, "pool": self.pool, "manufacturer": self.manufacturer,
            "memory": self.memory, "secure": self.secure_microusd > 0,
            "community": self.community_microusd > 0, "price": self.price_view(applied),
            "maxCount": {"secure": self.most, "community": if self.community_microusd > 0 { self.most / 2 } else { 0 }},
        });
        if let Some(how) = bad_price(applied)
            && how == BadPrice::Missing
            && let Some(all) = view.as_object_mut()
        {
            all.remove("price");
        }
        if filters.availability {
            let places = self.places(filters);
            let best = places
                .iter()
                .map(|(_, level)| *level)
                .max_by_key(|level| rank(level));
            view["availability"] = json!(best.unwrap_or("NONE"));
            if !places.is_empty() {
                let place = |(center, level): &(&DataCenter, &str)| json!({"id": center.id, "name": center.name, "availability": level});
                view["dataCenters"] = places.iter().map(place).collect();
            }
            if !self.cuda.is_empty() {
                let any = best.is_some_and(|level| level != "NONE");
                let version = |version: &&str| json!({"version": version, "available": any});
                view["cudaVersions"] = self.cuda.iter().map(version).collect();
            }
        }
        view
    }

    fn price_view(&self, applied: &Applied) -> Value {
        let mut prices = Map::new();
        for (cloud, microusd) in [
            ("secure", self.secure_microusd),
            ("community", self.community_microusd),
        ] {
            let usd = usd(microusd);
            let price = match bad_price(applied) {
                None => json!(usd),
                Some(BadPrice::Missing) => continue,
                Some(BadPrice::Null) => Value::Null,
                Some(BadPrice::Negative) => json!(-1.0 - usd),
                Some(BadPrice::Zero) => json!(0),
                Some(BadPrice::Text) => json!(usd.to_string()),
            };
            prices.insert(cloud.to_owned(), price);
        }
        Value::Object(prices)
    }
}

/// The fault that spoils prices.
pub fn bad_price(applied: &Applied) -> Option<BadPrice> {
    applied.find(|fault| match fault {
        Fault::BadPrice { how } => Some(*how),
        _ => None,
    })
}

/// Micro-dollars as RunPod writes money: a JSON number of dollars, exact in its shortest form.
pub fn usd(microusd: u64) -> f64 {
    microusd as f64 / 1e6
}

const LEVELS: [&str; 4] = ["NONE", "LOW", "MEDIUM", "HIGH"];

/// Whether this is a level of stock.
pub fn is_level(text: &str) -> bool {
    LEVELS.contains(&text)
}

fn rank(level: &str) -> usize {
    LEVELS.iter().position(|known| *known == level).unwrap_or(0)
}

fn level_name(level: &str) -> &'static str {
    LEVELS[rank(level)]
}

fn words(asked: &Asked, name: &str) -> Vec<String> {
    let text = asked.query(name).unwrap_or_default();
    let words = text.split(',').filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn one_of(name: &str, words: &[String], known: &[&str]) -> Result<(), Problem> {
    match words.iter().find(|word| !known.contains(&word.as_str())) {
        Some(word) => Err(Problem::invalid(vec![format!(
            "query.{name}: value '{word}' must be one of {}",
            known.join(", ")
        )])),
        None => Ok(()),
    }
}

/// `product` is required with `include=AVAILABILITY`, and all filters are valid only with it: 400 either way.
fn filters(asked: &Asked) -> Result<Filters, Problem> {
    let include = words(asked, "include");
    one_of("include", &include, &["AVAILABILITY"])?;
    let product = words(asked, "product");
    one_of("product", &product, &["POD", "CLUSTER", "SERVERLESS"])?;
    let availability = !include.is_empty();
    if availability && product.is_empty() {
        let detail = "product is required with include=AVAILABILITY";
        return Err(Problem::new(400, detail));
    }
    let scoped = [
        "product",
        "count",
        "cloud",
        "countryCodes",
        "cudaVersions",
        "minCudaVersion",
    ];
    if !availability && let Some(name) = scoped.iter().find(|name| asked.query(name).is_some()) {
        let detail = format!("{name} is valid only with include=AVAILABILITY");
        return Err(Problem::new(400, &detail));
    }
    let cloud = asked
        .query("cloud")
        .unwrap_or_else(|| String::from("SECURE"));
    one_of(
        "cloud",
        std::slice::from_ref(&cloud),
        &["SECURE", "COMMUNITY"],
    )?;
    let count = asked.query("count").unwrap_or_else(|| String::from("1"));
    let count: u32 = count.parse().unwrap_or(0);
    if count == 0 {
        return Err(Problem::invalid(vec![String::from(
            "query.count: minimum: want 1",
        )]));
    }
    let countries = words(asked, "countryCodes");
    let is_code = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    if let Some(code) = countries.iter().find(|code| !is_code(code)) {
        return Err(Problem::invalid(vec![format!(
            "query.countryCodes: '{code}' does not match pattern '^[A-Z]{{2}}$'"
        )]));
    }
    Ok(Filters {
        availability,
        cloud,
        count,
        countries,
    })
}
