//! Which call each request becomes.

use tidegate_provider_api::{ErrorKind, Provider, Query, Request};

use super::{Account, account, get, list};
use crate::Aws;

#[test]
fn reading_and_changing_one_machine_names_it_alone() {
    let (region, id) = ("us-east-1".to_owned(), "i-0abc".to_owned());
    for (request, action) in [
        (get(), "DescribeInstances"),
        (
            Request::Stop {
                region: region.clone(),
                id: id.clone(),
            },
            "StopInstances",
        ),
        (
            Request::Start {
                region: region.clone(),
                id: id.clone(),
            },
            "StartInstances",
        ),
        (Request::Destroy { region, id }, "TerminateInstances"),
    ] {
        assert_eq!(
            account().body(&request),
            format!("Action={action}&Version=2016-11-15&InstanceId.1=i-0abc")
        );
    }
}

#[test]
fn a_list_asks_for_what_is_ours_page_by_page() {
    let account = account();
    let first = "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Amanaged-by&\
                 Filter.1.Value.1=tidegate&MaxResults=200";
    assert_eq!(account.body(&list()), first);
    let next = Request::List {
        region: "us-east-1".to_owned(),
        page: Some("a+b/c==".to_owned()),
    };
    assert_eq!(
        account.body(&next),
        format!("{first}&NextToken=a%2Bb%2Fc%3D%3D")
    );
}

#[test]
fn a_request_goes_to_its_region_and_what_has_none_to_the_first() {
    let account = Account::new(&[("regions", "eu-west-1,us-east-1")]);
    let url = |request: &Request| account.encode(request).unwrap().url;
    assert_eq!(url(&list()), "https://ec2.us-east-1.amazonaws.com/");
    assert_eq!(
        url(&Request::Verify),
        "https://sts.eu-west-1.amazonaws.com/"
    );
    assert_eq!(
        url(&Request::Regions),
        "https://ec2.eu-west-1.amazonaws.com/"
    );
    assert_eq!(
        account.body(&Request::Regions),
        "Action=DescribeRegions&Version=2016-11-15&AllRegions=true"
    );
}

#[test]
fn every_permission_is_asked_for_by_a_call_that_changes_nothing() {
    let account = account();
    let asked = |permission: &str| {
        account.body(&Request::Check {
            permission: permission.to_owned(),
            region: "us-east-1".to_owned(),
        })
    };
    for permission in Aws.permissions() {
        let body = asked(permission.name);
        let is_dry = body.contains("DryRun=true");
        let is_reading = body.starts_with("Action=Describe") || body.starts_with('{');
        assert!(is_dry != is_reading, "{}: {body}", permission.name);
    }
    assert_eq!(
        asked("ec2:DescribeSpotPriceHistory"),
        "Action=DescribeSpotPriceHistory&Version=2016-11-15&MaxResults=5"
    );
    let unknown = Request::Check {
        permission: "ec2:TerminateInstances".to_owned(),
        region: "us-east-1".to_owned(),
    };
    let error = account.encode(&unknown).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Validation);
}

#[test]
fn a_dry_run_asks_with_the_tags_that_the_policy_wants() {
    let body = account().body(&Request::Check {
        permission: "ec2:RunInstances".to_owned(),
        region: "us-east-1".to_owned(),
    });
    assert_eq!(
        body,
        "Action=RunInstances&Version=2016-11-15&DryRun=true&ImageId=ami-0123456789abcdef0&\
         InstanceType=g4dn.xlarge&MinCount=1&MaxCount=1&TagSpecification.1.ResourceType=instance&\
         TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=tidegate-may-i&\
         TagSpecification.1.Tag.2.Key=managed-by&TagSpecification.1.Tag.2.Value=tidegate&\
         TagSpecification.2.ResourceType=volume&TagSpecification.2.Tag.1.Key=Name&\
         TagSpecification.2.Tag.1.Value=tidegate-may-i&TagSpecification.2.Tag.2.Key=managed-by&\
         TagSpecification.2.Tag.2.Value=tidegate&MetadataOptions.HttpTokens=required"
    );
    let spot = account().body(&Request::Check {
        permission: "ec2:RunInstances as spot".to_owned(),
        region: "us-east-1".to_owned(),
    });
    assert!(
        spot.contains("InstanceMarketOptions.MarketType=spot"),
        "{spot}"
    );
    assert!(spot.contains("TagSpecification.3.ResourceType=spot-instances-request"));
}

