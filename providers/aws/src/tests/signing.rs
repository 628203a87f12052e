//! Signatures against those that botocore 1.44 made of the same bodies, keys and moment.

use tidegate_provider_api::{Method, Request};
use url::Url;

use super::{Account, NOW_MS, SECRET, SESSION, account, destroy};
use crate::query::Form;
use crate::sigv4::{Keys, Scope, signed_headers};

const FORM: &[(&str, &str)] = &[(
    "content-type",
    "application/x-www-form-urlencoded; charset=utf-8",
)];

/// The `Authorization` of a body that is sent to a service.
fn authorization(service: &str, region: &str, headers: &[(&str, &str)], body: &str) -> String {
    let host = match service {
        "pricing" => "https://api.pricing.us-east-1.amazonaws.com/".to_owned(),
        other => format!("https://{other}.{region}.amazonaws.com/"),
    };
    let keys = Keys {
        access_key_id: "AKIDEXAMPLE",
        secret_access_key: SECRET,
        session_token: (service == "sts").then_some(SESSION),
    };
    let scope = Scope {
        region,
        service,
        now_ms: NOW_MS,
    };
    let url = Url::parse(&host).unwrap();
    let headers = signed_headers(&keys, &scope, &url, headers, body).unwrap();
    let found = headers
        .into_iter()
        .find(|(name, _)| name == "authorization");
    found.unwrap().1
}

fn ends_with_signature(authorization: &str, signature: &str) -> bool {
    authorization.ends_with(&format!("Signature={signature}"))
}

#[test]
fn the_signature_of_a_termination_is_the_reference() {
    let mut form = Form::new("TerminateInstances", "2016-11-15");
    form.add("InstanceId.1", "i-1");
    form.add("InstanceId.2", "i-2");
    let body = form.finish();
    assert_eq!(
        body,
        "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.2=i-2"
    );
    assert_eq!(
        authorization("ec2", "us-east-1", FORM, &body),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/ec2/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=26dd2e3497e95e21d8d2736c8c7d7e0695ea43353a1af948a2707199f5e134bc"
    );
}

#[test]
fn the_signature_of_a_filtered_list_is_the_reference() {
    let mut form = Form::new("DescribeInstances", "2016-11-15");
    form.add_filter(1, "tag:app", &["x"]);
    form.add_filter(2, "instance-state-name", &["pending", "running"]);
    form.add("MaxResults", 100);
    let body = form.finish();
    assert_eq!(
        body,
        "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Aapp&Filter.1.Value.1=x&\
         Filter.2.Name=instance-state-name&Filter.2.Value.1=pending&Filter.2.Value.2=running&MaxResults=100"
    );
    assert!(ends_with_signature(
        &authorization("ec2", "eu-west-1", FORM, &body),
        "a695b0bf626ee8937bfb919ad6a561e271f48ebc6f9cb56533a32180bcb1ca3d"
    ));
}

#[test]
fn the_signature_of_offerings_is_the_reference() {
    let mut form = Form::new("DescribeInstanceTypeOfferings", "2016-11-15");
    form.add("LocationType", "availability-zone");
    form.add_filter(1, "instance-type", &["g6.xlarge", "p5.*"]);
    let body = form.finish();
    assert_eq!(
        body,
        "Action=DescribeInstanceTypeOfferings&Version=2016-11-15&LocationType=availability-zone&\
         Filter.1.Name=instance-type&Filter.1.Value.1=g6.xlarge&Filter.1.Value.2=p5.%2A"
    );
    assert!(ends_with_signature(
        &authorization("ec2", "us-east-1", FORM, &body),
        "a35aa6f7ef2d11895c541443e37b649bffaf5f732ef43ad11186afc7f1626473"
    ));
}

#[test]
fn the_signatures_of_tags_and_regions_are_the_references() {
    let mut tags = Form::new("CreateTags", "2016-11-15");
    tags.add("ResourceId.1", "i-1");
    tags.add("Tag.1.Key", "a");
    tags.add("Tag.1.Value", "b");
    assert!(ends_with_signature(
        &authorization("ec2", "us-east-1", FORM, &tags.finish()),
        "e0209b2461301b0a0ec0158f12c8f3e87bdca486864923ccf0639e8428cc2a14"
    ));
    let mut regions = Form::new("DescribeRegions", "2016-11-15");
    regions.add("AllRegions", false);
    assert!(ends_with_signature(
        &authorization("ec2", "us-east-1", FORM, &regions.finish()),
        "2783bbfe131a328169296b5e23ba3fce203bde24b3112a231fb6d4ee21f8c125"
    ));
}

