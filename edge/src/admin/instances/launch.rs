//! `POST /admin/instances:estimate` and `POST /admin/instances`: what it would cost, and the launch itself.
//!
//! Both go the same way: the profile from the registry, offers from every account, a choice, the sums, the ledger's
//! word. The first ends there. The second mints what the instance needs, leaves it with the registry, tells the
//! instance's own object at once as a courtesy, and answers.
//!
//! Invariant: everything secret in a launch is sealed before it leaves; ids and keys are made from the permit's seed
//! where there is one, so a launch that is asked for again under its idempotency key is one launch. One that was made
//! is not chosen, priced or judged again.

use serde_json::Value;
use tidegate_domain::shop::{self, Choice, Wish};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, Profile};
use tidegate_durable::bindings::instance::{Done, InstanceCommand};
use tidegate_durable::bindings::ledger::{EstimateAnswer, LedgerCommand};
use tidegate_durable::bindings::profile::RentalEntry;
use tidegate_durable::bindings::rental::{Candidate, Ends, Launch, RuntimeSpec};
use tidegate_provider_api::SealedEnv;
use tidegate_vault::{SealError, SshKeyPair, mint_instance_id, server_key};
use tidegate_wire_openai::ErrorCode;

use super::body::{Order, Pick};
use super::estimate::{self, Sums};
use super::{SSH_KEY, record, subject, view};
use crate::admin::ask::{self, COURTESY_TIMEOUT_MS};
use crate::admin::fields::bad_value;
use crate::admin::offers::{Failure, Listed, Market, OfferId, Scope, visit};
use crate::admin::price::dollars;
use crate::admin::seals::sealed;
use crate::admin::{accounts, profiles};
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

/// The record and field that a server's own key is sealed for.
const API_KEY: &str = "api_key";

/// All that is known before a launch.
struct Plan {
    order: Order,
    profile: Profile,
    ends: Ends,
    chosen: Vec<Listed>,
    sums: Sums,
    ledger: EstimateAnswer,
    failures: Vec<Failure>,
}

/// `POST /admin/instances:estimate`.
pub fn estimate(admin: Admin) -> Step {
    ask::fields(move |cx, fields| {
        let order = Order::read(fields, cx.now.as_ms())?;
        Ok(plan(admin, order, |cx, _, plan| {
            Step::Respond(Response::json(200, &plan.view(cx)))
        }))
    })
}

/// `POST /admin/instances`.
pub fn launch(admin: Admin) -> Step {
    ask::fields(move |cx, fields| {
        let made = admin.permit.as_ref().filter(|permit| permit.made);
        if let Some(permit) = made {
            let estimate = permit.note.as_deref().unwrap_or_default();
            let estimate = serde_json::from_str(estimate).unwrap_or_default();
            return Ok(again(cx, &admin, estimate));
        }
        let order = Order::read(fields, cx.now.as_ms())?;
        Ok(plan(admin, order, |cx, admin, plan| {
            begin(cx, admin, plan).unwrap_or_else(Step::from)
        }))
    })
}

/// The launch was made and only its answer was lost.
fn again(cx: &Cx<'_>, admin: &Admin, estimate: Value) -> Step {
    let id = mint(cx, admin);
    let command = FleetCommand::Rental { id: id.clone() };
    ask::fleet(
        admin,
        command,
        subject(&id),
        move |_, answer| match answer {
            FleetAnswer::Rental { rental } => Ok(Step::Respond(launched(&rental, estimate))),
            other => Err(Box::new(other)),
        },
    )
}

