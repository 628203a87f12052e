//! The body of `POST /admin/instances` and `POST /admin/instances:estimate`.
//!
//! Invariant: a body is read whole or refused whole. What it says of the end overrides the profile's; the end itself
//! cannot be left out.

use tidegate_domain::lifecycle::StopWindow;
use tidegate_domain::shop::Wish;
use tidegate_domain::time::Timestamp;
use tidegate_durable::bindings::fleet::Profile;
use tidegate_durable::bindings::rental::{Ends, OnIdle, StopWindowSpec};

use crate::admin::fields::{Fields, bad_value};
use crate::admin::offers::OfferId;
use crate::admin::profiles::read_on_idle;
use crate::admin::rfc3339::read_moment;
use crate::api_error::ApiError;

const FIELDS: &str = "profile, offer_id, constraints, name, project, idle_timeout_seconds, on_idle, \
                      max_lifetime_seconds, until, stop_windows, ssh";
const CONSTRAINTS: &str = "gpu, min_vram_gb, count, region, vendor, spot, max_price_per_hour";
const MAX_NAME: usize = 256;
const MAX_WINDOWS: usize = 10;
/// As the registry has it for profiles.
const MAX_SECONDS: i64 = 30 * 86_400;

/// What is to be rented.
#[derive(Clone, Debug)]
pub struct Order {
    /// The profile.
    pub profile: String,
    /// Which machine.
    pub pick: Pick,
    /// What people call it.
    pub name: Option<String>,
    /// The project that pays.
    pub project: Option<String>,
    /// Instead of the profile's; `Some(None)` is never.
    pub idle_ms: Option<Option<i64>>,
    /// Instead of the profile's.
    pub on_idle: Option<OnIdle>,
    /// Instead of the profile's.
    pub max_lifetime_ms: Option<i64>,
    /// At this moment at the latest.
    pub until_ms: Option<i64>,
    /// Daily.
    pub stop_windows: Vec<StopWindowSpec>,
    /// Whether people may log in.
    pub ssh: bool,
}

/// Which machine.
#[derive(Clone, Debug)]
pub enum Pick {
    /// This one.
    Offer(Box<OfferId>),
    /// One like this.
    Like(Box<Wish>),
}

impl Order {
    /// Reads a body.
    pub fn read(mut fields: Fields, now_ms: i64) -> Result<Self, ApiError> {
        let never_idle = fields.take_null("idle_timeout_seconds");
        let mut fields = fields.without_nulls();
        let idle = fields.number("idle_timeout_seconds", 1..=MAX_SECONDS)?;
        let lifetime = fields.number("max_lifetime_seconds", 10..=MAX_SECONDS)?;
        let on_idle = fields.text("on_idle")?;
        let order = Self {
            profile: fields.required_text("profile")?,
            pick: pick(&mut fields)?,
            name: name(&mut fields, "name")?,
            project: name(&mut fields, "project")?,
            idle_ms: match idle {
                Some(seconds) => Some(Some(seconds * 1000)),
                None => never_idle.then_some(None),
            },
            on_idle: on_idle
                .map(|text| read_on_idle("on_idle", &text))
                .transpose()?,
            max_lifetime_ms: lifetime.map(|seconds| seconds * 1000),
            until_ms: until(&mut fields, now_ms)?,
            stop_windows: stop_windows(&mut fields, now_ms)?,
            ssh: fields.switch("ssh")?.unwrap_or(true),
        };
        fields.finish(FIELDS)?;
        Ok(order)
    }

    /// When it ends by itself.
    pub fn ends(&self, profile: &Profile) -> Ends {
        Ends {
            idle_ms: self.idle_ms.unwrap_or(profile.idle_ms),
            on_idle: self.on_idle.unwrap_or(profile.on_idle),
            max_lifetime_ms: self.max_lifetime_ms.unwrap_or(profile.max_lifetime_ms),
            until_ms: self.until_ms,
            stop_windows: self.stop_windows.clone(),
        }
    }
}

