//! What a `RunInstances` asks for, read and checked.
//!
//! In scope: everything that is wrong with a request by itself. Out of scope: whether there is one to be had.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::aws::catalogue::{GP3_MICROUSD, Region, Type};
use crate::aws::errors::{Refusal, refuse};
use crate::aws::instances::Instance;
use crate::aws::places;
use crate::aws::query::{Form, matches};
use crate::clock::Millis;
use crate::machine::Prices;
use crate::meter::disk_rate;
use crate::world::World;

/// Of user data, before base64.
const MOST_USER_DATA: usize = 16_384;
/// "Public IPv4 address: $0.005 per hour" (Amazon VPC pricing), in every region.
const ADDRESS_MICROUSD: u64 = 5_000;
/// "Each start": seconds that are charged at least.
const MINIMUM_S: u64 = 60;

/// Members of a launch that are understood; a number stands for `*`.
const KNOWN: [&str; 30] = [
    "Action",
    "Version",
    "DryRun",
    "ImageId",
    "InstanceType",
    "MinCount",
    "MaxCount",
    "ClientToken",
    "UserData",
    "KeyName",
    "SubnetId",
    "SecurityGroupId.*",
    "NetworkInterface.*.DeviceIndex",
    "NetworkInterface.*.SubnetId",
    "NetworkInterface.*.AssociatePublicIpAddress",
    "NetworkInterface.*.SecurityGroupId.*",
    "NetworkInterface.*.DeleteOnTermination",
    "NetworkInterface.*.Description",
    "BlockDeviceMapping.*.DeviceName",
    "BlockDeviceMapping.*.Ebs.*",
    "TagSpecification.*.ResourceType",
    "TagSpecification.*.Tag.*",
    "MetadataOptions.*",
    "InstanceInitiatedShutdownBehavior",
    "InstanceMarketOptions.*",
    "Placement.*",
    "Monitoring.Enabled",
    "EbsOptimized",
    "DisableApiTermination",
    "IamInstanceProfile.*",
];

/// What is launched.
pub struct Plan {
    /// The instance, but for its ids.
    pub instance: Instance,
    /// Its type.
    pub kind: Type,
    /// GPUs of that type.
    pub gpus: u32,
    /// What it costs.
    pub prices: Prices,
    /// The most that is paid for it, an hour.
    pub spot_limit: Option<u64>,
}

/// Reads a launch.
///
/// # Errors
/// In EC2's codes.
pub fn plan(world: &World, form: &Form, region: &Region, now: Millis) -> Result<Plan, Refusal> {
    let is_known = |name: &&String| KNOWN.iter().any(|pattern| matches(pattern, name));
    if let Some(name) = form.0.keys().find(|name| !is_known(name)) {
        return refuse(
            "UnknownParameter",
            format!("The parameter {name} is not recognized"),
        );
    }
    let image = places::image(region, form.must("ImageId")?)?;
    for name in ["MinCount", "MaxCount"] {
        form.must(name)?;
        if form.number(name)? != Some(1) {
            return refuse(
                "InvalidParameterValue",
                format!(
                    "only one instance at a time is simulated, and {name} wants another number"
                ),
            );
        }
    }
    let wanted = form.get("InstanceType").unwrap_or("m1.small");
    let Some(kind) = world.types.find(wanted) else {
        return refuse(
            "InvalidParameterValue",
            format!("Invalid value '{wanted}' for InstanceType."),
        );
    };
    let token = form.get("ClientToken").map(str::to_owned);
    if token
        .as_ref()
        .is_some_and(|token| token.len() > 64 || !token.is_ascii())
    {
        return refuse(
            "InvalidParameterValue",
            "Invalid value for client token: it has more than 64 ASCII characters",
        );
    }
    let mut instance = Instance {
        image: image.id.clone(),
        root_device: image.root_device.to_owned(),
        user_data: user_data(form)?,
        key_name: key_name(form)?,
        token,
        launch_ms: now,
        vcpus: kind.vcpus,
        http_tokens: form
            .get("MetadataOptions.HttpTokens")
            .unwrap_or("optional")
            .to_owned(),
        is_protected: form.flag("DisableApiTermination")?,
        ends_on_shutdown: match form.get("InstanceInitiatedShutdownBehavior") {
            None | Some("stop") => false,
            Some("terminate") => true,
            Some(other) => {
                return refuse(
                    "InvalidParameterValue",
                    format!("Invalid value '{other}' for InstanceInitiatedShutdownBehavior"),
                );
            }
        },
        ..Instance::default()
    };
    network(form, region, kind, &mut instance)?;
    disks(form, &image, &mut instance)?;
    tags(form, &mut instance)?;
    let spot_limit = market(form, &mut instance)?;
    let full = if instance.spot {
        kind.spot(region, &instance.zone)
    } else {
        kind.on_demand(region)
    };
    let disk = disk_rate(instance.disk_gb, region.price(GP3_MICROUSD));
    let address = if instance.is_public {
        ADDRESS_MICROUSD
    } else {
        0
    };
    let prices = Prices {
        full_microusd_per_hour: full,
        beside_microusd_per_hour: if world.settings.machines_alone {
            0
        } else {
            disk + address
        },
        disk_stopped_microusd_per_hour: disk,
        minimum_s: MINIMUM_S,
    };
    Ok(Plan {
        instance,
        gpus: kind.gpu.map_or(0, |gpu| gpu.count),
        kind: kind.clone(),
        prices,
        spot_limit,
    })
}