/// Reads the profile, shops, chooses, reckons and asks the ledger.
fn plan(
    admin: Admin,
    order: Order,
    then: impl FnOnce(&mut Cx<'_>, Admin, Plan) -> Step + 'static,
) -> Step {
    let asker = admin.clone();
    let command = FleetCommand::SealedProfile {
        name: order.profile.clone(),
    };
    let subject = profiles::subject(&order.profile);
    ask::fleet(&asker, command, subject, move |cx, answer| match answer {
        FleetAnswer::Profile { profile } => {
            Ok(shop(cx, admin, order, *profile, then).unwrap_or_else(Step::from))
        }
        FleetAnswer::NotFound => {
            let must = "names no profile; GET /admin/profiles lists them";
            Ok(bad_value("profile", must).into())
        }
        other => Err(Box::new(other)),
    })
}

fn shop(
    cx: &mut Cx<'_>,
    admin: Admin,
    mut order: Order,
    profile: Profile,
    then: impl FnOnce(&mut Cx<'_>, Admin, Plan) -> Step + 'static,
) -> Result<Step, ApiError> {
    let scope = match &mut order.pick {
        Pick::Offer(id) => {
            if !accounts::is_ours(cx, &admin, &id.account) {
                return Err(no_such_offer());
            }
            Scope {
                account: Some(id.account.clone()),
                ..Scope::default()
            }
        }
        Pick::Like(wish) => {
            narrow(wish, &profile)?;
            Scope {
                vendor: wish.vendor.clone(),
                ..Scope::default()
            }
        }
    };
    let asker = admin.clone();
    Ok(visit(&asker, scope, move |cx, mut market| {
        let chosen = match &order.pick {
            Pick::Offer(id) => this_one(id, &profile, &mut market).map(|listed| vec![listed]),
            Pick::Like(wish) => some_like(wish, profile.disk_gb, &mut market),
        };
        match chosen {
            Ok(chosen) => judge(cx, admin, order, profile, chosen, market.failures, then),
            Err(refused) => refused.into(),
        }
    }))
}

/// What the profile needs counts for every wish.
fn narrow(wish: &mut Wish, profile: &Profile) -> Result<(), ApiError> {
    let least = wish.min_vram_gb.unwrap_or_default();
    wish.min_vram_gb = Some(least.max(profile.min_vram_gb));
    let count = *wish.count.get_or_insert(profile.gpu_count);
    if count < profile.gpu_count {
        let must = format!(
            "must be at least {}, which the profile needs",
            profile.gpu_count
        );
        return Err(bad_value("constraints.count", &must));
    }
    Ok(())
}

fn this_one(id: &OfferId, profile: &Profile, market: &mut Market) -> Result<Listed, ApiError> {
    let mut listed = std::mem::take(&mut market.listed).into_iter();
    let Some(listed) = listed.find(|listed| id.names(listed)) else {
        return Err(match market.failures.first() {
            Some(failure) => silent(failure),
            None => no_such_offer(),
        });
    };
    let gpu = &listed.offer.gpu;
    if gpu.vram_gb < profile.min_vram_gb || gpu.count < profile.gpu_count {
        let must = format!(
            "has {} × {} GB, and the profile needs {} × {} GB: take another offer",
            gpu.count, gpu.vram_gb, profile.gpu_count, profile.min_vram_gb
        );
        return Err(bad_value("offer_id", &must));
    }
    let beside = listed.offer.beside_microusd_per_hour(profile.disk_gb);
    match (listed.offer.microusd_per_hour, id.microusd_per_hour) {
        (Some(now), Some(then)) if now > then => Err(no_offer(format!(
            "The offer costs {} dollars an hour by now, not {}. Look at GET /admin/offers again and take it at \
             that price, or another.",
            dollars(now.saturating_add(beside)),
            dollars(then.saturating_add(beside))
        ))),
        (Some(_), Some(_)) => Ok(listed),
        _ => Err(no_offer(
            "The offer has no price that is known, so it is not rented. Take another.".to_owned(),
        )),
    }
}

fn some_like(wish: &Wish, disk_gb: u32, market: &mut Market) -> Result<Vec<Listed>, ApiError> {
    let choice = shop::choose(&market.offered(disk_gb), wish);
    if choice.candidates.is_empty() {
        return Err(nothing_like(&choice, market));
    }
    let candidates = choice.candidates.iter();
    let listed = candidates.filter_map(|place| market.listed.get(*place).cloned());
    Ok(listed.collect())
}

fn nothing_like(choice: &Choice, market: &Market) -> ApiError {
    if market.accounts == 0 {
        return no_offer(
            "No account is connected that could rent it. Connect one with POST \
             /admin/providers/{vendor}/accounts."
                .to_owned(),
        );
    }
    if market.listed.is_empty()
        && let Some(failure) = market.failures.first()
    {
        return silent(failure);
    }
    let mut words = format!(
        "Nothing that fits can be rented now: of {} offers {} are the right machine",
        market.listed.len(),
        choice.fitting
    );
    for (count, why) in [
        (choice.unpriced, "without a known price"),
        (choice.none_left, "sold out"),
    ] {
        if count > 0 {
            words.push_str(&format!(", {count} {why}"));
        }
    }
    if let Some(cheapest) = choice.cheapest_too_dear {
        let (count, cheapest) = (choice.too_dear, dollars(cheapest));
        words.push_str(&format!(
            ", {count} dearer than was allowed, from {cheapest} dollars an hour"
        ));
    }
    if !market.failures.is_empty() {
        let count = market.failures.len();
        words.push_str(&format!(", and {count} answers of accounts are missing"));
    }
    no_offer(format!("{words}. GET /admin/offers shows what there is."))
}

fn silent(failure: &Failure) -> ApiError {
    let why = match &failure.error {
        Some(error) => error.to_string(),
        None => "it did not answer in time".to_owned(),
    };
    let label = &failure.account.entry.label;
    no_offer(format!(
        "The account `{label}` could not tell what it has: {why}. Test it with POST …/accounts/{{id}}/test, or try \
         again."
    ))
}

fn no_such_offer() -> ApiError {
    no_offer(
        "This offer is gone, or was never one of this organisation. GET /admin/offers shows what there is now."
            .to_owned(),
    )
}

fn no_offer(message: String) -> ApiError {
    ApiError::new(ErrorCode::NoOffer, message)
}

fn judge(
    cx: &mut Cx<'_>,
    admin: Admin,
    order: Order,
    profile: Profile,
    chosen: Vec<Listed>,
    failures: Vec<Failure>,
    then: impl FnOnce(&mut Cx<'_>, Admin, Plan) -> Step + 'static,
) -> Step {
    let ends = order.ends(&profile);
    let sums = Sums::of(&chosen, profile.disk_gb, &ends, cx.now);
    let command = LedgerCommand::Estimate {
        project: order.project.clone(),
        microusd_per_hour: sums.per_hour,
        hold_ms: sums.hold.as_ms(),
    };
    let to = ObjectName::ledger(admin.org.as_str());
    Step::ask(to, &command, move |cx, answer| match answer {
        Ok(ledger) => {
            let plan = Plan {
                order,
                profile,
                ends,
                chosen,
                sums,
                ledger,
                failures,
            };
            then(cx, admin, plan)
        }
        Err(unanswered) => ApiError::from(unanswered).into(),
    })
}

impl Plan {
    fn view(&self, cx: &Cx<'_>) -> Value {
        let profile = (self.order.profile.as_str(), &self.profile);
        estimate::view(
            cx,
            profile,
            &self.chosen,
            &self.sums,
            &self.ledger,
            &self.failures,
        )
    }

    fn candidates(&self) -> Vec<Candidate> {
        let one = |listed: &Listed| Candidate {
            account: listed.account.id.clone(),
            vendor: listed.account.entry.vendor.clone(),
            fingerprint: listed.account.entry.fingerprint.clone(),
            offer: listed.offer.clone(),
        };
        self.chosen.iter().map(one).collect()
    }
}

fn begin(cx: &mut Cx<'_>, mut admin: Admin, plan: Plan) -> Result<Step, ApiError> {
    if let Some(denied) = &plan.ledger.denied {
        return Err(ApiError::new(
            ErrorCode::BudgetExceeded,
            format!(
                "Nothing was launched, because the budget does not allow it: {denied}. Raise it with PUT \
                 /admin/budgets/{{scope}}, or launch something that costs less."
            ),
        ));
    }
    let estimate = plan.view(cx);
    let id = mint(cx, &admin);
    let pair = pair(cx, &admin, &id, plan.order.ssh)?;
    let (ssh_public_key, sealed_ssh_key) = pair.unzip();
    let tail: String = id.chars().rev().take(6).collect();
    let tail: String = tail.chars().rev().collect();
    let launch = Launch {
        generation: 1,
        name: plan
            .order
            .name
            .clone()
            .unwrap_or_else(|| format!("{}-{tail}", plan.order.profile)),
        project: plan.order.project.clone(),
        actor: admin.actor.clone(),
        runtime: runtime(cx, &admin, &id, &plan)?,
        candidates: plan.candidates(),
        ends: plan.ends.clone(),
        callback_base: cx.shared.config.public_url.clone(),
        ssh_public_key,
    };
    let command = FleetCommand::Launch {
        id: id.clone(),
        launch: Box::new(launch),
        sealed_ssh_key,
    };
    if let Some(permit) = &mut admin.permit {
        permit.note = Some(estimate.to_string());
    }
    let org = admin.org.clone();
    Ok(ask::fleet(
        &admin,
        command,
        subject(&id),
        move |_, answer| match answer {
            FleetAnswer::Rental { rental } => {
                let to = ObjectName::instance(org.as_str(), &rental.id);
                let response = launched(&rental, estimate);
                let command = InstanceCommand::Launch(Box::new(rental.launch));
                let then =
                    move |_: &mut Cx<'_>, _: Result<Done, Unanswered>| Step::Respond(response);
                Ok(Step::ask_within(COURTESY_TIMEOUT_MS, to, &command, then))
            }
            other => Err(Box::new(other)),
        },
    ))
}

fn launched(rental: &RentalEntry, estimate: Value) -> Response {
    let mut body = view::registered(rental);
    body.insert("estimate".to_owned(), estimate);
    Response::json(201, &Value::Object(body))
}

fn mint(cx: &Cx<'_>, admin: &Admin) -> String {
    let random = admin.random(cx, "instance");
    mint_instance_id(&cx.shared.config.installation, &admin.org, random)
}

/// A key pair for people: the public half, and the private one sealed.
fn pair(
    cx: &Cx<'_>,
    admin: &Admin,
    id: &str,
    wanted: bool,
) -> Result<Option<(String, String)>, ApiError> {
    if !wanted {
        return Ok(None);
    }
    let comment = format!("{id}@{}", admin.org.as_str());
    let pair = SshKeyPair::from_random(&admin.random(cx, "ssh key"), &comment)
        .map_err(|refused| fault(&refused.to_string()))?;
    let private = sealed(cx, admin, &record(id), SSH_KEY, &pair.private).map_err(unsealed)?;
    Ok(Some((pair.public, private)))
}

fn runtime(cx: &Cx<'_>, admin: &Admin, id: &str, plan: &Plan) -> Result<RuntimeSpec, ApiError> {
    let (name, profile) = (&plan.order.profile, &plan.profile);
    let from_profile = |(variable, sealed): (&String, &String)| SealedEnv {
        name: variable.clone(),
        record: profiles::record(name),
        field: profiles::secret_field(variable),
        sealed: sealed.clone(),
    };
    let mut sealed_env: Vec<SealedEnv> = profile.sealed_env.iter().map(from_profile).collect();
    let mut sealed_api_key = None;
    if let Some(variable) = &profile.api_key_env {
        let record = format!("server/{id}");
        let key = server_key(admin.random(cx, "server key"));
        let sealed = sealed(cx, admin, &record, API_KEY, &key).map_err(unsealed)?;
        sealed_env.push(SealedEnv {
            name: variable.clone(),
            record,
            field: API_KEY.to_owned(),
            sealed: sealed.clone(),
        });
        sealed_api_key = Some(sealed);
    }
    Ok(RuntimeSpec {
        profile: name.clone(),
        model_name: profile.model_name.clone(),
        upstream_model: profile.upstream_model.clone(),
        image: profile.image.clone(),
        args: profile.args.clone(),
        env: profile.env.clone(),
        sealed_env,
        sealed_api_key,
        port: profile.port,
        health_path: profile.health_path.clone(),
        preload: profile.preload.clone(),
        disk_gb: profile.disk_gb,
        max_concurrency: profile.max_concurrency,
        queue_depth: profile.queue_depth,
    })
}

fn unsealed(refused: SealError) -> ApiError {
    fault(&refused.to_string())
}

fn fault(why: &str) -> ApiError {
    ApiError::new(
        ErrorCode::InternalError,
        format!("Nothing was launched: {why}."),
    )
}
