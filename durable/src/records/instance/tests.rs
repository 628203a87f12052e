//! Stored formats: rows outlive releases, so each is pinned as it is written, and as older and newer
//! releases write it.

use tidegate_domain::breaker::{BreakerRecord, BreakerState, EjectReason, FailureRun};
use tidegate_domain::health::{CheckFault, CheckResult, HealthVerdict, Ring};
use tidegate_domain::ids::RequestId;
use tidegate_domain::instance::{
    AskKind, Average, CooldownRecord, FailureTotals, Figures, GrantKind, InstanceRecord, Lease,
    Pause, Phase, Totals,
};
use tidegate_domain::outcome::FailureKind;
use tidegate_domain::time::{Span, Timestamp};

use super::*;
use crate::records::policy::machine_policy;

const fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

fn spec() -> InstanceSpec {
    InstanceSpec {
        generation: 3,
        model: "llama".to_owned(),
        endpoint_url: "https://gpu/v1".to_owned(),
        sealed_api_key: Some("sealed-secret".to_owned()),
        max_concurrency: 8,
        queue_depth: 16,
    }
}

/// Out for every reason at once.
fn record() -> InstanceRecord {
    InstanceRecord {
        salt: u64::MAX,
        limits: limits(&spec()),
        policy: machine_policy(&ReliabilityPolicy::default()),
        phase: Phase::Draining { since: at(1) },
        breaker: BreakerRecord {
            state: BreakerState::Ejected {
                since: at(2),
                until: at(3),
                length: Span::from_ms(4),
                reason: EjectReason::Consecutive {
                    failures: 5,
                    last: FailureKind::Http5xx(502),
                },
            },
            times: 6,
        },
        cooldown: CooldownRecord {
            pause: Some(Pause {
                since: at(7),
                until: at(8),
            }),
            strikes: 9,
        },
        health: HealthVerdict::Unhealthy {
            since: at(10),
            reason: CheckFault::Status(500),
        },
    }
}

fn stored(record: &InstanceRecord) -> Stored {
    Stored {
        spec: Some(spec()),
        generation: 3,
        policy: ReliabilityPolicy::default(),
        sequence: 11,
        machine: Some(MachineRow::from_domain(record)),
    }
}

fn restored(stored: Stored) -> InstanceRecord {
    let (spec, machine) = (stored.spec.unwrap(), stored.machine.unwrap());
    machine.into_domain(&spec, &stored.policy)
}

const POLICY_V1: &str = r#"{"version":0,"first_token_timeout_ms":300000,"idle_timeout_ms":60000,"total_timeout_ms":1800000,"max_retries":2,"hedge":true,"hedge_min_ms":2000,"hedge_initial_ms":4000,"eject_after_consecutive_failures":5,"eject_failure_percent":50,"eject_min_requests":20,"ejection_base_ms":30000,"ejection_cap_ms":300000,"retry_budget_percent":20,"queue_timeout_ms":10000,"max_waiting_per_model":1000,"model_wait_ms":60000,"health_interval_ms":60000,"health_timeout_ms":10000,"unhealthy_after":3,"healthy_after":1}"#;

#[test]
fn instance_record_v1_format_unchanged() {
    let v1 = format!(
        r#"{{"spec":{{"generation":3,"model":"llama","endpoint_url":"https://gpu/v1","sealed_api_key":"sealed-secret","max_concurrency":8,"queue_depth":16}},"generation":3,"policy":{POLICY_V1},"sequence":11,"machine":{{"salt":"18446744073709551615","phase":{{"is":"draining","since_ms":1}},"breaker":{{"is":"ejected","since_ms":2,"until_ms":3,"length_ms":4,"reason":{{"is":"consecutive","failures":5,"last":{{"kind":"http5xx","status":502}}}}}},"ejections":6,"pause":{{"since_ms":7,"until_ms":8}},"strikes":9,"unhealthy":{{"since_ms":10,"fault":{{"is":"status","status":500}}}}}}}}"#
    );
    assert_eq!(serde_json::to_string(&stored(&record())).unwrap(), v1);
    let read: Stored = serde_json::from_str(&v1).unwrap();
    assert_eq!(restored(read), record());
}

