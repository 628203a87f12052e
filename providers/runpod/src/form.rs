//! What is asked when a RunPod account is connected, and what its key must be allowed to do.
//!
//! Invariant: settings that pass [`check_settings`] make a create body that the API takes.
//!
//! In scope: names, texts, checks of settings. Out of scope: the calls that find out (`request`).

use tidegate_provider_api::{
    CredentialForm, CredentialRefused, Field, FieldKind, Permission, Settings,
};

/// The field that holds the key.
pub const API_KEY: &str = "api_key";
/// The setting that chooses the cloud.
pub const CLOUD: &str = "cloud";
/// The setting that lists data centres.
pub const DATA_CENTERS: &str = "data_centers";

/// RunPod's own data centres.
pub const SECURE: &str = "SECURE";
/// Other people's machines, rented through RunPod.
pub const COMMUNITY: &str = "COMMUNITY";

/// Lists pods.
pub const READ_PODS: &str = "read_pods";
/// Creates, stops, starts and terminates pods.
pub const WRITE_PODS: &str = "write_pods";
/// Reads GPU types, prices and data centres.
pub const READ_CATALOG: &str = "read_catalog";
/// Reads what a pod has cost.
pub const READ_BILLING: &str = "read_billing";

/// The form.
pub static FORM: CredentialForm = CredentialForm {
    credential: &[Field {
        name: API_KEY,
        label: "API key",
        kind: FieldKind::Secret,
        required: true,
        help: "Made in the RunPod console under Settings, API keys.",
        choices: &[],
        default: None,
    }],
    settings: &[
        Field {
            name: CLOUD,
            label: "Cloud",
            kind: FieldKind::Choice,
            required: false,
            help: "SECURE rents in RunPod's own data centres; COMMUNITY rents machines of other people, cheaper, \
                   without a choice of place.",
            choices: &[SECURE, COMMUNITY],
            default: Some(SECURE),
        },
        Field {
            name: DATA_CENTERS,
            label: "Data centres",
            kind: FieldKind::List,
            required: false,
            help: "Rent only in these, for example `EU-RO-1, US-KS-2`; everywhere when empty. Only with SECURE.",
            choices: &[],
            default: None,
        },
    ],
    least_privilege: "Restricted key: Read/Write for the management API (api.runpod.io), None for the \
                      serverless API (api.runpod.ai). RunPod limits no key to single pods, so this one can \
                      delete every pod of its account: a team account of its own keeps others out of reach.",
    help: "RunPod console, Settings, API keys, Create API key, Restricted. Keys from before 2024-11-11 have \
           more rights than they show: make a new one.",
};

/// What the key must be allowed to do.
pub static PERMISSIONS: [Permission; 4] = [
    Permission {
        name: READ_PODS,
        required: true,
        without: "machines cannot be looked after: the key needs Read for pods (api.runpod.io)",
    },
    Permission {
        name: WRITE_PODS,
        required: true,
        without: "nothing can be rented or given back: the key needs Write for pods (api.runpod.io)",
    },
    Permission {
        name: READ_CATALOG,
        required: true,
        without: "there are no offers: the key needs Read for the catalogue (api.runpod.io)",
    },
    Permission {
        name: READ_BILLING,
        required: false,
        without: "what a machine has cost is reckoned from its price and not compared with RunPod's bill",
    },
];

/// More data centres than RunPod has, by far.
const MOST_DATA_CENTERS: usize = 64;
const LONGEST_ID: usize = 32;

/// Checks settings.
///
/// # Errors
/// The field, and what it must be.
pub fn check_settings(settings: &Settings) -> Result<(), CredentialRefused> {
    let known = |name: &str| FORM.settings.iter().any(|field| field.name == name);
    if let Some(name) = settings.0.keys().find(|name| !known(name)) {
        return refused(name, "is no setting of RunPod");
    }
    let cloud = cloud(settings);
    if ![SECURE, COMMUNITY].contains(&cloud) {
        return refused(CLOUD, "must be SECURE or COMMUNITY");
    }
    let data_centers = settings.list(DATA_CENTERS);
    if cloud == COMMUNITY && !data_centers.is_empty() {
        return refused(
            DATA_CENTERS,
            "must be empty with COMMUNITY, which knows no data centres",
        );
    }
    if data_centers.len() > MOST_DATA_CENTERS || !data_centers.iter().copied().all(is_id) {
        return refused(
            DATA_CENTERS,
            "must be at most 64 ids in capitals, separated by commas: `EU-RO-1, US-KS-2`",
        );
    }
    Ok(())
}

/// The cloud that is chosen.
pub fn cloud(settings: &Settings) -> &str {
    settings.get(CLOUD).unwrap_or(SECURE)
}

/// RunPod takes lower case too, and then half works with it: dstack's backend says so from experience.
fn is_id(text: &str) -> bool {
    let is_id_byte = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= LONGEST_ID && text.bytes().all(is_id_byte)
}

fn refused(field: &str, must: &str) -> Result<(), CredentialRefused> {
    Err(CredentialRefused {
        field: field.to_owned(),
        must: must.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<(), String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let settings = Settings(pairs.iter().map(owned).collect());
        check_settings(&settings).map_err(|refused| refused.field)
    }

    #[test]
    fn settings_that_the_api_takes_pass() {
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&[("cloud", "COMMUNITY")]), Ok(()));
        assert_eq!(
            check(&[("cloud", "SECURE"), ("data_centers", "EU-RO-1, US-KS-2")]),
            Ok(())
        );
    }

    #[test]
    fn settings_that_it_would_refuse_are_named() {
        for (pairs, field) in [
            (vec![("clout", "SECURE")], "clout"),
            (vec![("cloud", "ALL")], "cloud"),
            (vec![("cloud", "secure")], "cloud"),
            (vec![("data_centers", "eu-ro-1")], "data_centers"),
            (vec![("data_centers", "EU RO 1")], "data_centers"),
            (
                vec![("cloud", "COMMUNITY"), ("data_centers", "EU-RO-1")],
                "data_centers",
            ),
        ] {
            assert_eq!(check(&pairs), Err(field.to_owned()), "{pairs:?}");
        }
    }
}
