use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_000_000);

fn server(hash: u64) -> Server {
    Server {
        hash: mix(hash),
        tier: 0,
        priority: 0,
        weight: 1,
        price: 0,
        fitness: Fitness::Fit,
        load: None,
        first_token_ms: None,
    }
}

fn draw(request: u64) -> Draw {
    Draw {
        now: NOW,
        request: mix(request),
        prefix: 7,
        turn: request,
    }
}

fn order(strategy: Strategy, servers: &[Server], request: u64) -> Vec<usize> {
    rank(strategy, servers, draw(request), |_| true)
}

#[test]
fn servers_out_of_service_are_left_out_and_resting_or_ejected_ones_come_last() {
    let mut servers = vec![server(1), server(2), server(3), server(4)];
    servers[0].fitness = Fitness::Ejected(NOW + Span::from_secs(9));
    servers[1].fitness = Fitness::Out;
    servers[2].fitness = Fitness::Resting(NOW + Span::from_secs(9));
    assert_eq!(order(Strategy::Weighted, &servers, 1), [3, 2, 0]);
}

#[test]
fn a_server_whose_ejection_is_over_is_offered_its_probe_only_by_leave() {
    let mut servers = vec![server(1), server(2)];
    servers[1].fitness = Fitness::Ejected(NOW);
    assert_eq!(
        rank(Strategy::Weighted, &servers, draw(1), |_| true),
        [1, 0]
    );
    assert_eq!(
        rank(Strategy::Weighted, &servers, draw(1), |_| false),
        [0, 1]
    );
}

#[test]
fn tiers_come_before_priority_and_priority_before_strategy() {
    let mut servers = vec![server(1), server(2), server(3)];
    servers[0].tier = 1;
    servers[0].priority = 9;
    servers[2].priority = 1;
    servers[1].price = 1;
    servers[2].price = 100;
    assert_eq!(order(Strategy::Cost, &servers, 1), [2, 1, 0]);
}

#[test]
fn weighted_draws_follow_the_weights() {
    let mut servers = vec![server(1), server(2)];
    servers[0].weight = 3;
    let firsts = (0..4000)
        .filter(|n| order(Strategy::Weighted, &servers, *n).first() == Some(&0))
        .count();
    assert!(
        (2850..3150).contains(&firsts),
        "3 of 4 expected, got {firsts} of 4000"
    );
}

#[test]
fn round_robin_takes_turns() {
    let servers = vec![server(1), server(2), server(3)];
    let mut firsts: Vec<usize> = (0..3)
        .filter_map(|n| order(Strategy::RoundRobin, &servers, n).first().copied())
        .collect();
    firsts.sort_unstable();
    assert_eq!(firsts, [0, 1, 2]);
}

#[test]
fn the_same_prefix_goes_to_the_same_server_and_few_move_when_one_leaves() {
    let servers: Vec<Server> = (0..10).map(server).collect();
    let home = |servers: &[Server], prefix| {
        let draw = Draw {
            prefix,
            ..draw(prefix)
        };
        rank(Strategy::PrefixAffinity, servers, draw, |_| true)
            .first()
            .map(|index| servers[*index].hash)
    };
    let without: Vec<Server> = servers.iter().skip(1).cloned().collect();
    let moved = (0..1000)
        .filter(|prefix| home(&servers, *prefix) != home(&without, *prefix))
        .count();
    assert!(
        (50..160).contains(&moved),
        "about a tenth should move, {moved} of 1000 did"
    );
}

#[test]
fn affinity_spills_to_the_next_server_when_the_favourite_is_overloaded() {
    let mut servers = vec![server(1), server(2)];
    let favourite = order(Strategy::PrefixAffinity, &servers, 1)[0];
    servers[favourite].load = Some((120, NOW));
    servers[1 - favourite].load = Some((10, NOW));
    assert_eq!(
        order(Strategy::PrefixAffinity, &servers, 1)[0],
        1 - favourite
    );
    servers[favourite].load = Some((120, NOW - Span::from_secs(6)));
    assert_eq!(
        order(Strategy::PrefixAffinity, &servers, 1)[0],
        favourite,
        "stale news must not count"
    );
}

#[test]
fn of_two_drawn_the_less_busy_goes_first() {
    let mut servers = vec![server(1), server(2)];
    servers[0].load = Some((80, NOW));
    servers[1].load = Some((20, NOW));
    assert!((0..50).all(|n| order(Strategy::LeastBusy, &servers, n) == [1, 0]));
}

