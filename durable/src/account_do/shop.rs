//! What can be rented, and where: the catalogue, put together from its pieces and kept for a minute.
//!
//! Invariant: however many callers wait, each piece is asked for once; and each caller is answered, in twenty
//! seconds at the latest, with what there is by then and what is missing from it.

use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::call_budget::Priority;
use tidegate_provider_api::{
    CreateSpec, ErrorKind, Offer, Part, ProviderError, Query, Reply as VendorReply, Request,
};

use super::answers::{Ended, unreadable};
use super::calls::{Ask, Purpose};
use super::{Account, Poll, now, resolve};
use crate::bindings::account::{OffersAnswer, RegionsAnswer};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::turn::Reply;

/// How long a caller waits at most.
pub(super) const PATIENCE: Span = Span::from_secs(20);
/// Prices and stock of this age are served as they are,
const FRESH: Span = Span::from_secs(60);
/// and of this age while the vendor is in trouble.
const FRESH_IN_TROUBLE: Span = Span::from_secs(300);
/// A catalogue of more pieces goes round in a circle.
const MOST_PARTS: usize = 500;

/// The catalogue.
#[derive(Default)]
pub(super) struct Offers {
    polls: Vec<Poll>,
    fetch: Option<Fetch>,
    kept: Option<Kept>,
}

/// A catalogue that is being read.
struct Fetch {
    open: usize,
    parts: Vec<Part>,
    failures: Vec<ProviderError>,
}

/// One that was read.
struct Kept {
    offers: Vec<Offer>,
    fetched_at: Timestamp,
    failures: Vec<ProviderError>,
}

impl Kept {
    fn answer(&self, failures: Vec<ProviderError>) -> OffersAnswer {
        OffersAnswer {
            offers: self.offers.clone(),
            fetched_at_ms: Some(self.fetched_at.as_ms()),
            failures,
        }
    }
}

/// The vendor's regions.
#[derive(Default)]
pub(super) struct Regions {
    polls: Vec<Poll>,
    is_asked: bool,
}

impl Account {
    pub(super) fn list_offers(&mut self, cx: &mut Cx<'_>) -> Result<Reply, StoreError> {
        if self.provider().is_none() {
            let failures = vec![not_connected("shop")];
            let answer = OffersAnswer {
                failures,
                ..OffersAnswer::default()
            };
            return now("offers", &answer);
        }
        let fresh = if self.budget.is_troubled() {
            FRESH_IN_TROUBLE
        } else {
            FRESH
        };
        if let Some(kept) = &self.offers.kept
            && cx.now.since(kept.fetched_at) < fresh
        {
            return now("offers", &kept.answer(kept.failures.clone()));
        }
        let (poll, reply) = Self::wait(cx, PATIENCE);
        self.offers.polls.push(poll);
        if self.offers.fetch.is_none() {
            self.fetch_offers(cx)?;
        }
        Ok(reply)
    }

    fn fetch_offers(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let (Some(provider), Some(spec)) = (self.provider(), &self.row.spec) else {
            return Ok(());
        };
        let queries = provider.shop(&spec.settings);
        self.offers.fetch = Some(Fetch {
            open: queries.len(),
            parts: Vec::new(),
            failures: Vec::new(),
        });
        for query in queries {
            self.ask_part(cx, query);
        }
        self.close_fetch(cx)
    }

    fn ask_part(&mut self, cx: &mut Cx<'_>, query: Query) {
        let request = Request::Shop(query);
        let due = cx.now;
        self.ask(cx, read(Purpose::Part, request, due));
    }

    pub(super) fn part_ended(
        &mut self,
        cx: &mut Cx<'_>,
        request: Request,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let Some(fetch) = &mut self.offers.fetch else {
            return Ok(());
        };
        let mut next = None;
        match ended {
            Ok(VendorReply::Part(part)) => {
                let is_circle = |next: &Query| Request::Shop(next.clone()) == request;
                next = part.next.clone().filter(|next| !is_circle(next));
                next = next.filter(|_| fetch.parts.len() < MOST_PARTS);
                fetch.parts.push(part);
            }
            Ok(_) => fetch.failures.push(unreadable("shop")),
            Err(error) => fetch.failures.push(error),
        }
        match next {
            Some(query) => self.ask_part(cx, query),
            None => fetch.open = fetch.open.saturating_sub(1),
        }
        self.close_fetch(cx)
    }

    /// All pieces are there, or will not come.
    fn close_fetch(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let Some(fetch) = self.offers.fetch.take_if(|fetch| fetch.open == 0) else {
            return Ok(());
        };
        let polls = std::mem::take(&mut self.offers.polls);
        if fetch.parts.is_empty() && !fetch.failures.is_empty() {
            // What was read before is worth more than nothing, and says how old it is.
            let answer = match &self.offers.kept {
                Some(kept) => kept.answer(fetch.failures),
                None => OffersAnswer {
                    failures: fetch.failures,
                    ..OffersAnswer::default()
                },
            };
            return resolve(cx, polls, "offers", &answer);
        }
        let kept = Kept {
            offers: self.assemble(&fetch.parts),
            fetched_at: cx.now,
            failures: fetch.failures,
        };
        let answer = kept.answer(kept.failures.clone());
        self.offers.kept = Some(kept);
        resolve(cx, polls, "offers", &answer)
    }

    fn assemble(&self, parts: &[Part]) -> Vec<Offer> {
        match (self.provider(), &self.row.spec) {
            (Some(provider), Some(spec)) => provider.offers(&spec.settings, parts),
            _ => Vec::new(),
        }
    }

