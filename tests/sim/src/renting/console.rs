//! Somebody with a vendor's console, who tells nobody.

use super::cloud::Stage;
use super::operator::{Connected, region_of, type_of};
use super::situations::Situation;
use super::{Event, World};

impl World {
    /// Somebody does something in the vendor's console.
    pub fn use_console(&mut self) {
        let every = self.around.scenario.console_every_ms;
        if self.is_calm() || every == 0 {
            return;
        }
        let gap = self.rng.gap(every);
        self.after(gap, Event::Console);
        let machines = self.around.cloud.machines.len();
        if self.rng.chance(200) {
            return self.make_foreign();
        }
        if machines == 0 {
            return;
        }
        let place = self.rng.index(machines);
        let machine = &self.around.cloud.machines[place];
        let (id, stage, is_spot) = (machine.id.clone(), machine.stage, machine.spec.spot);
        match (stage, self.rng.index(3)) {
            (Stage::Running, 0) if !is_spot => {
                self.note(|| format!("somebody stops {id}"));
                self.met(Situation::StoppedOutside);
                self.begins_to_stop(place, tidegate_provider_api::Ending::Asked);
            }
            (Stage::Stopped, 0 | 1) => {
                self.note(|| format!("somebody starts {id}"));
                self.met(Situation::StartedOutside);
                let now = self.now;
                self.around.cloud.machines[place].started_outside.push(now);
                self.begins_to_start(place);
            }
            (Stage::Pending | Stage::Running | Stage::Stopped, _) => {
                self.note(|| format!("somebody gives {id} back"));
                self.met(Situation::DeletedOutside);
                self.begins_to_end(place, tidegate_provider_api::Ending::Asked);
            }
            _ => {}
        }
    }

    /// A machine turns up that nobody here knows: of ours, from records that were lost; or of another
    /// installation at the same customer account.
    fn make_foreign(&mut self) {
        let Some(account) = self.some_account() else {
            return;
        };
        let Connected {
            tenant,
            fingerprint,
            ..
        } = self.around.operator.accounts[account].clone();
        let is_ours = self.rng.chance(500);
        let number = self.around.cloud.machines.len();
        let digits = if is_ours {
            fingerprint.as_str().to_owned()
        } else {
            format!("{:010x}", 0xf0_0000 + number)
        };
        let name = format!("tidegate-{digits}-lost_{number}-1");
        self.met(if is_ours {
            Situation::Orphaned
        } else {
            Situation::Foreign
        });
        let vendor = self.around.cloud.tenants[tenant].plan.vendor;
        let marker = tidegate_provider_api::Marker::parse(&name).expect("a marker");
        let spec = tidegate_provider_api::CreateSpec {
            marker,
            region: region_of(vendor).to_owned(),
            zone: None,
            machine_type: type_of(360_000),
            gpu_count: 1,
            spot: false,
            max_microusd_per_hour: None,
            disk_gb: 10,
            runtime: tidegate_provider_api::Runtime::default(),
            lifetime_secs: 7 * 24 * 3_600,
            ssh_public_key: None,
            callback: None,
        };
        self.make_machine(tenant, name, spec);
    }
}
