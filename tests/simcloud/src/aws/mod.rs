//! AWS: EC2's Query API, STS and the Price List, told apart by the service that a request is signed for.
//!
//! A call is met in this order: the faults that answer in its place, its signature, what its key may do, and then
//! what it asks for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::clock::{self, Millis};
use crate::cloud::Cloud;
use crate::faults::{Applied, Call};
use crate::http::{self, Answer, Asked, Body, Outcome};
use crate::journal::Entry;
use crate::keys::Key;
use crate::machine::Vendor;
use crate::misbehave;
use crate::operation::Op;
use crate::world::World;

pub mod catalogue;
pub mod errors;
pub mod guest;
pub mod imds;
pub mod instances;
pub mod launch;
pub mod lifecycle;
pub mod listing;
pub mod offers;
pub mod places;
pub mod plan;
pub mod pricing;
pub mod query;
pub mod sigv4;
pub mod xml;

use catalogue::Region;
use errors::{Refusal, Service, refuse};
use lifecycle::Change;
use query::Form;
use sigv4::{Bad, Signed};
use xml::Xml;

/// Who asks, and where.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose key it is.
    pub account: String,
    /// The region that the request is signed for.
    pub region: String,
    /// Of this request.
    pub request_id: String,
}

impl Caller {
    /// The account's number.
    pub fn number(&self) -> String {
        if self.account == crate::keys::main_account() {
            return String::from("111122223333");
        }
        let digits = catalogue::digits(&self.account);
        let digits = digits.bytes().map(|byte| char::from(b'0' + byte % 10));
        digits.take(12).collect()
    }

    /// The region.
    ///
    /// # Errors
    /// `AuthFailure` where the customer has not turned it on, or there is none of that name.
    pub fn region(&self) -> Result<&'static Region, Refusal> {
        match Region::named(&self.region).filter(|region| region.is_on) {
            Some(region) => Ok(region),
            None => refuse("AuthFailure", NOT_VALID),
        }
    }

    /// A success of EC2's, as text.
    pub fn answer(&self, action: &str, write: impl FnOnce(&mut Xml)) -> String {
        let name = format!("{action}Response");
        let mut xml = Xml::document();
        xml.open_in(&name, "http://ec2.amazonaws.com/doc/2016-11-15/");
        xml.text("requestId", &self.request_id);
        write(&mut xml);
        xml.close(&name);
        xml.finish()
    }

    /// The refusal that says yes.
    ///
    /// # Errors
    /// Always.
    pub fn dry_run<T>(&self) -> Result<T, Refusal> {
        let message = "Request would have succeeded, but DryRun flag is set.";
        refuse("DryRunOperation", message)
    }
}

const NOT_VALID: &str = "AWS was not able to validate the provided access credentials";

/// Answers one request.
///
/// # Errors
/// Closes the connection where that is what a fault wants, or the client has left.
pub async fn serve(cloud: Arc<Cloud>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let asked = http::read(request).await?;
    let signing_now = cloud.clock.signing_now();
    let (outcome, delay) = cloud.with(|world, now| meet(world, &asked, now, signing_now));
    cloud.changed.notify_waiters();
    tokio::time::sleep(delay).await;
    let date = clock::in_date_header(signing_now);
    http::write(misbehave::dated(outcome, &date)).await
}

fn meet(world: &mut World, asked: &Asked, now: Millis, signing_now: Millis) -> (Outcome, Duration) {
    let signed = sigv4::read(asked);
    let service = signed
        .as_ref()
        .and_then(|signed| Service::named(&signed.service));
    let service = service.unwrap_or(Service::Ec2);
    let form = if service == Service::Pricing {
        Form::default()
    } else {
        Form::read(&asked.body)
    };
    let operation = match service {
        Service::Pricing => asked
            .header("x-amz-target")
            .and_then(|target| target.rsplit('.').next()),
        Service::Ec2 | Service::Sts => form.get("Action"),
    };
    let op = kind(service, operation.unwrap_or_default(), &form);
    let known = signed
        .as_ref()
        .and_then(|s| world.keys.find(Vendor::Aws, &s.key));
    let account = known.map(|key| key.account.clone());
    let mut machines = form.list("InstanceId");
    let name = named(world, op, &form, &machines);
    let call = Call {
        operation: operation.unwrap_or("unknown").to_owned(),
        op: Some(op),
        machines: machines.iter().chain(&name).cloned().collect(),
        account: account.clone(),
        region: signed.as_ref().map(|signed| signed.region.clone()),
    };
    let applied = world.faults.take(Vendor::Aws, &call, now);
    let request_id = world.random.uuid();
    let usual = |status: u16| service.refuses(&service.usual(status), &request_id);
    let instead = misbehave::instead(&applied, &usual);
    let answer = instead.unwrap_or_else(|| {
        let caller = authenticate(world, asked, signed.as_ref(), service, signing_now);
        let done = caller.and_then(|key| {
            let caller = Caller {
                account: key.account.clone(),
                region: call.region.clone().unwrap_or_default(),
                request_id: request_id.clone(),
            };
            authorize(&key, service, &call.operation, op)?;
            act(
                world,
                &caller,
                service,
                asked,
                &form,
                now,
                &applied,
                &mut machines,
            )
        });
        done.unwrap_or_else(|refusal| service.refuses(&refusal, &request_id))
    });
    let error = (answer.status >= 400).then(|| code(&answer));
    let meant = answer.status;
    let (outcome, delay) = misbehave::afterwards(answer, &applied, &usual);
    let (status, answered) = misbehave::told(&outcome, meant);
    world.journal.note(Entry {
        id: 0,
        at_ms: now,
        wall_ms: clock::wall(),
        vendor: Vendor::Aws,
        operation: call.operation,
        kind: op.name(),
        request: format!("{} {}", asked.method, asked.path),
        account,
        region: call.region,
        machines,
        name,
        status,
        error,
        faults: applied.names(),
        answered,
    });
    (outcome, delay)
}

