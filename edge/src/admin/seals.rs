//! How an administrator's secrets come to rest, and how the one that may be shown again is opened.
//!
//! Invariant: a sealed text opens for its organisation, record and field alone.

use tidegate_vault::{Context, OpenError, SealError, Sealed, Secret, open, seal};

use crate::auth::Admin;
use crate::gateway::Cx;

/// Seals a secret for a field of a record.
pub fn sealed(
    cx: &Cx<'_>,
    admin: &Admin,
    record: &str,
    field: &str,
    secret: &Secret,
) -> Result<String, SealError> {
    let context = context(admin, record, field);
    seal(
        &cx.shared.config.keyring,
        &context,
        secret.expose(),
        &cx.random(),
    )
    .map(Sealed::into_string)
}

/// Opens what was sealed for this field of this record.
pub fn opened(
    cx: &Cx<'_>,
    admin: &Admin,
    record: &str,
    field: &str,
    sealed: &str,
) -> Result<Secret, OpenError> {
    let context = context(admin, record, field);
    open(&cx.shared.config.keyring, &context, sealed)
}

fn context<'a>(admin: &'a Admin, record: &'a str, field: &'a str) -> Context<'a> {
    Context {
        organisation: admin.org.as_str(),
        record,
        field,
    }
}
