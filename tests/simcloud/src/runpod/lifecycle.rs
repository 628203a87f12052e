//! `DELETE /v2/pods/{id}` and `POST /v2/pods/{id}/action`.

use serde_json::Value;

use crate::clock::Millis;
use crate::fault::Fault;
use crate::faults::Applied;
use crate::http::Answer;
use crate::keys::Key;
use crate::runpod::errors::{NO_CAPACITY, Problem};
use crate::runpod::{listing, pods, schema};
use crate::world::{World, because};

/// What a start answers when the GPUs of its host are others' now. Known from GraphQL; the status in v2 is not.
const HOST_IS_FULL: &str = "There are not enough free GPUs on the host machine to start this pod.";

/// Gives a pod back.
///
/// # Errors
/// 404.
pub fn terminate(
    world: &mut World,
    key: &Key,
    id: &str,
    now: Millis,
    applied: &Applied,
) -> Result<Answer, Problem> {
    listing::find(world, key, id)?;
    if applied.has(&Fault::BillsOn {}) {
        world.haunt(id, now);
    } else if !applied.has(&Fault::NeverEnds {}) {
        world.terminate(id, now, slower(applied), by_user());
    }
    Ok(Answer::empty(204))
}

/// Starts, stops, restarts or gives back.
///
/// # Errors
/// 404, 409 for what its status does not allow, 422, and 400 for a start without GPUs.
pub fn act(
    world: &mut World,
    key: &Key,
    id: &str,
    body: &Value,
    now: Millis,
    applied: &Applied,
) -> Result<Answer, Problem> {
    let errors = schema::action(body);
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let action = body["action"].as_str().unwrap_or_default();
    let (machine, pod) = listing::find(world, key, id)?;
    let status = pods::status(machine.phase);
    if !pods::actions(machine.phase).contains(&action) {
        let detail = format!("action {action} is not valid for a pod with status {status}");
        return Err(Problem::new(409, &detail));
    }
    if pod.locked && matches!(action, "stop" | "restart") {
        return Err(Problem::new(409, "pod is locked"));
    }
    let region = machine.region.clone();
    match action {
        "terminate" => return terminate(world, key, id, now, applied),
        "stop" => {
            if !applied.has(&Fault::NeverEnds {}) {
                world.stop(id, now, slower(applied), by_user());
            }
        }
        "restart" => world.restart(id, now),
        _ => {
            if applied.has(&Fault::NoCapacity {}) {
                return Err(Problem::new(400, HOST_IS_FULL));
            }
            if applied.has(&Fault::NoQuota {}) {
                return Err(Problem::usual(402));
            }
            if region.is_empty() {
                return Err(Problem::new(400, NO_CAPACITY));
            }
            let gpus = applied.find(|fault| match fault {
                Fault::Gpus { count } => Some(*count),
                _ => None,
            });
            world.start(id, now, gpus);
        }
    }
    let body = listing::one(world, key, id, now, applied)?;
    Ok(Answer::json(200, &body))
}

fn by_user() -> crate::machine::Reason {
    because("UserInitiated", "asked for over the API")
}

/// How much longer faults let it take.
pub fn slower(applied: &Applied) -> i64 {
    let slower = applied.find(|fault| match fault {
        Fault::Slow { ms } => Some(*ms),
        _ => None,
    });
    i64::from(slower.unwrap_or(0))
}