#[test]
fn the_catalogue_is_asked_for_in_five_pieces_for_each_region() {
    let account = Account::new(&[("regions", "us-east-1,eu-west-1")]);
    let queries = Aws.shop(&account.settings);
    let places: Vec<(&str, &str)> = queries
        .iter()
        .map(|query| (query.region.as_deref().unwrap(), query.kind.as_str()))
        .collect();
    let kinds = ["types", "zones", "prices", "spot", "disk"];
    let expected: Vec<(&str, &str)> = ["us-east-1", "eu-west-1"]
        .into_iter()
        .flat_map(|region| kinds.map(|kind| (region, kind)))
        .collect();
    assert_eq!(places, expected);
    let bodies: Vec<String> = queries[..5]
        .iter()
        .map(|query| account.body(&Request::Shop(query.clone())))
        .collect();
    assert_eq!(
        bodies[0],
        "Action=DescribeInstanceTypes&Version=2016-11-15&Filter.1.Name=instance-type&Filter.1.Value.1=g%2A&\
         Filter.1.Value.2=p%2A&Filter.2.Name=processor-info.supported-architecture&Filter.2.Value.1=x86_64&\
         MaxResults=100"
    );
    assert_eq!(
        bodies[1],
        "Action=DescribeInstanceTypeOfferings&Version=2016-11-15&LocationType=availability-zone&\
         Filter.1.Name=instance-type&Filter.1.Value.1=g%2A&Filter.1.Value.2=p%2A&MaxResults=1000"
    );
    assert_eq!(
        bodies[3],
        "Action=DescribeSpotPriceHistory&Version=2016-11-15&Filter.1.Name=instance-type&Filter.1.Value.1=g%2A&\
         Filter.1.Value.2=p%2A&MaxResults=1000&ProductDescription.1=Linux%2FUNIX&\
         StartTime=2026-11-20T12%3A00%3A00Z"
    );
    let wanted = |fields: &[(&str, &str)]| -> serde_json::Value {
        let filter = |(field, value): &(&str, &str)| serde_json::json!({"Type": "TERM_MATCH", "Field": field, "Value": value});
        fields.iter().map(filter).collect()
    };
    let prices: serde_json::Value = serde_json::from_str(&bodies[2]).unwrap();
    assert_eq!(
        prices["Filters"],
        wanted(&[
            ("instanceFamily", "GPU instance"),
            ("operatingSystem", "Linux"),
            ("tenancy", "Shared"),
            ("preInstalledSw", "NA"),
            ("capacitystatus", "Used"),
            ("regionCode", "us-east-1"),
        ])
    );
    let disk: serde_json::Value = serde_json::from_str(&bodies[4]).unwrap();
    assert_eq!(
        disk["Filters"],
        wanted(&[
            ("productFamily", "Storage"),
            ("volumeApiName", "gp3"),
            ("regionCode", "us-east-1"),
        ])
    );
}

#[test]
fn prices_of_every_region_are_asked_for_where_the_price_list_is() {
    let query = Query {
        kind: "prices".to_owned(),
        region: Some("eu-west-1".to_owned()),
        page: Some("next".to_owned()),
    };
    let call = account().encode(&Request::Shop(query)).unwrap();
    assert_eq!(call.url, "https://api.pricing.us-east-1.amazonaws.com/");
    let header = |name: &str| {
        let found = call.headers.iter().find(|(have, _)| have == name);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(header("content-type"), Some("application/x-amz-json-1.1"));
    assert_eq!(
        header("x-amz-target"),
        Some("AWSPriceListService.GetProducts")
    );
    assert!(header("authorization").unwrap().contains(
        "/us-east-1/pricing/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target,"
    ));
    let body: serde_json::Value = serde_json::from_str(&call.body.unwrap()).unwrap();
    assert_eq!(body["NextToken"], "next");
    assert_eq!(body["ServiceCode"], "AmazonEC2");
}

#[test]
fn what_ec2_cannot_be_asked_is_refused() {
    let strange = [
        Request::Bill {
            region: "us-east-1".to_owned(),
            id: "i-0abc".to_owned(),
            since_ms: 0,
            until_ms: 1,
        },
        Request::Shop(Query {
            kind: "weather".to_owned(),
            region: Some("us-east-1".to_owned()),
            page: None,
        }),
        Request::Shop(Query {
            kind: "types".to_owned(),
            region: None,
            page: None,
        }),
    ];
    for request in strange {
        let error = account().encode(&request).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Validation, "{error}");
        assert_eq!(error.operation, request.operation());
    }
}

#[test]
fn a_call_shows_neither_credential_nor_body() {
    let account = account().with_session();
    let call = account.encode(&super::create(super::spec())).unwrap();
    assert_eq!(
        format!("{call:?}"),
        "POST https://ec2.us-east-1.amazonaws.com/"
    );
}
