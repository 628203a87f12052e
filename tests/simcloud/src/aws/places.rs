//! Regions, zones, images and networks. Invariant: they are the same in each run, and each account sees the same.

use crate::aws::catalogue::{REGIONS, Region, digits};
use crate::aws::errors::{Refusal, refuse};
use crate::aws::query::{Form, matches};
use crate::aws::xml::Xml;

/// A machine image.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its id in that region.
    pub id: String,
    /// Its name.
    pub name: &'static str,
    /// Whose.
    pub owner: &'static str,
    /// The disk that it lies on.
    pub root_device: &'static str,
    /// That disk's least size.
    pub gb: u64,
}

const IMAGES: [(&str, &str, &str, u64); 2] = [
    (
        "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) 20261107",
        "898082745236",
        "/dev/sda1",
        35,
    ),
    (
        "al2023-ami-2023.9.20261110.0-kernel-6.12-x86_64",
        "137112412989",
        "/dev/xvda",
        8,
    ),
];

/// All images of a region.
pub fn images(region: &Region) -> Vec<Image> {
    let image =
        |(name, owner, root_device, gb): (&'static str, &'static str, &'static str, u64)| Image {
            id: format!("ami-0{}", digits(&format!("{}{name}", region.name))),
            name,
            owner,
            root_device,
            gb,
        };
    IMAGES.map(image).to_vec()
}

/// The image that a launch names, by its id or by a public parameter of Systems Manager.
///
/// # Errors
/// `InvalidAMIID.NotFound`, `InvalidAMIID.Malformed`, `InvalidParameterValue`.
pub fn image(region: &Region, named: &str) -> Result<Image, Refusal> {
    let all = images(region);
    if let Some(parameter) = named.strip_prefix("resolve:ssm:") {
        let word = if parameter.contains("/deeplearning/") {
            "Deep Learning"
        } else {
            "al2023"
        };
        let found = all.into_iter().find(|image| image.name.starts_with(word));
        return match found.filter(|_| parameter.starts_with("/aws/service/")) {
            Some(image) => Ok(image),
            None => refuse(
                "InvalidParameterValue",
                format!("The parameter {parameter} could not be resolved"),
            ),
        };
    }
    let is_id = named.strip_prefix("ami-").is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if !is_id {
        return refuse("InvalidAMIID.Malformed", format!("Invalid id: \"{named}\""));
    }
    match all.into_iter().find(|image| image.id == named) {
        Some(image) => Ok(image),
        None => refuse(
            "InvalidAMIID.NotFound",
            format!("The image id '[{named}]' does not exist"),
        ),
    }
}

/// The default network of a region.
pub fn vpc(region: &Region) -> String {
    format!("vpc-0{}", digits(region.name))
}

/// The default subnet of a zone.
pub fn subnet(zone: &str) -> String {
    format!("subnet-0{}", digits(zone))
}

/// The zone of a subnet.
pub fn zone_of(region: &Region, wanted: &str) -> Option<String> {
    region.zones().find(|zone| subnet(zone) == wanted)
}

/// The default security group of a region.
pub fn group(region: &Region) -> String {
    format!("sg-0{}", digits(&format!("default {}", region.name)))
}

/// `DescribeRegions`.
///
/// # Errors
/// For filters and names that nobody knows.
pub fn regions(xml: &mut Xml, form: &Form) -> Result<(), Refusal> {
    let all = form.flag("AllRegions")?;
    let names = form.list("RegionName");
    let filters = form.filters();
    if let Some(name) = names.iter().find(|name| Region::named(name).is_none()) {
        return refuse(
            "InvalidParameterValue",
            format!("Invalid value '{name}' for region"),
        );
    }
    let status = |region: &Region| match (region.is_on, region.name) {
        (false, _) => "not-opted-in",
        (true, _) => "opt-in-not-required",
    };
    let mut shown = Vec::new();
    for region in &REGIONS {
        let mut fits = all || region.is_on;
        fits &= names.is_empty() || names.iter().any(|name| name == region.name);
        for filter in &filters {
            fits &= match filter.name.as_str() {
                "region-name" => filter.takes(region.name),
                "opt-in-status" => filter.takes(status(region)),
                "endpoint" => filter.takes(&endpoint(region)),
                _ => return filter.unknown(),
            };
        }
        shown.extend(fits.then_some(region));
    }
    xml.list("regionInfo", shown, |xml, region| {
        xml.text("optInStatus", status(region));
        xml.text("regionName", region.name);
        xml.text("regionEndpoint", endpoint(region));
    });
    Ok(())
}

