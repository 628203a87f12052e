//! How AWS says no: in XML for EC2 and STS, in JSON for the Price List. The code decides what it means; the status
//! says little (no capacity is a 500).

use serde_json::json;

use crate::aws::xml::Xml;
use crate::http::Answer;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it means.
    pub code: String,
    /// In words.
    pub message: String,
}

/// A refusal of that code.
pub fn refuse<T>(code: &str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        code: code.to_owned(),
        message: message.into(),
    })
}

/// Which of the services is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `ec2`.
    Ec2,
    /// `sts`.
    Sts,
    /// `pricing`.
    Pricing,
}

impl Service {
    /// By its name in the scope of a signature.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ec2" => Some(Self::Ec2),
            "sts" => Some(Self::Sts),
            "pricing" => Some(Self::Pricing),
            _ => None,
        }
    }

    /// The version of its API.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Sts => "2011-06-15",
            Self::Pricing => "",
        }
    }

    /// What a refusal looks like.
    pub fn refuses(self, refusal: &Refusal, request_id: &str) -> Answer {
        let Refusal { code, message } = refusal;
        match self {
            Self::Ec2 => {
                let mut xml = Xml::document();
                xml.open("Response").open("Errors").open("Error");
                xml.text("Code", code).text("Message", message);
                xml.close("Error").close("Errors");
                xml.text("RequestID", request_id).close("Response");
                Answer::text(status(code), "text/xml;charset=UTF-8", xml.finish())
            }
            Self::Sts => {
                let mut xml = Xml::document();
                let fault = if status(code) < 500 {
                    "Sender"
                } else {
                    "Receiver"
                };
                xml.open_in("ErrorResponse", "https://sts.amazonaws.com/doc/2011-06-15/");
                xml.open("Error").text("Type", fault);
                xml.text("Code", code).text("Message", message);
                xml.close("Error").text("RequestId", request_id);
                xml.close("ErrorResponse");
                let status = if code == "InvalidClientTokenId" {
                    403
                } else {
                    status(code)
                };
                Answer::text(status, "text/xml", xml.finish())
            }
            Self::Pricing => {
                let status = if status(code) < 500 {
                    400
                } else {
                    status(code)
                };
                let body = json!({"__type": code, "message": message});
                Answer::text(status, "application/x-amz-json-1.1", body.to_string())
            }
        }
    }

    /// The refusal that stands for a status, for faults that know nothing of codes.
    pub fn usual(self, status: u16) -> Refusal {
        let (code, message) = match (self, status) {
            (Self::Ec2, 401) => ("RequestExpired", "Request has expired."),
            (Self::Sts, 401) => (
                "ExpiredToken",
                "The security token included in the request is expired",
            ),
            (Self::Pricing, 401) => (
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
            (Self::Ec2, 402) => (
                "PendingVerification",
                "Your request for accessing resources in this region is being validated",
            ),
            (Self::Ec2, 403) => (
                "UnauthorizedOperation",
                "You are not authorized to perform this operation.",
            ),
            (Self::Sts, 403) => (
                "AccessDenied",
                "User is not authorized to perform this operation",
            ),
            (Self::Pricing, 403) => (
                "AccessDeniedException",
                "User is not authorized to perform: pricing:GetProducts",
            ),
            (Self::Ec2, 404) => (
                "InvalidInstanceID.NotFound",
                "The instance ID 'i-00000000000000000' does not exist",
            ),
            (Self::Ec2, 429) => ("RequestLimitExceeded", "Request limit exceeded."),
            (Self::Sts, 429) => ("Throttling", "Rate exceeded"),
            (Self::Pricing, 429) => ("ThrottlingException", "Rate exceeded"),
            (Self::Ec2 | Self::Sts, 503) => (
                "Unavailable",
                "The service is unavailable. Please try again shortly.",
            ),
            (Self::Pricing, 500..) => ("InternalErrorException", "An internal error has occurred"),
            (_, 500..) => ("InternalError", "An internal error has occurred"),
            _ => (
                "InvalidParameterValue",
                "The request could not be processed",
            ),
        };
        Refusal {
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }
}

/// The status that comes with a code.
fn status(code: &str) -> u16 {
    match code {
        "AuthFailure" | "OptInRequired" => 401,
        "UnauthorizedOperation"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "ExpiredToken"
        | "AccessDenied"
        | "InvalidClientTokenId" => 403,
        "DryRunOperation" => 412,
        "InsufficientInstanceCapacity" | "InternalError" | "InternalErrorException" => 500,
        "RequestLimitExceeded" | "Unavailable" => 503,
        _ => 400,
    }
}