#[test]
fn what_is_left_of_a_removed_server_v1_format_unchanged() {
    let left = Stored {
        spec: None,
        generation: 9_007_199_254_740_991,
        policy: ReliabilityPolicy::default(),
        sequence: 2,
        machine: None,
    };
    let v1 = format!(
        r#"{{"spec":null,"generation":9007199254740991,"policy":{POLICY_V1},"sequence":2,"machine":null}}"#
    );
    assert_eq!(serde_json::to_string(&left).unwrap(), v1);
    assert_eq!(serde_json::from_str::<Stored>(&v1).unwrap(), left);
}

#[test]
fn every_state_survives_its_row() {
    let mut states = vec![
        BreakerState::Admitting {
            since: at(1),
            forgiven_at: at(2),
        },
        BreakerState::Probing {
            request: RequestId::new("r1"),
            granted_at: at(3),
            since: at(1),
            reason: EjectReason::Share {
                failures: 10,
                requests: 20,
            },
        },
    ];
    for kind in [
        FailureKind::Http5xx(500),
        FailureKind::Transport,
        FailureKind::Timeout,
        FailureKind::Stalled,
        FailureKind::CutStream,
        FailureKind::InvalidAnswer,
    ] {
        states.push(BreakerState::Ejected {
            since: at(1),
            until: at(2),
            length: Span::from_ms(1),
            reason: EjectReason::ProbeFailed(kind),
        });
    }
    let faults = [
        CheckFault::Status(404),
        CheckFault::Transport,
        CheckFault::Timeout,
        CheckFault::InvalidAnswer,
        CheckFault::Redirected,
        CheckFault::AddressRefused,
    ];
    let phases = [Phase::Active, Phase::Drained { since: at(5) }];
    for (number, state) in states.into_iter().enumerate() {
        let record = InstanceRecord {
            phase: phases[number % 2],
            breaker: BreakerRecord { state, times: 1 },
            cooldown: CooldownRecord::default(),
            health: match faults.get(number) {
                None => HealthVerdict::Healthy,
                Some(fault) => HealthVerdict::Unhealthy {
                    since: at(1),
                    reason: *fault,
                },
            },
            ..record()
        };
        let text = serde_json::to_string(&stored(&record)).unwrap();
        assert_eq!(restored(serde_json::from_str(&text).unwrap()), record);
    }
}

#[test]
fn lease_row_v1_format_unchanged() {
    let lease = Lease {
        granted_at: at(1),
        expires_at: at(60_001),
        kind: GrantKind::Normal,
        asked_as: AskKind::First,
        priority: 7,
    };
    let v1 = r#"{"granted_at_ms":1,"expires_at_ms":60001,"kind":"normal","asked_as":"first","priority":7}"#;
    let column = LeaseColumn::from_domain(&lease);
    assert_eq!(serde_json::to_string(&column).unwrap(), v1);
    let kinds = [
        (GrantKind::Probe, AskKind::Retry),
        (GrantKind::Panic, AskKind::Hedge),
        (GrantKind::Tentative, AskKind::First),
    ];
    for (kind, asked_as) in kinds {
        let lease = Lease {
            kind,
            asked_as,
            ..lease
        };
        let row = LeaseColumn::from_domain(&lease).into_domain("r1");
        assert_eq!((row.request.as_str(), row.lease), ("r1", lease));
    }
}

