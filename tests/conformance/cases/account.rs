//! Credentials, permissions, regions.

use std::collections::BTreeSet;

use serde_json::json;
use tidegate_provider_api::{ErrorKind, ProviderError, Reply, Request, Settings};

use crate::rig::Rig;

fn verify(rig: &mut Rig) -> Result<(), ProviderError> {
    match rig.ask(Request::Verify)? {
        Reply::Verified { .. } => Ok(()),
        other => panic!("{other:?}"),
    }
}

fn refused_for_the_key(error: &ProviderError) {
    assert_eq!(error.kind, ErrorKind::Auth, "{error}");
    assert!(error.permanent && !error.unclear, "{error}");
    assert!(error.http_status.is_some(), "{error}");
}

pub fn a_good_credential_counts(rig: &mut Rig) {
    verify(rig).unwrap();
}

pub fn a_credential_that_the_vendor_does_not_know_is_refused(rig: &mut Rig) {
    let (_, unknown) = (rig.row.other_key)();
    rig.use_key(&unknown);
    refused_for_the_key(&verify(rig).unwrap_err());
    for region in rig.regions() {
        refused_for_the_key(&rig.list(&region).unwrap_err());
    }
}

pub fn a_credential_that_has_expired_is_refused(rig: &mut Rig) {
    let (mut order, key) = (rig.row.other_key)();
    rig.sim.order("keys", &order);
    rig.use_key(&key);
    verify(rig).unwrap();
    order["expired"] = json!(true);
    rig.sim.order("keys", &order);
    refused_for_the_key(&verify(rig).unwrap_err());
}

/// Permissions that the key turns out to have, and those that it lacks.
fn checked(rig: &mut Rig) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let (mut has, mut lacks) = (BTreeSet::new(), BTreeSet::new());
    for region in rig.regions() {
        for permission in rig.provider.permissions() {
            let answer = rig.ask(Request::Check {
                permission: permission.name.to_owned(),
                region: region.clone(),
            });
            match answer {
                Ok(Reply::Allowed) => has.insert(permission.name),
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    refused_for_the_key(&error);
                    lacks.insert(permission.name)
                }
            };
        }
    }
    (has, lacks)
}

pub fn a_full_credential_has_every_permission_and_checking_changes_nothing(rig: &mut Rig) {
    let machine = rig.running(1);
    let all = rig.provider.permissions().iter();
    let all: BTreeSet<&str> = all.map(|permission| permission.name).collect();
    assert_eq!(checked(rig), (all, BTreeSet::new()));
    assert_eq!(rig.sim.living(), 1);
    assert_eq!(rig.see(&machine), machine);
}

pub fn a_restricted_credential_is_told_just_what_it_lacks(rig: &mut Rig) {
    let all = rig.provider.permissions().iter();
    let all: BTreeSet<&str> = all.map(|permission| permission.name).collect();
    let mut tried = BTreeSet::new();
    let (mut order, key) = (rig.row.other_key)();
    rig.use_key(&key);
    for forbidden in rig.row.permissions {
        order["denies"] = json!(forbidden.operations);
        rig.sim.order("keys", &order);
        let lost: BTreeSet<&str> = forbidden.lost.iter().copied().collect();
        let kept: BTreeSet<&str> = all.difference(&lost).copied().collect();
        assert_eq!(
            checked(rig),
            (kept, lost.clone()),
            "{:?}",
            forbidden.operations
        );
        tried.extend(lost);
        // It is a good key all the same.
        verify(rig).unwrap();
    }
    assert_eq!(tried, all, "some permission was never taken away");
    assert_eq!(rig.sim.living(), 0);
}

pub fn there_is_no_permission_that_is_not_asked_for(rig: &mut Rig) {
    let region = rig.regions().remove(0);
    let permission = "reboot_the_moon".to_owned();
    let error = rig.ask(Request::Check { permission, region }).unwrap_err();
    assert_eq!(
        (error.kind, error.http_status),
        (ErrorKind::Validation, None)
    );
    assert!(rig.sim.calls().is_empty());
}

pub fn every_region_is_told_and_those_of_the_settings_are_among_them(rig: &mut Rig) {
    let Ok(Reply::Regions { regions }) = rig.ask(Request::Regions) else {
        panic!("no regions");
    };
    let mut ids: Vec<&str> = regions.iter().map(|region| region.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, rig.row.regions);
    for listed in rig.regions() {
        let region = regions.iter().find(|region| region.id == listed);
        assert!(region.is_some_and(|region| region.enabled), "{listed}");
    }
    assert!(regions.iter().all(|region| !region.name.is_empty()));
}

pub fn settings_that_mean_nothing_are_refused_by_name(rig: &mut Rig) {
    let mut settings: Settings = rig.settings.clone();
    let (name, value) = ("flavour".to_owned(), "vanilla".to_owned());
    settings.0.insert(name, value);
    let refused = rig.provider.check_settings(&settings).unwrap_err();
    assert_eq!(refused.field, "flavour");
    assert!(!refused.to_string().contains("vanilla"));
}
