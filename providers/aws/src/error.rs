//! Why AWS did not do what it was asked.
//!
//! Invariant: the code decides, never the status: EC2 says "no capacity" with 500, "too many calls" with 503,
//! and `DryRunOperation`, which is a success, with 412. The status counts only where there is no code that says
//! anything. What was sent is cut out of the words.
//!
//! Sources: "Error codes for the Amazon EC2 API", the common errors of STS and of the Price List API, and for
//! what a retry finds "Ensuring idempotency in Amazon EC2 API requests".

use tidegate_provider_api::{EncodeCx, ErrorKind, HttpReply, ProviderError, Request};

use crate::xml::Xml;

/// What a dry run says when the call would have been allowed.
pub(crate) const DRY_RUN: &str = "DryRunOperation";

/// A word longer than this is no word: an encoded authorization message, user data or a token.
const LONGEST_WORD: usize = 160;

/// What went wrong, from whatever came back. A change that may have happened all the same is `unclear`.
pub(crate) fn parse_error(
    cx: &EncodeCx<'_>,
    request: &Request,
    reply: &HttpReply,
) -> ProviderError {
    let operation = request.operation();
    let Some(said) = read(reply) else {
        return unreadable(request, reply, "what came back cannot be read");
    };
    let code = said.code.as_str();
    let kind = if is_about_the_image(&said) {
        ErrorKind::Validation
    } else {
        kind_of(code, request).unwrap_or_else(|| kind_of_status(reply.status))
    };
    let mut error = ProviderError::new(kind, operation, &presentable(cx, &said.words))
        .code(code)
        .status(reply.status)
        .retry_after(retry_after_ms(reply));
    if code == "IdempotentParameterMismatch" {
        // The token has been used with other parameters: there is a machine of this attempt, or was.
        error = error.unclear();
    }
    if code == "IncorrectInstanceState" {
        // Of a machine that is still on its way to another one: what cannot be stopped while it is `pending` can be
        // a moment later.
        error = error.permanent(false);
    }
    if kind == ErrorKind::Network && request.is_change() {
        error = error.unclear();
    }
    error
}

/// An answer that says nothing.
pub(crate) fn unreadable(request: &Request, reply: &HttpReply, words: &str) -> ProviderError {
    let error = if reply.status == 429 {
        ProviderError::new(ErrorKind::RateLimited, request.operation(), words)
            .retry_after(retry_after_ms(reply))
    } else {
        ProviderError::new(ErrorKind::Network, request.operation(), words)
    };
    let error = error.status(reply.status);
    if request.is_change() {
        error.unclear()
    } else {
        error
    }
}

/// Whether a reply is an error, and with which code.
pub(crate) fn code_of(reply: &HttpReply) -> Option<String> {
    read(reply).map(|said| said.code)
}