fn endpoint(region: &Region) -> String {
    format!("ec2.{}.amazonaws.com", region.name)
}

/// `DescribeAvailabilityZones`.
///
/// # Errors
/// For filters that nobody knows.
pub fn zones(xml: &mut Xml, form: &Form, region: &Region) -> Result<(), Refusal> {
    let names = form.list("ZoneName");
    let filters = form.filters();
    let mut shown = Vec::new();
    for (number, zone) in (1..).zip(region.zones()) {
        let mut fits = names.is_empty() || names.contains(&zone);
        for filter in &filters {
            fits &= match filter.name.as_str() {
                "zone-name" => filter.takes(&zone),
                "region-name" => filter.takes(region.name),
                "state" => filter.takes("available"),
                "zone-type" => filter.takes("availability-zone"),
                "opt-in-status" => filter.takes("opt-in-not-required"),
                _ => return filter.unknown(),
            };
        }
        shown.extend(fits.then_some((number, zone)));
    }
    xml.list("availabilityZoneInfo", shown, |xml, (number, zone)| {
        xml.text("optInStatus", "opt-in-not-required");
        xml.empty("messageSet");
        xml.text("regionName", region.name).text("zoneName", &zone);
        xml.text("zoneId", zone_id(region, number));
        xml.text("groupName", region.name);
        xml.text("networkBorderGroup", region.name);
        xml.text("zoneType", "availability-zone")
            .text("zoneState", "available");
    });
    Ok(())
}

/// As AWS shortens them: `use1-az1`.
fn zone_id(region: &Region, number: u32) -> String {
    let parts: Vec<&str> = region.name.split('-').collect();
    let side: String = parts[1].chars().take(1).collect();
    format!("{}{side}{}-az{number}", parts[0], parts[2])
}

/// `DescribeImages`.
///
/// # Errors
/// For ids and filters that nobody knows.
pub fn describe_images(xml: &mut Xml, form: &Form, region: &Region) -> Result<(), Refusal> {
    let (ids, owners, filters) = (form.list("ImageId"), form.list("Owner"), form.filters());
    for id in &ids {
        image(region, id)?;
    }
    let mut shown = Vec::new();
    for image in images(region) {
        let mut fits = ids.is_empty() || ids.contains(&image.id);
        fits &= owners.is_empty() || owners.iter().any(|o| o == "amazon" || o == image.owner);
        for filter in &filters {
            fits &= match filter.name.as_str() {
                "name" => filter.takes(image.name),
                "image-id" => filter.takes(&image.id),
                "state" => filter.takes("available"),
                "architecture" => filter.takes("x86_64"),
                "owner-id" => filter.takes(image.owner),
                "owner-alias" => filter.takes("amazon"),
                "root-device-type" => filter.takes("ebs"),
                "virtualization-type" => filter.takes("hvm"),
                _ => return filter.unknown(),
            };
        }
        shown.extend(fits.then_some(image));
    }
    xml.list("imagesSet", shown, |xml, image| {
        xml.text("imageId", &image.id);
        xml.text("imageLocation", format!("amazon/{}", image.name));
        xml.text("imageState", "available")
            .text("imageOwnerId", image.owner);
        xml.text("creationDate", "2026-11-10T00:00:00.000Z")
            .text("isPublic", "true");
        xml.text("architecture", "x86_64")
            .text("imageType", "machine");
        xml.text("imageOwnerAlias", "amazon")
            .text("name", image.name);
        xml.text("rootDeviceType", "ebs")
            .text("rootDeviceName", image.root_device);
        xml.list("blockDeviceMapping", [&image], |xml, image| {
            xml.text("deviceName", image.root_device)
                .with("ebs", |xml| {
                    xml.text("snapshotId", format!("snap-0{}", digits(&image.id)));
                    xml.text("volumeSize", image.gb.to_string());
                    xml.text("deleteOnTermination", "true")
                        .text("volumeType", "gp3");
                    xml.text("encrypted", "false");
                });
        });
        xml.text("virtualizationType", "hvm")
            .text("hypervisor", "xen");
        xml.text("platformDetails", "Linux/UNIX")
            .text("usageOperation", "RunInstances");
    });
    Ok(())
}

