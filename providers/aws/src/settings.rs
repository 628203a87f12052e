//! Where and how an account rents.
//!
//! A setting that differs from place to place is a list of `place=value`, a place being a region or a zone; a
//! value alone stands for every place. The narrowest entry counts: zone before region before everywhere.
//!
//! Invariant: what has been checked names regions of the partition `aws` only, so that a host name can be made
//! of each, and no place twice.
//!
//! In scope: their meaning. Out of scope: their form (`form.rs`).

use tidegate_provider_api::{CredentialRefused, Settings};

use crate::form::FORM;

/// The newest image of AWS's own that has driver, Docker and container toolkit, by its name in each region
/// ("Finding a DLAMI ID" in the DLAMI developer guide).
pub(crate) const DEFAULT_AMI: &str = "resolve:ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id";

pub(crate) const DEFAULT_ROOT_DEVICE: &str = "/dev/sda1";
pub(crate) const ROOT_DEVICES: [&str; 2] = [DEFAULT_ROOT_DEVICE, "/dev/xvda"];

/// Room for the system itself, beside what a profile asks for. A root volume smaller than its image's snapshot is
/// refused (`InvalidBlockDeviceMapping`), and images with driver and toolkit take 35 GB and more.
const DEFAULT_SYSTEM_DISK_GB: u32 = 50;
const MOST_SYSTEM_DISK_GB: u32 = 1_000;

/// A setting that may differ from place to place.
struct Placed {
    name: &'static str,
    fits: fn(&str) -> bool,
    looks: &'static str,
}

const PLACED: [Placed; 4] = [
    Placed {
        name: "ami_id",
        fits: is_ami,
        looks: "`ami-…` or `resolve:ssm:/…`",
    },
    Placed {
        name: "subnet_id",
        fits: is_subnet,
        looks: "`subnet-…`",
    },
    Placed {
        name: "security_group_id",
        fits: is_security_group,
        looks: "`sg-…`",
    },
    Placed {
        name: "key_name",
        fits: is_key_name,
        looks: "the name of a key pair",
    },
];

/// Checks all settings.
pub(crate) fn check(settings: &Settings) -> Result<(), CredentialRefused> {
    if let Some(name) = settings.0.keys().find(|name| {
        FORM.settings
            .iter()
            .all(|field| field.name != name.as_str())
    }) {
        return Err(refused(name, "is no setting of this vendor"));
    }
    let regions = settings.list("regions");
    if regions.is_empty() {
        return Err(refused(
            "regions",
            "must name at least one region, like `us-east-1`",
        ));
    }
    for (index, region) in regions.iter().enumerate() {
        check_region(region)?;
        if regions.iter().take(index).any(|other| other == region) {
            return Err(refused("regions", &format!("must name `{region}` once")));
        }
    }
    for placed in &PLACED {
        check_placed(settings, &regions, placed)?;
    }
    if let Some(device) = settings.get("root_device")
        && !ROOT_DEVICES.contains(&device)
    {
        return Err(refused("root_device", "must be `/dev/sda1` or `/dev/xvda`"));
    }
    match settings.get("system_disk_gb") {
        Some(size) if read_system_disk(size).is_none() => {
            Err(refused("system_disk_gb", "must be a number from 0 to 1000"))
        }
        _ => Ok(()),
    }
}

fn read_system_disk(text: &str) -> Option<u32> {
    text.parse().ok().filter(|gb| *gb <= MOST_SYSTEM_DISK_GB)
}

fn check_region(region: &str) -> Result<(), CredentialRefused> {
    let elsewhere = ["cn-", "us-gov-", "us-iso", "eu-iso", "eusc-"];
    if elsewhere.iter().any(|start| region.starts_with(start)) {
        let must = "must not name regions of China, GovCloud or another sovereign cloud: they have other hosts, \
                    and their own accounts";
        return Err(refused("regions", must));
    }
    if is_region(region) {
        Ok(())
    } else {
        Err(refused(
            "regions",
            "must be region codes separated by commas, like `us-east-1,eu-west-1`",
        ))
    }
}

