//! What each error of AWS's means.

use tidegate_provider_api::{ErrorKind, HttpReply, Provider, ProviderError, Reply, Request};

use super::{SECRET, SESSION, account, create, destroy, get, http, list, spec};
use crate::Aws;

/// An error as EC2 writes it.
fn ec2(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code>\
         <Message>{message}</Message></Error></Errors>\
         <RequestID>80586c44-52b5-4c07-8a5c-e2a8a3bd5c11</RequestID></Response>"
    )
}

fn error(request: &Request, status: u16, body: &str) -> ProviderError {
    account().decode(request, status, body).unwrap_err()
}

fn start() -> Request {
    Request::Start {
        region: "us-east-1".to_owned(),
        id: "i-0abc".to_owned(),
    }
}

fn check(permission: &str) -> Request {
    Request::Check {
        permission: permission.to_owned(),
        region: "us-east-1".to_owned(),
    }
}

#[test]
fn the_code_decides_whatever_the_status_is() {
    use ErrorKind::{Auth, Capacity, Network, NotFound, Quota, RateLimited, Validation};
    for (code, kind) in [
        ("AuthFailure", Auth),
        ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", Auth),
        ("InvalidClientTokenId", Auth),
        ("SignatureDoesNotMatch", Auth),
        ("IncompleteSignature", Auth),
        ("MissingAuthenticationToken", Auth),
        ("ExpiredToken", Auth),
        ("RequestExpired", Auth),
        ("UnauthorizedOperation", Auth),
        ("OptInRequired", Auth),
        ("PendingVerification", Auth),
        ("Blocked", Auth),
        ("VcpuLimitExceeded", Quota),
        ("InstanceLimitExceeded", Quota),
        ("MaxSpotInstanceCountExceeded", Quota),
        ("VolumeLimitExceeded", Quota),
        ("AddressLimitExceeded", Quota),
        ("MaxIOPSLimitExceeded", Quota),
        ("ResourceCountExceeded", Quota),
        ("SomethingNewLimitExceeded", Quota),
        ("SpotMaxPriceTooLow", Capacity),
        ("InsufficientInstanceCapacity", Capacity),
        ("InsufficientHostCapacity", Capacity),
        ("InsufficientReservedInstanceCapacity", Capacity),
        ("InsufficientCapacityOnHost", Capacity),
        ("InsufficientCapacity", Capacity),
        ("InsufficientFreeAddressesInSubnet", Capacity),
        ("InsufficientSomethingNewCapacity", Capacity),
        ("UnfulfillableCapacity", Capacity),
        ("Unsupported", Capacity),
        ("RequestLimitExceeded", RateLimited),
        ("EC2ThrottledException", RateLimited),
        ("Throttling", RateLimited),
        ("ThrottlingException", RateLimited),
        ("RequestThrottled", RateLimited),
        ("InvalidParameterValue", Validation),
        ("InvalidParameterCombination", Validation),
        ("MissingParameter", Validation),
        ("InvalidAMIID.NotFound", Validation),
        ("InvalidAMIID.Malformed", Validation),
        ("InvalidAMIID.Unavailable", Validation),
        ("InvalidSubnetID.NotFound", Validation),
        ("InvalidGroup.NotFound", Validation),
        ("InvalidKeyPair.NotFound", Validation),
        ("InvalidUserData.Malformed", Validation),
        ("IdempotentParameterMismatch", Validation),
        ("IdempotentInstanceTerminated", Validation),
        ("IncorrectInstanceState", Validation),
        ("OperationNotPermitted", Validation),
        ("UnsupportedOperation", Validation),
        ("InternalError", Network),
        ("InternalFailure", Network),
        ("ServiceUnavailable", Network),
        ("Unavailable", Network),
        ("ServerInternal", Network),
    ] {
        for status in [400, 403, 500, 503] {
            let error = error(&create(spec()), status, &ec2(code, "Words."));
            let unclear = kind == Network || code == "IdempotentParameterMismatch";
            assert_eq!(
                (error.kind, error.unclear),
                (kind, unclear),
                "{code} {status}"
            );
            assert_eq!(error.code.as_deref(), Some(code));
            assert_eq!(error.http_status, Some(status));
            assert_eq!(error.words, "Words.");
            assert_eq!(error.operation, "create");
        }
    }
    for (code, kind) in [
        ("InvalidInstanceID.NotFound", NotFound),
        ("InvalidInstanceID.Malformed", NotFound),
    ] {
        assert_eq!(error(&destroy(), 400, &ec2(code, "")).kind, kind);
    }
    assert_eq!(
        error(&get(), 400, &ec2("InvalidVolume.NotFound", "")).kind,
        NotFound
    );
    assert_eq!(
        error(&start(), 400, &ec2("Unsupported", "")).kind,
        Validation
    );
    assert_eq!(
        error(&start(), 500, &ec2("InsufficientInstanceCapacity", "")).kind,
        Capacity
    );
}