/// The code of a refusal, out of its text.
fn code(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let between = |before: &str, after: &str| {
        let (_, rest) = text.split_once(before)?;
        rest.split_once(after).map(|(code, _)| code.to_owned())
    };
    let found = between("<Code>", "</Code>").or_else(|| between("\"__type\":\"", "\""));
    found.unwrap_or_default()
}

fn kind(service: Service, operation: &str, form: &Form) -> Op {
    match (service, operation) {
        (Service::Sts, "GetCallerIdentity") => Op::Verify,
        (_, "RunInstances") if form.get("DryRun") == Some("true") => Op::Other,
        (_, "RunInstances") => Op::Create,
        (_, "DescribeInstances" | "DescribeInstanceStatus") => {
            if form.get("InstanceId.1").is_some() {
                Op::Get
            } else {
                Op::List
            }
        }
        (_, "StartInstances") => Op::Start,
        (_, "StopInstances") => Op::Stop,
        (_, "TerminateInstances") => Op::Destroy,
        (_, "CreateTags") => Op::Change,
        (_, "DescribeRegions" | "DescribeAvailabilityZones") => Op::Regions,
        (
            _,
            "GetProducts"
            | "DescribeInstanceTypes"
            | "DescribeInstanceTypeOfferings"
            | "DescribeSpotPriceHistory",
        ) => Op::Shop,
        _ => Op::Other,
    }
}

/// The name of what is launched, or of the first instance that is meant.
fn named(world: &World, op: Op, form: &Form, ids: &[String]) -> Option<String> {
    if op != Op::Create {
        let machine = world.machines.get(ids.first()?)?;
        return Some(machine.name.clone());
    }
    let mut tags = form.items("TagSpecification").into_iter();
    tags.find_map(|item| form.tags(&format!("{item}.Tag")).remove("Name"))
}

