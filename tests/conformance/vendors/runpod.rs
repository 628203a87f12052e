//! RunPod as simcloud plays it.

use serde_json::{Value, json};
use tidegate_provider_api::Availability;
use tidegate_simcloud::cloud::Cloud;
use tidegate_simcloud::machine::Machine;
use tidegate_simcloud::options::RUNPOD_KEY;
use tidegate_simcloud::world::World;

use super::{Forbidden, Key, PriceList, Row, Shelved, key_order};

/// RunPod.
pub static ROW: Row = Row {
    vendor: "runpod",
    key: || key(RUNPOD_KEY),
    other_key: || (key_order("runpod", OTHER_KEY, None), key(OTHER_KEY)),
    settings: &[("cloud", "SECURE")],
    origins,
    rents: ("EU-RO-1", "NVIDIA L4"),
    permissions: &[
        Forbidden {
            operations: &["listPods"],
            lost: &["read_pods"],
        },
        Forbidden {
            operations: &["changes"],
            lost: &["write_pods"],
        },
        Forbidden {
            operations: &["listDataCenters"],
            lost: &["read_catalog"],
        },
        Forbidden {
            operations: &["listPodBilling"],
            lost: &["read_billing"],
        },
    ],
    regions: &[
        "CA-MTL-1", "EU-RO-1", "EU-SE-1", "EUR-IS-1", "US-KS-2", "global",
    ],
    unknown_id: "nosuchpod00000",
    shelf,
    prices: &[PriceList {
        operation: "listGpuTypes",
        tells: |_| true,
    }],
    stocked: "EU-RO-1",
    tells_stock: true,
    tells_wait: true,
    ends_without_a_word: true,
    received,
    disown: |machine| machine.name = "somebody-elses".to_owned(),
    refusal,
};

const OTHER_KEY: &str = "rpa_ANOTHER00000000000000000000000000000another";

fn key(key: &str) -> Key {
    Key {
        fields: vec![("api_key", key.to_owned())],
    }
}

fn origins(cloud: &Cloud) -> String {
    let addresses = cloud.addresses;
    format!(
        "runpod=http://{}, runpod.endpoint=http://{}/{{id}}-{{port}}",
        addresses.runpod, addresses.proxy
    )
}

/// One, two, four or eight of each GPU that RunPod itself has, in each data centre that has heard of it.
fn shelf(world: &World) -> Vec<Shelved> {
    let sold = world.gpus.gpus.iter().filter(|gpu| gpu.secure_microusd > 0);
    let mut shelf = Vec::new();
    for gpu in sold {
        for count in [1, 2, 4, 8].into_iter().filter(|count| *count <= gpu.most) {
            for (place, level) in &gpu.stock {
                shelf.push(Shelved {
                    region: place.clone(),
                    zone: None,
                    machine_type: gpu.id.clone(),
                    count,
                    vram_gb: u32::try_from(gpu.memory).unwrap(),
                    spot: false,
                    microusd: Some(gpu.secure_microusd * u64::from(count)),
                    availability: match level.as_str() {
                        "NONE" => Availability::None,
                        "LOW" => Availability::Low,
                        "MEDIUM" => Availability::Medium,
                        "HIGH" => Availability::High,
                        other => panic!("simcloud has no level {other}"),
                    },
                });
            }
        }
    }
    shelf
}

fn received(machine: &Machine) -> String {
    let pod = machine.pod().unwrap();
    let env = pod
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let env: Vec<String> = env.collect();
    format!("{}\n{}\n{}\n{:?}", machine.name, pod.image, pod.args, env)
}

fn refusal(words: &str) -> (u16, Value) {
    let body = json!({"title": "Bad Request", "status": 400, "detail": words});
    (400, body)
}