fn user_data(form: &Form) -> Result<Vec<u8>, Refusal> {
    let Ok(data) = STANDARD.decode(form.get("UserData").unwrap_or_default()) else {
        return refuse(
            "InvalidUserData.Malformed",
            "Invalid BASE64 encoding of user data.",
        );
    };
    if data.len() > MOST_USER_DATA {
        return refuse(
            "InvalidParameterValue",
            "User data is limited to 16384 bytes",
        );
    }
    Ok(data)
}

/// One key pair is known everywhere.
fn key_name(form: &Form) -> Result<Option<String>, Refusal> {
    match form.get("KeyName") {
        None => Ok(None),
        Some("simcloud") => Ok(Some(String::from("simcloud"))),
        Some(name) => refuse(
            "InvalidKeyPair.NotFound",
            format!("The key pair '{name}' does not exist"),
        ),
    }
}

fn network(
    form: &Form,
    region: &Region,
    kind: &Type,
    instance: &mut Instance,
) -> Result<(), Refusal> {
    let interfaces = form.items("NetworkInterface");
    let (subnet, groups) = match interfaces.as_slice() {
        [] => (
            form.get("SubnetId").map(str::to_owned),
            form.list("SecurityGroupId"),
        ),
        [one] => {
            if form.get("SubnetId").is_some() || form.get("SecurityGroupId.1").is_some() {
                return refuse(
                    "InvalidParameterCombination",
                    "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request",
                );
            }
            let member = |name: &str| format!("{one}.{name}");
            if form.number(&member("DeviceIndex"))? != Some(0) {
                return refuse(
                    "InvalidParameterValue",
                    "The primary network interface must have DeviceIndex 0",
                );
            }
            let public = member("AssociatePublicIpAddress");
            instance.is_public = form.get(&public).is_none() || form.flag(&public)?;
            (
                form.get(&member("SubnetId")).map(str::to_owned),
                form.list(&member("SecurityGroupId")),
            )
        }
        _ => {
            return refuse(
                "InvalidParameterValue",
                "only one network interface is simulated",
            );
        }
    };
    instance.is_public |= interfaces.is_empty();
    let default = places::group(region);
    if let Some(group) = groups.iter().find(|group| **group != default) {
        return refuse(
            "InvalidGroup.NotFound",
            format!("The security group '{group}' does not exist"),
        );
    }
    instance.groups = vec![default];
    let offering = kind.zones(region);
    let asked = form.get("Placement.AvailabilityZone").map(str::to_owned);
    if let Some(zone) = asked
        .as_ref()
        .filter(|zone| !region.zones().any(|known| known == **zone))
    {
        return refuse(
            "InvalidParameterValue",
            format!("Invalid availability zone: [{zone}]"),
        );
    }
    let of_subnet = match &subnet {
        None => None,
        Some(id) => match places::zone_of(region, id) {
            None => {
                return refuse(
                    "InvalidSubnetID.NotFound",
                    format!("The subnet ID '{id}' does not exist"),
                );
            }
            zone => zone,
        },
    };
    if asked.is_some() && of_subnet.is_some() && asked != of_subnet {
        return refuse(
            "InvalidParameterValue",
            "The subnet is not in the availability zone that was asked for",
        );
    }
    // Without a wish AWS chooses, and chooses a zone that has some.
    let free = offering
        .iter()
        .find(|zone| !kind.empty_zones.contains(*zone));
    let wished = asked.or(of_subnet);
    let zone = wished.clone().or(free.or(offering.first()).cloned());
    let unsupported = || {
        let place = wished.clone().unwrap_or_else(|| region.name.to_owned());
        let message = format!(
            "Your requested instance type ({}) is not supported in your requested Availability Zone ({place}). Please retry your request by not specifying an Availability Zone or choosing {}.",
            kind.name,
            offering.join(", ")
        );
        refuse("Unsupported", message)
    };
    match zone {
        Some(zone) if offering.contains(&zone) => instance.zone = zone,
        _ => return unsupported(),
    }
    instance.subnet = places::subnet(&instance.zone);
    Ok(())
}

