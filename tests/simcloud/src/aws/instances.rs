//! Instances as EC2 tells of them.

use std::collections::BTreeMap;

use crate::aws::catalogue::Region;
use crate::aws::places;
use crate::aws::xml::Xml;
use crate::clock::{self, Millis};
use crate::fault::Fault;
use crate::faults::Applied;
use crate::machine::{Machine, Phase};

/// What only EC2 knows of a machine.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    /// Its image.
    pub image: String,
    /// Its availability zone.
    pub zone: String,
    /// Its subnet.
    pub subnet: String,
    /// Its security groups.
    pub groups: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its disk's tags.
    pub volume_tags: BTreeMap<String, String>,
    /// The client token of its launch.
    pub token: Option<String>,
    /// The SSH key of its launch.
    pub key_name: Option<String>,
    /// What it executes when it boots for the first time, decoded.
    pub user_data: Vec<u8>,
    /// May be taken away.
    pub spot: bool,
    /// A shutdown from inside terminates it; else that stops it.
    pub ends_on_shutdown: bool,
    /// Nobody may terminate it over the API.
    pub is_protected: bool,
    /// Its disk stays when it is terminated, and goes on costing.
    pub leaves_disk: bool,
    /// All of its disks, in GB.
    pub disk_gb: u64,
    /// Its disk's id.
    pub volume: String,
    /// The name of its disk inside.
    pub root_device: String,
    /// Whether it has a public address.
    pub is_public: bool,
    /// The launch that it is part of.
    pub reservation: String,
    /// When it was launched, or last started.
    pub launch_ms: Millis,
    /// Whether it is gone for so long that it is not told of any more.
    pub is_forgotten: bool,
    /// Of its type.
    pub vcpus: u32,
    /// `required` or `optional`.
    pub http_tokens: String,
    /// `StateTransitionReason`: with the second in it when the API was asked, empty when not. (Seen in the open:
    /// cloud-custodian#6924, steampipe-plugin-aws#574.)
    pub transition: String,
}

/// A client token that was used.
#[derive(Debug, Clone)]
pub struct Token {
    /// What it was used with.
    pub request: BTreeMap<String, String>,
    /// What came of it.
    pub instances: Vec<String>,
}

/// EC2's code and word for a phase.
pub const fn state(phase: Phase) -> (u16, &'static str) {
    match phase {
        Phase::Provisioning | Phase::Starting => (0, "pending"),
        Phase::Running => (16, "running"),
        Phase::Terminating => (32, "shutting-down"),
        Phase::Terminated | Phase::Failed => (48, "terminated"),
        Phase::Stopping => (64, "stopping"),
        Phase::Stopped => (80, "stopped"),
    }
}

/// A state as an element.
pub fn write_state(xml: &mut Xml, name: &str, phase: Phase, applied: &Applied) {
    let (code, word) = state(phase);
    let odd = applied.find(|fault| match fault {
        Fault::WrongState { word } => Some(word.clone()),
        _ => None,
    });
    xml.with(name, |xml| match odd {
        Some(odd) => {
            xml.text("code", "96").text("name", odd);
        }
        None => {
            xml.text("code", code.to_string()).text("name", word);
        }
    });
}

/// `172.31.a.b` from its own address.
fn private_address(machine: &Machine) -> String {
    match machine.address {
        std::net::IpAddr::V4(address) => {
            let [.., third, fourth] = address.octets();
            format!("172.31.{third}.{fourth}")
        }
        std::net::IpAddr::V6(_) => String::from("172.31.0.10"),
    }
}

/// An instance, in the phase that it had then.
pub fn write(
    xml: &mut Xml,
    machine: &Machine,
    instance: &Instance,
    phase: Phase,
    applied: &Applied,
) {
    let is_there = !matches!(phase, Phase::Terminating | Phase::Terminated);
    let is_up = matches!(phase, Phase::Provisioning | Phase::Running);
    let public = instance.is_public && is_up;
    xml.text("instanceId", &machine.id)
        .text("imageId", &instance.image);
    write_state(xml, "instanceState", phase, applied);
    let private = private_address(machine);
    xml.text(
        "privateDnsName",
        dns("ip", &private, is_there, "ec2.internal"),
    );
    let dns_name = dns(
        "ec2",
        &machine.address.to_string(),
        public,
        "compute-1.amazonaws.com",
    );
    xml.text("dnsName", dns_name)
        .text("reason", &instance.transition);
    if let Some(key) = &instance.key_name {
        xml.text("keyName", key);
    }
    xml.text("amiLaunchIndex", "0").empty("productCodes");
    xml.text("instanceType", &machine.kind);
    xml.text("launchTime", clock::rfc3339_millis(instance.launch_ms));
    xml.with("placement", |xml| {
        xml.text("availabilityZone", &instance.zone);
        xml.empty("groupName").text("tenancy", "default");
    });
    xml.with("monitoring", |xml| {
        xml.text("state", "disabled");
    });
    if is_there {
        let vpc = Region::named(&machine.region).map(places::vpc);
        xml.text("subnetId", &instance.subnet)
            .text("vpcId", vpc.unwrap_or_default());
        xml.text("privateIpAddress", &private);
    }
    if public {
        xml.text("ipAddress", machine.address.to_string());
    }
    xml.text("sourceDestCheck", "true");
    let groups = instance.groups.iter().filter(|_| is_there);
    xml.list("groupSet", groups, |xml, group| {
        xml.text("groupId", group).text("groupName", "default");
    });
    if let Some(reason) = &machine.reason {
        xml.with("stateReason", |xml| {
            xml.text("code", &reason.code)
                .text("message", &reason.message);
        });
    }
    xml.text("architecture", "x86_64")
        .text("rootDeviceType", "ebs");
    xml.text("rootDeviceName", &instance.root_device);
    xml.list("blockDeviceMapping", is_there.then_some(()), |xml, ()| {
        xml.text("deviceName", &instance.root_device);
        xml.with("ebs", |xml| {
            xml.text("volumeId", &instance.volume)
                .text("status", "attached");
            xml.text("attachTime", clock::rfc3339_millis(machine.created_ms));
            xml.text(
                "deleteOnTermination",
                if instance.leaves_disk {
                    "false"
                } else {
                    "true"
                },
            );
        });
    });
    xml.text("virtualizationType", "hvm");
    xml.text("clientToken", instance.token.as_deref().unwrap_or_default());
    if instance.spot {
        xml.text("instanceLifecycle", "spot");
        xml.text(
            "spotInstanceRequestId",
            format!("sir-{}", &instance.reservation[2..10]),
        );
    }
    if !instance.tags.is_empty() {
        xml.tags(&instance.tags);
    }
    xml.text("hypervisor", "xen")
        .text("ebsOptimized", "false")
        .text("enaSupport", "true");
    xml.with("metadataOptions", |xml| {
        xml.text("state", "applied")
            .text("httpTokens", &instance.http_tokens);
        xml.text("httpPutResponseHopLimit", "1")
            .text("httpEndpoint", "enabled");
    });
    xml.text("currentInstanceBootMode", "uefi")
        .text("platformDetails", "Linux/UNIX");
}

fn dns(prefix: &str, address: &str, has_one: bool, domain: &str) -> String {
    if has_one {
        format!("{prefix}-{}.{domain}", address.replace('.', "-"))
    } else {
        String::new()
    }
}