fn authenticate(
    world: &World,
    asked: &Asked,
    signed: Option<&Signed>,
    service: Service,
    now: Millis,
) -> Result<Key, Refusal> {
    let Some(signed) = signed else {
        return refuse(
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        );
    };
    let unknown = || match service {
        Service::Ec2 => refuse("AuthFailure", NOT_VALID),
        Service::Sts => refuse(
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        ),
        Service::Pricing => refuse(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
    };
    let Some(key) = world.keys.find(Vendor::Aws, &signed.key) else {
        return unknown();
    };
    let secret = key.secret.as_deref().unwrap_or_default();
    match (sigv4::verify(asked, signed, secret, now), service) {
        (Ok(()), _) => {}
        (Err(Bad::Signature), Service::Pricing) => {
            return refuse(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.",
            );
        }
        (Err(Bad::Signature), _) => {
            return refuse(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
            );
        }
        (Err(Bad::Time), Service::Ec2) => return refuse("RequestExpired", "Request has expired."),
        (Err(Bad::Time), Service::Sts) => {
            return refuse("SignatureDoesNotMatch", "Signature expired");
        }
        (Err(Bad::Time), Service::Pricing) => {
            return refuse("InvalidSignatureException", "Signature expired");
        }
    }
    if asked.header("x-amz-security-token") != key.session_token.as_deref() {
        return unknown();
    }
    if key.expired {
        return Err(service.usual(401));
    }
    Ok(key.clone())
}

/// Everybody may ask who they are.
fn authorize(key: &Key, service: Service, operation: &str, op: Op) -> Result<(), Refusal> {
    // A dry run is refused as the run would be.
    let denied = !key.allows(operation, op)
        || (operation == "RunInstances" && !key.allows(operation, Op::Create));
    match service {
        Service::Sts => Ok(()),
        _ if !denied => Ok(()),
        Service::Ec2 => refuse(
            "UnauthorizedOperation",
            "You are not authorized to perform this operation. Encoded authorization failure message: c2ltY2xvdWQ",
        ),
        Service::Pricing => Err(service.usual(403)),
    }
}

#[expect(clippy::too_many_arguments, reason = "all of one call")]
fn act(
    world: &mut World,
    caller: &Caller,
    service: Service,
    asked: &Asked,
    form: &Form,
    now: Millis,
    applied: &Applied,
    machines: &mut Vec<String>,
) -> Result<Answer, Refusal> {
    match service {
        Service::Pricing => {
            let target = asked.header("x-amz-target").unwrap_or_default();
            let found = pricing::products(&world.types, target, &asked.body, applied)?;
            let answer = Answer::text(200, "application/x-amz-json-1.1", found.to_string());
            Ok(answer.with("x-amzn-RequestId", &caller.request_id))
        }
        Service::Sts => identity(caller, form),
        Service::Ec2 => {
            let Some(action) = form.get("Action") else {
                return refuse("MissingAction", "The request is missing an action");
            };
            version(form, service)?;
            let text = ec2(world, caller, action, form, now, applied, machines)?;
            Ok(Answer::text(200, "text/xml;charset=UTF-8", text))
        }
    }
}

fn version(form: &Form, service: Service) -> Result<(), Refusal> {
    match form.get("Version") {
        Some(version) if version == service.version() => Ok(()),
        other => refuse(
            "NoSuchVersion",
            format!(
                "The requested version ({}) is not valid",
                other.unwrap_or_default()
            ),
        ),
    }
}

fn identity(caller: &Caller, form: &Form) -> Result<Answer, Refusal> {
    if form.get("Action") != Some("GetCallerIdentity") {
        return refuse("InvalidAction", "Could not find operation");
    }
    version(form, Service::Sts)?;
    let (number, name) = (caller.number(), "GetCallerIdentityResponse");
    let mut xml = Xml::document();
    xml.open_in(name, "https://sts.amazonaws.com/doc/2011-06-15/");
    xml.with("GetCallerIdentityResult", |xml| {
        xml.text(
            "Arn",
            format!("arn:aws:iam::{number}:user/{}", caller.account),
        );
        xml.text("UserId", "AIDASIMCLOUD000000000")
            .text("Account", &number);
    });
    xml.with("ResponseMetadata", |xml| {
        xml.text("RequestId", &caller.request_id);
    });
    xml.close(name);
    Ok(Answer::text(200, "text/xml", xml.finish()))
}

fn ec2(
    world: &mut World,
    caller: &Caller,
    action: &str,
    form: &Form,
    now: Millis,
    applied: &Applied,
    machines: &mut Vec<String>,
) -> Result<String, Refusal> {
    let region = caller.region()?;
    let mut done = Ok(());
    let mut look = |write: &dyn Fn(&mut Xml) -> Result<(), Refusal>| {
        caller.answer(action, |xml| done = write(xml))
    };
    let text = match action {
        "RunInstances" => return launch::run(world, caller, form, now, applied, machines),
        "StartInstances" => {
            return lifecycle::change(world, caller, form, Change::Start, now, applied);
        }
        "StopInstances" => {
            return lifecycle::change(world, caller, form, Change::Stop, now, applied);
        }
        "TerminateInstances" => {
            return lifecycle::change(world, caller, form, Change::Terminate, now, applied);
        }
        "CreateTags" => return lifecycle::tag(world, caller, form, now),
        "DescribeInstances" => {
            look(&|xml| listing::describe(xml, world, caller, form, now, applied))
        }
        "DescribeInstanceStatus" => {
            look(&|xml| listing::status(xml, world, caller, form, now, applied))
        }
        "DescribeInstanceTypes" => {
            look(&|xml| offers::types(xml, form, &world.types, region, applied))
        }
        "DescribeInstanceTypeOfferings" => {
            look(&|xml| offers::offerings(xml, form, &world.types, region, applied))
        }
        "DescribeSpotPriceHistory" => {
            look(&|xml| offers::spot(xml, form, &world.types, region, now, applied))
        }
        "DescribeRegions" => look(&|xml| places::regions(xml, form)),
        "DescribeAvailabilityZones" => look(&|xml| places::zones(xml, form, region)),
        "DescribeImages" => look(&|xml| places::describe_images(xml, form, region)),
        "DescribeSubnets" => look(&|xml| places::subnets(xml, form, region)),
        "DescribeSecurityGroups" => {
            look(&|xml| places::groups(xml, form, region, &caller.number()))
        }
        _ => {
            return refuse(
                "InvalidAction",
                format!("The action {action} is not valid for this web service."),
            );
        }
    };
    done?;
    if form.flag("DryRun")? {
        return caller.dry_run();
    }
    Ok(text)
}
