//! Accounts in admin JSON: what the registry knows, and what the account's own object adds.
//!
//! Invariant: nothing of a credential is in either.

use serde_json::{Map, Value, json};
use tidegate_durable::bindings::account::{AccountView, TestReport};
use tidegate_durable::bindings::fleet::AccountEntryView;

use crate::admin::rfc3339::moment;
use crate::admin::server_view::members;
use crate::admin::vendor_error;

/// The registry's part.
pub fn registered(account: &AccountEntryView) -> Map<String, Value> {
    members(json!({
        "id": account.id,
        "vendor": account.entry.vendor,
        "label": account.entry.label,
        "settings": account.entry.settings,
        "fingerprint": account.entry.fingerprint,
        "created_at": moment(account.created_at_ms),
        "updated_at": moment(account.updated_at_ms),
    }))
}

/// The part of the account's own object; the same members without it.
pub fn live(view: Option<&AccountView>) -> Map<String, Value> {
    let Some(view) = view else {
        return members(json!({
            "connected": null,
            "live_attempts": null,
            "calls": null,
            "strays": null,
            "sweeps": null,
            "backs_off_until_at": null,
            "last_error": null,
            "last_error_at": null,
            "live_error": "The account's own object did not answer, so what it does is not known now. The rest \
                           is what was registered. Try again in a moment.",
        }));
    };
    let strays = view.strays.iter().map(|stray| {
        json!({
            "machine_id": stray.machine,
            "marker": stray.marker,
            "region": stray.region,
            "first_seen_at": moment(stray.first_seen_ms),
            "sightings": stray.sightings,
            "destroying": stray.destroying,
        })
    });
    let sweeps = view
        .sweeps
        .iter()
        .map(|sweep| json!({ "region": sweep.region, "begun_at": moment(sweep.begun_at_ms) }));
    members(json!({
        "connected": view.connected,
        "live_attempts": view.live,
        "calls": view.calls,
        "strays": strays.collect::<Vec<_>>(),
        "sweeps": sweeps.collect::<Vec<_>>(),
        "backs_off_until_at": view.backs_off_until_ms.map(moment),
        "last_error": view.last_error.as_ref().map(vendor_error::view),
        "last_error_at": view.last_error_ms.map(moment),
        "live_error": null,
    }))
}

/// What a test found.
pub fn test(report: &TestReport) -> Value {
    let permissions = report.permissions.iter();
    let missing: Vec<&str> = permissions
        .clone()
        .filter(|it| it.allowed == Some(false))
        .map(|it| it.name.as_str())
        .collect();
    let is_short = permissions
        .clone()
        .any(|it| it.required && it.allowed == Some(false));
    let permissions = permissions.map(|it| {
        json!({
            "name": it.name,
            "allowed": it.allowed,
            "required": it.required,
            "detail": it.detail,
        })
    });
    json!({
        "ok": report.reachable && report.authenticated && !is_short,
        "reachable": report.reachable,
        "authenticated": report.authenticated,
        "principal": report.principal,
        "permissions": permissions.collect::<Vec<_>>(),
        "missing": missing,
        "error": report.error.as_ref().map(vendor_error::view),
    })
}