fn figures() -> (Figures, Ring) {
    let figures = Figures {
        totals: Totals {
            granted: 1,
            queued: 2,
            denied: 3,
            successes: 4,
            client_errors: 5,
            backpressure: 6,
            failures: FailureTotals {
                http_5xx: 15,
                transport: 16,
                timeout: 17,
                stalled: 18,
                cut_stream: 19,
                invalid_answer: 20,
            },
            clients_left: 7,
            cancelled: 8,
            leases_expired: 9,
            ejections: 10,
            probes: 11,
            panics: 12,
            prompt_tokens: 13,
            completion_tokens: 14,
        },
        duration: Average {
            ms_256: Some(256_000),
        },
        ttft: Average { ms_256: None },
    };
    let ring = Ring::restore([
        CheckResult {
            at: at(1),
            ok: true,
            latency_ms: 20,
            reason: None,
        },
        CheckResult {
            at: at(2),
            ok: false,
            latency_ms: 0,
            reason: Some(CheckFault::Timeout),
        },
    ]);
    (figures, ring)
}

#[test]
fn figures_row_v1_format_unchanged() {
    let (figures, ring) = figures();
    let v1 = r#"{"totals":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20],"duration_ms_256":256000,"first_token_ms_256":null,"checks":[{"at_ms":1,"latency_ms":20},{"at_ms":2,"latency_ms":0,"fault":{"is":"timeout"}}]}"#;
    let row = FiguresRow::from_domain(&figures, None, &ring);
    assert_eq!(serde_json::to_string(&row).unwrap(), v1);
    let read: FiguresRow = serde_json::from_str(v1).unwrap();
    assert_eq!((read.run, read.into_domain()), (None, (figures, ring)));
}

#[test]
fn a_run_of_failures_is_kept_beside_the_figures() {
    let run = FailureRun {
        failures: 3,
        admitted_at: at(7),
    };
    let row = FiguresRow::from_domain(&Figures::default(), Some(run), &Ring::restore([]));
    let text = serde_json::to_string(&row).unwrap();
    assert!(
        text.contains(r#""run":{"failures":3,"admitted_at_ms":7}"#),
        "{text}"
    );
    let read: FiguresRow = serde_json::from_str(&text).unwrap();
    assert_eq!(read.run.map(FailureRun::from), Some(run));
}

#[test]
fn rows_without_newer_fields_still_load() {
    let stored: Stored = serde_json::from_str(
        r#"{"spec":{"generation":3,"model":"llama","endpoint_url":"https://gpu/v1","max_concurrency":8,"queue_depth":16},"generation":3,"machine":{"salt":"1","phase":{"is":"active"},"breaker":{"is":"admitting","since_ms":1,"forgiven_at_ms":1},"ejections":0}}"#,
    )
    .unwrap();
    assert_eq!((stored.sequence, stored.policy.max_retries), (0, 2));
    let record = restored(stored);
    assert_eq!(record.health, HealthVerdict::Healthy);
    assert_eq!(record.cooldown, CooldownRecord::default());
    let lease: LeaseColumn = serde_json::from_str(
        r#"{"granted_at_ms":1,"expires_at_ms":2,"kind":"normal","asked_as":"first"}"#,
    )
    .unwrap();
    assert_eq!(lease.priority, 0);
    for older in ["{}", r#"{"totals":[7]}"#] {
        let row: FiguresRow = serde_json::from_str(older).unwrap();
        let (figures, ring) = row.into_domain();
        assert_eq!((figures.totals.queued, ring.len()), (0, 0));
    }
}

#[test]
fn rows_of_the_next_release_still_load_after_a_rollback() {
    let newer = serde_json::to_string(&stored(&record()))
        .unwrap()
        .replace(
            r#""kind":"http5xx","status":502"#,
            r#""kind":"garbled","byte":7"#,
        )
        .replace(r#""is":"status","status":500"#, r#""is":"tls","step":2"#)
        .replace(r#""strikes":9"#, r#""strikes":9,"colour":"red""#);
    let record = restored(serde_json::from_str(&newer).unwrap());
    let HealthVerdict::Unhealthy { reason, .. } = record.health else {
        panic!("back in rotation: {record:?}");
    };
    assert_eq!(reason, CheckFault::InvalidAnswer);
    let BreakerState::Ejected { reason, .. } = record.breaker.state else {
        panic!("back in rotation: {:?}", record.breaker);
    };
    let last = FailureKind::InvalidAnswer;
    assert_eq!(reason, EjectReason::Consecutive { failures: 5, last });
}
