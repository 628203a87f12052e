//! EC2, STS and the Price List as simcloud plays them.

use serde_json::{Value, json};
use tidegate_provider_api::Availability;
use tidegate_simcloud::aws::catalogue::{Region, Type};
use tidegate_simcloud::cloud::Cloud;
use tidegate_simcloud::machine::{Detail, Machine};
use tidegate_simcloud::options::AWS_KEY;
use tidegate_simcloud::world::World;

use super::{Forbidden, Key, PriceList, Row, Shelved, key_order};

/// AWS.
pub static ROW: Row = Row {
    vendor: "aws",
    key: || key(AWS_KEY.0, AWS_KEY.1),
    other_key: || {
        let (id, secret) = OTHER_KEY;
        (key_order("aws", id, Some(secret)), key(id, secret))
    },
    settings: &[("regions", "us-east-1, eu-west-1")],
    origins,
    rents: ("us-east-1", "g6.xlarge"),
    permissions: &[
        // Simcloud does not tell the two markets apart.
        Forbidden {
            operations: &["RunInstances"],
            lost: &["ec2:RunInstances", "ec2:RunInstances as spot"],
        },
        Forbidden {
            operations: &["DescribeInstances"],
            lost: &["ec2:DescribeInstances"],
        },
        Forbidden {
            operations: &["DescribeInstanceTypes"],
            lost: &["ec2:DescribeInstanceTypes"],
        },
        Forbidden {
            operations: &["DescribeInstanceTypeOfferings"],
            lost: &["ec2:DescribeInstanceTypeOfferings"],
        },
        Forbidden {
            operations: &["DescribeSpotPriceHistory"],
            lost: &["ec2:DescribeSpotPriceHistory"],
        },
        Forbidden {
            operations: &["DescribeRegions"],
            lost: &["ec2:DescribeRegions"],
        },
        Forbidden {
            operations: &["GetProducts"],
            lost: &["pricing:GetProducts"],
        },
    ],
    regions: &[
        "eu-central-1",
        "eu-west-1",
        "me-south-1",
        "us-east-1",
        "us-west-2",
    ],
    unknown_id: "i-0123456789abcdef0",
    shelf,
    prices: &[
        PriceList {
            operation: "GetProducts",
            tells: |offer| !offer.spot,
        },
        PriceList {
            operation: "DescribeSpotPriceHistory",
            tells: |offer| offer.spot,
        },
    ],
    stocked: "us-east-1a",
    tells_stock: false,
    tells_wait: true,
    ends_without_a_word: false,
    received,
    disown,
    refusal,
};

const OTHER_KEY: (&str, &str) = (
    "AKIAANOTHER000000000",
    "another/secret/00000000000000000000000AA",
);

fn key(id: &str, secret: &str) -> Key {
    Key {
        fields: vec![
            ("access_key_id", id.to_owned()),
            ("secret_access_key", secret.to_owned()),
        ],
    }
}

fn origins(cloud: &Cloud) -> String {
    format!("aws=http://{}", cloud.addresses.aws)
}

/// In each region of the settings: every type with GPUs on demand wherever EC2 likes, and spot in each zone.
fn shelf(world: &World) -> Vec<Shelved> {
    let mut shelf = Vec::new();
    for region in ["us-east-1", "eu-west-1"] {
        let region = Region::named(region).unwrap();
        let here = |kind: &&Type| !kind.zones(region).is_empty();
        for kind in world.types.types.iter().filter(here) {
            let Some(gpu) = kind.gpu else { continue };
            let shelved = |zone: Option<String>, spot, microusd| Shelved {
                region: region.name.to_owned(),
                zone,
                machine_type: kind.name.to_owned(),
                count: gpu.count,
                vram_gb: vram_gb(gpu.name),
                spot,
                microusd: Some(microusd),
                availability: Availability::Unknown,
            };
            shelf.push(shelved(None, false, kind.on_demand(region)));
            for zone in kind.zones(region) {
                let price = kind.spot(region, &zone);
                shelf.push(shelved(Some(zone), true, price));
            }
        }
    }
    shelf
}

/// As NVIDIA's data sheets have it.
fn vram_gb(name: &str) -> u32 {
    match name {
        "T4" => 16,
        "A10G" | "L4" => 24,
        "A100" => 40,
        "L40S" => 48,
        "H100" => 80,
        other => panic!("simcloud sells no {other}"),
    }
}

fn received(machine: &Machine) -> String {
    let instance = machine.instance().unwrap();
    let script = String::from_utf8(instance.user_data.clone()).unwrap();
    format!("{}\n{:?}\n{script}", machine.name, instance.tags)
}

fn disown(machine: &mut Machine) {
    "somebody-elses".clone_into(&mut machine.name);
    if let Detail::Instance(instance) = &mut machine.detail {
        instance.tags.clear();
    }
}

fn refusal(words: &str) -> (u16, Value) {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>InvalidParameterValue</Code>\
         <Message>{words}</Message></Error></Errors><RequestID>0</RequestID></Response>"
    );
    (400, json!(body))
}
