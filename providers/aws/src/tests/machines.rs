//! What EC2 says of machines.

use tidegate_provider_api::{
    Billing, Ending, ErrorKind, MachineState, Page, Region, Reply, Request,
};

use super::{NOW_MS, account, create, destroy, get, list, marker, spec};

/// A machine as `DescribeInstances` shows it, with the fields around those that are read.
fn item(state: &str, rest: &str) -> String {
    format!(
        "<item><instanceId>i-0abc</instanceId><imageId>ami-0123456789abcdef0</imageId>{state}\
         <privateDnsName>ip-10-0-0-7.ec2.internal</privateDnsName>\
         <dnsName>ec2-203-0-113-7.compute-1.amazonaws.com</dnsName><amiLaunchIndex>0</amiLaunchIndex>\
         <productCodes/><instanceType>g6.xlarge</instanceType><launchTime>2026-11-20T12:00:00.000Z</launchTime>\
         <placement><availabilityZone>us-east-1b</availabilityZone><groupName/><tenancy>default</tenancy></placement>\
         <monitoring><state>disabled</state></monitoring><privateIpAddress>10.0.0.7</privateIpAddress>\
         <ipAddress>203.0.113.7</ipAddress><architecture>x86_64</architecture>{rest}</item>"
    )
}

fn state(code: u32, name: &str) -> String {
    format!("<instanceState><code>{code}</code><name>{name}</name></instanceState>")
}

fn tags(pairs: &[(&str, &str)]) -> String {
    let items: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("<item><key>{key}</key><value>{value}</value></item>"))
        .collect();
    format!("<tagSet>{}</tagSet>", items.concat())
}

const NAME: &str = "tidegate-0123456789-srv_0bPELAU4eqF0bPErPOCgqv-3";

fn ours() -> String {
    tags(&[("managed-by", "tidegate"), ("Name", NAME)])
}

fn described(items: &[String], next: &str) -> String {
    let reservations: Vec<String> = items
        .iter()
        .map(|item| {
            format!(
                "<item><reservationId>r-1</reservationId><ownerId>123456789012</ownerId><groupSet/>\
                 <instancesSet>{item}</instancesSet></item>"
            )
        })
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n    \
         <requestId>fdcdcab1</requestId>\n    <reservationSet>{}</reservationSet>{next}\n\
         </DescribeInstancesResponse>",
        reservations.concat()
    )
}

fn machine(item: String) -> tidegate_provider_api::Machine {
    match account()
        .decode(&get(), 200, &described(&[item], ""))
        .unwrap()
    {
        Reply::Machine { machine } => *machine,
        other => panic!("{other:?}"),
    }
}

