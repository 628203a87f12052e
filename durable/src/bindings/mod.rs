//! The messages between objects and their callers: one file per object, used by both sides. What the
//! fleet's messages are about is in `server` and `policy`.
//!
//! Invariant: a message of the release before can still be read. Fields are only added, each with a
//! `#[serde(default)]`; variants are never renamed.

pub mod account;
pub mod directory;
pub mod fleet;
pub mod instance;
pub mod journal;
pub mod key;
pub mod ledger;
pub mod log;
pub mod model;
pub mod once;
mod policy;
pub mod profile;
pub mod rental;
mod routing;
mod server;
pub mod totals;

use serde::{Deserialize, Serialize};

/// Which class an object belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// One account at a vendor of GPUs.
    Account,
    /// Every organisation there is.
    Directory,
    /// One organisation's registry.
    Fleet,
    /// One server.
    Instance,
    /// An organisation's audit, request log and totals.
    Journal,
    /// One API key's limits.
    Key,
    /// An organisation's money.
    Ledger,
    /// Waiting requests of one model.
    Model,
}

impl ObjectKind {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Account,
        Self::Directory,
        Self::Fleet,
        Self::Instance,
        Self::Journal,
        Self::Key,
        Self::Ledger,
        Self::Model,
    ];

    /// The first segment of an object's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Directory => "directory",
            Self::Fleet => "fleet",
            Self::Instance => "instance",
            Self::Journal => "journal",
            Self::Key => "key",
            Self::Ledger => "ledger",
            Self::Model => "model",
        }
    }

    /// The class with this first segment.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The full name of an object, as a path: `instance/{org}/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ObjectName {
    kind: ObjectKind,
    path: String,
}

impl ObjectName {
    /// The one directory of the installation.
    pub fn directory() -> Self {
        Self {
            kind: ObjectKind::Directory,
            path: "directory".into(),
        }
    }

    /// An organisation's account at a vendor of GPUs.
    pub fn account(org: &str, id: &str) -> Self {
        Self {
            kind: ObjectKind::Account,
            path: format!("account/{org}/{id}"),
        }
    }

    /// An organisation's money.
    pub fn ledger(org: &str) -> Self {
        Self {
            kind: ObjectKind::Ledger,
            path: format!("ledger/{org}"),
        }
    }

    /// The registry of an organisation.
    pub fn fleet(org: &str) -> Self {
        Self {
            kind: ObjectKind::Fleet,
            path: format!("fleet/{org}"),
        }
    }

    /// A server of an organisation.
    pub fn instance(org: &str, id: &str) -> Self {
        Self {
            kind: ObjectKind::Instance,
            path: format!("instance/{org}/{id}"),
        }
    }

    /// The journal of an organisation for one UTC day (`2026-11-21`).
    pub fn journal(org: &str, day: &str) -> Self {
        Self {
            kind: ObjectKind::Journal,
            path: format!("journal/{org}/{day}"),
        }
    }

    /// A part of an organisation's request log of one UTC day.
    pub fn log(org: &str, day: &str, shard: u32) -> Self {
        Self {
            kind: ObjectKind::Journal,
            path: format!("journal/{org}/{day}/{shard}"),
        }
    }

    /// An organisation's totals since its first request.
    pub fn totals(org: &str) -> Self {
        Self {
            kind: ObjectKind::Journal,
            path: format!("journal/{org}/totals"),
        }
    }

    /// The limits of an API key.
    pub fn key(org: &str, id: &str) -> Self {
        Self {
            kind: ObjectKind::Key,
            path: format!("key/{org}/{id}"),
        }
    }

    /// The waiting requests of a model. The name may hold slashes (`meta-llama/Llama-3`).
    pub fn model(org: &str, model: &str) -> Self {
        Self {
            kind: ObjectKind::Model,
            path: format!("model/{org}/{model}"),
        }
    }

    /// Reads a name back.
    pub fn parse(path: &str) -> Option<Self> {
        let first = path.split('/').next()?;
        Some(Self {
            kind: ObjectKind::parse(first)?,
            path: path.to_owned(),
        })
    }

    /// The class.
    pub const fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// The organisation, for every class but the directory.
    pub fn org(&self) -> Option<&str> {
        self.path.split('/').nth(1)
    }

    /// What follows the organisation: an instance's id, a model's name, a day, a day and a part of it.
    pub fn tail(&self) -> Option<&str> {
        self.path.splitn(3, '/').nth(2)
    }

    /// The whole path.
    pub fn as_str(&self) -> &str {
        &self.path
    }
}

impl core::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.path)
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> Self {
        name.path
    }
}

impl TryFrom<String> for ObjectName {
    type Error = String;
    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::parse(&path).ok_or_else(|| format!("`{path}` is not the name of an object"))
    }
}
