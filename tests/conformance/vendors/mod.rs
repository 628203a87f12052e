//! Every vendor, as a row: how simcloud plays it, what its adapter is given, and what only simcloud knows and
//! the adapter has to find out.

pub mod aws;
pub mod runpod;

use serde_json::{Value, json};
use tidegate_provider_api::Availability;
use tidegate_simcloud::cloud::Cloud;
use tidegate_simcloud::machine::Machine;
use tidegate_simcloud::world::World;

/// A vendor.
pub struct Row {
    /// Its name, here and in simcloud.
    pub vendor: &'static str,
    /// Its first key in simcloud, which may do everything.
    pub key: fn() -> Key,
    /// A key that simcloud does not know yet, as an order and as a credential.
    pub other_key: fn() -> (Value, Key),
    /// Settings of the account.
    pub settings: &'static [(&'static str, &'static str)],
    /// Where its hosts are, as `VENDOR_ORIGINS` has it.
    pub origins: fn(&Cloud) -> String,
    /// Region and type of a machine that there are enough of.
    pub rents: (&'static str, &'static str),
    /// Of its permissions each, with the operations that simcloud has to forbid for it, and what else is lost
    /// with them.
    pub permissions: &'static [Forbidden],
    /// Every region that there is.
    pub regions: &'static [&'static str],
    /// An id of the right form that no machine has.
    pub unknown_id: &'static str,
    /// What should be on offer, with the row's settings.
    pub shelf: fn(&World) -> Vec<Shelved>,
    /// Where its prices come from.
    pub prices: &'static [PriceList],
    /// Where simcloud keeps the stock of the kind that is rented.
    pub stocked: &'static str,
    /// Whether the catalogue tells how many there are.
    pub tells_stock: bool,
    /// Whether "too many calls" comes with a time to wait.
    pub tells_wait: bool,
    /// Whether "it is given back" is an answer without a body.
    pub ends_without_a_word: bool,
    /// All that the vendor was told about what is to run on a machine, as text.
    pub received: fn(&Machine) -> String,
    /// Takes every sign of ours off a machine.
    pub disown: fn(&mut Machine),
    /// A refusal that says these words, as the vendor would write it: status and body.
    pub refusal: fn(&str) -> (u16, Value),
}

/// A key, as the form asks for it.
pub struct Key {
    /// Fields of the credential.
    pub fields: Vec<(&'static str, String)>,
}

/// An operation that tells prices.
pub struct PriceList {
    /// As simcloud calls it.
    pub operation: &'static str,
    /// Whether it tells the price of this.
    pub tells: fn(&Shelved) -> bool,
}

/// What is lost when operations are forbidden.
pub struct Forbidden {
    /// Simcloud's operations, or kinds of them.
    pub operations: &'static [&'static str],
    /// Permissions, by name.
    pub lost: &'static [&'static str],
}

/// What stands in simcloud's shop, in the words of an offer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shelved {
    /// Where.
    pub region: String,
    /// Where in there.
    pub zone: Option<String>,
    /// Which.
    pub machine_type: String,
    /// GPUs.
    pub count: u32,
    /// GB of one of them.
    pub vram_gb: u32,
    /// May be taken away.
    pub spot: bool,
    /// All of it, an hour.
    pub microusd: Option<u64>,
    /// How many there are.
    pub availability: Availability,
}

/// An order for simcloud to add a key.
pub fn key_order(vendor: &str, id: &str, secret: Option<&str>) -> Value {
    json!({"vendor": vendor, "id": id, "secret": secret})
}
