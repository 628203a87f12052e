//! From what came back to a reply.
//!
//! Invariant: an answer counts as a success only if its outermost element is the one that the action has; so an
//! empty list is one that EC2 really sent, and never a page of somebody else's. What cannot be read after a
//! change leaves open what was done.
//!
//! In scope: which part of an answer is what. Out of scope: errors (`error.rs`), one machine (`state.rs`),
//! pieces of the catalogue (`offers.rs`).

use tidegate_provider_api::{
    EncodeCx, ErrorKind, HttpReply, Machine, Page, ProviderError, Region, Reply, Request,
};

use crate::error::{DRY_RUN, code_of, parse_error, unreadable};
use crate::xml::{Element, Xml};
use crate::{offers, state};

/// Reads what came back.
pub(crate) fn decode(
    cx: &EncodeCx<'_>,
    request: &Request,
    reply: &HttpReply,
) -> Result<Reply, ProviderError> {
    let code = code_of(reply);
    if matches!(request, Request::Check { .. }) && code.as_deref() == Some(DRY_RUN) {
        return Ok(Reply::Allowed);
    }
    if code.is_some() || !(200..300).contains(&reply.status) {
        return Err(parse_error(cx, request, reply));
    }
    if let Request::Shop(query) = request {
        return offers::reduce(query, &reply.body, cx.now_ms)
            .map(Reply::Part)
            .ok_or_else(|| {
                unreadable(request, reply, "this piece of the catalogue cannot be read")
            });
    }
    if matches!(request, Request::Check { permission, .. } if permission.starts_with("pricing:")) {
        return offers::is_price_list(&reply.body)
            .then_some(Reply::Allowed)
            .ok_or_else(|| unreadable(request, reply, "this is no price list"));
    }
    let xml = Xml::parse(&reply.body)
        .ok_or_else(|| unreadable(request, reply, "what came back is no XML that can be read"))?;
    let root = xml.root();
    let wanted = match request {
        Request::Verify => "GetCallerIdentityResponse",
        Request::Regions => "DescribeRegionsResponse",
        Request::Create(_) => "RunInstancesResponse",
        Request::Get { .. } | Request::List { .. } => "DescribeInstancesResponse",
        Request::Stop { .. } => "StopInstancesResponse",
        Request::Start { .. } => "StartInstancesResponse",
        Request::Destroy { .. } => "TerminateInstancesResponse",
        Request::Check { .. } if root.name() == "RunInstancesResponse" => {
            return Err(not_dry(&root));
        }
        Request::Check { .. } if root.name().starts_with("Describe") => return Ok(Reply::Allowed),
        Request::Check { .. } | Request::Shop(_) | Request::Bill { .. } => "",
    };
    if root.name() != wanted {
        let words = format!("`{}` came back, which answers something else", root.name());
        return Err(unreadable(request, reply, &words));
    }
    let nameless = || unreadable(request, reply, "the answer shows a machine without an id");
    match request {
        Request::Verify => Ok(Reply::Verified {
            principal: root.text("GetCallerIdentityResult/Arn").map(str::to_owned),
        }),
        Request::Regions => Ok(Reply::Regions {
            regions: root.items("regionInfo").filter_map(region).collect(),
        }),
        Request::Create(spec) => {
            let made = root.items("instancesSet").next();
            let mut machine = made
                .and_then(|item| state::machine(&item, &spec.region))
                .ok_or_else(|| unreadable(request, reply, "the answer names no machine"))?;
            // The token says whose it is, whether the answer shows the tags or not.
            machine.marker = Some(spec.marker.clone());
            Ok(Reply::Created {
                machine: Box::new(machine),
            })
        }
        Request::Get { region, id } => {
            let machines = machines(&root, region).ok_or_else(nameless)?;
            let found = machines.into_iter().find(|machine| machine.id == *id);
            let missing = || {
                let words = "EC2 describes no machine of this id";
                ProviderError::new(ErrorKind::NotFound, "get", words).status(reply.status)
            };
            found.map_or_else(
                || Err(missing()),
                |machine| {
                    Ok(Reply::Machine {
                        machine: Box::new(machine),
                    })
                },
            )
        }
        Request::List { region, .. } => Ok(Reply::Machines(Page {
            machines: machines(&root, region)
                .ok_or_else(nameless)?
                .into_iter()
                .filter(|machine| machine.marker.is_some())
                .collect(),
            next: root.text("nextToken").map(str::to_owned),
        })),
        // They show the state before and after, and nothing else of the machine.
        Request::Stop { .. } | Request::Start { .. } | Request::Destroy { .. } => {
            Ok(Reply::Accepted { machine: None })
        }
        Request::Check { .. } | Request::Shop(_) | Request::Bill { .. } => {
            Err(unreadable(request, reply, "nothing of this kind was asked"))
        }
    }
}

/// All of them, or nothing: one that is left out would count as gone.
fn machines(root: &Element<'_, '_>, region: &str) -> Option<Vec<Machine>> {
    root.items("reservationSet")
        .flat_map(|reservation| reservation.items("instancesSet"))
        .map(|item| state::machine(&item, region))
        .collect()
}

fn region(item: Element<'_, '_>) -> Option<Region> {
    let id = item.text("regionName")?.to_owned();
    Some(Region {
        // EC2 has no other name for it.
        name: id.clone(),
        id,
        enabled: item.text("optInStatus") != Some("not-opted-in"),
    })
}

/// A dry run rented something. No cloud that is EC2 does that.
fn not_dry(root: &Element<'_, '_>) -> ProviderError {
    let made = root.items("instancesSet").next();
    let id = made.and_then(|item| item.text("instanceId"));
    let words = format!(
        "a dry run rented a machine ({}): this is not EC2; give the machine back by hand",
        id.unwrap_or("without an id")
    );
    ProviderError::new(ErrorKind::Validation, "check", &words)
}
