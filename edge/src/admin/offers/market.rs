//! Every account asked at once for what it can rent.
//!
//! Invariant: offers are in the order of their accounts, oldest first, and each knows whose it is. Nobody waits
//! longer than the slowest account may take.

use tidegate_domain::shop::{Offered, Stock};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::account::{AccountCommand, OffersAnswer};
use tidegate_durable::bindings::fleet::{AccountEntryView, FleetAnswer, FleetCommand};
use tidegate_provider_api::{Availability, Offer, ProviderError};

use crate::admin::{accounts, ask};
use crate::auth::Admin;
use crate::flow::{Question, Step, Unanswered};
use crate::gateway::Cx;

/// A catalogue is read in several pieces, some of them pages; what is not there by then is a failure of that account
/// alone.
pub const OFFERS_TIMEOUT_MS: u64 = 25_000;

/// Whom to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Accounts at this vendor only.
    pub vendor: Option<String>,
    /// This account only.
    pub account: Option<String>,
}

/// An offer, and whose it is.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The account.
    pub account: AccountEntryView,
    /// The offer.
    pub offer: Offer,
    /// When the account read it, in milliseconds since the epoch.
    pub fetched_at_ms: Option<i64>,
}

/// What an account could not tell.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The account.
    pub account: AccountEntryView,
    /// The vendor's error; without one the account itself did not answer.
    pub error: Option<ProviderError>,
}

/// What all of them said.
#[derive(Clone, Debug, Default)]
pub struct Market {
    /// Accounts that were asked.
    pub accounts: usize,
    /// Their offers.
    pub listed: Vec<Listed>,
    /// What they could not tell.
    pub failures: Vec<Failure>,
}

impl Market {
    /// The offers, cut down to what they are picked by who asks for so much disk, in the same places.
    pub fn offered(&self, disk_gb: u32) -> Vec<Offered> {
        let listed = self.listed.iter();
        listed
            .map(|it| offered(&it.account.entry.vendor, &it.offer, disk_gb))
            .collect()
    }

    fn take(&mut self, account: AccountEntryView, answer: Result<OffersAnswer, Unanswered>) {
        let Ok(answer) = answer else {
            self.failures.push(Failure {
                account,
                error: None,
            });
            return;
        };
        for offer in answer.offers {
            self.listed.push(Listed {
                account: account.clone(),
                offer,
                fetched_at_ms: answer.fetched_at_ms,
            });
        }
        for error in answer.failures {
            self.failures.push(Failure {
                account: account.clone(),
                error: Some(error),
            });
        }
    }
}

/// Asks them.
pub fn visit(
    admin: &Admin,
    scope: Scope,
    then: impl FnOnce(&mut Cx<'_>, Market) -> Step + 'static,
) -> Step {
    let org = admin.org.clone();
    ask::fleet(
        admin,
        FleetCommand::Accounts,
        accounts::subject(""),
        move |_, answer| match answer {
            FleetAnswer::Accounts { accounts } => {
                let is_asked = |it: &AccountEntryView| {
                    scope
                        .vendor
                        .as_ref()
                        .is_none_or(|vendor| *vendor == it.entry.vendor)
                        && scope.account.as_ref().is_none_or(|id| *id == it.id)
                };
                let asked: Vec<AccountEntryView> = accounts.into_iter().filter(is_asked).collect();
                let question = |it: &AccountEntryView| {
                    let to = ObjectName::account(org.as_str(), &it.id);
                    Question::new(to, &AccountCommand::Offers, OFFERS_TIMEOUT_MS)
                };
                let questions = asked.iter().map(question).collect();
                Ok(Step::gather(questions, move |cx, answers| {
                    let mut market = Market {
                        accounts: asked.len(),
                        ..Market::default()
                    };
                    for (account, answer) in asked.into_iter().zip(answers) {
                        market.take(account, answer);
                    }
                    then(cx, market)
                }))
            }
            other => Err(Box::new(other)),
        },
    )
}

/// An offer, cut down to what it is picked by; its price is all that is billed while it runs.
pub fn offered(vendor: &str, offer: &Offer, disk_gb: u32) -> Offered {
    Offered {
        vendor: vendor.to_owned(),
        region: offer.region.clone(),
        gpu: offer.gpu.model.clone(),
        gpu_name: offer.gpu.name.clone(),
        count: offer.gpu.count,
        vram_gb: offer.gpu.vram_gb,
        spot: offer.spot,
        microusd_per_hour: offer.running_microusd_per_hour(disk_gb),
        stock: match offer.availability {
            Availability::None => Stock::None,
            Availability::Low => Stock::Low,
            Availability::Unknown => Stock::Unknown,
            Availability::Medium => Stock::Medium,
            Availability::High => Stock::High,
        },
    }
}
