//! A cloud, a gateway that says what it is told to, and a clock that is the cloud's own: ten minutes are over at
//! once, and everything that takes time in the cloud takes as long as it should.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::turn::{Bearer, VendorCall};
use tidegate_provider_api::{
    CreateSpec, Credential, Fingerprint, Machine, Marker, Reply, Request, Runtime as Runs, Settings,
};
use tidegate_provider_calls::VendorCalls;
use tidegate_provider_send::{Sender, call};
use tidegate_providers::VendorOrigins;
use tidegate_simcloud::cloud::Cloud;
use tidegate_simcloud::options::{AWS_KEY, Options as CloudOptions, RUNPOD_KEY};
use tidegate_simcloud::world::World;
use tidegate_simcloud::{Running, start};
use tidegate_sweep::{Clock, Exit, Options, Sources, sweep};
use tidegate_vault::{Context, Installation, Keyring, SEAL_RANDOM, seal};
use tokio::runtime::{Builder, Handle, Runtime};

pub const ADMIN_KEY: &str = "admin-key-very-secret";
pub const ACCOUNT: &str = "acc_0bPELAU4eqF0bPErPOCgqv";
/// The account's mark, and somebody else's.
pub const MARK: &str = "a1b2c3d4e5";
pub const OTHER_MARK: &str = "0123456789";
pub const HOUR_MS: u64 = 3_600_000;

/// Something that happens at the gateway.
pub type Change = fn(&mut Gate);

/// What the gateway says.
pub struct Gate {
    pub account: Value,
    /// Instances that are not over.
    pub rows: Vec<Value>,
    /// Instances asked for by themselves, where they say something else than their row.
    pub details: BTreeMap<String, Value>,
    /// A request whose path begins so is answered with this status and text, after so many that were not.
    pub fails: Vec<(String, usize, u16, String)>,
    /// Happens when the list is asked for the so many-th time.
    pub changes: Vec<(usize, Change)>,
    /// Rows of a page at most.
    pub page: usize,
    /// Each request with the calls that the vendor had had by then.
    pub log: Vec<(String, usize)>,
    lists: usize,
}

/// All of it.
pub struct Rig {
    pub vendor: &'static str,
    pub gate: Arc<Mutex<Gate>>,
    pub url: String,
    running: Option<Running>,
    runtime: Option<Runtime>,
    calls: VendorCalls,
    credential: Bearer,
    settings: Settings,
}

/// The cloud's clock; waiting lets its time pass.
struct CloudClock<'a>(&'a Rig);

impl Clock for CloudClock<'_> {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.with(|_, now| now))
    }

    fn wait(&self, span: Span) {
        self.0.advance(u64::try_from(span.as_ms()).unwrap());
    }
}

