//! `Ledger`: an organisation's money.

use crate::bindings::instance::Done;
use crate::bindings::ledger::LedgerCommand;
use crate::driver::{Cx, Object, TurnError, encode};
use crate::ports::StoreError;
use crate::turn::{EffectId, Outcome, Reply};
use tidegate_domain::time::Timestamp;

/// In memory.
pub struct Ledger {}

impl Object for Ledger {
    const SCHEMA: &'static [&'static str] = &[];

    fn open(_: &mut Cx<'_>) -> Result<Self, StoreError> {
        Ok(Self {})
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let _: LedgerCommand =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        Ok(Reply::Now(encode("done", &Done {})?))
    }

    fn alarm(&mut self, _: &mut Cx<'_>) -> Result<(), TurnError> {
        Ok(())
    }

    fn done(&mut self, _: &mut Cx<'_>, _: EffectId, _: Outcome) -> Result<(), TurnError> {
        Ok(())
    }

    fn next_alarm(&self) -> Option<Timestamp> {
        None
    }
}
