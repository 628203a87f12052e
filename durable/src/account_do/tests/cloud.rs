//! A vendor that does what it is asked, and an instance that wants one machine and then none: for tests that cut
//! the work off anywhere and look at what is left at the end.

use std::collections::BTreeMap;

use tidegate_provider_api::{
    ErrorKind, Machine, MachineState, Page, ProviderError, Reply as VendorReply, Request,
};

use super::world::machine;
use crate::bindings::account::AccountCommand;
use crate::bindings::rental::{VendorAction, VendorFact};

#[derive(Default)]
pub struct Cloud {
    pub machines: BTreeMap<String, Machine>,
    pub is_idempotent: bool,
    pub creates: u32,
}

impl Cloud {
    pub fn alive(&self) -> Vec<String> {
        let alive = self.machines.values();
        let alive = alive.filter(|machine| machine.state != MachineState::Terminated);
        alive.map(|machine| machine.id.clone()).collect()
    }

    pub fn serve(&mut self, request: &Request) -> Result<VendorReply, ProviderError> {
        let not_found = || ProviderError::new(ErrorKind::NotFound, request.operation(), "no such");
        match request {
            Request::Create(spec) => {
                let marker = Some(spec.marker.clone());
                let known = self.machines.values().find(|known| known.marker == marker);
                let made = match known {
                    Some(known) if self.is_idempotent => known.clone(),
                    _ => {
                        self.creates += 1;
                        let id = format!("m{}", self.creates);
                        Machine {
                            marker,
                            ..machine(&id, &spec.marker.instance)
                        }
                    }
                };
                self.machines.insert(made.id.clone(), made.clone());
                Ok(super::world::created(made))
            }
            Request::Get { id, .. } => match self.machines.get(id) {
                Some(machine) => Ok(super::world::shown(machine.clone())),
                None => Err(not_found()),
            },
            Request::List { .. } => Ok(VendorReply::Machines(Page {
                machines: self.machines.values().cloned().collect(),
                next: None,
            })),
            Request::Destroy { id, .. } => match self.machines.get_mut(id) {
                Some(machine) => {
                    machine.state = MachineState::Terminated;
                    Ok(super::world::accepted())
                }
                None => Err(not_found()),
            },
            Request::Bill { .. } => Ok(VendorReply::Bill { microusd: Some(7) }),
            other => panic!("nobody asks for {other:?} here"),
        }
    }
}

/// Rents one machine, gives it back as soon as it is there, and looks until it is gone.
#[derive(Default)]
pub struct Tenant {
    pub acts: u64,
    pub is_over: bool,
    pub facts: Vec<VendorFact>,
}

impl Tenant {
    pub fn hear(&mut self, instance: &str, fact: VendorFact) -> Option<AccountCommand> {
        let (instance, attempt) = (instance.to_owned(), 1);
        let next = match &fact {
            VendorFact::Created { machine } | VendorFact::Seen { machine } => {
                if machine.state == MachineState::Terminated {
                    self.is_over = true;
                    None
                } else {
                    self.is_over = false;
                    self.acts += 1;
                    Some(AccountCommand::Act {
                        instance,
                        attempt,
                        action: VendorAction::Destroy,
                        number: self.acts,
                    })
                }
            }
            VendorFact::ActionTaken { .. } => Some(AccountCommand::Look { instance, attempt }),
            VendorFact::CreateRefused { .. } | VendorFact::Withdrawn => {
                self.is_over = true;
                None
            }
            _ => None,
        };
        self.facts.push(fact);
        next
    }
}
