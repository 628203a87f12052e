//! The vendor, asked as the gateway asks it.
//!
//! Invariant: a list is whole or it is an error. The credential is sealed with a key that lives as long as this
//! process, so that calls go through the very code that opens, pins and redacts for the gateway.

use std::collections::BTreeSet;

use tidegate_domain::backoff::exponential;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::turn::{Bearer, VendorCall};
use tidegate_provider_api::{
    Credential, ErrorKind, Fingerprint, Machine, Provider, ProviderError, Reply, Request, Settings,
};
use tidegate_provider_calls::VendorCalls;
use tidegate_provider_send::{Sender, call};
use tidegate_providers::VendorOrigins;
use tidegate_vault::{Context, Installation, Keyring, SEAL_RANDOM, seal};

use crate::clock::Clock;

const ORG: &str = "sweep";
const RECORD: &str = "account/sweep";
const FIELD: &str = "credential";

/// A region is listed so often before its trouble is taken for lasting.
const TRIES: u32 = 3;
const PAUSE: Span = Span::from_secs(2);
const LONGEST_PAUSE: Span = Span::from_secs(30);
/// A list of more pages than this goes round in a circle.
const MOST_PAGES: u32 = 1_000;

/// The vendor.
pub struct Vendor {
    provider: &'static dyn Provider,
    calls: VendorCalls,
    sender: Sender,
    credential: Bearer,
    settings: Settings,
}

/// Everything that a vendor has, at one time.
#[derive(Debug)]
pub struct Listing {
    /// When the first list was begun: what was made later need not be in it.
    pub begun_at: Timestamp,
    /// Machines with our mark, each once.
    pub ours: Vec<Machine>,
    /// Marks of other installations or accounts of ours that share the vendor's account.
    pub others: BTreeSet<Fingerprint>,
    /// The regions that were listed.
    pub regions: Vec<String>,
}

impl Vendor {
    /// A vendor that is asked with this credential.
    ///
    /// # Errors
    /// In words, when the computer has no chance to draw from.
    pub fn new(
        provider: &'static dyn Provider,
        credential: &Credential,
        origins: VendorOrigins,
    ) -> Result<Self, String> {
        let no_chance = |_| "this computer has no source of random numbers".to_owned();
        let (mut key, mut random) = ([0; 32], [0; SEAL_RANDOM]);
        getrandom::fill(&mut key).map_err(no_chance)?;
        getrandom::fill(&mut random).map_err(no_chance)?;
        let installation = Installation::derive(&key).map_err(|weak| weak.to_string())?;
        let keyring = Keyring::new(installation.wrapping_key().clone(), None);
        let context = Context {
            organisation: ORG,
            record: RECORD,
            field: FIELD,
        };
        let plaintext = credential.to_plaintext();
        let sealed = seal(&keyring, &context, plaintext.expose(), &random)
            .map_err(|refused| refused.to_string())?;
        Ok(Self {
            provider,
            calls: VendorCalls {
                installation,
                keyring,
                origins,
                find: tidegate_providers::by_name,
            },
            sender: Sender::new(),
            credential: Bearer {
                org: ORG.to_owned(),
                record: RECORD.to_owned(),
                sealed: sealed.into_string(),
            },
            settings: Settings::default(),
        })
    }

    /// Settings of the account.
    ///
    /// # Errors
    /// In words, when they are none of this vendor's.
    pub fn set(&mut self, settings: Settings) -> Result<(), String> {
        self.provider
            .check_settings(&settings)
            .map_err(|refused| format!("the setting {refused}"))?;
        self.settings = settings;
        Ok(())
    }

    /// What people call it.
    pub fn title(&self) -> &'static str {
        self.provider.title()
    }

    /// A machine that was made is in every list after this long.
    pub fn list_lag(&self) -> Span {
        Span::from_ms(self.provider.capability().list_lag_ms)
    }

    /// Asks it.
    ///
    /// # Errors
    /// In its words.
    pub fn ask(&self, request: Request) -> Result<Reply, ProviderError> {
        let asked = VendorCall {
            id: 0,
            vendor: self.provider.vendor().to_owned(),
            credential: self.credential.clone(),
            settings: self.settings.clone(),
            request,
            timeout_ms: self.provider.capability().call_timeout_ms,
        };
        call(&self.sender, &self.calls, &asked)
    }

    /// Lists every region to its end.
    ///
    /// # Errors
    /// When a single page of a single region could not be had: then nothing is known of any.
    pub fn list(
        &self,
        clock: &dyn Clock,
        fingerprint: &Fingerprint,
    ) -> Result<Listing, ProviderError> {
        let begun_at = clock.now();
        let regions = self.provider.list_regions(&self.settings);
        let mut listing = Listing {
            begun_at,
            ours: Vec::new(),
            others: BTreeSet::new(),
            regions: regions.clone(),
        };
        for region in &regions {
            for machine in self.patiently(clock, region)? {
                let Some(marker) = &machine.marker else {
                    continue;
                };
                if marker.fingerprint != *fingerprint {
                    listing.others.insert(marker.fingerprint.clone());
                    continue;
                }
                // Pages may overlap; the later word counts.
                listing.ours.retain(|known| known.id != machine.id);
                listing.ours.push(machine);
            }
        }
        Ok(listing)
    }

    fn patiently(&self, clock: &dyn Clock, region: &str) -> Result<Vec<Machine>, ProviderError> {
        let mut tries = 0;
        loop {
            let error = match self.whole(region) {
                Ok(machines) => return Ok(machines),
                Err(error) => error,
            };
            tries += 1;
            let passes = matches!(error.kind, ErrorKind::Network | ErrorKind::RateLimited);
            if !passes || tries >= TRIES {
                return Err(error);
            }
            let wanted = error.retry_after_ms.and_then(|ms| i64::try_from(ms).ok());
            let pause = exponential(PAUSE, LONGEST_PAUSE, tries - 1);
            clock.wait(Span::from_ms(wanted.unwrap_or(0)).max(pause));
        }
    }

    fn whole(&self, region: &str) -> Result<Vec<Machine>, ProviderError> {
        let mut machines = Vec::new();
        let mut page = None;
        for _ in 0..MOST_PAGES {
            let asked = Request::List {
                region: region.to_owned(),
                page,
            };
            let answered = match self.ask(asked)? {
                Reply::Machines(answered) => answered,
                _ => return Err(odd("list")),
            };
            machines.extend(answered.machines);
            match answered.next {
                None => return Ok(machines),
                next => page = next,
            }
        }
        Err(ProviderError::new(
            ErrorKind::Network,
            "list",
            "the list goes round in a circle",
        ))
    }
}

/// An answer to another question.
pub fn odd(operation: &str) -> ProviderError {
    let words = "the answer is not one to what was asked";
    ProviderError::new(ErrorKind::Network, operation, words)
}
