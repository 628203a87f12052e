//! The customers and their keys. Invariant: a key belongs to one account; an account sees its own machines only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::machine::Vendor;
use crate::operation::Op;
use crate::settings::Calls;

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Whose API it opens.
    pub vendor: Vendor,
    /// RunPod's bearer token, AWS's access key id.
    pub id: String,
    /// AWS's secret access key.
    #[serde(default)]
    pub secret: Option<String>,
    /// AWS's session token, which must come with it.
    #[serde(default)]
    pub session_token: Option<String>,
    /// Whose it is.
    #[serde(default = "main_account")]
    pub account: String,
    /// What it may not do: names of operations (`createPod`, `GetProducts`), kinds of them (`create`, `list`,
    /// `shop`, `destroy`…), or `changes`.
    #[serde(default)]
    pub denies: Vec<String>,
    /// It counted once.
    #[serde(default)]
    pub expired: bool,
    /// It opens this pod alone.
    #[serde(default)]
    pub pod: Option<String>,
}

/// The account of the first keys.
pub fn main_account() -> String {
    String::from("main")
}

impl Key {
    /// Whether it may do this.
    pub fn allows(&self, operation: &str, op: Op) -> bool {
        let is_named = |denied: &String| {
            denied == operation || denied == op.name() || (denied == "changes" && op.is_change())
        };
        !self.denies.iter().any(is_named)
    }
}

/// Calls counted in one window.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    from_ms: Millis,
    used: u32,
}

/// Lengths of the windows, in seconds, by name.
const WINDOWS: [(&str, i64); 3] = [("minute", 60), ("hour", 3_600), ("day", 86_400)];

/// What is left of an account's calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// `RateLimit-Policy`.
    pub policy: String,
    /// `RateLimit`.
    pub left: String,
    /// The window that is used up, and the seconds until it is not.
    pub exceeded: Option<(&'static str, i64)>,
}

/// All keys, and the calls made with them.
#[derive(Debug, Default)]
pub struct Keys {
    keys: Vec<Key>,
    windows: BTreeMap<String, [Window; 3]>,
}

impl Keys {
    /// These.
    pub fn new(keys: Vec<Key>) -> Self {
        Self {
            keys,
            windows: BTreeMap::new(),
        }
    }

    /// Puts a key there, in place of one with the same id.
    pub fn put(&mut self, key: Key) {
        self.remove(key.vendor, &key.id);
        self.keys.push(key);
    }

    /// Takes a key away.
    pub fn remove(&mut self, vendor: Vendor, id: &str) {
        self.keys.retain(|key| key.vendor != vendor || key.id != id);
    }

    /// The key of that id.
    pub fn find(&self, vendor: Vendor, id: &str) -> Option<&Key> {
        self.keys
            .iter()
            .find(|key| key.vendor == vendor && key.id == id)
    }

    /// All of a vendor.
    pub fn of(&self, vendor: Vendor) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.vendor == vendor)
    }

    /// Counts a call in fixed windows that begin with a call.
    pub fn count(&mut self, account: &str, calls: Calls, now: Millis) -> Left {
        let quotas = [calls.minute, calls.hour, calls.day];
        let windows = self.windows.entry(account.to_owned()).or_default();
        let mut exceeded = None;
        let (mut policy, mut left) = (Vec::new(), Vec::new());
        for (((name, seconds), quota), window) in WINDOWS.into_iter().zip(quotas).zip(windows) {
            if window.used == 0 || now >= window.from_ms + seconds * 1000 {
                *window = Window {
                    from_ms: now,
                    used: 0,
                };
            }
            let ends_s = (window.from_ms + seconds * 1000 - now + 999).div_euclid(1000);
            if window.used >= quota {
                exceeded = exceeded.max(Some((ends_s, name)));
            } else {
                window.used += 1;
            }
            policy.push(format!("\"{name}\";q={quota};w={seconds}"));
            left.push(format!(
                "\"{name}\";r={};t={ends_s}",
                quota - window.used.min(quota)
            ));
        }
        Left {
            policy: policy.join(", "),
            left: left.join(", "),
            exceeded: exceeded.map(|(seconds, name)| (name, seconds)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_past_the_budget_hears_when_to_come_back() {
        let mut keys = Keys::default();
        let calls = Calls {
            minute: 2,
            ..Calls::default()
        };
        for left in [1, 0] {
            let counted = keys.count("main", calls, 1_000);
            assert_eq!(counted.exceeded, None);
            assert!(
                counted
                    .left
                    .starts_with(&format!("\"minute\";r={left};t=60, "))
            );
        }
        assert_eq!(
            keys.count("main", calls, 31_500).exceeded,
            Some(("minute", 30))
        );
        assert_eq!(keys.count("other", calls, 31_500).exceeded, None);
        assert_eq!(keys.count("main", calls, 61_000).exceeded, None);
    }

    #[test]
    fn a_key_is_denied_by_name_by_kind_or_every_change() {
        let mut key = Key {
            vendor: Vendor::Aws,
            id: String::from("a"),
            secret: None,
            session_token: None,
            account: main_account(),
            denies: vec![String::from("GetProducts")],
            expired: false,
            pod: None,
        };
        assert!(!key.allows("GetProducts", Op::Shop));
        assert!(key.allows("DescribeInstanceTypes", Op::Shop));
        key.denies = vec![String::from("changes")];
        assert!(!key.allows("TerminateInstances", Op::Destroy));
        assert!(key.allows("DescribeInstances", Op::List));
    }
}
