//! Which calls go wrong. Invariant: unknown words are refused, so that a typing error in a test cannot pass as
//! good behaviour.
//!
//! A rule says which calls it is about and what happens to them. All rules that match a call apply to it, each
//! counted. What a rule does that a call cannot suffer (an empty list to a create) does nothing.

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::fault::Fault;
use crate::machine::Vendor;
use crate::operation::Op;
use crate::random::Random;

/// Which calls, and what happens to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Only this vendor's.
    #[serde(default)]
    pub vendor: Option<Vendor>,
    /// Only these: an operation as the vendor calls it (`createPod`, `RunInstances`), or a kind ([`Op`]).
    #[serde(default)]
    pub operation: Option<String>,
    /// Only those about this machine, by id or name; a create by the name that it asks for.
    #[serde(default)]
    pub machine: Option<String>,
    /// Only those with this account's keys.
    #[serde(default)]
    pub account: Option<String>,
    /// Only those in this region of EC2.
    #[serde(default)]
    pub region: Option<String>,
    /// Matching calls that pass by first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls it then applies to; `None` = all.
    #[serde(default)]
    pub times: Option<u32>,
    /// Applies to this share of calls.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Ends after so long on the cloud's clock.
    #[serde(default)]
    pub for_ms: Option<u32>,
    /// What happens.
    pub fault: Fault,
}

/// A call, as rules see it.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// As the vendor calls it.
    pub operation: String,
    /// What it comes to.
    pub op: Option<Op>,
    /// Ids and names of the machines that it is about.
    pub machines: Vec<String>,
    /// Whose key came with it.
    pub account: Option<String>,
    /// EC2's region.
    pub region: Option<String>,
}

/// A rule in force.
#[derive(Debug, Clone, Serialize)]
pub struct Armed {
    /// Its id.
    pub id: u64,
    /// Calls that it was applied to.
    pub hits: u32,
    /// When it ends.
    pub until_ms: Option<Millis>,
    /// As ordered.
    pub rule: Rule,
}

/// All rules.
#[derive(Debug)]
pub struct Faults {
    armed: Vec<Armed>,
    next: u64,
    random: Random,
}

impl Faults {
    /// None; chance comes from the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            armed: Vec::new(),
            next: 1,
            random: Random::new(seed ^ 0x0066_6175_6c74),
        }
    }

    /// Puts a rule in force and returns its id.
    pub fn arm(&mut self, rule: Rule, now: Millis) -> u64 {
        let id = self.next;
        self.next += 1;
        self.armed.push(Armed {
            id,
            hits: 0,
            until_ms: rule.for_ms.map(|for_ms| now + i64::from(for_ms)),
            rule,
        });
        id
    }

    /// Takes a rule out of force; `None` = all.
    pub fn disarm(&mut self, id: Option<u64>) {
        self.armed
            .retain(|armed| id.is_some_and(|id| id != armed.id));
    }

    /// All rules, also those that are used up.
    pub fn all(&self) -> &[Armed] {
        &self.armed
    }

    /// What happens to this call.
    pub fn take(&mut self, vendor: Vendor, call: &Call, now: Millis) -> Applied {
        let mut applied = Applied::default();
        for armed in &mut self.armed {
            let is_over = armed.until_ms.is_some_and(|until| now >= until);
            if is_over || !armed.rule.matches(vendor, call) {
                continue;
            }
            let share = armed.rule.probability;
            if share.is_some_and(|share| chance(&mut self.random) >= share) {
                continue;
            }
            if armed.rule.take() {
                armed.hits += 1;
                applied.0.push(armed.rule.fault.clone());
            }
        }
        applied
    }
}

fn chance(random: &mut Random) -> f64 {
    // 53 bits: as many as a double holds.
    (random.number() >> 11) as f64 / (1u64 << 53) as f64
}

impl Rule {
    fn matches(&self, vendor: Vendor, call: &Call) -> bool {
        let names = |operation: &String| {
            *operation == call.operation || call.op.is_some_and(|op| op.name() == operation)
        };
        self.vendor.is_none_or(|wanted| wanted == vendor)
            && self.operation.as_ref().is_none_or(names)
            && self
                .machine
                .as_ref()
                .is_none_or(|wanted| call.machines.contains(wanted))
            && (self.account.is_none() || self.account == call.account)
            && (self.region.is_none() || self.region == call.region)
    }

    fn take(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// What happens to one call.
#[derive(Debug, Clone, Default)]
pub struct Applied(Vec<Fault>);

impl Applied {
    /// The first that this finds.
    pub fn find<T>(&self, found: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.0.iter().find_map(found)
    }

    /// Whether it is there.
    pub fn has(&self, fault: &Fault) -> bool {
        self.0.contains(fault)
    }

    /// Their words, for the journal.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(Fault::name).collect()
    }

    /// All of them.
    pub fn all(&self) -> &[Fault] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn call(operation: &str, op: Op, machine: &str) -> Call {
        Call {
            operation: operation.to_owned(),
            op: Some(op),
            machines: vec![machine.to_owned()],
            ..Call::default()
        }
    }

    fn armed(rule: Value) -> Faults {
        let mut faults = Faults::new(1);
        faults.arm(serde_json::from_value(rule).unwrap(), 0);
        faults
    }

    #[test]
    fn a_rule_skips_then_applies_so_many_times_and_then_no_more() {
        let mut faults = armed(
            json!({"operation": "create", "skip": 1, "times": 1, "fault": {"do": "reply_lost"}}),
        );
        let create = call("createPod", Op::Create, "a");
        let hits = |faults: &mut Faults| faults.take(Vendor::Runpod, &create, 0).names();
        assert!(hits(&mut faults).is_empty());
        assert_eq!(hits(&mut faults), ["reply_lost"]);
        assert!(hits(&mut faults).is_empty());
        assert_eq!(faults.all()[0].hits, 1);
    }

    #[test]
    fn a_rule_is_about_its_vendor_operation_machine_and_time_only() {
        let rule = json!({"vendor": "aws", "operation": "TerminateInstances", "machine": "i-1", "for_ms": 1000,
            "fault": {"do": "never_ends"}});
        let mut faults = armed(rule);
        let terminate = call("TerminateInstances", Op::Destroy, "i-1");
        let mut hits = |vendor, call: &Call, now| faults.take(vendor, call, now).names().len();
        assert_eq!(hits(Vendor::Aws, &terminate, 999), 1);
        assert_eq!(hits(Vendor::Aws, &terminate, 1000), 0);
        assert_eq!(hits(Vendor::Runpod, &terminate, 0), 0);
        assert_eq!(
            hits(
                Vendor::Aws,
                &call("TerminateInstances", Op::Destroy, "i-2"),
                0
            ),
            0
        );
        assert_eq!(
            hits(Vendor::Aws, &call("StopInstances", Op::Stop, "i-1"), 0),
            0
        );
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        for rule in [
            json!({"fault": {"do": "reply_last"}}),
            json!({"fault": {"do": "reply_lost", "ms": 1}}),
            json!({"op": "create", "fault": {"do": "reply_lost"}}),
        ] {
            assert!(serde_json::from_value::<Rule>(rule).is_err());
        }
    }

    #[test]
    fn a_share_of_calls_is_about_that_share() {
        let mut faults = armed(json!({"probability": 0.25, "fault": {"do": "close"}}));
        let list = call("listPods", Op::List, "");
        let hit = |faults: &mut Faults| faults.take(Vendor::Runpod, &list, 0).names().len();
        let hits: usize = (0..1000).map(|_| hit(&mut faults)).sum();
        assert!((200..300).contains(&hits), "{hits}");
    }
}
