//! What comes back of pods, lists and bills.

use serde_json::{Value, json};
use tidegate_provider_api::{
    Billing, Ending, ErrorKind, Machine, MachineState, Marker, Page, Reply, Request,
};

use crate::rig::{
    BILL, CREATED, DATA_CENTERS, GPUS, ID, MARKER, POD, PODS, Rig, SSH_KEYS, bill, check, create,
    destroy, get, list, start, stop,
};

/// The pod of the recorded answer with some members changed; `null` takes one out.
fn pod_with(changes: &Value) -> String {
    let mut pod: Value = serde_json::from_str(POD).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        pod[name] = value.clone();
    }
    pod.to_string()
}

fn seen(changes: &Value) -> Machine {
    match Rig::new().answer(&get(), 200, &pod_with(changes)) {
        Ok(Reply::Machine { machine }) => *machine,
        other => panic!("{other:?}"),
    }
}

fn page(request: &Request, body: &str) -> Page {
    match Rig::new().answer(request, 200, body) {
        Ok(Reply::Machines(page)) => page,
        other => panic!("{other:?}"),
    }
}

fn running() -> Machine {
    Machine {
        id: ID.to_owned(),
        marker: Marker::parse(MARKER),
        state: MachineState::Running,
        raw_state: "RUNNING".to_owned(),
        reason: None,
        region: "EU-RO-1".to_owned(),
        zone: None,
        machine_type: Some("NVIDIA L4".to_owned()),
        gpu_count: Some(2),
        microusd_per_hour: Some(780_000),
        billing: Billing::Full,
        billed_from_ms: Some(1_795_176_000_250),
        billed_until_ms: None,
        endpoint: Some("https://k3x8w1qz7v-8000.proxy.runpod.net".to_owned()),
        address: Some("203.0.113.9:31022".to_owned()),
    }
}

#[test]
fn a_pod_is_a_machine() {
    assert_eq!(seen(&json!({})), running());
}

#[test]
fn a_pod_that_was_just_created_has_an_address_already() {
    let reply = Rig::new().answer(&create(), 201, CREATED).unwrap();
    let machine = Machine {
        state: MachineState::Pending,
        raw_state: "PROVISIONING".to_owned(),
        address: None,
        ..running()
    };
    assert_eq!(
        reply,
        Reply::Created {
            machine: Box::new(machine)
        }
    );
}

#[test]
fn every_state_is_told_with_what_it_is_billed_for() {
    for (status, state, billing, ending) in [
        ("PROVISIONING", MachineState::Pending, Billing::Full, None),
        ("STARTING", MachineState::Pending, Billing::Full, None),
        ("RUNNING", MachineState::Running, Billing::Full, None),
        ("EXITED", MachineState::Stopped, Billing::Disk, None),
        (
            "ERROR",
            MachineState::Failed,
            Billing::Unknown,
            Some(Ending::Crashed),
        ),
        ("TERMINATED", MachineState::Terminated, Billing::None, None),
        ("HIBERNATING", MachineState::Unknown, Billing::Unknown, None),
    ] {
        let machine = seen(&json!({"status": status}));
        assert_eq!(
            (machine.state, machine.billing),
            (state, billing),
            "{status}"
        );
        assert_eq!(
            machine.reason.map(|reason| reason.ending),
            ending,
            "{status}"
        );
        assert_eq!(machine.raw_state, status);
    }
    let machine = seen(&json!({"status": null}));
    assert_eq!(machine.state, MachineState::Unknown);
}

#[test]
fn a_stopped_pod_that_costs_nothing_says_nothing_of_its_disk() {
    assert_eq!(
        seen(&json!({"status": "EXITED", "cost": 0.0})).microusd_per_hour,
        None
    );
}

#[test]
fn a_rate_is_read_to_the_micro_dollar_or_not_at_all() {
    for (cost, rate) in [
        ("0.39", Some(390_000)),
        ("0.4399999976158142", Some(440_000)),
        ("3.0999999999999996", Some(3_100_000)),
        ("5e-1", Some(500_000)),
        ("0", None),
        ("-0.39", None),
        ("\"0.39\"", None),
        ("null", None),
        ("{}", None),
    ] {
        let pod = POD.replace("\"cost\": 0.78", &format!("\"cost\": {cost}"));
        let Ok(Reply::Machine { machine }) = Rig::new().answer(&get(), 200, &pod) else {
            panic!("{cost}");
        };
        assert_eq!(machine.microusd_per_hour, rate, "{cost}");
    }
}

#[test]
fn a_pod_that_came_up_without_its_gpus_shows_none() {
    assert_eq!(
        seen(&json!({"gpu": {"id": "NVIDIA L4", "count": 0}})).gpu_count,
        Some(0)
    );
    let as_cpu_pod = json!({"gpu": null, "cpu": {"id": "cpu5c", "vcpuCount": 2}});
    assert_eq!(seen(&as_cpu_pod).gpu_count, Some(0));
    assert_eq!(seen(&json!({"gpu": null})).gpu_count, None);
}

