//! Runtime profiles: how to run a model on a rented GPU.
//!
//! Invariant: the value of a secret is stored sealed and leaves, still sealed, with [`Fleet::sealed_profile`]
//! alone, for whoever launches. A launch holds all that it needs, so a profile that changes or goes touches
//! nothing that runs.

use super::Fleet;
use super::profile_checks;
use crate::bindings::fleet::{FleetAnswer, Profile};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::renting::{
    count_profiles, delete_profile, load_profile, load_profiles, put_profile,
};

/// All of them are listed in one answer: at 20 KiB at most, and 2 KiB as a rule.
const MAX_PROFILES: u32 = 200;

impl Fleet {
    pub(super) fn profiles(cx: &Cx<'_>) -> Result<FleetAnswer, StoreError> {
        let profiles = load_profiles(cx.sql)?.into_iter();
        Ok(FleetAnswer::Profiles {
            profiles: profiles.map(|(name, it)| (name, blank(it))).collect(),
        })
    }

    pub(super) fn profile(cx: &Cx<'_>, name: &str) -> Result<FleetAnswer, StoreError> {
        Ok(load_profile(cx.sql, name)?.map_or(FleetAnswer::NotFound, |it| shown(blank(it))))
    }

    pub(super) fn sealed_profile(cx: &Cx<'_>, name: &str) -> Result<FleetAnswer, StoreError> {
        Ok(load_profile(cx.sql, name)?.map_or(FleetAnswer::NotFound, shown))
    }

    pub(super) fn put_profile(
        &mut self,
        cx: &mut Cx<'_>,
        name: String,
        mut profile: Profile,
    ) -> Result<FleetAnswer, StoreError> {
        let before = load_profile(cx.sql, &name)?;
        for (variable, sealed) in &mut profile.sealed_env {
            let kept = before.as_ref().and_then(|it| it.sealed_env.get(variable));
            match kept {
                Some(kept) if sealed.is_empty() => sealed.clone_from(kept),
                None if sealed.is_empty() => {
                    return Ok(FleetAnswer::Invalid {
                        param: format!("secret_env.{variable}"),
                        reason: "has no value yet that could be kept: send one".to_owned(),
                    });
                }
                _ => {}
            }
        }
        if let Err(refused) = profile_checks::profile(&name, &profile) {
            return Ok(refused.into());
        }
        if before.is_none() && count_profiles(cx.sql)? >= MAX_PROFILES {
            return Ok(FleetAnswer::Invalid {
                param: "name".to_owned(),
                reason: format!(
                    "an organisation holds at most {MAX_PROFILES} profiles; delete one first"
                ),
            });
        }
        profile.updated_at_ms = before.as_ref().map_or(0, |it| it.updated_at_ms);
        if before.as_ref() == Some(&profile) {
            return Ok(shown(blank(profile)));
        }
        profile.updated_at_ms = cx.now.as_ms();
        put_profile(cx.sql, &name, &profile)?;
        self.note(cx, "profile.put", &name, change(before.as_ref(), &profile));
        Ok(shown(blank(profile)))
    }

    pub(super) fn delete_profile(
        &mut self,
        cx: &mut Cx<'_>,
        name: &str,
    ) -> Result<FleetAnswer, StoreError> {
        if load_profile(cx.sql, name)?.is_none() {
            return Ok(FleetAnswer::NotFound);
        }
        delete_profile(cx.sql, name)?;
        self.note(cx, "profile.deleted", name, String::new());
        Ok(FleetAnswer::Done)
    }
}

fn shown(profile: Profile) -> FleetAnswer {
    FleetAnswer::Profile {
        profile: Box::new(profile),
    }
}

fn blank(mut profile: Profile) -> Profile {
    profile.sealed_env.values_mut().for_each(String::clear);
    profile
}

/// What it runs; of a change, the names of what changed. No values: people put keys where they do not belong.
fn change(before: Option<&Profile>, profile: &Profile) -> String {
    let what = format!(
        "{} of {} in {}",
        profile.model_name, profile.kind, profile.image
    );
    let Some(before) = before else {
        return what;
    };
    let fields = |profile: &Profile| match serde_json::to_value(profile) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (from, to) = (fields(before), fields(profile));
    let changed = to.iter().filter(|(name, value)| {
        name.as_str() != "updated_at_ms" && from.get(name.as_str()) != Some(value)
    });
    let names: Vec<&str> = changed.map(|(name, _)| name.as_str()).collect();
    format!("{what}; changed: {}", names.join(", "))
}
