//! The reliability policy. There is no fan-out: isolates learn of it with the snapshot, and an instance
//! that is asked with a newer `policy_version` fetches it.
//!
//! Invariant: equal versions mean equal numbers.

use super::{Fleet, audit, policy_checks};
use crate::bindings::fleet::{FleetAnswer, ReliabilityPolicy};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::fleet::put_policy;

impl Fleet {
    pub(super) fn put_policy(
        &mut self,
        cx: &mut Cx<'_>,
        mut policy: ReliabilityPolicy,
    ) -> Result<FleetAnswer, StoreError> {
        policy.version = self.policy.version;
        if policy != self.policy {
            if let Err(refused) = policy_checks::policy(&policy) {
                return Ok(refused.into());
            }
            policy.version += 1;
            put_policy(cx.sql, &policy)?;
            let reason = audit::policy_changes(&self.policy, &policy);
            self.note(cx, "policy.changed", "reliability", reason);
            self.bump();
            self.policy = policy;
        }
        Ok(FleetAnswer::Policy {
            policy: self.policy.clone(),
        })
    }
}