#[test]
fn the_endpoint_is_that_of_the_first_http_port() {
    for (ports, port) in [
        (json!(["22/tcp", "8000/http", "8001/http"]), Some("8000")),
        (json!(["22/tcp"]), None),
        (json!(["99999/http"]), None),
        (json!(["evil.example/http"]), None),
        (json!([]), None),
        (json!("8000/http"), None),
    ] {
        let expected = port.map(|port| format!("https://k3x8w1qz7v-{port}.proxy.runpod.net"));
        assert_eq!(seen(&json!({"ports": ports})).endpoint, expected);
    }
    let mut rig = Rig::new();
    rig.origins.endpoint = Some("http://127.0.0.1:9000/pods/{id}/{port}".to_owned());
    let Ok(Reply::Machine { machine }) = rig.answer(&get(), 200, POD) else {
        panic!("no machine");
    };
    assert_eq!(
        machine.endpoint.as_deref(),
        Some("http://127.0.0.1:9000/pods/k3x8w1qz7v/8000")
    );
}

#[test]
fn odd_fields_of_a_pod_are_left_open() {
    let odd = json!({
        "status": 7, "ports": null, "cost": [], "dataCenterId": "", "gpu": {"count": -1},
        "createdAt": "yesterday", "ssh": {"direct": {"host": 1}},
    });
    let machine = seen(&odd);
    assert_eq!(
        machine,
        Machine {
            state: MachineState::Unknown,
            raw_state: String::new(),
            region: "global".to_owned(),
            machine_type: None,
            gpu_count: None,
            microusd_per_hour: None,
            billing: Billing::Unknown,
            billed_from_ms: None,
            endpoint: None,
            address: None,
            ..running()
        }
    );
}

#[test]
fn an_id_that_would_lead_elsewhere_is_no_machine() {
    for id in ["evil.example/", "a b", "", "a#"] {
        let body = pod_with(&json!({"id": id}));
        let error = Rig::new().answer(&get(), 200, &body).unwrap_err();
        assert_eq!((error.kind, error.unclear), (ErrorKind::Network, false));
        // Something was made, and nobody knows what.
        let error = Rig::new().answer(&create(), 201, &body).unwrap_err();
        assert_eq!((error.kind, error.unclear), (ErrorKind::Network, true));
    }
}

#[test]
fn a_list_has_the_pods_of_ours_and_where_it_goes_on() {
    let first = page(&list(None), PODS);
    assert_eq!(
        first.next.as_deref(),
        Some("eyJhZnRlciI6InN0MHBwZWRwMGQifQ==")
    );
    let ids: Vec<_> = first
        .machines
        .iter()
        .map(|machine| machine.id.as_str())
        .collect();
    assert_eq!(ids, [ID, "st0ppedp0d"]);
    let stopped = &first.machines[1];
    assert_eq!(stopped.state, MachineState::Stopped);
    assert_eq!(stopped.region, "global");
    assert_eq!(
        stopped.marker.as_ref().map(|marker| marker.attempt),
        Some(2)
    );
}

#[test]
fn a_list_ends_where_it_says_or_has_no_pages() {
    for pagination in [
        "",
        r#","pagination":null"#,
        r#","pagination":{"nextCursor":null,"hasNextPage":false}"#,
        r#","pagination":{"nextCursor":"more","hasNextPage":false}"#,
        r#","pagination":{}"#,
    ] {
        let body = format!(r#"{{"pods":[]{pagination}}}"#);
        assert_eq!(page(&list(None), &body), Page::default(), "{pagination}");
    }
}

#[test]
fn a_list_that_is_not_understood_as_a_whole_is_no_list() {
    let without_id = format!(r#"{{"pods":[{}]}}"#, pod_with(&json!({"id": null})));
    for body in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"pods":null}"#,
        r#"{"pods":{}}"#,
        r#"{"pods":[null]}"#,
        r#"{"pods":[[]]}"#,
        r#"{"pods":[]"#,
        "<html><title>busy</title></html>",
        r#"{"pods":[],"pagination":{"hasNextPage":true}}"#,
        r#"{"pods":[],"pagination":{"nextCursor":"here","hasNextPage":true}}"#,
        without_id.as_str(),
    ] {
        let error = Rig::new()
            .answer(&list(Some("here")), 200, body)
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Network, "{body}");
        assert!(!error.permanent && !error.unclear);
    }
}

#[test]
fn pods_of_others_may_look_as_they_like() {
    let body = r#"{"pods":[{},{"name":null},{"name":1,"id":[]},{"name":"tidegate-x","id":"../"}]}"#;
    assert_eq!(page(&list(None), body), Page::default());
}

