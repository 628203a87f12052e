//! Who pays for a rented GPU: a request's share is its part of the time that it held a place.
//!
//! Invariant: shares never exceed what the window costs at that moment; what an eviction forgets of a request
//! that runs is nobody's share, and so the window's idle part.

use std::collections::BTreeMap;

use tidegate_domain::ids::RequestId;
use tidegate_domain::money::{LeaseTime, ShareMeter};
use tidegate_domain::time::{Span, Timestamp};

use super::{Rental, terms};
use crate::driver::Cx;
use crate::ports::StoreError;

/// Shares wait for others so long before the ledger hears of them: a key's cap binds within this.
const STATED_WITHIN: Span = Span::from_secs(60);

/// Requests that ask or run, and what they have used so far.
#[derive(Default)]
pub(super) struct Shares {
    asking: BTreeMap<RequestId, String>,
    running: BTreeMap<RequestId, (String, Timestamp)>,
    meter: ShareMeter,
    unstated_since: Option<Timestamp>,
}

impl Shares {
    /// As they were stored.
    pub(super) fn restore(shares: BTreeMap<String, u64>) -> Self {
        Self {
            meter: ShareMeter::restore(shares),
            ..Self::default()
        }
    }

    /// When the ledger is to hear of them.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.unstated_since.map(|since| since + STATED_WITHIN)
    }

    /// Micro-dollars by payer, since the window opened; the ledger hears of them now.
    pub(super) fn stated(&mut self) -> BTreeMap<String, u64> {
        self.unstated_since = None;
        self.meter.shares().clone()
    }

    /// Another window begins.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Rental {
    /// A request asks for a place.
    pub(in crate::instance_do) fn asks(&mut self, request: RequestId, payer: String) {
        self.shares.asking.insert(request, payer);
    }

    /// It gets none.
    pub(in crate::instance_do) fn is_denied(&mut self, request: &RequestId) {
        self.shares.asking.remove(request);
    }

    /// A place was given, or held longer.
    pub(in crate::instance_do) fn holds(&mut self, now: Timestamp, request: &RequestId) {
        if let Some(payer) = self.shares.asking.remove(request) {
            self.shares.running.insert(request.clone(), (payer, now));
        }
    }

    /// A place is free again.
    pub(in crate::instance_do) fn leaves(&mut self, now: Timestamp, request: &RequestId) {
        let Some((payer, since)) = self.shares.running.remove(request) else {
            return;
        };
        let Some(current) = self.life.current() else {
            return;
        };
        let can = self
            .candidate_of(self.life.attempt())
            .map(|candidate| terms::capability(&candidate.vendor));
        let Some(can) = can else {
            return;
        };
        let window = current.costs.window(
            Span::from_ms(can.billing_minimum_ms),
            Span::from_ms(can.billing_step_ms),
        );
        let used = LeaseTime {
            lease: now.since(since),
            microusd_per_hour: current.costs.rate().unwrap_or_default(),
            max_concurrency: self.launch.runtime.max_concurrency,
        };
        self.shares.meter.add(&payer, used, window.cost(now));
        self.shares.unstated_since.get_or_insert(now);
    }

    /// Tells the ledger of shares that have waited long enough.
    pub(super) fn state_shares(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if self.shares.due().is_some_and(|due| due <= cx.now) {
            let attempt = self.life.attempt();
            self.state_window(cx, attempt)?;
        }
        Ok(())
    }
}