#[test]
fn a_session_token_is_signed_too() {
    let call = account().with_session().encode(&Request::Verify).unwrap();
    assert_eq!(call.method, Method::Post);
    assert_eq!(call.url, "https://sts.us-east-1.amazonaws.com/");
    assert_eq!(
        call.body.as_deref(),
        Some("Action=GetCallerIdentity&Version=2011-06-15")
    );
    let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/sts/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, \
         Signature=3207f7f60a2c1d18fecd5f4964581cfd22438bf8f41974dd4df4b10f8be9883d";
    let expected = [
        FORM[0],
        ("x-amz-date", "20261120T120000Z"),
        ("x-amz-security-token", SESSION),
        ("authorization", authorization),
    ];
    let headers: Vec<(&str, &str)> = call
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(headers, expected);
}

#[test]
fn the_signature_of_a_price_list_is_the_reference() {
    let body = r#"{"ServiceCode": "AmazonEC2", "FormatVersion": "aws_v1", "MaxResults": 100, "Filters": [{"Type": "TERM_MATCH", "Field": "instanceType", "Value": "g6.xlarge"}]}"#;
    let headers = [
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "AWSPriceListService.GetProducts"),
    ];
    assert!(ends_with_signature(
        &authorization("pricing", "us-east-1", &headers, body),
        "47d927a1bf2aca3b08e6836beae7bdc962f7b6468ec6a489a3a06f1dda99c1d9"
    ));
}

/// Every name that a launch may use, as botocore writes them.
#[test]
fn the_body_and_the_signature_of_a_launch_are_the_references() {
    let mut form = Form::new("RunInstances", "2016-11-15");
    for (name, value) in [
        ("ImageId", "ami-0123456789abcdef0"),
        ("InstanceType", "g6.xlarge"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("ClientToken", "dep-123-1"),
        ("KeyName", "k"),
        ("UserData", "IyEvYmluL3NoCmVjaG8gaGkK"),
        ("BlockDeviceMapping.1.DeviceName", "/dev/sda1"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "100"),
        ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
        ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
        ("BlockDeviceMapping.1.Ebs.Encrypted", "true"),
        ("NetworkInterface.1.DeviceIndex", "0"),
        ("NetworkInterface.1.AssociatePublicIpAddress", "true"),
        ("NetworkInterface.1.SubnetId", "subnet-1"),
        ("NetworkInterface.1.SecurityGroupId.1", "sg-1"),
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "app"),
        ("TagSpecification.1.Tag.1.Value", "x"),
        ("TagSpecification.1.Tag.2.Key", "Name"),
        ("TagSpecification.1.Tag.2.Value", "dep-123"),
        ("TagSpecification.2.ResourceType", "volume"),
        ("TagSpecification.2.Tag.1.Key", "app"),
        ("TagSpecification.2.Tag.1.Value", "x"),
        ("MetadataOptions.HttpTokens", "required"),
        ("MetadataOptions.HttpPutResponseHopLimit", "2"),
        ("InstanceInitiatedShutdownBehavior", "terminate"),
        ("InstanceMarketOptions.MarketType", "spot"),
        (
            "InstanceMarketOptions.SpotOptions.SpotInstanceType",
            "one-time",
        ),
        (
            "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior",
            "terminate",
        ),
    ] {
        form.add(name, value);
    }
    let body = form.finish();
    assert_eq!(
        body,
        "Action=RunInstances&Version=2016-11-15&ImageId=ami-0123456789abcdef0&InstanceType=g6.xlarge&MinCount=1&\
         MaxCount=1&ClientToken=dep-123-1&KeyName=k&UserData=IyEvYmluL3NoCmVjaG8gaGkK&\
         BlockDeviceMapping.1.DeviceName=%2Fdev%2Fsda1&BlockDeviceMapping.1.Ebs.VolumeSize=100&\
         BlockDeviceMapping.1.Ebs.VolumeType=gp3&BlockDeviceMapping.1.Ebs.DeleteOnTermination=true&\
         BlockDeviceMapping.1.Ebs.Encrypted=true&NetworkInterface.1.DeviceIndex=0&\
         NetworkInterface.1.AssociatePublicIpAddress=true&NetworkInterface.1.SubnetId=subnet-1&\
         NetworkInterface.1.SecurityGroupId.1=sg-1&TagSpecification.1.ResourceType=instance&\
         TagSpecification.1.Tag.1.Key=app&TagSpecification.1.Tag.1.Value=x&TagSpecification.1.Tag.2.Key=Name&\
         TagSpecification.1.Tag.2.Value=dep-123&TagSpecification.2.ResourceType=volume&\
         TagSpecification.2.Tag.1.Key=app&TagSpecification.2.Tag.1.Value=x&MetadataOptions.HttpTokens=required&\
         MetadataOptions.HttpPutResponseHopLimit=2&InstanceInitiatedShutdownBehavior=terminate&\
         InstanceMarketOptions.MarketType=spot&InstanceMarketOptions.SpotOptions.SpotInstanceType=one-time&\
         InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior=terminate"
    );
    assert!(ends_with_signature(
        &authorization("ec2", "us-east-1", FORM, &body),
        "bad417649cdfa5ef42c4b51394f6ea1acbb4c386cbf12a09306254bacb23f5be"
    ));
}

