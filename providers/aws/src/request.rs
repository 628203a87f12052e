//! From a request to the signed call.
//!
//! Invariant: only hosts of AWS, or the one stand-in for all of them, are ever called, and the region that goes
//! into a host name has the form of one.
//!
//! In scope: which action with which parameters. Out of scope: how they are written (`query.rs`) and signed
//! (`sigv4.rs`).

use tidegate_provider_api::{EncodeCx, ErrorKind, HttpCall, Method, ProviderError, Query, Request};
use url::Url;

use crate::form::{PERMISSIONS, RENT_SPOT};
use crate::launch::{self, MANAGED_BY, VERSION};
use crate::offers::Kind;
use crate::query::Form;
use crate::sigv4::{self, Keys, Scope};
use crate::{offers, settings};

/// Machines a page: about a megabyte.
const PAGE: u32 = 200;
/// The Price List API has hosts in few regions, and each knows the prices of all.
const PRICING_REGION: &str = "us-east-1";
/// The fewest that `DescribeInstances` and `DescribeInstanceTypes` let one ask for.
const FEWEST: u32 = 5;

/// A call before it is signed.
struct Call {
    service: Service,
    region: String,
    body: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Ec2,
    Sts,
    Pricing,
}

/// Builds the call of a request.
pub(crate) fn encode(cx: &EncodeCx<'_>, request: &Request) -> Result<HttpCall, ProviderError> {
    let refused =
        |words: &str| ProviderError::new(ErrorKind::Validation, request.operation(), words);
    let call = call(cx, request)?;
    let url = url(cx, &call).ok_or_else(|| {
        refused("no address of AWS can be made of this region; region codes look like us-east-1")
    })?;
    let key = |name: &str| {
        let missing = || refused("the credential lacks a key; connect the account again");
        cx.credential.get(name).ok_or_else(missing)
    };
    let keys = Keys {
        access_key_id: key("access_key_id")?,
        secret_access_key: key("secret_access_key")?,
        session_token: cx.credential.get("session_token"),
    };
    let scope = Scope {
        region: &call.region,
        service: call.service.signed_as(),
        now_ms: cx.now_ms,
    };
    let headers = call.service.headers();
    let headers = sigv4::signed_headers(&keys, &scope, &url, headers, &call.body)
        .ok_or_else(|| refused("the call cannot be signed with this credential"))?;
    Ok(HttpCall {
        method: Method::Post,
        url: url.into(),
        headers,
        body: Some(call.body),
    })
}

fn call(cx: &EncodeCx<'_>, request: &Request) -> Result<Call, ProviderError> {
    let first = || {
        let regions = settings::regions(cx.settings);
        regions.into_iter().next().unwrap_or_default()
    };
    Ok(match request {
        Request::Verify => Call {
            service: Service::Sts,
            region: first(),
            body: Form::new("GetCallerIdentity", "2011-06-15").finish(),
        },
        Request::Check { permission, region } => check(cx, permission, region)?,
        Request::Regions => {
            let mut form = Form::new("DescribeRegions", VERSION);
            form.add("AllRegions", true);
            ec2(&first(), form.finish())
        }
        Request::Shop(query) => shop(cx, query)?,
        Request::Create(spec) => ec2(&spec.region, launch::form(cx, spec)?),
        Request::Get { region, id } => ec2(region, of_one("DescribeInstances", id)),
        Request::List { region, page } => {
            let (tag, value) = MANAGED_BY;
            let mut form = Form::new("DescribeInstances", VERSION);
            form.add_filter(1, &format!("tag:{tag}"), &[value]);
            form.add("MaxResults", PAGE);
            form.add_some("NextToken", page.as_deref());
            ec2(region, form.finish())
        }
        // One id a call: with several, one that does not exist fails all.
        Request::Stop { region, id } => ec2(region, of_one("StopInstances", id)),
        Request::Start { region, id } => ec2(region, of_one("StartInstances", id)),
        Request::Destroy { region, id } => ec2(region, of_one("TerminateInstances", id)),
        Request::Bill { .. } => {
            let words = "EC2 does not tell what one machine has cost";
            let kind = ErrorKind::Validation;
            return Err(ProviderError::new(kind, request.operation(), words));
        }
    })
}

fn ec2(region: &str, body: String) -> Call {
    Call {
        service: Service::Ec2,
        region: region.to_owned(),
        body,
    }
}

fn pricing(body: &serde_json::Value) -> Call {
    Call {
        service: Service::Pricing,
        region: PRICING_REGION.to_owned(),
        body: body.to_string(),
    }
}

fn of_one(action: &str, id: &str) -> String {
    let mut form = Form::new(action, VERSION);
    form.add("InstanceId.1", id);
    form.finish()
}

/// A call that changes nothing and is refused just when the permission is missing.
fn check(cx: &EncodeCx<'_>, permission: &str, region: &str) -> Result<Call, ProviderError> {
    if PERMISSIONS.iter().all(|known| known.name != permission) {
        let words = format!("`{permission}` is no permission that is asked for here");
        return Err(ProviderError::new(ErrorKind::Validation, "check", &words));
    }
    if permission == "pricing:GetProducts" {
        return Ok(pricing(&offers::products(region, Kind::Disk, None, 1)));
    }
    let action = permission.strip_prefix("ec2:").unwrap_or(permission);
    let body = match action {
        "RunInstances" => launch::dry_run(cx.settings, region, false),
        _ if permission == RENT_SPOT => launch::dry_run(cx.settings, region, true),
        "DescribeRegions" => Form::new(action, VERSION).finish(),
        _ => {
            let mut form = Form::new(action, VERSION);
            form.add("MaxResults", FEWEST);
            form.finish()
        }
    };
    Ok(ec2(region, body))
}

fn shop(cx: &EncodeCx<'_>, query: &Query) -> Result<Call, ProviderError> {
    let refused = |words: &str| ProviderError::new(ErrorKind::Validation, "shop", words);
    let region = query.region.as_deref();
    let region = region.ok_or_else(|| refused("each piece of the catalogue is of one region"))?;
    let page = query.page.as_deref();
    let kind = Kind::parse(&query.kind)
        .ok_or_else(|| refused("the catalogue has no piece of this name"))?;
    Ok(match kind {
        Kind::Prices => pricing(&offers::products(region, kind, page, 100)),
        Kind::Disk => pricing(&offers::products(region, kind, page, 1)),
        Kind::Types | Kind::Zones | Kind::Spot => {
            ec2(region, offers::described(kind, page, cx.now_ms))
        }
    })
}

impl Service {
    const fn signed_as(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
            Self::Pricing => "pricing",
        }
    }

    const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Ec2 | Self::Sts => &[(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )],
            Self::Pricing => &[
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-target", "AWSPriceListService.GetProducts"),
            ],
        }
    }
}

/// Where a call goes: AWS's own host, or the stand-in for all of them.
fn url(cx: &EncodeCx<'_>, call: &Call) -> Option<Url> {
    if !settings::is_region(&call.region) {
        return None;
    }
    let region = &call.region;
    let address = match (&cx.origins.api, call.service) {
        (Some(origin), _) => format!("{origin}/"),
        (None, Service::Ec2) => format!("https://ec2.{region}.amazonaws.com/"),
        (None, Service::Sts) => format!("https://sts.{region}.amazonaws.com/"),
        (None, Service::Pricing) => format!("https://api.pricing.{region}.amazonaws.com/"),
    };
    let url = Url::parse(&address).ok()?;
    let is_http = matches!(url.scheme(), "http" | "https");
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    (is_http && is_bare && url.has_host()).then_some(url)
}
