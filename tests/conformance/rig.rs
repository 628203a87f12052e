//! One vendor's adapter before one cloud, asked as a host asks it: a sealed credential, what
//! `tidegate-provider-calls` makes of a call, HTTP over a socket.
//!
//! Invariant, held to with every single call: nothing that was sealed is in what comes back, in an error or in
//! anything's `Debug`; only a change is ever unclear; no list goes on for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tidegate_durable::turn::{Bearer, VendorCall};
use tidegate_provider_api::{
    Callback, Capability, CreateSpec, Credential, Fingerprint, HttpCall, Machine, Marker, Method,
    Offer, Part, Provider, ProviderError, Query, Reply, Request, Runtime, SealedEnv, Settings,
};
use tidegate_provider_calls::VendorCalls;
use tidegate_provider_send::{Sender, call, now_ms};
use tidegate_providers::VendorOrigins;
use tidegate_vault::{Context, Installation, Keyring, Organisation, SEAL_RANDOM, Secret, seal};

use crate::sim::{PATIENCE, Sim};
use crate::vendors::{Key, Row};

const ORG: &str = "default";
const ACCOUNT: &str = "acc_0bPELAU4eqF0bPErPOCgqv";
/// What a machine is rented for.
pub const INSTANCE: &str = "srv_0bPELAU4eqF0bPErPOCgqv";
/// A secret variable of what runs on a machine.
pub const HF_TOKEN: &str = "hf_very_secret_token_of_a_profile";
/// Where a machine calls when it is up.
pub const BOOT_URL: &str = "https://gateway.example.net/webhooks/boot/default~srv";
const SSH_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4wS5x9c7gRkQ== someone";

/// The disk that is asked for.
pub const DISK_GB: u32 = 100;
/// How long a machine lives that is rented for a short time.
pub const SHORT_LIFE_MS: u64 = 3_600_000;

/// A list of more pages than this goes round in a circle.
const MOST_PAGES: usize = 100;

/// A vendor's adapter, and the cloud that it is asked against.
pub struct Rig {
    /// Which vendor.
    pub row: &'static Row,
    /// Its adapter.
    pub provider: &'static dyn Provider,
    /// What it says that it can do.
    pub capability: &'static Capability,
    /// The cloud.
    pub sim: Sim,
    /// Where and how to rent.
    pub settings: Settings,
    /// When to give up on a call.
    pub timeout: Duration,
    /// The account's mark.
    pub fingerprint: Fingerprint,
    calls: VendorCalls,
    sender: Sender,
    credential: Bearer,
    secrets: BTreeSet<String>,
    said: Vec<String>,
}

impl Rig {
    /// With a cloud of its own. Machines run something only where that is asked for: it takes time.
    pub fn start(row: &'static Row, with_boxes: bool) -> Self {
        let provider = tidegate_providers::by_name(row.vendor).unwrap();
        let sim = Sim::start(row.vendor, with_boxes);
        let installation = Installation::derive(b"0123456789abcdef0123456789abcdef").unwrap();
        let org = Organisation::parse(ORG).unwrap();
        let fingerprint = installation.fingerprint(&org, ACCOUNT);
        let settings = row.settings.iter();
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let boot = installation.boot_token(&org, INSTANCE, 1);
        let mut rig = Self {
            row,
            provider,
            capability: provider.capability(),
            settings: Settings(settings.collect()),
            timeout: PATIENCE,
            fingerprint: Fingerprint::parse(&fingerprint).unwrap(),
            calls: VendorCalls {
                keyring: Keyring::new(installation.wrapping_key().clone(), None),
                installation,
                origins: VendorOrigins::parse(&(row.origins)(sim.cloud())).unwrap(),
                find: tidegate_providers::by_name,
            },
            sim,
            sender: Sender::new(),
            credential: Bearer {
                org: ORG.to_owned(),
                record: format!("account/{ACCOUNT}"),
                sealed: String::new(),
            },
            secrets: BTreeSet::from([HF_TOKEN.to_owned(), boot.expose_str().unwrap().to_owned()]),
            said: Vec::new(),
        };
        rig.provider.check_settings(&rig.settings).unwrap();
        rig.use_key(&(row.key)());
        rig
    }

    /// From now on calls are made with this key.
    pub fn use_key(&mut self, key: &Key) {
        let fields = key.fields.iter();
        let fields: BTreeMap<String, String> = fields
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let secrets = self.provider.form().credential.iter();
        let secrets =
            secrets.filter(|field| field.kind == tidegate_provider_api::FieldKind::Secret);
        self.secrets
            .extend(secrets.filter_map(|field| fields.get(field.name).cloned()));
        let credential = Credential::read(self.provider.form(), fields).unwrap();
        let record = self.credential.record.clone();
        self.credential.sealed = self.sealed(&record, "credential", &credential.to_plaintext());
    }