#[test]
fn a_stand_in_is_called_below_its_own_path_and_signed_for_as_the_region_it_stands_for() {
    let stand_in = account().at("http://127.0.0.1:4566/aws");
    let call = stand_in.encode(&destroy()).unwrap();
    assert_eq!(call.url, "http://127.0.0.1:4566/aws/");
    let authorization = &call.headers.last().unwrap().1;
    assert!(authorization.contains("/20261120/us-east-1/ec2/aws4_request"));
    assert_ne!(
        call.headers,
        account()
            .at("http://127.0.0.1:4567/aws")
            .encode(&destroy())
            .unwrap()
            .headers,
        "the host is signed"
    );
    assert_ne!(
        call.headers,
        account()
            .at("http://127.0.0.1:4566/b")
            .encode(&destroy())
            .unwrap()
            .headers,
        "the path is signed"
    );
    assert_eq!(
        account()
            .at("https://proxy.example:443")
            .encode(&destroy())
            .unwrap()
            .headers,
        account()
            .at("https://proxy.example")
            .encode(&destroy())
            .unwrap()
            .headers,
        "clients leave out the port that is the scheme's own"
    );
}

#[test]
fn a_signature_is_good_for_its_moment_region_and_service_alone() {
    let body = "Action=DescribeRegions&Version=2016-11-15";
    let one = authorization("ec2", "us-east-1", FORM, body);
    for other in [
        authorization("ec2", "us-east-2", FORM, body),
        authorization("sts", "us-east-1", FORM, body),
        authorization("ec2", "us-east-1", FORM, "Action=DescribeRegions"),
        authorization("ec2", "us-east-1", &[("content-type", "text/plain")], body),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn nothing_is_sent_to_a_place_that_is_no_region_or_no_plain_address() {
    for region in [
        "",
        "us-east-1.evil.example/",
        "us-east-1@evil",
        "US-EAST-1",
        "a",
        "cn",
    ] {
        let request = Request::List {
            region: region.to_owned(),
            page: None,
        };
        let error = account().encode(&request).unwrap_err();
        assert_eq!(error.operation, "list");
        assert!(error.permanent && !error.unclear, "{error}");
    }
    for origin in ["", "evil", "file:///etc", "https://u:p@h", "https://h/?a="] {
        assert!(
            account().at(origin).encode(&Request::Verify).is_err(),
            "{origin}"
        );
    }
    let nameless = Account {
        credential: tidegate_provider_api::Credential::default(),
        ..account()
    };
    let error = nameless.encode(&Request::Verify).unwrap_err();
    assert_eq!(
        error.words,
        "the credential lacks a key; connect the account again"
    );
}
