//! Who asks RunPod, and how often. Invariant: a call counts once its bearer token is known, and every answer from
//! there on carries `RateLimit` and `RateLimit-Policy`.

use crate::clock::Millis;
use crate::http::{Answer, Asked};
use crate::keys::{Key, Left};
use crate::machine::Vendor;
use crate::operation::Op;
use crate::runpod::errors::Problem;
use crate::world::World;

/// The key that a request came with.
///
/// # Errors
/// 401.
pub fn key(world: &World, asked: &Asked) -> Result<Key, Problem> {
    let bearer = asked.header("authorization").and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    let token = bearer.ok_or_else(|| Problem::new(401, "missing bearer token"))?;
    let key = world.keys.find(Vendor::Runpod, token);
    let key = key.filter(|key| !key.expired);
    key.cloned().ok_or_else(|| Problem::usual(401))
}

/// Counts a call.
///
/// # Errors
/// 429, with the seconds to wait.
pub fn count(world: &mut World, key: &Key, now: Millis) -> (Left, Option<(Problem, i64)>) {
    let calls = world.settings.runpod_calls;
    let left = world.keys.count(&key.account, calls, now);
    let refused = left.exceeded.map(|(window, seconds)| {
        let detail = format!("rate limit exceeded for the {window} window");
        (Problem::new(429, &detail), seconds)
    });
    (left, refused)
}

/// Whether the key may do this, to this pod.
///
/// # Errors
/// 403.
pub fn allow(key: &Key, operation: &str, op: Op, pod: Option<&str>) -> Result<(), Problem> {
    let own = |own: &String| pod == Some(own) && !matches!(op, Op::Create | Op::Change);
    let fits = key.pod.as_ref().is_none_or(own);
    if fits && key.allows(operation, op) {
        return Ok(());
    }
    Err(Problem::usual(403))
}

/// An answer with what is left of the budget.
pub fn with_left(answer: Answer, left: &Left) -> Answer {
    answer
        .with("RateLimit-Policy", &left.policy)
        .with("RateLimit", &left.left)
}