    /// All that must not be told.
    pub fn secrets(&self) -> &BTreeSet<String> {
        &self.secrets
    }

    /// The token that the machine of that attempt shows when it calls.
    pub fn boot_token(&self, attempt: u32) -> String {
        let org = Organisation::parse(ORG).unwrap();
        let token = self.calls.installation.boot_token(&org, INSTANCE, attempt);
        token.expose_str().unwrap().to_owned()
    }

    fn sealed(&self, record: &str, field: &str, plaintext: &Secret) -> String {
        let context = Context {
            organisation: ORG,
            record,
            field,
        };
        let random = [7; SEAL_RANDOM];
        let sealed = seal(&self.calls.keyring, &context, plaintext.expose(), &random);
        sealed.unwrap().into_string()
    }

    /// Asks the vendor.
    pub fn ask(&mut self, request: Request) -> Result<Reply, ProviderError> {
        let asked = VendorCall {
            id: 1,
            vendor: self.row.vendor.to_owned(),
            credential: self.credential.clone(),
            settings: self.settings.clone(),
            request,
            timeout_ms: u64::try_from(self.timeout.as_millis()).unwrap(),
        };
        self.said.push(format!("{asked:?}"));
        if let Ok(http) = self.calls.prepare(now_ms(), &asked) {
            self.said.push(format!("{http:?} {}", http.url));
        }
        let answer = call(&self.sender, &self.calls, &asked);
        self.said.push(format!("{answer:?}"));
        match &answer {
            Ok(reply) => self.said.push(serde_json::to_string(reply).unwrap()),
            Err(error) => {
                self.said
                    .push(format!("{error} {}", serde_json::to_string(error).unwrap()));
                assert_eq!(error.operation, asked.request.operation());
                assert!(asked.request.is_change() || !error.unclear, "{error}");
            }
        }
        answer
    }

    /// The test is over: was anything told that must not be, and did all that was to go wrong happen?
    pub fn finish(self) {
        for said in &self.said {
            for secret in &self.secrets {
                assert!(
                    !said.contains(secret.as_str()),
                    "a secret stands in: {said}"
                );
            }
        }
        self.sim.heal();
    }

    /// The regions that have to be listed.
    pub fn regions(&self) -> Vec<String> {
        self.provider.list_regions(&self.settings)
    }

