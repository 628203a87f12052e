//! The form, the policy, and which settings will do.

use serde_json::Value;
use tidegate_provider_api::Provider;

use super::map;
use crate::{Aws, settings};

fn refusal(pairs: &[(&str, &str)]) -> Option<String> {
    Aws.check_settings(&map(pairs))
        .err()
        .map(|refused| refused.to_string())
}

#[test]
fn settings_that_name_their_places_will_do() {
    for pairs in [
        vec![("regions", "us-east-1")],
        vec![
            ("regions", "us-east-1, ap-southeast-2"),
            ("key_name", "my key"),
        ],
        vec![
            ("regions", "us-east-1,eu-west-1"),
            ("ami_id", "us-east-1=ami-0a,eu-west-1=ami-0b"),
            (
                "subnet_id",
                "us-east-1a=subnet-1,us-east-1b=subnet-2,eu-west-1=subnet-3",
            ),
            ("security_group_id", "us-east-1=sg-1, eu-west-1=sg-2"),
            ("key_name", "us-east-1=a,eu-west-1=b"),
            ("root_device", "/dev/xvda"),
        ],
        vec![
            ("regions", "us-west-2"),
            ("subnet_id", "us-west-2-lax-1a=subnet-1"),
        ],
        vec![
            ("regions", "us-west-2"),
            ("ami_id", "ami-0a"),
            ("subnet_id", "subnet-1"),
        ],
        vec![
            ("regions", "us-east-1,us-west-2"),
            ("ami_id", "resolve:ssm:/my/golden/image:3"),
        ],
    ] {
        assert_eq!(refusal(&pairs), None, "{pairs:?}");
    }
}

#[test]
fn settings_that_will_not_do_are_named_with_what_to_do() {
    for (pairs, words) in [
        (
            vec![],
            "`regions` must name at least one region, like `us-east-1`",
        ),
        (
            vec![("regions", " , ")],
            "`regions` must name at least one region, like `us-east-1`",
        ),
        (
            vec![("regions", "virginia")],
            "`regions` must be region codes separated by commas, like `us-east-1,eu-west-1`",
        ),
        (
            vec![("regions", "us-east-1a")],
            "`regions` must be region codes separated by commas, like `us-east-1,eu-west-1`",
        ),
        (
            vec![("regions", "us-east-1,cn-north-1")],
            "`regions` must not name regions of China, GovCloud or another sovereign cloud: they have other \
             hosts, and their own accounts",
        ),
        (
            vec![("regions", "us-gov-west-1")],
            "`regions` must not name regions of China, GovCloud or another sovereign cloud: they have other \
             hosts, and their own accounts",
        ),
        (
            vec![("regions", "us-east-1,us-east-1")],
            "`regions` must name `us-east-1` once",
        ),
        (
            vec![("regions", "us-east-1"), ("ami", "ami-1")],
            "`ami` is no setting of this vendor",
        ),
        (
            vec![("regions", "us-east-1"), ("ami_id", "us-east-1=ubuntu")],
            "`ami_id` must be `ami-…` or `resolve:ssm:/…` in each entry",
        ),
        (
            vec![
                ("regions", "us-east-1"),
                ("subnet_id", "eu-west-1=subnet-1"),
            ],
            "`subnet_id` must name a region of `regions`, or a zone of one, before each `=`",
        ),
        (
            vec![
                ("regions", "us-east-1"),
                ("subnet_id", "us-east-12=subnet-1"),
            ],
            "`subnet_id` must name a region of `regions`, or a zone of one, before each `=`",
        ),
        (
            vec![("regions", "us-east-1,eu-west-1"), ("ami_id", "ami-1")],
            "`ami_id` must say which region it is in, as there are several: `us-east-1=…,eu-west-1=…`",
        ),
        (
            vec![
                ("regions", "us-east-1"),
                ("security_group_id", "us-east-1=sg-1,us-east-1=sg-2"),
            ],
            "`security_group_id` must have one entry for a place",
        ),
        (
            vec![("regions", "us-east-1"), ("root_device", "/dev/nvme0n1")],
            "`root_device` must be `/dev/sda1` or `/dev/xvda`",
        ),
        (
            vec![("regions", "us-east-1"), ("system_disk_gb", "1001")],
            "`system_disk_gb` must be a number from 0 to 1000",
        ),
        (
            vec![("regions", "us-east-1"), ("system_disk_gb", "50 GB")],
            "`system_disk_gb` must be a number from 0 to 1000",
        ),
    ] {
        assert_eq!(refusal(&pairs).as_deref(), Some(words), "{pairs:?}");
    }
}