/// An answer of the contract's own examples.
fn example(path: &str) -> Value {
    let document = include_str!("../../../schemas/openapi/openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let content = &document["paths"][path]["get"]["responses"]["200"]["content"];
    let example = content["application/json"]["example"].clone();
    assert!(example.is_object(), "{path} has no example");
    example
}

impl Rig {
    pub fn new(vendor: &'static str) -> Self {
        let mut options = CloudOptions::default();
        let quick = json!({
            "delays": {"provisioning_ms": 20, "starting_ms": 20, "pending_ms": 20, "stop_ms": 20,
                "terminate_ms": 20, "status_check_ms": 20},
            "runpod_calls": {"minute": 10_000, "hour": 100_000, "day": 1_000_000},
        });
        options.settings = options.settings.with(&quick).unwrap();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let running = {
            let _inside = runtime.enter();
            start(options).unwrap()
        };
        let installation = Installation::derive(b"0123456789abcdef0123456789abcdef").unwrap();
        let keyring = Keyring::new(installation.wrapping_key().clone(), None);
        let credential = bearer(vendor, &keyring);
        let settings: &[(&str, &str)] = match vendor {
            "aws" => &[("regions", "us-east-1,eu-west-1")],
            _ => &[("cloud", "SECURE")],
        };
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings(settings.collect());
        let mut account = example("/admin/providers/{vendor}/accounts/{id}");
        account["id"] = json!(ACCOUNT);
        account["vendor"] = json!(vendor);
        account["fingerprint"] = json!(MARK);
        account["settings"] = json!(settings);
        let gate = Arc::new(Mutex::new(Gate {
            account,
            rows: Vec::new(),
            details: BTreeMap::new(),
            fails: Vec::new(),
            changes: Vec::new(),
            page: 200,
            log: Vec::new(),
            lists: 0,
        }));
        let origins = origins(running.cloud.as_ref());
        let url = serve(
            gate.clone(),
            running.cloud.clone(),
            runtime.handle().clone(),
        );
        Self {
            vendor,
            gate,
            url,
            running: Some(running),
            runtime: Some(runtime),
            calls: VendorCalls {
                installation,
                keyring,
                origins: VendorOrigins::parse(&origins).unwrap(),
                find: tidegate_providers::by_name,
            },
            credential,
            settings,
        }
    }

    fn cloud(&self) -> &Arc<Cloud> {
        &self.running.as_ref().unwrap().cloud
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut World, i64) -> T) -> T {
        let _inside = self.runtime.as_ref().unwrap().enter();
        self.cloud().with(look)
    }

    pub fn advance(&self, ms: u64) {
        let _inside = self.runtime.as_ref().unwrap().enter();
        self.cloud().advance(u32::try_from(ms).unwrap());
    }

    pub fn gate(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.gate.lock().unwrap()
    }

    /// From now on this goes wrong with the vendor's calls; a rule as simcloud has it.
    pub fn fault(&self, rule: Value) {
        let rule = serde_json::from_value(rule).unwrap();
        self.with(|world, now| world.faults.arm(rule, now));
    }

    /// A machine that carries this mark.
    pub fn rent(&self, mark: &str, instance: &str, attempt: u32) -> Machine {
        self.rent_in(None, mark, instance, attempt)
    }

    pub fn rent_in(
        &self,
        region: Option<&str>,
        mark: &str,
        instance: &str,
        attempt: u32,
    ) -> Machine {
        let (usual, machine_type) = match self.vendor {
            "aws" => ("us-east-1", "g6.xlarge"),
            _ => ("EU-RO-1", "NVIDIA L4"),
        };
        let spec = CreateSpec {
            marker: Marker {
                fingerprint: Fingerprint::parse(mark).unwrap(),
                instance: instance.to_owned(),
                attempt,
            },
            region: region.unwrap_or(usual).to_owned(),
            zone: None,
            machine_type: machine_type.to_owned(),
            gpu_count: 1,
            spot: false,
            max_microusd_per_hour: None,
            disk_gb: 100,
            runtime: Runs {
                image: "registry.example.net/server:1".to_owned(),
                port: 8000,
                ..Runs::default()
            },
            lifetime_secs: 30 * 24 * 3_600,
            ssh_public_key: None,
            callback: None,
        };
        let asked = VendorCall {
            id: 1,
            vendor: self.vendor.to_owned(),
            credential: self.credential.clone(),
            settings: self.settings.clone(),
            request: Request::Create(Box::new(spec)),
            timeout_ms: 60_000,
        };
        match call(&Sender::new(), &self.calls, &asked) {
            Ok(Reply::Created { machine }) => *machine,
            other => panic!("{other:?}"),
        }
    }

    /// The gateway has an instance.
    pub fn own(&self, instance: &str, attempt: u32, machine: Option<&str>) {
        let row = row(instance, attempt, machine, "ready");
        self.gate().rows.push(row);
    }

    /// Ids of machines that are not over, in the order of their names.
    pub fn living(&self) -> Vec<String> {
        self.with(|world, _| {
            let all = world.machines.values().filter(|machine| !machine.is_over());
            let mut all: Vec<_> = all.map(|m| (m.name.clone(), m.id.clone())).collect();
            all.sort();
            all.into_iter().map(|(_, id)| id).collect()
        })
    }

    /// Calls of that kind which the vendor had: their moment, and the machines that they were about.
    pub fn calls(&self, kind: &str) -> Vec<(i64, Vec<String>)> {
        self.with(|world, _| {
            let calls = world.journal.since(0).filter(|entry| entry.kind == kind);
            calls
                .map(|entry| (entry.at_ms, entry.machines.clone()))
                .collect()
        })
    }

    /// The words of a sweep that asks the gateway.
    pub fn beside(&self, more: &str) -> String {
        format!(
            "--vendor {} --credential-file credential --vendor-origins {} --gateway {} --admin-key-env ADMIN --account {ACCOUNT} {more}",
            self.vendor,
            origins(self.cloud()).replace(' ', ""),
            self.url
        )
    }

    /// The words of one that asks nobody.
    pub fn alone(&self, more: &str) -> String {
        let settings = self.settings.0.iter();
        let settings: Vec<String> = settings
            .map(|(name, value)| format!("--setting {name}={value}"))
            .collect();
        format!(
            "--vendor {} --credential-file credential --vendor-origins {} --without-gateway --fingerprint {MARK} {} {more}",
            self.vendor,
            origins(self.cloud()).replace(' ', ""),
            settings.join(" ")
        )
    }

    /// Sweeps; what it ends with and prints.
    pub fn sweep(&self, line: &str) -> (Exit, String) {
        let text = credential_text(self.vendor);
        let sources = Sources {
            variable: &|name| (name == "ADMIN").then(|| ADMIN_KEY.to_owned()),
            file: &|_| Ok(text.clone()),
        };
        let words = line.split_whitespace().map(OsString::from);
        let options = match Options::read(words, &sources) {
            Ok(options) => options,
            Err(refused) => panic!("{refused}"),
        };
        let mut out = Vec::new();
        let exit = sweep(options, &CloudClock(self), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        for secret in [ADMIN_KEY, RUNPOD_KEY, AWS_KEY.1] {
            assert!(!out.contains(secret), "{out}");
        }
        (exit, out)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            {
                let _inside = runtime.enter();
                drop(self.running.take());
            }
            runtime.shutdown_background();
        }
    }
}

