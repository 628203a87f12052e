//! What a vendor may or may not be able to do, as far as tests ask for it.
//!
//! Invariant: nothing is skipped. Where a vendor lacks what a test is about, the vendor's adapter must say so
//! before anything is sent, and that is what the test finds out there instead.

use tidegate_provider_api::{Capability, ErrorKind, MachineState, Request, Switch};

use crate::rig::{Rig, SHORT_LIFE_MS};

/// An ability that a test may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Machines that may be taken away.
    Spot,
    /// A stopped machine keeps its disk and can be started again.
    StopStart,
    /// Public TLS in front of what a machine serves.
    PublicTls,
    /// A bill for one machine.
    Bills,
    /// A machine that nobody looks after ends in time.
    TimeLimit,
}

impl Ability {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Spot,
        Self::StopStart,
        Self::PublicTls,
        Self::Bills,
        Self::TimeLimit,
    ];

    /// Whether a vendor has it.
    pub const fn is_of(self, capability: &Capability) -> bool {
        match self {
            Self::Spot => capability.spot,
            Self::StopStart => capability.stop_start,
            Self::PublicTls => capability.public_tls,
            Self::Bills => capability.bills,
            Self::TimeLimit => capability.time_limit.is_some(),
        }
    }

    /// A vendor that has it not is not asked for it, and nobody is led to believe that it has.
    pub fn lacks(self, rig: &mut Rig) {
        match self {
            Self::Spot => {
                let offers = rig.offers();
                assert!(offers.iter().all(|offer| !offer.spot));
                let mut spec = rig.spec(1);
                spec.spot = true;
                not_sent(rig, Request::Create(Box::new(spec)));
                assert_eq!(rig.sim.living(), 0);
            }
            Self::StopStart => {
                let machine = rig.running(1);
                let (region, id) = (machine.region.clone(), machine.id.clone());
                let start = Request::Start {
                    region: region.clone(),
                    id: id.clone(),
                };
                not_sent(rig, Request::Stop { region, id });
                not_sent(rig, start);
                assert_eq!(rig.see(&machine).state, MachineState::Running);
            }
            Self::PublicTls => {
                let machine = rig.running(1);
                assert_eq!(machine.endpoint, None);
            }
            Self::Bills => {
                let machine = rig.running(1);
                let bill = rig.bill_request(&machine);
                not_sent(rig, bill);
            }
            Self::TimeLimit => {
                let switches = rig.capability.switches();
                assert_eq!(switches, [Switch::Alarm, Switch::Sweep]);
                let machine = rig.short_lived();
                rig.sim.advance(SHORT_LIFE_MS * 2);
                assert_eq!(rig.see(&machine).state, MachineState::Running);
            }
        }
    }
}

fn not_sent(rig: &mut Rig, request: Request) {
    let before = rig.sim.calls().len();
    let error = rig.ask(request).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Validation, "{error}");
    assert!(error.permanent && !error.unclear, "{error}");
    assert_eq!(error.http_status, None);
    assert_eq!(rig.sim.calls().len(), before, "it was sent all the same");
}
