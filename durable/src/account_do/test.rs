//! Testing an account: is the vendor there, does the credential count, what may it do?
//!
//! Invariant: every caller gets a report within twenty seconds; what could not be found out by then says so, and
//! is neither allowed nor forbidden.

use tidegate_domain::time::Timestamp;
use tidegate_provider_api::{ErrorKind, ProviderError, Reply as VendorReply, Request};

use super::answers::{Ended, unreadable};
use super::calls::{Ask, Purpose};
use super::shop::{PATIENCE, not_connected, read, take_late};
use super::{Account, Poll, now, resolve};
use crate::bindings::account::{PermissionReport, TestReport};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::turn::Reply;

/// A test that runs, and who waits for it.
#[derive(Default)]
pub(super) struct Testing {
    polls: Vec<Poll>,
    report: TestReport,
    /// Answers that are still to come; none while no test runs.
    open: usize,
}

impl Account {
    pub(super) fn test(&mut self, cx: &mut Cx<'_>) -> Result<Reply, StoreError> {
        if self.provider().is_none() {
            let report = TestReport {
                error: Some(not_connected("verify")),
                ..TestReport::default()
            };
            return now("test report", &report);
        }
        let (poll, reply) = Self::wait(cx, PATIENCE);
        self.testing.polls.push(poll);
        if self.testing.open == 0 {
            self.testing.open = 1;
            self.testing.report = TestReport::default();
            let ask = probe(Purpose::Verify, Request::Verify, cx.now);
            self.ask(cx, ask);
        }
        Ok(reply)
    }

    pub(super) fn verify_ended(&mut self, cx: &mut Cx<'_>, ended: Ended) -> Result<(), StoreError> {
        let report = &mut self.testing.report;
        match ended {
            Ok(VendorReply::Verified { principal }) => {
                report.reachable = true;
                report.authenticated = true;
                report.principal = principal;
                self.ask_permissions(cx);
            }
            Ok(_) => report.error = Some(unreadable("verify")),
            Err(error) => {
                report.reachable = answered(&error);
                report.error = Some(error);
            }
        }
        self.answer_came(cx)
    }

    /// One region is enough: what a key may do is the same in all of them.
    fn ask_permissions(&mut self, cx: &mut Cx<'_>) {
        let (Some(provider), Some(spec)) = (self.provider(), &self.row.spec) else {
            return;
        };
        let Some(region) = provider.list_regions(&spec.settings).into_iter().next() else {
            return;
        };
        let permissions = provider.permissions();
        self.testing.open += permissions.len();
        self.testing.report.permissions = permissions
            .iter()
            .map(|permission| PermissionReport {
                name: permission.name.to_owned(),
                allowed: None,
                required: permission.required,
                detail: "the vendor did not say in time".to_owned(),
            })
            .collect();
        for permission in permissions {
            let name = permission.name.to_owned();
            let request = Request::Check {
                permission: name.clone(),
                region: region.clone(),
            };
            let ask = probe(Purpose::Permission(name), request, cx.now);
            self.ask(cx, ask);
        }
    }

    pub(super) fn permission_ended(
        &mut self,
        cx: &mut Cx<'_>,
        name: &str,
        ended: Ended,
    ) -> Result<(), StoreError> {
        let permissions = self.provider().map(|provider| provider.permissions());
        let without = permissions
            .unwrap_or_default()
            .iter()
            .find(|permission| permission.name == name)
            .map_or("", |permission| permission.without);
        let (allowed, detail) = match &ended {
            Ok(_) => (Some(true), String::new()),
            Err(error) if error.kind == ErrorKind::Auth => (Some(false), without.to_owned()),
            Err(error) => (None, error.to_string()),
        };
        let report = &mut self.testing.report;
        let known = report.permissions.iter_mut();
        if let Some(permission) = known.into_iter().find(|known| known.name == name) {
            permission.allowed = allowed;
            permission.detail = detail;
        }
        if let Err(error) = ended {
            report.error.get_or_insert(error);
        }
        self.answer_came(cx)
    }

    fn answer_came(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        self.testing.open = self.testing.open.saturating_sub(1);
        if self.testing.open > 0 {
            return Ok(());
        }
        let polls = std::mem::take(&mut self.testing.polls);
        resolve(cx, polls, "test report", &self.testing.report)
    }

    pub(super) fn answer_late_test(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let late = take_late(&mut self.testing.polls, cx.now);
        if late.is_empty() {
            return Ok(());
        }
        let mut report = self.testing.report.clone();
        if report.error.is_none() {
            let words = "the vendor has not answered all of the test in time";
            report.error = Some(ProviderError::no_answer("verify", words));
        }
        resolve(cx, late, "test report", &report)
    }

    pub(super) fn dismiss_test(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let Testing { polls, .. } = std::mem::take(&mut self.testing);
        let report = TestReport {
            error: Some(not_connected("verify")),
            ..TestReport::default()
        };
        resolve(cx, polls, "test report", &report)
    }

    /// When callers of a test or a rotation have waited long enough.
    pub(super) fn other_polls(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let tests = self.testing.polls.iter().map(|poll| poll.until);
        let rotations = self.rotation.iter();
        tests.chain(rotations.map(|rotation| rotation.poll.until))
    }
}

fn probe(purpose: Purpose, request: Request, due: Timestamp) -> Ask {
    Ask {
        probes: true,
        ..read(purpose, request, due)
    }
}

/// Whether the vendor was there, if only to say no.
fn answered(error: &ProviderError) -> bool {
    error.http_status.is_some() || error.kind != ErrorKind::Network
}