pub fn credential_text(vendor: &str) -> String {
    let fields = match vendor {
        "aws" => json!({"access_key_id": AWS_KEY.0, "secret_access_key": AWS_KEY.1}),
        _ => json!({"api_key": RUNPOD_KEY}),
    };
    fields.to_string()
}

fn bearer(vendor: &str, keyring: &Keyring) -> Bearer {
    let provider = tidegate_providers::by_name(vendor).unwrap();
    let fields = serde_json::from_str(&credential_text(vendor)).unwrap();
    let plaintext = Credential::read(provider.form(), fields)
        .unwrap()
        .to_plaintext();
    let context = Context {
        organisation: "default",
        record: "account/acc_a",
        field: "credential",
    };
    let sealed = seal(keyring, &context, plaintext.expose(), &[7; SEAL_RANDOM]).unwrap();
    Bearer {
        org: "default".to_owned(),
        record: "account/acc_a".to_owned(),
        sealed: sealed.into_string(),
    }
}

fn origins(cloud: &Cloud) -> String {
    format!(
        "runpod=http://{}, aws=http://{}",
        cloud.addresses.runpod, cloud.addresses.aws
    )
}

/// A line of the list of instances.
pub fn row(instance: &str, attempt: u32, machine: Option<&str>, status: &str) -> Value {
    let mut row = example("/admin/instances")["data"][0].clone();
    row["id"] = json!(instance);
    row["attempt"] = json!(attempt);
    row["machine_id"] = json!(machine);
    row["status"] = json!(status);
    row["account_id"] = json!(ACCOUNT);
    row
}

/// The same asked for by itself.
pub fn detail(row: &Value) -> Value {
    let mut detail = example("/admin/instances/{id}");
    assert!(detail["attempts"].is_array());
    for name in ["id", "attempt", "machine_id", "status", "account_id"] {
        detail[name] = row[name].clone();
    }
    detail
}

fn serve(gate: Arc<Mutex<Gate>>, cloud: Arc<Cloud>, runtime: Handle) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let _inside = runtime.enter();
        for stream in listener.incoming() {
            answer(&stream.unwrap(), &gate, &cloud);
        }
    });
    url
}

fn answer(mut stream: &TcpStream, gate: &Mutex<Gate>, cloud: &Arc<Cloud>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        head.push_str(&line.to_ascii_lowercase());
        line.clear();
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut gate = gate.lock().unwrap();
    let calls = cloud.with(|world, _| world.journal.next());
    gate.log
        .push((path.clone(), usize::try_from(calls).unwrap()));
    let is_let_in = head.contains(&format!("x-api-key: {ADMIN_KEY}\r\n"))
        && head.contains("x-tidegate-org: default\r\n");
    let (status, body) = if is_let_in {
        gate.answer(&path)
    } else {
        (
            403,
            json!({"error": {"code": "not_admin", "message": "no"}}).to_string(),
        )
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    if status != 0 {
        let _left = stream.write_all(text.as_bytes());
    }
}

impl Gate {
    /// Status 0: the connection is closed.
    fn answer(&mut self, path: &str) -> (u16, String) {
        for (begins, passes, status, body) in &mut self.fails {
            if path.starts_with(begins.as_str()) {
                if *passes == 0 {
                    return (*status, body.clone());
                }
                *passes -= 1;
            }
        }
        let not_found = || {
            (
                404,
                json!({"error": {"code": "not_found", "message": "none"}}).to_string(),
            )
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let vendor = self.account["vendor"].as_str().unwrap();
        // Paths came in lower case.
        let account = format!(
            "/admin/providers/{vendor}/accounts/{}",
            ACCOUNT.to_ascii_lowercase()
        );
        if path == account {
            return (200, self.account.to_string());
        }
        if path == "/admin/instances" {
            return (200, self.list(query).to_string());
        }
        let Some(id) = path.strip_prefix("/admin/instances/") else {
            return not_found();
        };
        let named = |value: &&Value| value["id"].as_str().unwrap().eq_ignore_ascii_case(id);
        let special = self.details.values().find(named).cloned();
        match special.or_else(|| self.rows.iter().find(named).map(detail)) {
            Some(detail) => (200, detail.to_string()),
            None => not_found(),
        }
    }

    fn list(&mut self, query: &str) -> Value {
        self.lists += 1;
        let changes = std::mem::take(&mut self.changes);
        for (at, change) in &changes {
            if *at == self.lists {
                change(self);
            }
        }
        self.changes = changes;
        let number = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let found = pairs
                .filter(|(known, _)| *known == name)
                .map(|(_, value)| value)
                .next();
            found.and_then(|text| text.parse::<usize>().ok())
        };
        assert!(query.contains("over=false"), "{query}");
        let (limit, offset) = (number("limit").unwrap(), number("offset").unwrap());
        assert!((1..=200).contains(&limit));
        let page: Vec<Value> = self
            .rows
            .iter()
            .skip(offset)
            .take(limit.min(self.page))
            .cloned()
            .collect();
        json!({"object": "list", "data": page, "total": self.rows.len(), "limit": limit, "offset": offset})
    }
}