fn check_placed(
    settings: &Settings,
    regions: &[&str],
    Placed { name, fits, looks }: &Placed,
) -> Result<(), CredentialRefused> {
    let mut places = Vec::new();
    for entry in settings.list(name) {
        let (place, value) = split(entry);
        if !fits(value) {
            return Err(refused(name, &format!("must be {looks} in each entry")));
        }
        match place {
            Some(place) if !regions.iter().any(|region| is_in(place, region)) => {
                let must = "must name a region of `regions`, or a zone of one, before each `=`";
                return Err(refused(name, must));
            }
            // Ids of images, subnets and groups belong to one region; names do not.
            None if regions.len() > 1 && !value.starts_with("resolve:") && *name != "key_name" => {
                let must = "must say which region it is in, as there are several: `us-east-1=…,eu-west-1=…`";
                return Err(refused(name, must));
            }
            Some(_) | None => {}
        }
        if places.contains(&place) {
            return Err(refused(name, "must have one entry for a place"));
        }
        places.push(place);
    }
    Ok(())
}

/// The regions of an account.
pub(crate) fn regions(settings: &Settings) -> Vec<String> {
    let regions = settings.list("regions");
    if regions.is_empty() {
        // Checked settings have one; a list of none would count as complete.
        return vec!["us-east-1".to_owned()];
    }
    regions.into_iter().map(str::to_owned).collect()
}

/// The value of a setting for a place; the default where the form has one.
pub(crate) fn placed<'a>(
    settings: &'a Settings,
    name: &str,
    region: &str,
    zone: Option<&str>,
) -> Option<&'a str> {
    let entries: Vec<_> = settings.list(name).into_iter().map(split).collect();
    let of = |place: Option<&str>| {
        let found = entries.iter().find(|(at, _)| *at == place);
        found.map(|(_, value)| *value)
    };
    zone.and_then(|zone| of(Some(zone)))
        .or_else(|| of(Some(region)))
        .or_else(|| of(None))
}

/// The zones of a region for which a setting has an entry.
pub(crate) fn zones_with<'a>(settings: &'a Settings, name: &str, region: &str) -> Vec<&'a str> {
    let places = settings
        .list(name)
        .into_iter()
        .filter_map(|entry| split(entry).0);
    places
        .filter(|place| *place != region && is_in(place, region))
        .collect()
}

/// What the images call their first disk.
pub(crate) fn root_device(settings: &Settings) -> &str {
    settings.get("root_device").unwrap_or(DEFAULT_ROOT_DEVICE)
}

/// What the system itself takes of the first disk.
pub(crate) fn system_disk_gb(settings: &Settings) -> u32 {
    settings
        .get("system_disk_gb")
        .and_then(read_system_disk)
        .unwrap_or(DEFAULT_SYSTEM_DISK_GB)
}

/// Whether a text has the form of a region of the partition `aws`: a host name is made of it.
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let [area, middle @ .., number] = parts.as_slice() else {
        return false;
    };
    text.len() <= 32
        && area.len() == 2
        && is_word(area)
        && !middle.is_empty()
        && middle.iter().all(|part| is_word(part))
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a place is a region or one of its zones (`us-east-1a`, `us-west-2-lax-1a`).
fn is_in(place: &str, region: &str) -> bool {
    let Some(rest) = place.strip_prefix(region) else {
        return false;
    };
    let is_letter = rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_local = rest.starts_with('-')
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    rest.is_empty() || is_letter || is_local
}

fn split(entry: &str) -> (Option<&str>, &str) {
    match entry.split_once('=') {
        Some((place, value)) => (Some(place.trim()), value.trim()),
        None => (None, entry),
    }
}

fn is_ami(text: &str) -> bool {
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/._:-".contains(&byte);
    match text.strip_prefix("resolve:ssm:") {
        Some(path) => path.starts_with('/') && path.bytes().all(is_path),
        None => is_id(text, "ami-"),
    }
}

fn is_subnet(text: &str) -> bool {
    is_id(text, "subnet-")
}

fn is_security_group(text: &str) -> bool {
    is_id(text, "sg-")
}

fn is_id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| {
        !rest.is_empty()
            && rest.len() <= 64
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn is_key_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn refused(field: &str, must: &str) -> CredentialRefused {
    CredentialRefused {
        field: field.to_owned(),
        must: must.to_owned(),
    }
}