/// Which kind a code is; nothing for one that is not known and whose form says nothing.
pub(crate) fn kind_of(code: &str, request: &Request) -> Option<ErrorKind> {
    let is_create = matches!(request, Request::Create(_) | Request::Check { .. });
    Some(match code {
        "AccessDenied"
        | "AuthFailure"
        | "Blocked"
        | "ExpiredToken"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignature"
        | "MissingAuthenticationToken"
        | "NotAuthorized"
        | "OptInRequired"
        | "PendingVerification"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnauthorizedOperation"
        | "UnrecognizedClient" => ErrorKind::Auth,
        // `AuthFailure.ServiceLinkedRoleCreationNotPermitted`: spot without its role.
        _ if code.starts_with("AuthFailure.") => ErrorKind::Auth,

        "InsufficientCapacity"
        | "InsufficientCapacityOnHost"
        | "InsufficientFreeAddressesInSubnet"
        | "InsufficientHostCapacity"
        | "InsufficientInstanceCapacity"
        | "InsufficientReservedInstanceCapacity"
        | "SpotMaxPriceTooLow"
        | "UnfulfillableCapacity" => ErrorKind::Capacity,
        // "Your requested instance type is not supported in your requested Availability Zone": another zone
        // may have it.
        "Unsupported" if is_create => ErrorKind::Capacity,

        "AddressLimitExceeded"
        | "InstanceLimitExceeded"
        | "MaxIOPSLimitExceeded"
        | "MaxSpotInstanceCountExceeded"
        | "ResourceCountExceeded"
        | "VcpuLimitExceeded"
        | "VolumeLimitExceeded" => ErrorKind::Quota,

        "EC2ThrottledException"
        | "EC2Throttled"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests" => ErrorKind::RateLimited,
        // Ends like a quota and is none.
        "BandwidthLimitExceeded" => ErrorKind::RateLimited,

        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "RequestTimeout"
        | "ServerInternal"
        | "ServiceUnavailable"
        | "Unavailable" => ErrorKind::Network,

        "IdempotentInstanceTerminated"
        | "IdempotentParameterMismatch"
        | "IncorrectInstanceState"
        | "InvalidAction"
        | "InvalidParameter"
        | "InvalidParameterCombination"
        | "InvalidParameterValue"
        | "InvalidUserData.Malformed"
        | "MissingAction"
        | "MissingParameter"
        | "OperationNotPermitted"
        | "Unsupported"
        | "UnsupportedOperation"
        | "ValidationError" => ErrorKind::Validation,

        "InvalidInstanceID.NotFound" | "InvalidInstanceID.Malformed" => ErrorKind::NotFound,
        _ if code.starts_with("InvalidAMIID.") => ErrorKind::Validation,
        // An image, subnet, group or key of the settings that does not exist.
        _ if code.ends_with(".NotFound") && is_create => ErrorKind::Validation,
        _ if code.ends_with(".NotFound") => ErrorKind::NotFound,
        _ if code.ends_with(".Malformed") => ErrorKind::Validation,
        _ if code.ends_with("LimitExceeded") => ErrorKind::Quota,
        _ if code.starts_with("Insufficient") && code.ends_with("Capacity") => ErrorKind::Capacity,
        // JSON services write `AccessDeniedException` and the like.
        _ => return kind_of(code.strip_suffix("Exception")?, request),
    })
}

/// "Not authorized for images: [ami-…]": an image of somebody else's, or of another region. The credential is good.
fn is_about_the_image(said: &Said) -> bool {
    said.code == "AuthFailure" && said.words.starts_with("Not authorized for images")
}

fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        429 => ErrorKind::RateLimited,
        400..=499 => ErrorKind::Validation,
        _ => ErrorKind::Network,
    }
}

/// What an error says.
struct Said {
    code: String,
    words: String,
}

fn read(reply: &HttpReply) -> Option<Said> {
    let body = reply.body.trim_start_matches('\u{feff}').trim();
    if body.starts_with('{') {
        return read_json(body);
    }
    let xml = Xml::parse(body)?;
    let root = xml.root();
    // EC2: Response/Errors/Error. STS: ErrorResponse/Error.
    let error = match root.name() {
        "Response" => root.at("Errors/Error")?,
        "ErrorResponse" => root.at("Error")?,
        _ => return None,
    };
    Some(Said {
        code: error.text("Code")?.to_owned(),
        words: error.text("Message").unwrap_or_default().to_owned(),
    })
}

fn read_json(body: &str) -> Option<Said> {
    let said: serde_json::Value = serde_json::from_str(body).ok()?;
    // `com.amazonaws.pricing#AccessDeniedException`
    let code = said.get("__type")?.as_str()?;
    let code = code.rsplit('#').next().unwrap_or(code);
    let words = ["message", "Message"]
        .iter()
        .find_map(|name| said.get(name)?.as_str());
    Some(Said {
        code: code.to_owned(),
        words: words.unwrap_or_default().to_owned(),
    })
}

/// The vendor's words without anything that was sent in confidence.
fn presentable(cx: &EncodeCx<'_>, words: &str) -> String {
    // A refused signature is explained with the whole canonical request, tokens included; a refused operation
    // with a text that only its owner can decode.
    let explained = [
        "The Canonical String",
        "Encoded authorization failure message",
    ];
    let shown = explained.iter().fold(words, |words, mark| {
        words.split_once(mark).map_or(words, |(before, _)| before)
    });
    let shown = cx.without_secrets(shown);
    let short: Vec<&str> = shown
        .split_whitespace()
        .map(|word| {
            if word.len() > LONGEST_WORD {
                "[…]"
            } else {
                word
            }
        })
        .collect();
    short.join(" ")
}

/// AWS does not send it; a proxy in between may.
fn retry_after_ms(reply: &HttpReply) -> Option<u64> {
    let seconds: u64 = reply.header("retry-after")?.trim().parse().ok()?;
    seconds.checked_mul(1000)
}