#[test]
fn no_capacity_is_said_with_500_and_is_certain() {
    let message = "We currently do not have sufficient c4.4xlarge capacity in the Availability Zone you requested \
                   (us-east-1c). Our system will be working on provisioning additional capacity.";
    let error = error(
        &create(spec()),
        500,
        &ec2("InsufficientInstanceCapacity", message),
    );
    assert!(!error.unclear && !error.permanent);
    assert_eq!(
        error.to_string(),
        format!("create failed (capacity, InsufficientInstanceCapacity, HTTP 500): {message}")
    );
}

#[test]
fn an_image_of_somebody_elses_is_no_reason_to_doubt_the_credential() {
    let refused = |words: &str| error(&create(spec()), 401, &ec2("AuthFailure", words)).kind;
    assert_eq!(
        refused("Not authorized for images: [ami-0123456789abcdef0]"),
        ErrorKind::Validation
    );
    assert_eq!(
        refused("AWS was not able to validate the provided access credentials"),
        ErrorKind::Auth
    );
}

#[test]
fn a_code_that_nobody_knows_is_told_by_the_status() {
    for (status, kind, unclear) in [
        (400, ErrorKind::Validation, false),
        (429, ErrorKind::RateLimited, false),
        (500, ErrorKind::Network, true),
        (200, ErrorKind::Network, true),
    ] {
        let error = error(&create(spec()), status, &ec2("BrandNew", "Words."));
        assert_eq!((error.kind, error.unclear), (kind, unclear), "{status}");
        assert_eq!(error.code.as_deref(), Some("BrandNew"));
    }
    assert!(
        !error(&list(), 500, &ec2("BrandNew", "")).unclear,
        "a list changes nothing"
    );
}

#[test]
fn what_cannot_be_read_leaves_a_change_open() {
    let long = "<a>".repeat(200_000);
    let deep = format!("{long}{}", "</a>".repeat(200_000));
    let doctype = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><Response>&a;</Response>";
    for body in [
        "",
        "<html><body>502 Bad Gateway</body></html>",
        "<RunInstancesResponse><instancesSet>",
        "{}",
        "{\"__type\":7}",
        "<Response><Errors/></Response>",
        "<RunInstancesResponse/>",
        "<RunInstancesResponse><instancesSet><item/></instancesSet></RunInstancesResponse>",
        "<DescribeInstancesResponse/>",
        doctype,
        &long,
        &deep,
    ] {
        for status in [200, 301, 400, 502] {
            let changed = error(&create(spec()), status, body);
            assert_eq!(changed.kind, ErrorKind::Network, "{status} {body:.60}");
            assert!(changed.unclear && !changed.permanent);
        }
    }
    for body in [
        "",
        "<html/>",
        "<RunInstancesResponse/>",
        "<DescribeInstancesResponse>",
    ] {
        let seen = error(&list(), 200, body);
        assert_eq!(seen.kind, ErrorKind::Network);
        assert!(!seen.unclear);
    }
    assert_eq!(
        error(&list(), 429, "slow down").kind,
        ErrorKind::RateLimited
    );
}

#[test]
fn errors_of_the_other_services_are_read_too() {
    let sts = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
               <Code>InvalidClientTokenId</Code><Message>The security token included in the request is \
               invalid.</Message></Error><RequestId>e1c5</RequestId></ErrorResponse>";
    let refused = error(&Request::Verify, 403, sts);
    assert_eq!(
        refused.to_string(),
        "verify failed (auth, InvalidClientTokenId, HTTP 403): The security token included in the request is \
         invalid."
    );
    for (kind, named, code) in [
        (
            ErrorKind::Auth,
            "com.amazon.coral.service#AccessDeniedException",
            "AccessDeniedException",
        ),
        (
            ErrorKind::Auth,
            "UnrecognizedClientException",
            "UnrecognizedClientException",
        ),
        (
            ErrorKind::Auth,
            "ExpiredTokenException",
            "ExpiredTokenException",
        ),
        (
            ErrorKind::RateLimited,
            "ThrottlingException",
            "ThrottlingException",
        ),
        (
            ErrorKind::Network,
            "InternalErrorException",
            "InternalErrorException",
        ),
        (
            ErrorKind::Validation,
            "InvalidParameterException",
            "InvalidParameterException",
        ),
    ] {
        let body = format!("{{\"__type\":\"{named}\",\"Message\":\"User may not\"}}");
        let refused = error(&check("pricing:GetProducts"), 400, &body);
        assert_eq!((refused.kind, refused.code.as_deref()), (kind, Some(code)));
        assert_eq!(refused.words, "User may not");
    }
}

