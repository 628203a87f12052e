//! The cloud of one test: it is told over its control port what goes wrong, and looked into for what really
//! happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_provider_api::{HttpCall, Method};
use tidegate_provider_send::Sender;
use tidegate_simcloud::cloud::Cloud;
use tidegate_simcloud::machine::Machine;
use tidegate_simcloud::options::Options;
use tidegate_simcloud::world::World;
use tidegate_simcloud::{Running, start};
use tokio::runtime::{Builder, Runtime};

/// As long as nothing of this takes, however busy the computer is.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_MS: u64 = 60_000;
const A_MOMENT_MS: u64 = 20;

/// A cloud.
pub struct Sim {
    running: Option<Running>,
    runtime: Option<Runtime>,
    sender: Sender,
    control: String,
    /// As faults name it: `runpod`.
    vendor: &'static str,
}

impl Sim {
    /// A cloud of its own, so that nobody else's faults, clock or machines are in it.
    pub fn start(vendor: &'static str, with_boxes: bool) -> Self {
        let mut options = Options::default();
        let quick = json!({
            "delays": {"provisioning_ms": 20, "starting_ms": 20, "pending_ms": 20, "stop_ms": 20,
                "terminate_ms": 20, "status_check_ms": 20},
            "runpod_calls": {"minute": 10_000, "hour": 100_000, "day": 1_000_000},
        });
        options.settings = options.settings.with(&quick).unwrap();
        if with_boxes {
            let words = [
                env!("CARGO_BIN_EXE_tidegate-conformance-box"),
                "{host}",
                "{port}",
            ];
            options.box_command = words.map(str::to_owned).to_vec();
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let running = {
            let _inside = runtime.enter();
            start(options).unwrap()
        };
        let control = running.hello()["control"].as_str().unwrap().to_owned();
        Self {
            running: Some(running),
            runtime: Some(runtime),
            sender: Sender::new(),
            control,
            vendor,
        }
    }

    /// What it is made of.
    pub fn cloud(&self) -> &Arc<Cloud> {
        &self.running.as_ref().unwrap().cloud
    }

    /// Looks into the cloud.
    pub fn with<T>(&self, look: impl FnOnce(&mut World, i64) -> T) -> T {
        let _inside = self.runtime.as_ref().unwrap().enter();
        self.cloud().with(look)
    }

    fn control(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let call = HttpCall {
            method,
            url: format!("{}/control/{path}", self.control),
            headers: Vec::new(),
            body: body.map(Value::to_string),
        };
        let reply = self.sender.send(&call, PATIENCE).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        serde_json::from_str(&reply.body).unwrap()
    }

    fn look(&self, path: &str) -> Value {
        self.control(Method::Get, path, None)
    }

    /// An order.
    pub fn order(&self, path: &str, body: &Value) -> Value {
        self.control(Method::Post, path, Some(body))
    }

    /// From now on this goes wrong with all calls of that kind, or of that name.
    pub fn always(&self, operation: &str, fault: &Value) {
        self.arm(&json!({"operation": operation, "fault": fault}));
    }

    /// This goes wrong with the next call of that kind.
    pub fn once(&self, operation: &str, fault: &Value) {
        self.arm(&json!({"operation": operation, "times": 1, "fault": fault}));
    }

    /// Puts a rule in force.
    pub fn arm(&self, rule: &Value) {
        let mut rule = rule.clone();
        rule["vendor"] = json!(self.vendor);
        self.order("faults", &rule);
    }

    /// Nothing goes wrong any more; that everything that was to go wrong did is found out here.
    pub fn heal(&self) {
        for rule in self.look("faults")["faults"].as_array().unwrap() {
            assert_ne!(rule["hits"], 0, "this never happened: {rule}");
        }
        self.control(Method::Delete, "faults", None);
    }

    /// Lets time pass.
    pub fn advance(&self, ms: u64) {
        self.order("clock", &json!({ "advance_ms": ms }));
    }

    /// Something happens to a machine outside of the API.
    pub fn happen(&self, id: &str, what: &str, how: &Value) {
        self.order(&format!("machines/{id}/{what}"), how);
    }

    /// Waits until a machine is in a state: the vendor's word, or a phase.
    pub fn until(&self, id: &str, state: &str) -> Value {
        let path = format!("machines?id={id}&state={state}&wait_ms={PATIENCE_MS}");
        let found = self.look(&path);
        assert_eq!(
            found["complete"],
            true,
            "{id} is not {state}: {}",
            self.look("machines")
        );
        found["machines"][0].clone()
    }

    /// Waits until a step of a machine's is planned, as its agenda calls it.
    pub fn until_planned(&self, id: &str, step: &str) {
        // A second machine of that id never comes: each look takes as long as it may.
        let path = format!("machines?id={id}&count=2&wait_ms={A_MOMENT_MS}");
        for _ in 0..PATIENCE_MS / A_MOMENT_MS {
            let found = self.look(&path);
            let agenda = &found["machines"][0]["agenda"];
            let mut planned = agenda.as_array().unwrap().iter();
            if planned.any(|planned| planned[1] == step) {
                return;
            }
        }
        panic!("{step} was never planned for {id}");
    }

    /// Machines by id.
    pub fn machines(&self) -> BTreeMap<String, Machine> {
        self.with(|world, _| world.machines.clone())
    }

    /// One machine.
    pub fn machine(&self, id: &str) -> Machine {
        self.machines().remove(id).unwrap()
    }

    /// Machines that are not over.
    pub fn living(&self) -> usize {
        let machines = self.machines();
        machines
            .values()
            .filter(|machine| !machine.is_over())
            .count()
    }

    /// What a machine costs and has cost.
    pub fn meter(&self, id: &str) -> Value {
        let meter = self.look("meter");
        let all = meter["machines"].as_array().unwrap();
        all.iter().find(|bill| bill["id"] == id).unwrap().clone()
    }

    /// Every call that came, as it ended.
    pub fn calls(&self) -> Vec<Value> {
        let path = format!("journal?vendor={}", self.vendor);
        self.look(&path)["calls"].as_array().unwrap().clone()
    }
}

impl Sim {
    /// Waits until so many calls have come.
    pub fn until_called(&self, count: usize) {
        let vendor = self.vendor;
        let path = format!("journal?vendor={vendor}&count={count}&wait_ms={PATIENCE_MS}");
        assert_eq!(self.look(&path)["complete"], true, "a call never came");
    }
}

impl Drop for Sim {
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
