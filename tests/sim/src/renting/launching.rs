//! A launch as the edge would send it, and requests to what is rented.

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::instance::{
    Ask, AskAnswer, AskKind, AskMode, InstanceCommand, OutcomeWire, Settled, Turnover,
};
use tidegate_durable::bindings::rental::{
    Candidate, Ends, Launch, OnIdle, Preload, RuntimeSpec, StopWindowSpec,
};
use tidegate_provider_api::{Availability, DiskPrice, Gpu, Offer};

use super::cloud::{address_rate, beside, disk_rate};
use super::operator::{ORGS, PROFILE, Rented, region_of, type_of};
use super::scenario::{MINUTE, Vendor};
use super::situations::Situation;
use super::{Caller, Event, World};

const WINDOW_MINUTES: i64 = 10;
const DISK_GB: u32 = 50;

impl World {
    /// The launch of this plan, now.
    pub fn launch_of(&self, plan: usize) -> Option<Launch> {
        let plan = self.around.scenario.launches.get(plan)?;
        let candidates: Vec<Candidate> = plan
            .offers
            .iter()
            .filter_map(|(tenant, rate, spot)| {
                let account = self.around.operator.account(plan.org, *tenant)?;
                let vendor = self.around.cloud.tenants[*tenant].plan.vendor;
                Some(Candidate {
                    account: account.id.clone(),
                    vendor: vendor.name().to_owned(),
                    fingerprint: account.fingerprint.clone(),
                    offer: offer(vendor, *rate, *spot),
                })
            })
            .collect();
        let minute = |at: i64| u16::try_from(at.div_euclid(MINUTE).rem_euclid(1_440)).unwrap_or(0);
        Some(Launch {
            generation: 1,
            name: "a rental".to_owned(),
            project: plan.project.map(str::to_owned),
            actor: "admin".to_owned(),
            runtime: RuntimeSpec {
                profile: PROFILE.to_owned(),
                model_name: "m".to_owned(),
                image: "ghcr.io/tidegate/server:1".to_owned(),
                port: 8000,
                health_path: "/health".to_owned(),
                preload: plan.preloads.then(|| Preload {
                    path: "/load".to_owned(),
                    body: "{}".to_owned(),
                }),
                disk_gb: DISK_GB,
                max_concurrency: 2,
                queue_depth: 4,
                ..RuntimeSpec::default()
            },
            candidates,
            ends: Ends {
                idle_ms: plan.idle_ms,
                on_idle: if plan.idle_stops {
                    OnIdle::Stop
                } else {
                    OnIdle::Terminate
                },
                max_lifetime_ms: plan.max_lifetime_ms,
                until_ms: plan.until_in.map(|wait| self.now + wait),
                stop_windows: plan
                    .window_in
                    .map(|wait| StopWindowSpec {
                        from_minute: minute(self.now + wait),
                        to_minute: minute(self.now + wait + WINDOW_MINUTES * MINUTE),
                    })
                    .into_iter()
                    .collect(),
            },
            callback_base: plan
                .calls_home
                .then(|| "https://gateway.tidegate.dev".to_owned()),
            ssh_public_key: None,
        })
    }

    /// A request for what is rented comes to the gateway.
    pub fn request(&mut self, rental: usize) {
        let Rented { org, id, plan } = self.around.operator.rentals[rental].clone();
        let every = self.around.scenario.launches[plan].request_every_ms;
        // Later on somebody else may idle.
        let is_over = self.is_calm() || self.now - self.start > self.around.scenario.faults_ms / 2;
        if is_over {
            return;
        }
        let gap = self.rng.gap(every);
        self.after(gap, Event::Request { rental });
        let to = ObjectName::instance(ORGS[org], &id);
        if !self.is_serving(&to) {
            return;
        }
        let request = format!("req_{}", self.number());
        let payer = self.rng.pick(&["key/one", "key/two", "anonymous"]);
        let ask = Ask {
            request: request.clone(),
            priority: 0,
            arrived_at_ms: self.now,
            deadline_ms: self.now + 60_000,
            payer: Some(payer.to_owned()),
            kind: AskKind::First,
            mode: AskMode::Tentative,
            policy_version: 0,
        };
        let turnover = Turnover {
            ask: Some(ask),
            ..Turnover::default()
        };
        self.turn_over(&to, turnover, Some(request));
    }

    fn turn_over(&mut self, to: &ObjectName, turnover: Turnover, request: Option<String>) {
        let message = serde_json::to_string(&InstanceCommand::Turnover(turnover));
        let caller = Caller::Client {
            instance: to.clone(),
            request,
        };
        self.send(to, message.unwrap_or_default(), 10_000, caller);
    }

    /// The gateway hears whether the request may go on.
    pub fn client_hears(
        &mut self,
        to: ObjectName,
        request: Option<String>,
        said: Result<String, String>,
    ) {
        let (Some(request), Ok(text)) = (request, said) else {
            return;
        };
        if let Ok(AskAnswer::Granted { .. }) = serde_json::from_str(&text) {
            let took = self.rng.range(500, 30_000);
            self.after(
                took,
                Event::Served {
                    instance: to,
                    request,
                    took,
                },
            );
        }
    }

    /// A request is over.
    pub fn request_served(&mut self, to: &ObjectName, request: String, took: i64) {
        self.met(Situation::Served);
        let settled = Settled {
            request,
            outcome: OutcomeWire::Success,
            first_token_ms: Some(50),
            duration_ms: u64::try_from(took).unwrap_or(0),
            prompt_tokens: 10,
            completion_tokens: 10,
        };
        let turnover = Turnover {
            settled: vec![settled],
            ..Turnover::default()
        };
        self.turn_over(to, turnover, None);
    }
}

fn offer(vendor: Vendor, rate: u64, spot: bool) -> Offer {
    Offer {
        region: region_of(vendor).to_owned(),
        zone: None,
        machine_type: type_of(rate),
        gpu: Gpu {
            model: "l4".to_owned(),
            name: "L4".to_owned(),
            count: 1,
            vram_gb: 24,
        },
        vcpus: None,
        memory_gb: None,
        spot,
        microusd_per_hour: Some(rate - beside(vendor, rate)),
        disk: Some(disk_price(rate)),
        address_microusd_per_hour: address_rate(vendor),
        availability: Availability::High,
    }
}

/// What makes the disk of a launch cost what this vendor takes for it; nothing is rounded.
const fn disk_price(rate: u64) -> DiskPrice {
    DiskPrice {
        microusd_per_gb_month: disk_rate(rate) * 720 / DISK_GB as u64,
        added_gb: 0,
        least_gb: 0,
    }
}