#[test]
fn a_dry_run_that_would_have_worked_is_allowed_whatever_its_status_is() {
    let message = "Request would have succeeded, but DryRun flag is set.";
    for status in [200, 400, 412] {
        let reply = account().decode(
            &check("ec2:RunInstances"),
            status,
            &ec2("DryRunOperation", message),
        );
        assert_eq!(reply, Ok(Reply::Allowed));
    }
    let refused = error(
        &check("ec2:RunInstances"),
        403,
        &ec2("UnauthorizedOperation", "No."),
    );
    assert_eq!(refused.kind, ErrorKind::Auth);
    // To anything else it is no answer.
    let strange = error(&list(), 412, &ec2("DryRunOperation", message));
    assert_eq!(strange.kind, ErrorKind::Validation);
}

#[test]
fn a_dry_run_that_was_not_dry_is_told_with_the_machine_to_give_back() {
    let body = "<RunInstancesResponse><instancesSet><item><instanceId>i-0wet</instanceId></item></instancesSet>\
                </RunInstancesResponse>";
    let error = error(&check("ec2:RunInstances"), 200, body);
    assert!(error.words.contains("i-0wet"), "{error}");
}

#[test]
fn looking_is_allowed_when_something_is_shown() {
    for permission in Aws.permissions() {
        let body = match permission.name.strip_prefix("ec2:Describe") {
            Some(what) => format!("<Describe{what}Response/>"),
            None if permission.name.starts_with("pricing:") => {
                "{\"FormatVersion\":\"aws_v1\",\"PriceList\":[]}".to_owned()
            }
            None => continue,
        };
        let reply = account().decode(&check(permission.name), 200, &body);
        assert_eq!(reply, Ok(Reply::Allowed), "{}", permission.name);
        assert!(
            account()
                .decode(&check(permission.name), 200, "<html/>")
                .is_err()
        );
    }
}

#[test]
fn words_that_only_their_owner_can_read_are_cut() {
    let message = format!(
        "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/x is not \
         authorized to perform: ec2:RunInstances. Encoded authorization failure message: {}",
        "Zm9v".repeat(200)
    );
    let refused = error(
        &create(spec()),
        403,
        &ec2("UnauthorizedOperation", &message),
    );
    assert_eq!(
        refused.words,
        "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/x is not \
         authorized to perform: ec2:RunInstances."
    );
    let blob = format!("Bad {} here", "Zm9v".repeat(100));
    assert_eq!(
        error(&list(), 400, &ec2("Strange", &blob)).words,
        "Bad […] here"
    );
}

#[test]
fn what_was_sent_in_confidence_is_not_told_again() {
    let account = account().with_session();
    let canonical = format!(
        "The request signature we calculated does not match the signature you provided. The Canonical String \
         for this request should have been 'POST / x-amz-security-token:{SESSION}'"
    );
    let echoes = format!("{SECRET} {SESSION} sk-only-for-this-server boot-0123456789abcdef");
    for (code, message) in [
        ("SignatureDoesNotMatch", canonical),
        ("InvalidParameterValue", echoes),
    ] {
        let error = account
            .decode(&create(spec()), 403, &ec2(code, &message))
            .unwrap_err();
        for secret in [SECRET, SESSION, "sk-only", "boot-01"] {
            assert!(!format!("{error:?} {error}").contains(secret), "{error}");
        }
    }
}

#[test]
fn a_proxy_may_say_when_to_come_back() {
    let reply = HttpReply {
        headers: vec![("retry-after".to_owned(), "7".to_owned())],
        ..http(503, &ec2("RequestLimitExceeded", ""))
    };
    let account = account();
    let error = Aws.decode(&account.cx(), &list(), &reply).unwrap_err();
    assert_eq!(error.retry_after_ms, Some(7_000));
    assert!(!error.permanent && !error.unclear);
}

/// A machine is given back when its stop is refused for good.
#[test]
fn a_machine_that_cannot_be_stopped_yet_is_not_one_that_never_can() {
    let words = "The instance 'i-1' is not in a state from which it can be stopped.";
    let stop = Request::Stop {
        region: "us-east-1".to_owned(),
        id: "i-1".to_owned(),
    };
    let error = error(&stop, 400, &ec2("IncorrectInstanceState", words));
    assert_eq!(error.kind, ErrorKind::Validation);
    assert!(!error.permanent && !error.unclear);
}
