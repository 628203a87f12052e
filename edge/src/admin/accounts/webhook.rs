//! `POST /admin/providers/{vendor}/accounts/{id}/webhook-secret`: where a vendor reports what happens to machines of
//! the account, and the secret that signs it.
//!
//! Invariant: the secret is made anew from the installation, stored nowhere, and shown after the audit has it.

use serde_json::json;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand};

use super::{subject, with};
use crate::admin::ask;
use crate::auth::Admin;
use crate::flow::Step;
use crate::gateway::Cx;
use crate::request::Response;

/// Shows them.
pub fn secret(cx: &mut Cx<'_>, admin: Admin, vendor: String, id: String) -> Step {
    with(cx, admin, vendor, id, |_, admin, account| {
        let asker = admin.clone();
        let note = FleetCommand::NoteAccount {
            id: account.id.clone(),
            action: "account.webhook_secret_shown".to_owned(),
            reason: String::new(),
        };
        let subject = subject(&account.id);
        ask::fleet(&asker, note, subject, move |cx, answer| match answer {
            FleetAnswer::Done => {
                let config = &cx.shared.config;
                let secret = config.installation.webhook_secret(&admin.org, &account.id);
                let (vendor, org) = (&account.entry.vendor, admin.org.as_str());
                let path = format!("/webhooks/{vendor}/{org}~{}", account.id);
                let url = config
                    .public_url
                    .as_ref()
                    .map(|base| format!("{base}{path}"));
                let body = json!({
                    "id": account.id,
                    "path": path,
                    "url": url,
                    "secret": secret.expose_str(),
                });
                let response = Response::json(200, &body);
                Ok(Step::Respond(
                    response.with_header("cache-control", "no-store"),
                ))
            }
            other => Err(Box::new(other)),
        })
    })
}
