//! What an operator thinks of: verbs, budgets, credentials, accounts.

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::account::AccountCommand;
use tidegate_durable::bindings::fleet::FleetCommand;
use tidegate_durable::bindings::rental::RentalVerb;

use super::cloud::key;
use super::operator::{Connected, ORGS, Then};
use super::situations::Situation;
use super::{Event, World};

impl World {
    /// The operator thinks of something.
    pub fn think_of_a_change(&mut self) {
        let every = self.around.scenario.change_every_ms;
        if self.is_calm() || every == 0 {
            return;
        }
        let gap = self.rng.gap(every);
        self.after(gap, Event::Change);
        let rentals = self.around.operator.rentals.len();
        match self.rng.index(12) {
            0..=4 if rentals > 0 => {
                let rental = self.rng.index(rentals);
                let verb = self.rng.pick(&[
                    RentalVerb::Stop,
                    RentalVerb::Stop,
                    RentalVerb::Start,
                    RentalVerb::Start,
                    RentalVerb::Drain,
                    RentalVerb::Resume,
                    RentalVerb::Terminate,
                ]);
                self.say(rental, verb, 3);
            }
            5 => self.change_budget(),
            6 => self.rotate(),
            7 => self.remove(),
            8 => self.lock_out(),
            _ => self.ask_account(),
        }
    }

    pub(super) fn some_account(&mut self) -> Option<usize> {
        let accounts = self.around.operator.accounts.len();
        let account = self.rng.index(accounts);
        let is_there = !self.around.operator.accounts[account].is_removed;
        is_there.then_some(account)
    }

    pub(super) fn account_object(&self, account: usize) -> ObjectName {
        let Connected { org, id, .. } = &self.around.operator.accounts[account];
        ObjectName::account(ORGS[*org], id)
    }

    fn change_budget(&mut self) {
        let budgets = self.around.scenario.budgets.len();
        if budgets == 0 {
            return;
        }
        let plan = self.around.scenario.budgets[self.rng.index(budgets)].clone();
        let percent = self.rng.pick(&[30_u64, 60, 150, 400]);
        let cap = (plan.cap * percent / 100).max(1);
        let was_idle = self.around.operator.is_idle();
        self.around
            .operator
            .put_budget(0, plan.scope, plan.period, cap);
        if was_idle {
            self.after(0, Event::Operate);
        }
    }

    fn rotate(&mut self) {
        let Some(account) = self.some_account() else {
            return;
        };
        let tenant = self.around.operator.accounts[account].tenant;
        self.around.operator.keys += 1;
        let number = self.around.operator.keys;
        let is_blinding = self.live_machines_of(account).is_empty();
        let key = if !is_blinding && self.rng.chance(400) {
            // It counts, and shows none of what is rented.
            format!("stranger {number}")
        } else {
            let key = key(tenant, number);
            self.around.cloud.tenants[tenant].keys.insert(key.clone());
            key
        };
        let command = AccountCommand::Rotate {
            sealed: key.clone(),
        };
        let to = self.account_object(account);
        self.command(to, &command, Then::Rotated { account, key }, 3);
    }

    pub(super) fn rotated(&mut self, account: usize, key: String) {
        self.met(Situation::Rotated);
        self.check_rotation(account, &key);
        let is_strange = key.starts_with("stranger");
        let old = std::mem::replace(&mut self.around.operator.accounts[account].key, key);
        if is_strange {
            // What was rented had just gone. The right one follows; until then nobody is let in.
            let (tenant, now) = (self.around.operator.accounts[account].tenant, self.now);
            self.around.cloud.tenants[tenant]
                .lockouts
                .push((now, now + 90_000));
            let (key, to) = (old, self.account_object(account));
            let command = AccountCommand::Rotate {
                sealed: key.clone(),
            };
            return self.command(to, &command, Then::Rotated { account, key }, u32::MAX);
        }
        // It may be in use elsewhere, and calls may be under way with it.
        let still = self.around.operator.accounts.iter().any(|it| it.key == old);
        if !still {
            let tenant = self.around.operator.accounts[account].tenant;
            self.after(90_000, Event::Revoke { tenant, key: old });
        }
    }

    /// A credential is taken back at the vendor.
    pub fn revoke(&mut self, tenant: usize, key: &str) {
        let in_use = self.around.operator.accounts.iter().any(|it| it.key == key);
        if !in_use {
            self.around.cloud.tenants[tenant].keys.remove(key);
        }
    }

    fn remove(&mut self) {
        let Some(account) = self.some_account() else {
            return;
        };
        let command = AccountCommand::Remove {
            generation: 1_000_000 + self.now.unsigned_abs() / 1_000,
        };
        let to = self.account_object(account);
        self.command(to, &command, Then::Removed { account }, u32::MAX);
    }

    /// An account is forgotten; a new one of the same customer takes its place.
    pub(super) fn removed(&mut self, account: usize) {
        self.met(Situation::AccountRemoved);
        self.check_removal(account);
        let Connected {
            org,
            id,
            tenant,
            key,
            ..
        } = self.around.operator.accounts[account].clone();
        self.around.operator.accounts[account].is_removed = true;
        let command = FleetCommand::RemoveAccount { id };
        self.command(
            ObjectName::fleet(ORGS[org]),
            &command,
            Then::Nothing,
            u32::MAX,
        );
        let scenario = self.around.scenario.clone();
        self.around.operator.connect(&scenario, org, tenant, key);
    }

    /// The vendor lets nobody in for a while.
    fn lock_out(&mut self) {
        let tenants = self.around.cloud.tenants.len();
        let tenant = self.rng.index(tenants);
        let lasts = self.rng.range(20_000, 8 * 60_000);
        let now = self.now;
        self.note(|| format!("customer {tenant} is locked out for {lasts} ms"));
        self.around.cloud.tenants[tenant]
            .lockouts
            .push((now, now + lasts));
    }

    fn ask_account(&mut self) {
        let Some(account) = self.some_account() else {
            return;
        };
        let to = self.account_object(account);
        let machines = self.around.cloud.machines.len();
        let machine = (machines > 0).then(|| self.rng.index(machines));
        let command = match self.rng.index(5) {
            0 => AccountCommand::Test,
            1 => AccountCommand::Offers,
            2 => AccountCommand::Sweep,
            3 => AccountCommand::Regions,
            _ => AccountCommand::Hint {
                event_id: format!("hint {}", self.now),
                digest: "d".to_owned(),
                machine: machine.map(|place| self.around.cloud.machines[place].id.clone()),
            },
        };
        self.command(to, &command, Then::Nothing, 1);
    }
}
