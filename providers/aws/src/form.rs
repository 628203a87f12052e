//! What is asked when an AWS account is connected, and what its credential should be allowed to do.
//!
//! Invariant: the policy allows what the codec calls and no more, and changes only what carries our tag.
//!
//! In scope: the texts. Out of scope: what the settings mean (`settings.rs`).

use tidegate_provider_api::{CredentialForm, Field, FieldKind, Permission};

use crate::settings::{DEFAULT_AMI, DEFAULT_ROOT_DEVICE, ROOT_DEVICES};

pub(crate) static FORM: CredentialForm = CredentialForm {
    credential: &[
        Field {
            name: "access_key_id",
            label: "Access key ID",
            kind: FieldKind::Text,
            required: true,
            help: "`AKIA…` of a user made for this alone, or `ASIA…` of a session.",
            choices: &[],
            default: None,
        },
        Field {
            name: "secret_access_key",
            label: "Secret access key",
            kind: FieldKind::Secret,
            required: true,
            help: "Shown once when the access key is made; 40 characters.",
            choices: &[],
            default: None,
        },
        Field {
            name: "session_token",
            label: "Session token",
            kind: FieldKind::Secret,
            required: false,
            help: "Only with a key of a session (`ASIA…`). Such a key ends, and then nothing can be given back \
                   with it: machines end by their own timers.",
            choices: &[],
            default: None,
        },
    ],
    settings: &[
        Field {
            name: "regions",
            label: "Regions",
            kind: FieldKind::List,
            required: true,
            help: "Where to rent, and where to look for machines: `us-east-1,eu-west-1`. Each one is asked by \
                   itself, so name those you use. A region that must be opted into must be on in the account.",
            choices: &[],
            default: None,
        },
        Field {
            name: "ami_id",
            label: "Images",
            kind: FieldKind::List,
            required: false,
            help: "An x86-64 Linux image with cloud-init, bash, curl, Docker, the NVIDIA driver and its container \
                   toolkit. One for each region (`us-east-1=ami-0123,eu-west-1=ami-4567`), or a name that has \
                   one in each (`resolve:ssm:/aws/service/…`).",
            choices: &[],
            default: Some(DEFAULT_AMI),
        },
        Field {
            name: "subnet_id",
            label: "Subnets",
            kind: FieldKind::List,
            required: false,
            help: "A public subnet for each zone (`us-east-1a=subnet-0123`) or region (`us-east-1=subnet-0123`). \
                   A subnet lies in one zone: name the zone to see its spot prices. Without one, the default \
                   network of the region.",
            choices: &[],
            default: None,
        },
        Field {
            name: "security_group_id",
            label: "Security groups",
            kind: FieldKind::List,
            required: false,
            help: "One for each region: `us-east-1=sg-0123`. It must let the machine call out over HTTPS. \
                   Without one, the default group.",
            choices: &[],
            default: None,
        },
        Field {
            name: "key_name",
            label: "Key pairs",
            kind: FieldKind::List,
            required: false,
            help: "The name of a key pair to log in with besides the key that each launch gets: one name for all \
                   regions, or one for each (`us-east-1=mine`).",
            choices: &[],
            default: None,
        },
        Field {
            name: "root_device",
            label: "Root device",
            kind: FieldKind::Choice,
            required: false,
            help: "What the images call their first disk: Ubuntu `/dev/sda1`, Amazon Linux `/dev/xvda`.",
            choices: &ROOT_DEVICES,
            default: Some(DEFAULT_ROOT_DEVICE),
        },
        Field {
            name: "system_disk_gb",
            label: "Disk for the system",
            kind: FieldKind::Text,
            required: false,
            help: "GB of the first disk that the image's own system takes: they are added to what a profile asks \
                   for. At least the size of the image's snapshot.",
            choices: &[],
            default: Some("50"),
        },
    ],
    least_privilege: include_str!("policy.json"),
    help: "In the IAM console make a policy from the text below, then a user without console access that has this \
           policy and no other, then an access key for it (use case: application running outside AWS).",
};

/// `ec2:RunInstances` as a spot machine: the same call may be allowed for one market and not for the other.
pub(crate) const RENT_SPOT: &str = "ec2:RunInstances as spot";

/// Each is asked for by name. Starting, stopping and giving back cannot be tried without a machine.
pub(crate) static PERMISSIONS: [Permission; 8] = [
    Permission {
        name: "ec2:RunInstances",
        required: true,
        without: "Nothing can be rented.",
    },
    Permission {
        name: RENT_SPOT,
        required: false,
        without: "Spot machines cannot be rented.",
    },
    Permission {
        name: "ec2:DescribeInstances",
        required: true,
        without: "What was rented cannot be seen, so it could not be given back for sure.",
    },
    Permission {
        name: "ec2:DescribeInstanceTypes",
        required: true,
        without: "There are no offers: only this tells which types have which GPUs.",
    },
    Permission {
        name: "ec2:DescribeInstanceTypeOfferings",
        required: false,
        without: "Offers do not tell in which zones there are any.",
    },
    Permission {
        name: "ec2:DescribeSpotPriceHistory",
        required: false,
        without: "Spot offers have no price, so they cannot be rented.",
    },
    Permission {
        name: "ec2:DescribeRegions",
        required: false,
        without: "The account's regions cannot be listed; those in its settings work all the same.",
    },
    Permission {
        name: "pricing:GetProducts",
        required: false,
        without: "On-demand offers have no price, so they cannot be rented.",
    },
];
