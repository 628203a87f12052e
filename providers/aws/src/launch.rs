//! `RunInstances`: one machine, or the question whether one would be allowed.
//!
//! Invariant: the same request in the same settings makes the same body, so the client token, which is the
//! marker, makes a repetition the same machine. Whatever is made in the call carries our tags from its first
//! moment, and ends when the machine shuts itself down.
//!
//! In scope: the parameters. Out of scope: what the machine does when it is up (`user_data.rs`).

use base64ct::{Base64, Encoding};
use tidegate_provider_api::{CreateSpec, EncodeCx, ErrorKind, ProviderError, Settings};

use crate::query::Form;
use crate::{settings, user_data};

pub(crate) const VERSION: &str = "2016-11-15";

/// Marks what is ours. IAM conditions in the account's policy name it: it may never change.
pub(crate) const MANAGED_BY: (&str, &str) = ("managed-by", "tidegate");
pub(crate) const NAME: &str = "Name";
pub(crate) const ACCOUNT: &str = "tidegate:account";
pub(crate) const INSTANCE: &str = "tidegate:instance";
pub(crate) const ATTEMPT: &str = "tidegate:attempt";

/// A maximum price must be more than this (`SpotMarketOptions`).
const LEAST_MAX_PRICE: u64 = 1_000;

/// A type that nearly every region has, to ask whether renting would be allowed.
const ASKED_FOR: &str = "g4dn.xlarge";

/// The body that rents.
pub(crate) fn form(cx: &EncodeCx<'_>, spec: &CreateSpec) -> Result<String, ProviderError> {
    let script = user_data::script(cx, spec)
        .map_err(|words| ProviderError::new(ErrorKind::Validation, "create", &words))?;
    let marker = spec.marker.to_string();
    let attempt = spec.marker.attempt.to_string();
    let mut form = Form::new("RunInstances", VERSION);
    let zone = spec.zone.as_deref();
    add_image(&mut form, cx.settings, &spec.region, &spec.machine_type);
    form.add("ClientToken", &marker);
    let key = settings::placed(cx.settings, "key_name", &spec.region, zone);
    form.add_some("KeyName", key);
    form.add("UserData", Base64::encode_string(script.as_bytes()));
    form.add(
        "BlockDeviceMapping.1.DeviceName",
        settings::root_device(cx.settings),
    );
    let disk_gb = settings::system_disk_gb(cx.settings).saturating_add(spec.disk_gb);
    form.add("BlockDeviceMapping.1.Ebs.VolumeSize", disk_gb);
    form.add("BlockDeviceMapping.1.Ebs.VolumeType", "gp3");
    form.add("BlockDeviceMapping.1.Ebs.DeleteOnTermination", true);
    add_place(&mut form, cx.settings, &spec.region, zone);
    let tags = [
        (NAME, marker.as_str()),
        MANAGED_BY,
        (ACCOUNT, spec.marker.fingerprint.as_str()),
        (INSTANCE, spec.marker.instance.as_str()),
        (ATTEMPT, attempt.as_str()),
    ];
    add_tags(&mut form, &tags, spec.spot);
    // IMDS shows the user data. With one hop a container behind Docker's bridge cannot ask for it.
    form.add("MetadataOptions.HttpTokens", "required");
    form.add("MetadataOptions.HttpPutResponseHopLimit", 1);
    form.add("InstanceInitiatedShutdownBehavior", "terminate");
    if spec.spot {
        add_spot(&mut form);
        let most = spec.max_microusd_per_hour;
        if most.is_some_and(|most| most <= LEAST_MAX_PRICE) {
            let words = "EC2 takes no maximum price of 0.001 USD an hour or less";
            return Err(ProviderError::new(ErrorKind::Validation, "create", words));
        }
        let most = most.map(in_usd);
        form.add_some("InstanceMarketOptions.SpotOptions.MaxPrice", most);
    }
    Ok(form.finish())
}

/// The body that asks whether renting would be allowed.
pub(crate) fn dry_run(settings: &Settings, region: &str, spot: bool) -> String {
    let mut form = Form::new("RunInstances", VERSION);
    form.add("DryRun", true);
    add_image(&mut form, settings, region, ASKED_FOR);
    let key = settings::placed(settings, "key_name", region, None);
    form.add_some("KeyName", key);
    add_place(&mut form, settings, region, None);
    add_tags(&mut form, &[(NAME, "tidegate-may-i"), MANAGED_BY], spot);
    form.add("MetadataOptions.HttpTokens", "required");
    if spot {
        add_spot(&mut form);
    }
    form.finish()
}

fn add_image(form: &mut Form, settings: &Settings, region: &str, machine_type: &str) {
    let image = settings::placed(settings, "ami_id", region, None);
    form.add("ImageId", image.unwrap_or(settings::DEFAULT_AMI));
    form.add("InstanceType", machine_type);
    form.add("MinCount", 1);
    form.add("MaxCount", 1);
}

/// Subnet and groups belong to the network interface as soon as there is one; a subnet already says the zone.
fn add_place(form: &mut Form, settings: &Settings, region: &str, zone: Option<&str>) {
    let subnet = settings::placed(settings, "subnet_id", region, zone);
    let group = settings::placed(settings, "security_group_id", region, zone);
    match subnet {
        Some(subnet) => {
            form.add("NetworkInterface.1.DeviceIndex", 0);
            form.add("NetworkInterface.1.AssociatePublicIpAddress", true);
            form.add("NetworkInterface.1.SubnetId", subnet);
            form.add_some("NetworkInterface.1.SecurityGroupId.1", group);
        }
        // The subnets of a default network give out public addresses by themselves.
        None => {
            form.add_some("SecurityGroupId.1", group);
            form.add_some("Placement.AvailabilityZone", zone);
        }
    }
}

fn add_tags(form: &mut Form, tags: &[(&str, &str)], spot: bool) {
    let kinds = ["instance", "volume", "spot-instances-request"];
    for (kind, number) in kinds.iter().zip(1..=if spot { 3 } else { 2 }) {
        form.add(&format!("TagSpecification.{number}.ResourceType"), kind);
        for (index, (key, value)) in (1..).zip(tags) {
            form.add(&format!("TagSpecification.{number}.Tag.{index}.Key"), key);
            form.add(
                &format!("TagSpecification.{number}.Tag.{index}.Value"),
                value,
            );
        }
    }
}

/// One-time: when the machine is gone, nothing asks for another. (`InstanceInitiatedShutdownBehavior` is about
/// the guest's own shutdown and goes with every market; `stop` here would need a persistent request.)
fn add_spot(form: &mut Form) {
    form.add("InstanceMarketOptions.MarketType", "spot");
    form.add(
        "InstanceMarketOptions.SpotOptions.SpotInstanceType",
        "one-time",
    );
    form.add(
        "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior",
        "terminate",
    );
}

/// Micro-dollars as dollars.
fn in_usd(microusd: u64) -> String {
    let text = format!("{}.{:06}", microusd / 1_000_000, microusd % 1_000_000);
    let short = text.trim_end_matches('0').trim_end_matches('.');
    short.to_owned()
}