    /// All pages of one piece of the catalogue, as far as they came.
    pub fn pieces(&mut self, query: Query) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut next = Some(query);
        while let Some(query) = next.take() {
            assert!(parts.len() < MOST_PAGES, "{query:?} has no end");
            if let Ok(Reply::Part(part)) = self.ask(Request::Shop(query)) {
                next.clone_from(&part.next);
                parts.push(part);
            }
        }
        parts
    }

    /// Offers of the whole catalogue.
    pub fn offers(&mut self) -> Vec<Offer> {
        let queries = self.provider.shop(&self.settings);
        let parts: Vec<Part> = queries
            .into_iter()
            .flat_map(|query| self.pieces(query))
            .collect();
        self.provider.offers(&self.settings, &parts)
    }

    /// What is rented here, among all offers.
    pub fn rented(&self, offers: &[Offer]) -> Offer {
        let (region, machine_type) = self.row.rents;
        let fits = |offer: &&Offer| {
            let is_here = offer.region == region && offer.machine_type == machine_type;
            is_here && !offer.spot && offer.gpu.count == 1
        };
        offers.iter().find(fits).unwrap().clone()
    }

    /// The marker of an attempt.
    pub fn marker(&self, attempt: u32) -> Marker {
        Marker {
            fingerprint: self.fingerprint.clone(),
            instance: INSTANCE.to_owned(),
            attempt,
        }
    }

    /// What an attempt rents: one machine of the row's kind, with a secret variable.
    pub fn spec(&self, attempt: u32) -> CreateSpec {
        let (region, machine_type) = self.row.rents;
        let (record, field) = ("profile/llama", "secret_env/HF_TOKEN");
        CreateSpec {
            marker: self.marker(attempt),
            region: region.to_owned(),
            zone: None,
            machine_type: machine_type.to_owned(),
            gpu_count: 1,
            spot: false,
            max_microusd_per_hour: None,
            disk_gb: DISK_GB,
            runtime: Runtime {
                image: "registry.example.net/server:1".to_owned(),
                args: vec!["--model".to_owned(), "it's \"quoted\" $HOME".to_owned()],
                env: BTreeMap::from([("MODEL".to_owned(), "tiny".to_owned())]),
                sealed_env: vec![SealedEnv {
                    name: "HF_TOKEN".to_owned(),
                    record: record.to_owned(),
                    field: field.to_owned(),
                    sealed: self.sealed(record, field, &Secret::from(HF_TOKEN)),
                }],
                port: 8000,
            },
            // Longer than any test lets pass.
            lifetime_secs: 30 * 24 * 3_600,
            ssh_public_key: None,
            callback: None,
        }
    }

    /// The same with everything that a launch can have.
    pub fn full_spec(&self, attempt: u32) -> CreateSpec {
        CreateSpec {
            ssh_public_key: Some(SSH_KEY.to_owned()),
            callback: Some(Callback {
                url: BOOT_URL.to_owned(),
            }),
            ..self.spec(attempt)
        }
    }

    /// Rents.
    pub fn create(&mut self, spec: CreateSpec) -> Result<Machine, ProviderError> {
        match self.ask(Request::Create(Box::new(spec)))? {
            Reply::Created { machine } => Ok(*machine),
            other => panic!("a create was answered with {other:?}"),
        }
    }

    /// A machine of that attempt.
    pub fn created(&mut self, attempt: u32) -> Machine {
        let spec = self.spec(attempt);
        self.create(spec).unwrap()
    }

    /// The same once it is up.
    pub fn running(&mut self, attempt: u32) -> Machine {
        let machine = self.created(attempt);
        self.sim.until(&machine.id, "running");
        self.see(&machine)
    }

    /// One that is up, and is to live no longer than [`SHORT_LIFE_MS`].
    pub fn short_lived(&mut self) -> Machine {
        let mut spec = self.spec(1);
        spec.lifetime_secs = SHORT_LIFE_MS / 1000;
        let machine = self.create(spec).unwrap();
        self.sim.until(&machine.id, "running");
        self.see(&machine)
    }

    /// Asks for one machine.
    pub fn get(&mut self, machine: &Machine) -> Result<Machine, ProviderError> {
        let (region, id) = place(machine);
        match self.ask(Request::Get { region, id })? {
            Reply::Machine { machine } => Ok(*machine),
            other => panic!("a get was answered with {other:?}"),
        }
    }

    /// The same when it is there.
    pub fn see(&mut self, machine: &Machine) -> Machine {
        self.get(machine).unwrap()
    }

    /// All pages of a region's list.
    pub fn list(&mut self, region: &str) -> Result<Vec<Machine>, ProviderError> {
        let mut found = Vec::new();
        let mut page = None;
        for _ in 0..MOST_PAGES {
            let region = region.to_owned();
            match self.ask(Request::List { region, page })? {
                Reply::Machines(answered) => {
                    found.extend(answered.machines);
                    match answered.next {
                        None => return Ok(found),
                        next => page = next,
                    }
                }
                other => panic!("a list was answered with {other:?}"),
            }
        }
        panic!("the list of {region} has no end");
    }

    /// The lists of all regions.
    pub fn list_all(&mut self) -> Result<Vec<Machine>, ProviderError> {
        let mut found = Vec::new();
        for region in self.regions() {
            found.extend(self.list(&region)?);
        }
        Ok(found)
    }

    /// Ids in the lists of all regions, in order, each as often as it is there.
    pub fn listed(&mut self) -> Vec<String> {
        let mut ids: Vec<String> = self.list_all().unwrap().into_iter().map(|m| m.id).collect();
        ids.sort();
        ids
    }

    /// What was stopped, started or given back, if the answer shows it.
    pub fn accepted(&mut self, request: Request) -> Option<Machine> {
        match self.ask(request).unwrap() {
            Reply::Accepted { machine } => machine.map(|machine| *machine),
            other => panic!("a change was answered with {other:?}"),
        }
    }

    /// What it has cost since it was made.
    pub fn bill_request(&self, machine: &Machine) -> Request {
        let made = self.sim.machine(&machine.id).created_ms;
        let (region, id) = place(machine);
        Request::Bill {
            region,
            id,
            since_ms: made,
            until_ms: self.sim.with(|_, now| now),
        }
    }

    /// A request of somebody who knows an address only.
    pub fn fetch(&self, url: &str) -> (u16, String) {
        let call = HttpCall {
            method: Method::Get,
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
        };
        let reply = self.sender.send(&call, PATIENCE).unwrap();
        (reply.status, reply.body)
    }
}

/// Where to ask for a machine.
pub fn place(machine: &Machine) -> (String, String) {
    (machine.region.clone(), machine.id.clone())
}

/// Stops it.
pub fn stop(machine: &Machine) -> Request {
    let (region, id) = place(machine);
    Request::Stop { region, id }
}

/// Starts it.
pub fn start(machine: &Machine) -> Request {
    let (region, id) = place(machine);
    Request::Start { region, id }
}

/// Gives it back.
pub fn destroy(machine: &Machine) -> Request {
    let (region, id) = place(machine);
    Request::Destroy { region, id }
}

/// A number of the meter.
pub fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}