fn disks(form: &Form, image: &places::Image, instance: &mut Instance) -> Result<(), Refusal> {
    let mut root_gb = image.gb;
    let mut more_gb = 0;
    for item in form.items("BlockDeviceMapping") {
        let device = form.must(&format!("{item}.DeviceName"))?;
        let size = form.number(&format!("{item}.Ebs.VolumeSize"))?;
        let ends = format!("{item}.Ebs.DeleteOnTermination");
        let stays = form.get(&ends).is_some() && !form.flag(&ends)?;
        if device == image.root_device {
            root_gb = size.unwrap_or(image.gb);
            instance.leaves_disk |= stays;
        } else {
            // Of a disk that is no image's the usual is to stay: only the root device goes by itself.
            instance.leaves_disk |= stays || form.get(&ends).is_none();
            more_gb += size.unwrap_or(0);
        }
    }
    if root_gb < image.gb {
        return refuse(
            "InvalidBlockDeviceMapping",
            format!(
                "Volume of size {root_gb}GB is smaller than snapshot 'snap-0{}', expect size>= {}GB",
                &image.id[5..],
                image.gb
            ),
        );
    }
    instance.disk_gb = root_gb + more_gb;
    Ok(())
}

fn tags(form: &Form, instance: &mut Instance) -> Result<(), Refusal> {
    for item in form.items("TagSpecification") {
        let tags = form.tags(&format!("{item}.Tag"));
        check_tags(&tags)?;
        match form.must(&format!("{item}.ResourceType"))? {
            "instance" => instance.tags.extend(tags),
            "volume" => instance.volume_tags.extend(tags),
            "network-interface" | "spot-instances-request" => {}
            other => {
                return refuse(
                    "InvalidParameterValue",
                    format!("'{other}' is not a valid taggable resource type for this operation."),
                );
            }
        }
    }
    Ok(())
}

/// The rules for tags of every resource.
///
/// # Errors
/// `InvalidParameterValue`, `TagLimitExceeded`.
pub fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if tags.len() > 50 {
        return refuse(
            "TagLimitExceeded",
            "The maximum number of Tags for this resource has been reached.",
        );
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return refuse(
                "InvalidParameterValue",
                format!("Tag '{key}' is too long or has no key"),
            );
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return refuse(
                "InvalidParameterValue",
                "Tag keys starting with 'aws:' are reserved for internal use",
            );
        }
    }
    Ok(())
}

/// Whether it is spot, and the most that is paid.
fn market(form: &Form, instance: &mut Instance) -> Result<Option<u64>, Refusal> {
    const OPTIONS: &str = "InstanceMarketOptions";
    match form.get(&format!("{OPTIONS}.MarketType")) {
        None => return Ok(None),
        Some("spot") => instance.spot = true,
        Some(other) => {
            return refuse(
                "InvalidParameterValue",
                format!("Invalid value '{other}' for MarketType"),
            );
        }
    }
    let option = |name: &str| form.get(&format!("{OPTIONS}.SpotOptions.{name}"));
    if !matches!(option("SpotInstanceType"), None | Some("one-time")) {
        return refuse(
            "InvalidParameterValue",
            "only one-time Spot requests are simulated",
        );
    }
    match option("InstanceInterruptionBehavior") {
        None | Some("terminate") => {}
        Some(other) => {
            return refuse(
                "InvalidParameterCombination",
                format!(
                    "The instance interruption behavior '{other}' is only supported for persistent Spot requests"
                ),
            );
        }
    }
    let Some(text) = option("MaxPrice") else {
        return Ok(None);
    };
    match text.parse::<f64>() {
        Ok(price) if price > 0.001 => Ok(Some((price * 1e6).round() as u64)),
        _ => refuse(
            "InvalidParameterValue",
            format!("Invalid value '{text}' for MaxPrice"),
        ),
    }
}