/// `DescribeSubnets`.
///
/// # Errors
/// For ids and filters that nobody knows.
pub fn subnets(xml: &mut Xml, form: &Form, region: &Region) -> Result<(), Refusal> {
    let (ids, filters) = (form.list("SubnetId"), form.filters());
    if let Some(id) = ids.iter().find(|id| zone_of(region, id).is_none()) {
        return refuse(
            "InvalidSubnetID.NotFound",
            format!("The subnet ID '{id}' does not exist"),
        );
    }
    let mut shown = Vec::new();
    for (number, zone) in (0..).zip(region.zones()) {
        let id = subnet(&zone);
        let mut fits = ids.is_empty() || ids.contains(&id);
        for filter in &filters {
            fits &= match filter.name.as_str() {
                "vpc-id" => filter.takes(&vpc(region)),
                "subnet-id" => filter.takes(&id),
                "availability-zone" | "availabilityZone" => filter.takes(&zone),
                "default-for-az" | "defaultForAz" => filter.takes("true"),
                "state" => filter.takes("available"),
                _ => return filter.unknown(),
            };
        }
        shown.extend(fits.then_some((number, zone, id)));
    }
    xml.list(
        "subnetSet",
        shown,
        |xml, (number, zone, id): (u32, String, String)| {
            xml.text("subnetId", id).text("state", "available");
            xml.text("vpcId", vpc(region));
            xml.text("cidrBlock", format!("172.31.{}.0/20", number * 16));
            xml.text("availableIpAddressCount", "4091")
                .text("availabilityZone", zone);
            xml.text("defaultForAz", "true")
                .text("mapPublicIpOnLaunch", "true");
        },
    );
    Ok(())
}

/// `DescribeSecurityGroups`.
///
/// # Errors
/// For ids and filters that nobody knows.
pub fn groups(xml: &mut Xml, form: &Form, region: &Region, owner: &str) -> Result<(), Refusal> {
    let default = group(region);
    let ids = form.list("GroupId");
    if let Some(id) = ids.iter().find(|id| **id != default) {
        return refuse(
            "InvalidGroup.NotFound",
            format!("The security group '{id}' does not exist"),
        );
    }
    let mut fits = form
        .list("GroupName")
        .iter()
        .all(|name| matches(name, "default"));
    for filter in form.filters() {
        fits &= match filter.name.as_str() {
            "group-name" => filter.takes("default"),
            "group-id" => filter.takes(&default),
            "vpc-id" => filter.takes(&vpc(region)),
            _ => return filter.unknown(),
        };
    }
    xml.list("securityGroupInfo", fits.then_some(()), |xml, ()| {
        xml.text("ownerId", owner).text("groupId", &default);
        xml.text("groupName", "default");
        xml.text("groupDescription", "default VPC security group");
        xml.text("vpcId", vpc(region));
        xml.empty("ipPermissions")
            .empty("ipPermissionsEgress")
            .empty("tagSet");
    });
    Ok(())
}
