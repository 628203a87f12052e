use super::*;
use crate::instance::AskMode;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(1_000_000_000_000 + ms)
}

fn ask(name: &str, priority: u8, arrived_ms: i64) -> Ask {
    Ask {
        request: RequestId::new(name),
        priority,
        arrived_at: at(arrived_ms),
        deadline: at(300_000),
        least_service: Span::ZERO,
        kind: AskKind::First,
        mode: AskMode::Normal,
    }
}

fn queue(depth: u32) -> Queue {
    Queue::new(QueuePolicy::default(), depth)
}

fn names(waiters: &[Waiter]) -> Vec<&str> {
    waiters.iter().map(|w| w.request.as_str()).collect()
}

#[test]
fn the_order_is_priority_then_arrival_then_insertion() {
    let mut queue = queue(10);
    for (name, priority, arrived) in [
        ("late", 0, 9),
        ("early", 0, 1),
        ("twin", 0, 1),
        ("urgent", 5, 9),
        ("most", 255, 9),
    ] {
        queue.enqueue(at(10), &ask(name, priority, arrived));
    }
    assert_eq!(queue.position(&RequestId::new("twin")), Some(4));
    assert_eq!(
        names(&queue.take_all()),
        ["most", "urgent", "early", "twin", "late"]
    );
    assert!(queue.is_empty());
    assert_eq!(queue.poll_timeout(), None);
}

#[test]
fn a_request_is_never_entered_twice() {
    let mut queue = queue(10);
    queue.enqueue(at(0), &ask("a", 0, 0));
    queue.enqueue(at(1), &ask("a", 9, 0));
    assert_eq!(queue.len(), 1);
    let place = queue.admit(at(2), &ask("a", 9, 0), Span::ZERO);
    assert_eq!(place, Ok(Place::AlreadyQueued { position: 1 }));
}

#[test]
fn a_full_queue_takes_nobody() {
    let mut queue = queue(1);
    assert_eq!(
        queue.admit(at(0), &ask("a", 0, 0), Span::ZERO),
        Ok(Place::Enqueue { position: 1 })
    );
    queue.enqueue(at(0), &ask("a", 0, 0));
    assert_eq!(
        queue.admit(at(0), &ask("b", 9, 0), Span::ZERO),
        Err(QueueDenied::Full { depth: 1 })
    );
}

#[test]
fn r10_a_deadline_before_the_expected_start_fails_fast() {
    let mut queue = queue(10);
    queue.enqueue(at(0), &ask("a", 0, 0));
    let second = Span::from_secs(1);
    let short = Ask {
        deadline: at(2_999),
        least_service: second,
        ..ask("b", 0, 1)
    };
    let expected_start = Span::from_secs(2);
    assert_eq!(
        queue.admit(at(0), &short, second),
        Err(QueueDenied::DeadlineTooShort { expected_start })
    );
    let enough = Ask {
        deadline: at(3_000),
        ..short.clone()
    };
    assert_eq!(
        queue.admit(at(0), &enough, second),
        Ok(Place::Enqueue { position: 2 })
    );
    let urgent = Ask {
        priority: 9,
        ..short
    };
    assert_eq!(
        queue.admit(at(0), &urgent, second),
        Ok(Place::Enqueue { position: 1 })
    );
}

#[test]
fn nobody_waits_beyond_the_longest_wait_or_the_latest_useful_start() {
    let mut queue = queue(10);
    queue.enqueue(at(0), &ask("patient", 0, 0));
    let hurried = Ask {
        deadline: at(4_000),
        least_service: Span::from_secs(1),
        ..ask("hurried", 0, 0)
    };
    queue.enqueue(at(0), &hurried);
    assert_eq!(queue.poll_timeout(), Some(at(3_000)));
    assert!(queue.expire(at(2_999)).is_empty());
    assert_eq!(names(&queue.expire(at(3_000))), ["hurried"]);
    assert_eq!(queue.poll_timeout(), Some(at(10_000)));
    assert_eq!(names(&queue.expire(at(10_000))), ["patient"]);
    assert!(queue.expire(at(10_000)).is_empty());
}

#[test]
fn a_clock_that_jumps_back_makes_nobody_wait_longer() {
    let mut queue = queue(10);
    queue.enqueue(at(3_600_000), &ask("a", 0, 0));
    assert!(queue.expire(at(0)).is_empty());
    assert_eq!(queue.poll_timeout(), Some(at(10_000)));
}