fn page(body: &str) -> Page {
    match account().decode(&list(), 200, body).unwrap() {
        Reply::Machines(page) => page,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_machine_that_runs_is_described_whole() {
    let machine = machine(item(&state(16, "running"), &ours()));
    assert_eq!(machine.id, "i-0abc");
    assert_eq!(machine.marker, Some(marker()));
    assert_eq!(machine.state, MachineState::Running);
    assert_eq!(machine.raw_state, "running");
    assert_eq!(machine.reason, None);
    assert_eq!(machine.region, "us-east-1");
    assert_eq!(machine.zone.as_deref(), Some("us-east-1b"));
    assert_eq!(machine.machine_type.as_deref(), Some("g6.xlarge"));
    assert_eq!((machine.gpu_count, machine.microusd_per_hour), (None, None));
    assert_eq!(machine.billing, Billing::Full);
    assert_eq!(
        (machine.billed_from_ms, machine.billed_until_ms),
        (Some(NOW_MS), None)
    );
    assert_eq!(machine.endpoint, None);
    assert_eq!(machine.address.as_deref(), Some("203.0.113.7"));
}

#[test]
fn every_state_has_its_word_and_its_price_and_the_high_byte_says_nothing() {
    use MachineState::{Pending, Running, Stopped, Stopping, Terminated, Terminating, Unknown};
    for (code, name, state_of, billing) in [
        (0, "pending", Pending, Billing::Full),
        (16, "running", Running, Billing::Full),
        (32, "shutting-down", Terminating, Billing::Disk),
        (48, "terminated", Terminated, Billing::None),
        (64, "stopping", Stopping, Billing::Disk),
        (80, "stopped", Stopped, Billing::Disk),
        (96, "hibernating", Unknown, Billing::Unknown),
    ] {
        for high in [0, 256, 0x7f00] {
            let machine = machine(item(&state(high + code, name), &ours()));
            assert_eq!(
                (machine.state, machine.billing),
                (state_of, billing),
                "{name}"
            );
            assert_eq!(machine.raw_state, name);
        }
        let wordless = format!("<instanceState><name>{name}</name></instanceState>");
        assert_eq!(machine(item(&wordless, &ours())).state, state_of);
    }
    assert_eq!(machine(item("", &ours())).state, MachineState::Unknown);
}

#[test]
fn why_a_machine_ended_is_told_in_our_words_and_in_theirs() {
    for (code, message, ending, words) in [
        (
            "Client.UserInitiatedShutdown",
            "Client.UserInitiatedShutdown: User initiated shutdown",
            Ending::Asked,
            "Client.UserInitiatedShutdown: User initiated shutdown",
        ),
        (
            "Client.InstanceInitiatedShutdown",
            "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
            Ending::Itself,
            "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
        ),
        (
            "Server.SpotInstanceTermination",
            "Instance terminated.",
            Ending::Preempted,
            "Server.SpotInstanceTermination: Instance terminated.",
        ),
        (
            "Server.SpotInstanceShutdown",
            "x",
            Ending::Preempted,
            "Server.SpotInstanceShutdown: x",
        ),
        (
            "Server.InsufficientInstanceCapacity",
            "x",
            Ending::Capacity,
            "Server.InsufficientInstanceCapacity: x",
        ),
        (
            "Client.VolumeLimitExceeded",
            "x",
            Ending::Quota,
            "Client.VolumeLimitExceeded: x",
        ),
        (
            "Client.InternalError",
            "x",
            Ending::Other,
            "Client.InternalError: x",
        ),
        (
            "Server.InternalError",
            "x",
            Ending::Other,
            "Server.InternalError: x",
        ),
        (
            "Server.ScheduledStop",
            "x",
            Ending::Other,
            "Server.ScheduledStop: x",
        ),
        (
            "Client.InvalidSnapshot.NotFound",
            "x",
            Ending::Other,
            "Client.InvalidSnapshot.NotFound: x",
        ),
        ("Brand.New", "x", Ending::Other, "Brand.New: x"),
    ] {
        let rest = format!(
            "<stateReason><code>{code}</code><message>{message}</message></stateReason>{}",
            ours()
        );
        let reason = machine(item(&state(48, "terminated"), &rest))
            .reason
            .unwrap();
        assert_eq!((reason.ending, reason.words.as_str()), (ending, words));
    }
}

#[test]
fn without_a_code_the_transition_tells_why() {
    for (transition, ending) in [
        ("User initiated (2026-11-20 12:30:00 GMT)", Ending::Asked),
        ("Server.SpotInstanceTermination", Ending::Preempted),
        ("something else", Ending::Other),
    ] {
        let rest = format!("<reason>{transition}</reason>{}", ours());
        let reason = machine(item(&state(48, "terminated"), &rest))
            .reason
            .unwrap();
        assert_eq!((reason.ending, reason.words.as_str()), (ending, transition));
    }
    let silent = machine(item(
        &state(48, "terminated"),
        &format!("<reason/>{}", ours()),
    ));
    assert_eq!(silent.reason, None);
    // What stopped it before is still told while it runs again, and is over.
    let rest = format!(
        "<reason>User initiated (2026-11-20 12:30:00 GMT)</reason>{}",
        ours()
    );
    let again = machine(item(&state(16, "running"), &rest));
    assert_eq!((again.reason, again.billed_until_ms), (None, None));
}

#[test]
fn the_meter_ends_at_the_moment_that_the_transition_names() {
    let half_past = NOW_MS + 1_800_000;
    for (transition, until) in [
        ("User initiated (2026-11-20 12:30:00 GMT)", Some(half_past)),
        ("User initiated (2026-11-20 12:30:00 UTC)", Some(half_past)),
        ("User initiated", None),
        ("User initiated ()", None),
        ("User initiated (2026-11-20 12:30:00 CET)", None),
        ("User initiated (2026-11-20 12:30:00 GMT or so)", None),
        ("User initiated (2026-11-31 12:30:00 GMT)", None),
        (")(", None),
        ("", None),
    ] {
        for (code, name) in [
            (64, "stopping"),
            (80, "stopped"),
            (32, "shutting-down"),
            (48, "terminated"),
        ] {
            let rest = format!("<reason>{transition}</reason>{}", ours());
            let machine = machine(item(&state(code, name), &rest));
            assert_eq!(machine.billed_until_ms, until, "{name}: {transition}");
            assert_eq!(machine.billed_from_ms, Some(NOW_MS));
        }
    }
}

#[test]
fn a_machine_that_never_ran_has_cost_nothing() {
    for code in [
        "Server.InsufficientInstanceCapacity",
        "Server.InternalError",
        "Client.InternalError",
        "Client.InvalidSnapshot.NotFound",
        "Client.VolumeLimitExceeded",
    ] {
        let rest = format!(
            "<reason>Server.InternalError (2026-11-20 12:30:00 GMT)</reason>\
             <stateReason><code>{code}</code><message>x</message></stateReason>{}",
            ours()
        );
        let failed = machine(item(&state(48, "terminated"), &rest));
        assert_eq!(failed.billed_until_ms, failed.billed_from_ms, "{code}");
        // Stopped for it, it had run before.
        let stopped = machine(item(&state(80, "stopped"), &rest));
        assert_ne!(stopped.billed_until_ms, stopped.billed_from_ms);
    }
}

#[test]
fn a_machine_that_was_renamed_is_known_by_its_other_tags() {
    let renamed = tags(&[
        ("managed-by", "tidegate"),
        ("Name", "my favourite"),
        ("tidegate:account", "0123456789"),
        ("tidegate:instance", "srv_0bPELAU4eqF0bPErPOCgqv"),
        ("tidegate:attempt", "3"),
    ]);
    assert_eq!(
        machine(item(&state(16, "running"), &renamed)).marker,
        Some(marker())
    );
    for broken in [
        vec![],
        vec![
            ("tidegate:account", "0123456789"),
            ("tidegate:instance", "a"),
        ],
        vec![
            ("tidegate:account", "x"),
            ("tidegate:instance", "a"),
            ("tidegate:attempt", "1"),
        ],
        vec![
            ("tidegate:account", "0123456789"),
            ("tidegate:instance", "a-b"),
            ("tidegate:attempt", "1"),
        ],
        vec![
            ("tidegate:account", "0123456789"),
            ("tidegate:instance", "a"),
            ("tidegate:attempt", "0"),
        ],
    ] {
        assert_eq!(
            machine(item(&state(16, "running"), &tags(&broken))).marker,
            None
        );
    }
}

#[test]
fn a_list_shows_ours_and_says_whether_there_is_more() {
    let gone = item(&state(48, "terminated"), &ours()).replace("i-0abc", "i-0gone");
    let strange = item(&state(16, "running"), &tags(&[("managed-by", "tidegate")]));
    let items = [item(&state(16, "running"), &ours()), gone, strange];
    let first = page(&described(&items, "<nextToken>eyJ2IjoiMiJ9</nextToken>"));
    let ids: Vec<&str> = first
        .machines
        .iter()
        .map(|machine| machine.id.as_str())
        .collect();
    assert_eq!(ids, ["i-0abc", "i-0gone"]);
    assert_eq!(first.next.as_deref(), Some("eyJ2IjoiMiJ9"));
    for end in ["", "<nextToken/>", "<nextToken></nextToken>"] {
        let last = page(&described(&[], end));
        assert_eq!(last, Page::default());
    }
}

/// One that is left out would count as gone.
#[test]
fn a_list_with_a_machine_that_cannot_be_read_is_no_list() {
    let nameless =
        item(&state(16, "running"), &ours()).replace("<instanceId>i-0abc</instanceId>", "");
    let body = described(&[item(&state(16, "running"), &ours()), nameless], "");
    let error = account().decode(&list(), 200, &body).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Network);
}

#[test]
fn a_machine_that_is_not_described_is_not_found() {
    let other = item(&state(16, "running"), &ours()).replace("i-0abc", "i-0other");
    for items in [vec![], vec![other]] {
        let error = account()
            .decode(&get(), 200, &described(&items, ""))
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
    }
}

#[test]
fn what_was_rented_is_ours_even_before_it_shows_its_tags() {
    let made = format!(
        "<RunInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>59dbff89</requestId>\
         <reservationId>r-1</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet>{}\
         </instancesSet></RunInstancesResponse>",
        item(&state(0, "pending"), "<reason/>").replace("<ipAddress>203.0.113.7</ipAddress>", "")
    );
    match account().decode(&create(spec()), 200, &made).unwrap() {
        Reply::Created { machine } => {
            assert_eq!(machine.marker, Some(marker()));
            assert_eq!(machine.state, MachineState::Pending);
            assert_eq!(machine.address, None);
            assert_eq!(machine.reason, None);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn changes_are_accepted_by_their_own_answers_alone() {
    let (region, id) = ("us-east-1".to_owned(), "i-0abc".to_owned());
    let requests = [
        (
            Request::Stop {
                region: region.clone(),
                id: id.clone(),
            },
            "StopInstancesResponse",
        ),
        (Request::Start { region, id }, "StartInstancesResponse"),
        (destroy(), "TerminateInstancesResponse"),
    ];
    for (request, name) in &requests {
        let body = format!(
            "<{name} xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>59dbff89</requestId>\
             <instancesSet><item><instanceId>i-0abc</instanceId><currentState><code>32</code>\
             <name>shutting-down</name></currentState><previousState><code>16</code><name>running</name>\
             </previousState></item></instancesSet></{name}>"
        );
        for (other, _) in &requests {
            let reply = account().decode(other, 200, &body);
            if other == request {
                assert_eq!(reply, Ok(Reply::Accepted { machine: None }));
            } else {
                assert!(reply.unwrap_err().unclear);
            }
        }
    }
}

#[test]
fn the_credential_says_who_it_is() {
    let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                <GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/tidegate</Arn><UserId>AIDA</UserId>\
                <Account>123456789012</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>01</RequestId>\
                </ResponseMetadata></GetCallerIdentityResponse>";
    assert_eq!(
        account().decode(&Request::Verify, 200, body),
        Ok(Reply::Verified {
            principal: Some("arn:aws:iam::123456789012:user/tidegate".to_owned())
        })
    );
}

#[test]
fn a_region_that_was_not_opted_into_is_off() {
    let region = |name: &str, status: &str| {
        format!(
            "<item><regionName>{name}</regionName><regionEndpoint>ec2.{name}.amazonaws.com</regionEndpoint>\
             <optInStatus>{status}</optInStatus></item>"
        )
    };
    let body = format!(
        "<DescribeRegionsResponse><regionInfo>{}{}{}</regionInfo></DescribeRegionsResponse>",
        region("us-east-1", "opt-in-not-required"),
        region("ap-east-1", "opted-in"),
        region("me-south-1", "not-opted-in")
    );
    let expected = [
        ("us-east-1", true),
        ("ap-east-1", true),
        ("me-south-1", false),
    ];
    let regions = expected.map(|(id, enabled)| Region {
        id: id.to_owned(),
        name: id.to_owned(),
        enabled,
    });
    assert_eq!(
        account().decode(&Request::Regions, 200, &body),
        Ok(Reply::Regions {
            regions: regions.to_vec()
        })
    );
}