#[test]
fn unmeasured_servers_are_tried_before_fast_ones() {
    let mut servers = vec![server(1), server(2), server(3)];
    servers[0].first_token_ms = Some(50);
    servers[1].first_token_ms = Some(20);
    assert_eq!(order(Strategy::Latency, &servers, 1), [2, 1, 0]);
}

#[test]
fn a_rest_that_is_over_is_no_rest() {
    let mut servers = vec![server(1), server(2), server(3)];
    servers[0].price = 1;
    servers[0].fitness = Fitness::Resting(NOW);
    servers[1].price = 0;
    servers[1].fitness = Fitness::Resting(NOW + Span::from_ms(1));
    servers[2].price = 2;
    assert_eq!(order(Strategy::Cost, &servers, 1), [0, 2, 1]);
}

#[test]
fn a_weight_of_zero_counts_as_one() {
    let mut servers = vec![server(1), server(2)];
    servers[0].weight = 0;
    let firsts = (0..1000)
        .filter(|n| order(Strategy::Weighted, &servers, *n).first() == Some(&0))
        .count();
    assert!((430..570).contains(&firsts), "{firsts} of 1000");
}

#[test]
fn equals_take_turns_and_those_behind_them_keep_their_places() {
    let mut servers = vec![server(1), server(2), server(3), server(4)];
    servers[3].priority = -1;
    let first = order(Strategy::RoundRobin, &servers, 0);
    for turn in 0..6 {
        let rotated = order(Strategy::RoundRobin, &servers, turn);
        let by = usize::try_from(turn).unwrap() % 3;
        assert_eq!(rotated[0], first[by]);
        assert_eq!(rotated[1], first[(by + 1) % 3]);
        assert_eq!(rotated[3], 3, "less preferred, so last");
    }
    assert_eq!(order(Strategy::RoundRobin, &[], 3), Vec::<usize>::new());
}

#[test]
fn classes_differ_by_tier_standing_and_priority() {
    let least = Some((0, NOW));
    for change in [
        |server: &mut Server| server.tier = 1,
        |server: &mut Server| server.priority = -1,
        |server: &mut Server| server.fitness = Fitness::Ejected(NOW + Span::from_ms(1)),
    ] {
        let mut servers = vec![server(1), server(2)];
        servers[0].load = Some((90, NOW));
        servers[1].load = least;
        change(&mut servers[1]);
        for n in 0..20 {
            assert_eq!(order(Strategy::LeastBusy, &servers, n), [0, 1]);
            assert_eq!(order(Strategy::PrefixAffinity, &servers, n), [0, 1]);
        }
    }
}

#[test]
fn of_two_equally_busy_the_one_that_was_drawn_first_stays_first() {
    let mut servers = vec![server(1), server(2)];
    let drawn: Vec<_> = (0..20)
        .map(|n| order(Strategy::LeastBusy, &servers, n))
        .collect();
    servers[0].load = Some((40, NOW));
    servers[1].load = Some((40, NOW));
    let equal: Vec<_> = (0..20)
        .map(|n| order(Strategy::LeastBusy, &servers, n))
        .collect();
    assert_eq!(equal, drawn);
}

#[test]
fn news_of_load_counts_for_five_seconds() {
    for (age_ms, counts) in [(5_000, true), (5_001, false)] {
        let mut servers = vec![server(1), server(2)];
        let drawn = order(Strategy::LeastBusy, &servers, 1);
        servers[drawn[0]].load = Some((80, NOW - Span::from_ms(age_ms)));
        servers[drawn[1]].load = Some((20, NOW));
        let first = order(Strategy::LeastBusy, &servers, 1)[0];
        assert_eq!(first == drawn[1], counts, "{age_ms} ms");
    }
}

#[test]
fn a_favourite_is_left_when_it_is_busier_by_more_than_half_its_capacity() {
    for (score, spills) in [(60, false), (61, true)] {
        let mut servers = vec![server(1), server(2)];
        let favourite = order(Strategy::PrefixAffinity, &servers, 1)[0];
        servers[favourite].load = Some((score, NOW));
        servers[1 - favourite].load = Some((10, NOW));
        let first = order(Strategy::PrefixAffinity, &servers, 1)[0];
        assert_eq!(first != favourite, spills, "{score}");
    }
}