#[test]
fn no_environment_leaves_the_codec() {
    let rig = Rig::new();
    for (request, body) in [
        (list(None), PODS),
        (get(), POD),
        (create(), CREATED),
        (stop(), POD),
    ] {
        let reply = rig.answer(&request, 200, body).unwrap();
        let shown = format!("{reply:?}{}", serde_json::to_string(&reply).unwrap());
        for word in ["5ecret", "n0ne_of_ours", "HF_TOKEN", "PASSWORD"] {
            assert!(!shown.contains(word), "{word}");
        }
    }
}

#[test]
fn changes_are_accepted_with_the_pod_if_it_is_shown() {
    let rig = Rig::new();
    assert_eq!(
        rig.answer(&destroy(), 204, ""),
        Ok(Reply::Accepted { machine: None })
    );
    for request in [stop(), start(), destroy()] {
        let machine = Some(Box::new(running()));
        assert_eq!(
            rig.answer(&request, 200, POD),
            Ok(Reply::Accepted { machine })
        );
        let error = rig.answer(&request, 200, "<html>ok</html>").unwrap_err();
        assert_eq!((error.kind, error.unclear), (ErrorKind::Network, true));
    }
}

#[test]
fn a_created_pod_that_cannot_be_read_leaves_open_what_was_made() {
    for body in ["", "{}", "ok", r#"{"id":"k3x8w1qz7v""#] {
        let error = Rig::new().answer(&create(), 201, body).unwrap_err();
        assert_eq!(
            (error.kind, error.unclear),
            (ErrorKind::Network, true),
            "{body}"
        );
    }
}

#[test]
fn a_bill_is_the_exact_sum_of_the_pods_own_records() {
    let rig = Rig::new();
    let of = |body: &str| rig.answer(&bill(), 200, body);
    let sum = |microusd| Ok(Reply::Bill { microusd });
    assert_eq!(of(BILL), sum(Some(300_000)));
    assert_eq!(of(r#"{"records":[]}"#), sum(None));
    // A deployment that ignores the filter sends those of all pods.
    let mixed = r#"{"records":[{"podId":"f0reignp0d","totalAmount":99},{"podId":"k3x8w1qz7v","totalAmount":0.5},
                    {"podId":"k3x8w1qz7v","totalAmount":0}]}"#;
    assert_eq!(of(mixed), sum(Some(500_000)));
    assert_eq!(
        of(r#"{"records":[{"podId":"f0reignp0d","totalAmount":99}]}"#),
        sum(None)
    );
    assert_eq!(
        of(r#"{"records":[{"podId":"k3x8w1qz7v","totalAmount":0.0}]}"#),
        sum(Some(0))
    );
    for body in [
        "{}",
        r#"{"records":[{"podId":"k3x8w1qz7v","totalAmount":-1}]}"#,
        r#"{"records":[{"podId":"k3x8w1qz7v","totalAmount":"1"}]}"#,
        r#"{"records":[{"podId":"k3x8w1qz7v"}]}"#,
        r#"{"records":[{"totalAmount":1}]}"#,
    ] {
        assert_eq!(of(body).unwrap_err().kind, ErrorKind::Network, "{body}");
    }
}

#[test]
fn a_key_counts_and_may_do_what_its_answers_show() {
    let rig = Rig::new();
    let no_pod = r#"{"title":"Not Found","status":404,"detail":"pod not found"}"#;
    for (request, status, body, expected) in [
        (
            Request::Verify,
            200,
            SSH_KEYS,
            Reply::Verified { principal: None },
        ),
        (check("read_pods"), 200, PODS, Reply::Allowed),
        (check("read_catalog"), 200, DATA_CENTERS, Reply::Allowed),
        (check("read_billing"), 200, BILL, Reply::Allowed),
        (check("write_pods"), 404, no_pod, Reply::Allowed),
        (check("write_pods"), 204, "", Reply::Allowed),
    ] {
        assert_eq!(
            rig.answer(&request, status, body),
            Ok(expected),
            "{request:?}"
        );
    }
    let forbidden = r#"{"title":"Forbidden","status":403,"detail":"access denied"}"#;
    for request in [Request::Verify, check("read_pods"), check("write_pods")] {
        let error = rig.answer(&request, 403, forbidden).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Auth);
    }
    // Only for the pod that there is not does "not found" say anything.
    let error = rig.answer(&check("read_pods"), 404, no_pod).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    for (request, status) in [
        (Request::Verify, 200),
        (check("read_pods"), 200),
        (check("write_pods"), 404),
        (check("write_pods"), 200),
    ] {
        let error = rig
            .answer(&request, status, "<html>sign in</html>")
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Network, "{request:?}");
    }
    assert!(rig.answer(&Request::Verify, 200, GPUS).is_err());
}