fn pick(fields: &mut Fields) -> Result<Pick, ApiError> {
    let offer = fields.text("offer_id")?;
    let constraints = fields.inner("constraints")?;
    match (offer, constraints) {
        (Some(_), Some(_)) => Err(bad_value(
            "constraints",
            "stands beside offer_id, which says already what is rented: send one of them",
        )),
        (Some(text), None) => {
            let id = OfferId::parse(&text).ok_or_else(|| {
                bad_value(
                    "offer_id",
                    "must be the `id` of an offer of GET /admin/offers",
                )
            })?;
            Ok(Pick::Offer(Box::new(id)))
        }
        (None, None) => Ok(Pick::Like(Box::new(Wish {
            spot: Some(false),
            ..Wish::default()
        }))),
        (None, Some(constraints)) => wish(constraints).map(Box::new).map(Pick::Like),
    }
}

fn wish(fields: Fields) -> Result<Wish, ApiError> {
    let mut fields = fields.without_nulls();
    let wish = Wish {
        gpu: fields.text("gpu")?,
        min_vram_gb: fields.number("min_vram_gb", 0..=u32::MAX)?,
        count: fields.number("count", 1..=64)?,
        region: fields.text("region")?,
        vendor: fields.text("vendor")?,
        // Only whoever asks for it gets a machine that may be taken away.
        spot: Some(fields.switch("spot")?.unwrap_or(false)),
        max_microusd_per_hour: fields.dollars("max_price_per_hour")?,
    };
    fields.finish(CONSTRAINTS)?;
    let is_unknown = |vendor: &String| tidegate_providers::by_name(vendor).is_none();
    if wish.vendor.as_ref().is_some_and(is_unknown) {
        let must = "is no vendor that is known here; GET /admin/providers lists them";
        return Err(bad_value("constraints.vendor", must));
    }
    Ok(wish)
}

fn name(fields: &mut Fields, field: &'static str) -> Result<Option<String>, ApiError> {
    let Some(text) = fields.text(field)? else {
        return Ok(None);
    };
    if text.trim().is_empty() || text.len() > MAX_NAME || text.chars().any(char::is_control) {
        let must = format!("must be 1 to {MAX_NAME} bytes without control characters");
        return Err(bad_value(field, &must));
    }
    Ok(Some(text))
}

fn until(fields: &mut Fields, now_ms: i64) -> Result<Option<i64>, ApiError> {
    let Some(text) = fields.text("until")? else {
        return Ok(None);
    };
    let at_ms = read_moment(&text).map_err(|refused| bad_value("until", &refused.to_string()))?;
    if at_ms <= now_ms {
        return Err(bad_value("until", "must lie in the future"));
    }
    Ok(Some(at_ms))
}

fn stop_windows(fields: &mut Fields, now_ms: i64) -> Result<Vec<StopWindowSpec>, ApiError> {
    let windows = fields.inner_list("stop_windows")?.unwrap_or_default();
    if windows.len() > MAX_WINDOWS {
        let must = format!("must be at most {MAX_WINDOWS}");
        return Err(bad_value("stop_windows", &must));
    }
    let windows: Vec<StopWindowSpec> = windows.into_iter().map(window).collect::<Result<_, _>>()?;
    let holds_now = |window: &StopWindowSpec| {
        let (from, to) = (window.from_minute, window.to_minute);
        StopWindow { from, to }.holds(Timestamp::from_ms(now_ms))
    };
    if windows.iter().any(holds_now) {
        let must = "must not hold this moment: what is launched now would be paid, and stopped as soon as it is up";
        return Err(bad_value("stop_windows", must));
    }
    Ok(windows)
}

fn window(mut fields: Fields) -> Result<StopWindowSpec, ApiError> {
    let from_minute = minute(&fields.required_text("from")?)?;
    let to_minute = minute(&fields.required_text("to")?)?;
    fields.finish("from, to")?;
    if from_minute == to_minute {
        let must = "must not end when they begin: that would be all day";
        return Err(bad_value("stop_windows", must));
    }
    Ok(StopWindowSpec {
        from_minute,
        to_minute,
    })
}

/// `22:00` as a minute of the day.
fn minute(text: &str) -> Result<u16, ApiError> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let two = |part: &str| {
            let is_plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| part.parse::<u16>().ok()).flatten()
        };
        let hour = two(hour).filter(|hour| *hour < 24)?;
        let minute = two(minute).filter(|minute| *minute < 60)?;
        Some(hour * 60 + minute)
    };
    let must = "must hold times of the UTC day such as 22:00";
    read().ok_or_else(|| bad_value("stop_windows", must))
}
