//! `GET /admin/offers?gpu=&min_vram_gb=&count=&region=&max_price=&spot=&vendor=&sort=&limit=`: what can be rented now,
//! over all accounts, merged.
//!
//! Invariant: an account that fails stands in `failures` beside what the others offer. Prices are exact; what has
//! none is shown without, and comes last.
//!
//! Out of scope: which offers fit and in which order (`tidegate_domain::shop`), what a vendor's catalogue says (the
//! account's own object).

mod id;
mod market;
mod view;

use serde_json::{Value, json};
use tidegate_domain::shop::{Order, Wish, browse};

use super::fields::bad_value;
use super::price;
use super::servers::query_number;
use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::Step;
use crate::gateway::Cx;
use crate::request::Response;

pub(super) use id::OfferId;
pub(super) use market::{Failure, Listed, Market, OFFERS_TIMEOUT_MS, Scope, offered, visit};
pub(super) use view::{failure, offer};

const MAX_PAGE: u32 = 500;
const PAGE: u32 = 100;

/// The disk that a listed offer's prices are for: the most that a profile has unless it says otherwise.
pub(crate) const COMMON_DISK_GB: u32 = 100;

/// The offers that match, in order.
pub fn list(cx: &mut Cx<'_>, admin: Admin) -> Step {
    let (wish, order, limit) = match read(cx) {
        Ok(read) => read,
        Err(refused) => return refused.into(),
    };
    let scope = Scope {
        vendor: wish.vendor.clone(),
        account: None,
    };
    visit(&admin, scope, move |cx, market| {
        let all = market.offered(COMMON_DISK_GB);
        let found = browse(&all, &wish, order);
        let total = found.len();
        let data: Vec<Value> = found
            .into_iter()
            .filter_map(|place| market.listed.get(place))
            .take(limit)
            .map(|listed| offer(listed, COMMON_DISK_GB, cx.now))
            .collect();
        let failures: Vec<Value> = market.failures.iter().map(failure).collect();
        let body = json!({
            "object": "list",
            "data": data,
            "total": total,
            "failures": failures,
        });
        Step::Respond(Response::json(200, &body))
    })
}

fn read(cx: &Cx<'_>) -> Result<(Wish, Order, usize), ApiError> {
    let text = |name| cx.head.query(name).filter(|text| !text.is_empty());
    let vendor = text("vendor");
    if let Some(vendor) = &vendor
        && tidegate_providers::by_name(vendor).is_none()
    {
        let known: Vec<&str> = tidegate_providers::ALL
            .iter()
            .map(|it| it.vendor())
            .collect();
        let must = format!("must be one of {}", known.join(", "));
        return Err(bad_value("vendor", &must));
    }
    let max_price = text("max_price").map(|text| {
        price::decimal(&text).map_err(|refused| bad_value("max_price", &refused.to_string()))
    });
    let spot = text("spot").map(|text| match text.as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad_value("spot", "must be true or false")),
    });
    let order = text("sort").map(|text| {
        let must = "must be price, price_per_gpu or vram, with an optional leading -";
        Order::parse(&text).ok_or_else(|| bad_value("sort", must))
    });
    let wish = Wish {
        gpu: text("gpu"),
        min_vram_gb: query_number(cx, "min_vram_gb", 0..=u32::MAX)?,
        count: query_number(cx, "count", 1..=u32::MAX)?,
        region: text("region"),
        vendor,
        spot: spot.transpose()?,
        max_microusd_per_hour: max_price.transpose()?,
    };
    let limit = query_number(cx, "limit", 1..=MAX_PAGE)?.unwrap_or(PAGE);
    Ok((
        wish,
        order.transpose()?.unwrap_or_default(),
        usize::try_from(limit).unwrap_or(usize::MAX),
    ))
}
