//! A gateway with vendors, GPUs and money behind it that do as they are told.
//!
//! Invariant of every request: no secret of ours in its answer, in a message to an object or in a line of the log,
//! but for the private key in the one answer that is there for it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::testkit::Seeded;
use tidegate_edge::effect::CallOutcome;
use tidegate_edge::gateway::{Config, Gateway};
use tidegate_provider_api::FieldKind;
use tidegate_vault::{Context, Installation, Keyring, Organisation, Secret, open};

use crate::world::{ADMIN_KEY, Answer, INSTALLATION, START, World};

/// As long as the secret half of an AWS key, and no word of anything else.
pub const CREDENTIAL: &str = "c3VwZXJzZWNyZXRjcmVkZW50aWFsMDEyMzQ1Njc4";
pub const HF_TOKEN: &str = "hf_very_secret_token_of_somebody";
pub const PUBLIC_URL: &str = "https://gate.example.com";

/// What stands behind the gateway.
#[derive(Default)]
pub struct Cloud {
    /// What each account offers.
    pub offers: BTreeMap<String, CallOutcome>,
    /// Answers to other commands, by `kind/command`.
    pub says: BTreeMap<String, CallOutcome>,
}

pub struct Rig {
    pub world: World,
    pub cloud: Rc<RefCell<Cloud>>,
}

impl Rig {
    pub fn new() -> Self {
        Self::of_org("default")
    }

    pub fn of_org(org: &'static str) -> Self {
        let mut world = World::of_org(org);
        let cloud = Rc::new(RefCell::new(Cloud::default()));
        let behind = Rc::clone(&cloud);
        world.script = Box::new(move |to, message| behind.borrow_mut().answer(to, message));
        world.gateway = gateway(3, Some(PUBLIC_URL));
        Self { world, cloud }
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, Value::Null)
    }

    pub fn post(&mut self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, body)
    }

    pub fn put(&mut self, path: &str, body: Value) -> Answer {
        self.ask("PUT", path, body)
    }

    pub fn delete(&mut self, path: &str) -> Answer {
        self.ask("DELETE", path, Value::Null)
    }

    pub fn ask(&mut self, method: &str, path: &str, body: Value) -> Answer {
        let answer = self.world.admin(method, path, body);
        self.look_for_secrets(path, &answer);
        answer
    }

    pub fn look_for_secrets(&self, path: &str, answer: &Answer) {
        let World { asked, lines, .. } = &self.world;
        let seen = format!("{answer:?} {asked:?} {lines:?}");
        for secret in [CREDENTIAL, HF_TOKEN, "PRIVATE KEY"] {
            let is_meant = secret == "PRIVATE KEY" && path.ends_with("/ssh-key");
            assert!(
                is_meant || !seen.contains(secret),
                "{path}: a secret got out"
            );
        }
        let told = format!("{} {:?}", answer.body, answer.headers);
        assert!(!told.contains("sealed1."), "{path}: {told}");
    }

    /// An answer to a command, from now on.
    pub fn says(&mut self, command: &str, answer: Value) {
        let outcome = CallOutcome::Answered(answer.to_string());
        self.cloud
            .borrow_mut()
            .says
            .insert(command.to_owned(), outcome);
    }

    /// No answer to a command, from now on.
    pub fn is_silent(&mut self, command: &str) {
        let outcome = CallOutcome::Failed("timed out".to_owned());
        self.cloud
            .borrow_mut()
            .says
            .insert(command.to_owned(), outcome);
    }

    /// Objects and commands of the last request.
    pub fn asked(&self) -> Vec<String> {
        let of = |(to, message): &(String, Value)| {
            let kind = to.split('/').next().unwrap();
            format!("{kind} {}", message["command"].as_str().unwrap())
        };
        self.world.asked.iter().map(of).collect()
    }

    /// The last message with this command.
    pub fn told(&self, command: &str) -> &Value {
        let mut asked = self.world.asked.iter().rev();
        let found = asked.find(|(_, message)| message["command"] == command);
        &found
            .unwrap_or_else(|| panic!("no `{command}` in {:?}", self.asked()))
            .1
    }

    /// Connects an account and returns its id.
    pub fn connect(&mut self, vendor: &str, label: &str) -> String {
        let path = format!("/admin/providers/{vendor}/accounts");
        let answer = self.post(&path, account(vendor, label));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("id").to_owned()
    }

    /// What an account offers from now on.
    pub fn offers(&mut self, account: &str, offers: &[Value]) {
        let answer = json!({ "offers": offers, "fetched_at_ms": START.as_ms() - 12_345 });
        let outcome = CallOutcome::Answered(answer.to_string());
        self.cloud
            .borrow_mut()
            .offers
            .insert(account.to_owned(), outcome);
    }

    /// Puts the profile `small`: vLLM on one GPU of at least 16 GB, nine times at most.
    pub fn profile(&mut self) {
        let body = json!({
            "kind": "vllm", "model_name": "tiny", "upstream_model": "acme/tiny",
            "secret_env": { "HF_TOKEN": HF_TOKEN }, "min_vram_gb": 16,
            "scaling": { "max_instances": 9 },
        });
        let answer = self.put("/admin/profiles/small", body);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Launches the profile `small` on an account that offers one GPU, and returns the instance's id.
    pub fn launch(&mut self) -> String {
        let account = self.connect("runpod", "main");
        self.offers(&account, &[offer(&[])]);
        self.profile();
        let answer = self.post("/admin/instances", json!({ "profile": "small" }));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("id").to_owned()
    }

    /// Opens what was sealed for the rig's organisation.
    pub fn opened(&self, record: &str, field: &str, sealed: &Value) -> String {
        let installation = installation();
        let keyring = Keyring::new(installation.wrapping_key().clone(), None);
        let context = Context {
            organisation: "default",
            record,
            field,
        };
        let secret = open(&keyring, &context, sealed.as_str().unwrap()).unwrap();
        secret.expose_str().unwrap().to_owned()
    }
}