#[test]
fn the_form_shows_the_size_that_is_taken_without_an_answer() {
    let field = crate::form::FORM
        .settings
        .iter()
        .find(|field| field.name == "system_disk_gb");
    let shown = field.unwrap().default.unwrap();
    let taken = settings::system_disk_gb(&map(&[("regions", "us-east-1")]));
    assert_eq!(shown, taken.to_string());
}

#[test]
fn the_narrowest_place_counts() {
    let account = map(&[("subnet_id", "us-east-1a=zone,us-east-1=region,everywhere")]);
    let of = |region: &str, zone| settings::placed(&account, "subnet_id", region, zone);
    assert_eq!(of("us-east-1", Some("us-east-1a")), Some("zone"));
    assert_eq!(of("us-east-1", Some("us-east-1b")), Some("region"));
    assert_eq!(of("us-east-1", None), Some("region"));
    assert_eq!(of("eu-west-1", None), Some("everywhere"));
    assert_eq!(
        settings::placed(&account, "ami_id", "us-east-1", None),
        None
    );
    assert_eq!(
        settings::zones_with(&account, "subnet_id", "us-east-1"),
        ["us-east-1a"]
    );
}

#[test]
fn only_the_regions_of_the_settings_are_listed_and_there_is_always_one() {
    let two = map(&[("regions", "us-east-1, eu-west-1")]);
    assert_eq!(Aws.list_regions(&two), ["us-east-1", "eu-west-1"]);
    assert_eq!(Aws.list_regions(&map(&[])), ["us-east-1"]);
}

/// The policy as it is pasted allows every call that the codec makes, and changes only what is tagged.
#[test]
fn the_policy_allows_what_is_called_and_no_more() {
    let policy: Value = serde_json::from_str(Aws.form().least_privilege).unwrap();
    let mut allowed = std::collections::BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        let actions = match &statement["Action"] {
            Value::Array(actions) => actions.clone(),
            one => vec![one.clone()],
        };
        for action in &actions {
            let action = action.as_str().unwrap().to_owned();
            let reads = action.contains(":Describe") || action.contains(":Get");
            let is_bounded = statement["Condition"]["StringEquals"].is_object()
                || statement["Sid"] == "RentWith";
            assert!(reads || is_bounded, "{action} is allowed on everything");
            assert!(!action.contains('*'));
            allowed.insert(action);
        }
    }
    let expected = [
        "ec2:CreateTags",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstances",
        "ec2:DescribeRegions",
        "ec2:DescribeSpotPriceHistory",
        "ec2:RunInstances",
        "ec2:StartInstances",
        "ec2:StopInstances",
        "ec2:TerminateInstances",
        "iam:CreateServiceLinkedRole",
        "pricing:GetProducts",
        "ssm:GetParameters",
    ];
    assert!(
        allowed.iter().map(String::as_str).eq(expected),
        "{allowed:?}"
    );
    for permission in Aws.permissions() {
        let action = permission.name.split(' ').next().unwrap();
        assert!(allowed.contains(action), "{action}");
    }
}

#[test]
fn every_field_says_what_it_is_for() {
    let form = Aws.form();
    for field in form.credential.iter().chain(form.settings) {
        assert!(
            !field.help.is_empty() && !field.label.is_empty(),
            "{}",
            field.name
        );
        let is_a_choice = field
            .default
            .is_none_or(|default| field.choices.is_empty() || field.choices.contains(&default));
        assert!(is_a_choice, "{}", field.name);
    }
    assert!(form.credential.iter().all(|field| field.name != "region"));
}