    /// What there is while pieces are still missing.
    fn unfinished(&self, now: Timestamp) -> OffersAnswer {
        let late = ProviderError::no_answer("shop", "not all of the catalogue was read in time");
        let Some(fetch) = &self.offers.fetch else {
            return OffersAnswer {
                failures: vec![not_connected("shop")],
                ..OffersAnswer::default()
            };
        };
        let mut failures = fetch.failures.clone();
        failures.push(late);
        match &self.offers.kept {
            Some(kept) => kept.answer(failures),
            None => OffersAnswer {
                offers: self.assemble(&fetch.parts),
                fetched_at_ms: (!fetch.parts.is_empty()).then_some(now.as_ms()),
                failures,
            },
        }
    }

    /// The settings are others: another catalogue.
    pub(super) fn forget_offers(&mut self) {
        self.offers.kept = None;
    }

    /// What an hour of this machine costs, and what its disk and address cost beside it, as far as is known here.
    pub(super) fn price_of(&self, spec: &CreateSpec) -> (Option<u64>, u64) {
        let offers = self.offers.kept.iter().flat_map(|kept| &kept.offers);
        let offer = offers.filter(|offer| {
            offer.machine_type == spec.machine_type
                && offer.region == spec.region
                && offer.spot == spec.spot
                && offer.gpu.count == spec.gpu_count
                && (offer.zone.is_none() || offer.zone == spec.zone)
        });
        let dearest = offer.max_by_key(|offer| offer.microusd_per_hour);
        let price = dearest.and_then(|offer| offer.microusd_per_hour);
        let beside = dearest.map(|offer| offer.beside_microusd_per_hour(spec.disk_gb));
        (
            price.or(spec.max_microusd_per_hour),
            beside.unwrap_or_default(),
        )
    }

    pub(super) fn list_regions(&mut self, cx: &mut Cx<'_>) -> Result<Reply, StoreError> {
        if self.provider().is_none() {
            let error = not_connected("regions");
            return now("regions", &RegionsAnswer::Failed { error });
        }
        let (poll, reply) = Self::wait(cx, PATIENCE);
        self.regions.polls.push(poll);
        if !std::mem::replace(&mut self.regions.is_asked, true) {
            let ask = Ask {
                probes: true,
                ..read(Purpose::Regions, Request::Regions, cx.now)
            };
            self.ask(cx, ask);
        }
        Ok(reply)
    }

    pub(super) fn regions_ended(
        &mut self,
        cx: &mut Cx<'_>,
        ended: Ended,
    ) -> Result<(), StoreError> {
        self.regions.is_asked = false;
        let answer = match ended {
            Ok(VendorReply::Regions { regions }) => RegionsAnswer::Regions { regions },
            Ok(_) => RegionsAnswer::Failed {
                error: unreadable("regions"),
            },
            Err(error) => RegionsAnswer::Failed { error },
        };
        let polls = std::mem::take(&mut self.regions.polls);
        resolve(cx, polls, "regions", &answer)
    }

    /// Whoever has waited long enough gets what there is.
    pub(super) fn answer_late(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let at = cx.now;
        let late = take_late(&mut self.offers.polls, at);
        if !late.is_empty() {
            let answer = self.unfinished(at);
            resolve(cx, late, "offers", &answer)?;
        }
        let late = take_late(&mut self.regions.polls, at);
        let error = ProviderError::no_answer("regions", "the vendor has not answered yet");
        resolve(cx, late, "regions", &RegionsAnswer::Failed { error })?;
        self.answer_late_test(cx)?;
        self.answer_late_rotation(cx)
    }

    /// The account is no more.
    pub(super) fn send_callers_away(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let polls = std::mem::take(&mut self.offers).polls;
        let answer = OffersAnswer {
            failures: vec![not_connected("shop")],
            ..OffersAnswer::default()
        };
        resolve(cx, polls, "offers", &answer)?;
        let polls = std::mem::take(&mut self.regions).polls;
        let error = not_connected("regions");
        resolve(cx, polls, "regions", &RegionsAnswer::Failed { error })?;
        self.dismiss_test(cx)?;
        self.dismiss_rotation(cx)
    }

    /// When somebody has waited long enough.
    pub(super) fn next_late_answer(&self) -> Option<Timestamp> {
        let polls = self.offers.polls.iter().chain(&self.regions.polls);
        let polls = polls.map(|poll| poll.until);
        polls.chain(self.other_polls()).min()
    }
}

/// Takes out whoever has waited long enough. A clock that jumped back must not let anybody wait longer.
pub(super) fn take_late(polls: &mut Vec<Poll>, now: Timestamp) -> Vec<Poll> {
    let is_late = |poll: &Poll| poll.until <= now || now + PATIENCE.times(2) < poll.until;
    let late = polls.iter().copied().filter(is_late).collect();
    polls.retain(|poll| !is_late(poll));
    late
}

/// A read for a person, or for a price list.
pub(super) fn read(purpose: Purpose, request: Request, due: Timestamp) -> Ask {
    Ask {
        purpose,
        request,
        priority: Priority::Shop,
        probes: false,
        sealed: None,
        due,
        sent: None,
    }
}

pub(super) fn not_connected(operation: &str) -> ProviderError {
    let words = "the account is not connected here; connect it, or wait a moment if you just did";
    ProviderError::new(ErrorKind::Validation, operation, words)
}