impl Cloud {
    fn answer(&mut self, to: &ObjectName, message: &Value) -> Option<CallOutcome> {
        let command = message["command"].as_str().unwrap_or_default();
        let known = self.says.get(&format!("{}/{command}", to.kind().as_str()));
        if let Some(known) = known {
            return Some(known.clone());
        }
        let answered = |answer: Value| Some(CallOutcome::Answered(answer.to_string()));
        match (to.kind(), command) {
            (ObjectKind::Account, "offers") => {
                let known = self.offers.get(to.tail().unwrap()).cloned();
                known.or_else(|| answered(json!({ "offers": [] })))
            }
            (ObjectKind::Account, "configure") | (ObjectKind::Instance, "launch") => {
                answered(json!({}))
            }
            (ObjectKind::Ledger, "estimate") => answered(json!({
                "needed_microusd": 69_192, "budgets": [],
            })),
            (ObjectKind::Ledger, "cost") => answered(json!({ "microusd": 331_200 })),
            (ObjectKind::Account | ObjectKind::Ledger | ObjectKind::Instance, _) => {
                panic!("nobody said what {to} answers to {message}")
            }
            _ => None,
        }
    }
}

pub fn installation() -> Installation {
    Installation::derive(INSTALLATION.as_bytes()).unwrap()
}

pub fn gateway(seed: u64, public_url: Option<&str>) -> Gateway {
    let installation = installation();
    let config = Config {
        keyring: Keyring::new(installation.wrapping_key().clone(), None),
        installation,
        admin_key: Some(Secret::from(ADMIN_KEY)),
        gate: Default::default(),
        manners: Default::default(),
        public_url: public_url.map(str::to_owned),
    };
    Gateway::new(config, Box::new(Seeded::new(seed)))
}

/// What connects an account: whatever the vendor's form asks for.
pub fn account(vendor: &str, label: &str) -> Value {
    json!({ "label": label, "credential": credential(vendor), "settings": settings(vendor) })
}

pub fn credential(vendor: &str) -> Value {
    let form = tidegate_providers::by_name(vendor).unwrap().form();
    let required = form.credential.iter().filter(|field| field.required);
    let value = |field: &tidegate_provider_api::Field| match field.kind {
        FieldKind::Secret => CREDENTIAL,
        _ => "AKIAIOSFODNN7EXAMPLE",
    };
    required
        .map(|field| (field.name.to_owned(), json!(value(field))))
        .collect()
}

pub fn settings(vendor: &str) -> Value {
    let form = tidegate_providers::by_name(vendor).unwrap().form();
    let required = form.settings.iter().filter(|field| field.required);
    let value = |field: &tidegate_provider_api::Field| match field.name {
        "regions" => "us-east-1",
        _ => field.choices.first().copied().unwrap_or("x"),
    };
    required
        .map(|field| (field.name.to_owned(), json!(value(field))))
        .collect()
}

/// What 100 GB of an offer's disk cost an hour.
const DISK_AN_HOUR: u64 = 14_000;

/// An offer of one L4 at 0.69 dollars an hour, 0.014 of them for 100 GB of disk, with some members changed; a price is
/// given with the disk.
pub fn offer(changes: &[(&str, Value)]) -> Value {
    let mut offer = json!({
        "region": "EU-RO-1",
        "zone": null,
        "machine_type": "NVIDIA L4",
        "gpu": { "model": "l4", "name": "NVIDIA L4", "count": 1, "vram_gb": 24 },
        "vcpus": 12,
        "memory_gb": 50,
        "spot": false,
        "microusd_per_hour": 690_000 - DISK_AN_HOUR,
        "disk": { "microusd_per_gb_month": 100_800, "added_gb": 0, "least_gb": 10 },
        "address_microusd_per_hour": 0,
        "availability": "high",
    });
    for (path, value) in changes {
        let at = format!("/{}", path.replace('.', "/"));
        let value = match (*path, value.as_u64()) {
            ("microusd_per_hour", Some(price)) => json!(price - DISK_AN_HOUR),
            _ => value.clone(),
        };
        *offer.pointer_mut(&at).expect("a member of an offer") = value;
    }
    offer
}

pub fn vendor_error(kind: &str, words: &str) -> Value {
    json!({
        "kind": kind, "permanent": false, "unclear": false, "operation": "shop",
        "words": words, "http_status": 503, "retry_after_ms": 7_500,
    })
}

/// An id that this installation made for another organisation.
pub fn foreign(kind: &str) -> String {
    let other = Organisation::parse("other").unwrap();
    match kind {
        "account" => tidegate_vault::mint_account_id(&installation(), &other, [7; 10]),
        _ => tidegate_vault::mint_instance_id(&installation(), &other, [7; 10]),
    }
}

/// An id of this organisation that nobody has.
pub fn vacant(kind: &str) -> String {
    let own = Organisation::parse("default").unwrap();
    match kind {
        "account" => tidegate_vault::mint_account_id(&installation(), &own, [7; 10]),
        _ => tidegate_vault::mint_instance_id(&installation(), &own, [7; 10]),
    }
}
