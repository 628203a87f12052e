//! What `RunInstances` is called with.

use base64ct::{Base64, Encoding};
use tidegate_provider_api::ErrorKind;

use super::{Account, account, create, pairs, spec, value};

#[test]
fn a_launch_says_everything_at_once() {
    let body = account().body(&create(spec()));
    let said = pairs(&body);
    let script = Base64::decode_vec(value(&said, "UserData").unwrap()).unwrap();
    assert!(script.starts_with(b"#!/bin/bash\n"));
    let said: Vec<(&str, &str)> = said
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| *name != "UserData")
        .collect();
    let name = "tidegate-0123456789-srv_0bPELAU4eqF0bPErPOCgqv-3";
    assert_eq!(
        said,
        [
            ("Action", "RunInstances"),
            ("Version", "2016-11-15"),
            ("ImageId", "ami-0123456789abcdef0"),
            ("InstanceType", "g6.xlarge"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("ClientToken", name),
            ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
            ("BlockDeviceMapping.1.Ebs.VolumeSize", "170"),
            ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
            ("Placement.AvailabilityZone", "us-east-1b"),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "Name"),
            ("TagSpecification.1.Tag.1.Value", name),
            ("TagSpecification.1.Tag.2.Key", "managed-by"),
            ("TagSpecification.1.Tag.2.Value", "tidegate"),
            ("TagSpecification.1.Tag.3.Key", "tidegate:account"),
            ("TagSpecification.1.Tag.3.Value", "0123456789"),
            ("TagSpecification.1.Tag.4.Key", "tidegate:instance"),
            (
                "TagSpecification.1.Tag.4.Value",
                "srv_0bPELAU4eqF0bPErPOCgqv"
            ),
            ("TagSpecification.1.Tag.5.Key", "tidegate:attempt"),
            ("TagSpecification.1.Tag.5.Value", "3"),
            ("TagSpecification.2.ResourceType", "volume"),
            ("TagSpecification.2.Tag.1.Key", "Name"),
            ("TagSpecification.2.Tag.1.Value", name),
            ("TagSpecification.2.Tag.2.Key", "managed-by"),
            ("TagSpecification.2.Tag.2.Value", "tidegate"),
            ("TagSpecification.2.Tag.3.Key", "tidegate:account"),
            ("TagSpecification.2.Tag.3.Value", "0123456789"),
            ("TagSpecification.2.Tag.4.Key", "tidegate:instance"),
            (
                "TagSpecification.2.Tag.4.Value",
                "srv_0bPELAU4eqF0bPErPOCgqv"
            ),
            ("TagSpecification.2.Tag.5.Key", "tidegate:attempt"),
            ("TagSpecification.2.Tag.5.Value", "3"),
            ("MetadataOptions.HttpTokens", "required"),
            ("MetadataOptions.HttpPutResponseHopLimit", "1"),
            ("InstanceInitiatedShutdownBehavior", "terminate"),
        ]
    );
}

/// EC2 answers the same token with other parameters by an error, so a repetition must be the same to the letter.
#[test]
fn the_same_launch_is_the_same_body_whenever_it_is_repeated() {
    let account = account();
    let first = account.body(&create(spec()));
    let mut later = account.cx();
    later.now_ms += 3_600_000;
    let again = crate::request::encode(&later, &create(spec())).unwrap();
    assert_eq!(again.body, Some(first));
}

#[test]
fn a_spot_launch_is_one_time_tagged_too_and_bids_what_was_said() {
    let mut wanted = spec();
    wanted.spot = true;
    wanted.max_microusd_per_hour = Some(1_234_500);
    let said = pairs(&account().body(&create(wanted.clone())));
    let tail: Vec<(&str, &str)> = said
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .skip_while(|(name, _)| *name != "InstanceInitiatedShutdownBehavior")
        .collect();
    assert_eq!(
        tail,
        [
            ("InstanceInitiatedShutdownBehavior", "terminate"),
            ("InstanceMarketOptions.MarketType", "spot"),
            (
                "InstanceMarketOptions.SpotOptions.SpotInstanceType",
                "one-time"
            ),
            (
                "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior",
                "terminate"
            ),
            ("InstanceMarketOptions.SpotOptions.MaxPrice", "1.2345"),
        ]
    );
    assert_eq!(
        value(&said, "TagSpecification.3.ResourceType"),
        Some("spot-instances-request")
    );
    for (most, text) in [(2_000_000, "2"), (1_001, "0.001001"), (10_000_000, "10")] {
        wanted.max_microusd_per_hour = Some(most);
        let said = pairs(&account().body(&create(wanted.clone())));
        let price = value(&said, "InstanceMarketOptions.SpotOptions.MaxPrice");
        assert_eq!(price, Some(text));
    }
    wanted.max_microusd_per_hour = Some(1_000);
    let error = account().encode(&create(wanted)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Validation);
    assert!(!error.unclear);
}

#[test]
fn a_subnet_brings_its_zone_and_takes_the_group_with_it() {
    let account = Account::new(&[
        ("regions", "us-east-1,eu-west-1"),
        (
            "subnet_id",
            "us-east-1b=subnet-b,us-east-1=subnet-any,eu-west-1=subnet-eu",
        ),
        ("security_group_id", "us-east-1=sg-us"),
        ("key_name", "mine"),
        ("root_device", "/dev/xvda"),
        ("system_disk_gb", "8"),
    ]);
    let said = pairs(&account.body(&create(spec())));
    for (name, expected) in [
        ("NetworkInterface.1.DeviceIndex", Some("0")),
        ("NetworkInterface.1.AssociatePublicIpAddress", Some("true")),
        ("NetworkInterface.1.SubnetId", Some("subnet-b")),
        ("NetworkInterface.1.SecurityGroupId.1", Some("sg-us")),
        ("SecurityGroupId.1", None),
        ("Placement.AvailabilityZone", None),
        ("KeyName", Some("mine")),
        ("BlockDeviceMapping.1.DeviceName", Some("/dev/xvda")),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", Some("128")),
        // Without an image of one's own, the newest of AWS's.
        (
            "ImageId",
            Some(
                "resolve:ssm:/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-22.04/latest/ami-id",
            ),
        ),
    ] {
        assert_eq!(value(&said, name), expected, "{name}");
    }
    let mut elsewhere = spec();
    elsewhere.zone = None;
    let said = pairs(&account.body(&create(elsewhere.clone())));
    assert_eq!(
        value(&said, "NetworkInterface.1.SubnetId"),
        Some("subnet-any")
    );
    elsewhere.region = "eu-west-1".to_owned();
    let said = pairs(&account.body(&create(elsewhere)));
    assert_eq!(
        value(&said, "NetworkInterface.1.SubnetId"),
        Some("subnet-eu")
    );
    assert_eq!(value(&said, "NetworkInterface.1.SecurityGroupId.1"), None);
}

#[test]
fn without_a_subnet_the_group_stands_by_itself() {
    let account = Account::new(&[("regions", "us-east-1"), ("security_group_id", "sg-1")]);
    let mut anywhere = spec();
    anywhere.zone = None;
    let said = pairs(&account.body(&create(anywhere)));
    assert_eq!(value(&said, "SecurityGroupId.1"), Some("sg-1"));
    assert_eq!(value(&said, "Placement.AvailabilityZone"), None);
    assert_eq!(value(&said, "NetworkInterface.1.DeviceIndex"), None);
}
