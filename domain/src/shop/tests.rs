use proptest::prelude::*;

use super::*;

fn offered(vendor: &str, price: Option<u64>) -> Offered {
    Offered {
        vendor: vendor.to_owned(),
        region: "eu-1".to_owned(),
        gpu: "l4".to_owned(),
        gpu_name: "NVIDIA L4".to_owned(),
        count: 1,
        vram_gb: 24,
        spot: false,
        microusd_per_hour: price,
        stock: Stock::Unknown,
    }
}

fn places(offers: &[Offered], wish: &Wish) -> Vec<usize> {
    choose(offers, wish).candidates
}

#[test]
fn a_wish_without_words_fits_everything_and_each_word_narrows_it() {
    let one = offered("aws", Some(1));
    assert!(Wish::default().fits(&one));
    let wish = |change: fn(&mut Wish)| {
        let mut wish = Wish::default();
        change(&mut wish);
        wish.fits(&offered("aws", Some(1)))
    };
    assert!(wish(|it| it.gpu = Some("L4".to_owned())));
    assert!(wish(|it| it.gpu = Some("nvidia l4".to_owned())));
    assert!(!wish(|it| it.gpu = Some("l40s".to_owned())));
    assert!(wish(|it| it.min_vram_gb = Some(24)));
    assert!(!wish(|it| it.min_vram_gb = Some(25)));
    assert!(wish(|it| it.count = Some(1)));
    assert!(!wish(|it| it.count = Some(2)));
    assert!(wish(|it| it.region = Some("EU-1".to_owned())));
    assert!(!wish(|it| it.region = Some("eu".to_owned())));
    assert!(wish(|it| it.vendor = Some("aws".to_owned())));
    assert!(!wish(|it| it.vendor = Some("runpod".to_owned())));
    assert!(wish(|it| it.spot = Some(false)));
    assert!(!wish(|it| it.spot = Some(true)));
}

#[test]
fn a_price_of_one_gpu_is_rounded_to_the_nearest_micro_dollar() {
    for (price, count, each) in [
        (98_320_000, 8, 12_290_000),
        (10, 3, 3),
        (11, 3, 4),
        (5, 2, 3),
        (1, 2, 1),
        (0, 4, 0),
        (7, 0, 7),
        (u64::MAX, 1, u64::MAX),
    ] {
        let offer = Offered {
            count,
            ..offered("aws", Some(price))
        };
        assert_eq!(
            offer.microusd_per_gpu_hour(),
            Some(each),
            "{price} / {count}"
        );
    }
    assert_eq!(offered("aws", None).microusd_per_gpu_hour(), None);
}

#[test]
fn offers_are_shown_in_the_order_that_is_asked_for_with_the_unpriced_last() {
    let shape = |price, count, vram_gb| Offered {
        count,
        vram_gb,
        ..offered("aws", price)
    };
    let offers = [
        shape(Some(400), 4, 16),
        shape(None, 1, 80),
        shape(Some(150), 1, 24),
        shape(Some(150), 1, 16),
        shape(Some(300), 1, 80),
    ];
    for (order, expected) in [
        ("price", [2, 3, 4, 0, 1]),
        ("-price", [0, 4, 2, 3, 1]),
        ("price_per_gpu", [0, 2, 3, 4, 1]),
        ("-price_per_gpu", [4, 2, 3, 0, 1]),
        ("vram", [3, 2, 0, 4, 1]),
        ("-vram", [4, 1, 0, 2, 3]),
    ] {
        let order = Order::parse(order).unwrap();
        assert_eq!(
            browse(&offers, &Wish::default(), order),
            expected,
            "{order:?}"
        );
    }
    for odd in ["", "-", "cost", "--price", "price "] {
        assert_eq!(Order::parse(odd), None, "{odd}");
    }
}

#[test]
fn a_bound_on_the_price_leaves_out_what_has_none() {
    let offers = [
        offered("aws", Some(100)),
        offered("aws", None),
        offered("aws", Some(101)),
    ];
    let wish = Wish {
        max_microusd_per_hour: Some(100),
        ..Wish::default()
    };
    assert_eq!(browse(&offers, &wish, Order::default()), [0]);
    assert_eq!(
        browse(&offers, &Wish::default(), Order::default()),
        [0, 2, 1]
    );
}

#[test]
fn a_launch_tries_the_cheapest_first_and_of_equals_the_one_of_which_there_are_more() {
    let offers = [
        offered("aws", Some(120)),
        offered("aws", Some(100)),
        Offered {
            stock: Stock::High,
            ..offered("aws", Some(100))
        },
    ];
    assert_eq!(places(&offers, &Wish::default()), [2, 1, 0]);
}

#[test]
fn what_has_no_price_or_is_sold_out_or_too_dear_is_not_tried_and_is_counted() {
    let offers = [
        offered("aws", None),
        Offered {
            stock: Stock::None,
            ..offered("aws", Some(10))
        },
        offered("aws", Some(300)),
        offered("aws", Some(200)),
        Offered {
            spot: true,
            ..offered("aws", Some(5))
        },
    ];
    let wish = Wish {
        spot: Some(false),
        max_microusd_per_hour: Some(150),
        ..Wish::default()
    };
    let choice = Choice {
        candidates: Vec::new(),
        fitting: 4,
        unpriced: 1,
        none_left: 1,
        too_dear: 2,
        cheapest_too_dear: Some(200),
    };
    assert_eq!(choose(&offers, &wish), choice);
}

#[test]
fn without_a_bound_nothing_costs_more_than_twice_the_cheapest() {
    let offers = [
        offered("aws", Some(201)),
        offered("aws", Some(100)),
        offered("aws", Some(200)),
    ];
    assert_eq!(places(&offers, &Wish::default()), [1, 2]);
    let wish = Wish {
        max_microusd_per_hour: Some(1_000),
        ..Wish::default()
    };
    assert_eq!(
        places(&offers, &wish),
        [1, 2, 0],
        "unless somebody allows it"
    );
}

#[test]
fn vendors_are_mixed_so_that_an_outage_of_one_leaves_another() {
    let cheap = (0..6).map(|at| offered("runpod", Some(100 + at)));
    let dear = (0..2).map(|at| offered("aws", Some(150 + at)));
    let offers: Vec<Offered> = cheap.chain(dear).collect();
    assert_eq!(places(&offers, &Wish::default()), [0, 1, 2, 6, 7]);
    assert_eq!(places(&offers[..7], &Wish::default()), [0, 1, 2, 3, 6]);
    assert_eq!(places(&offers[..6], &Wish::default()), [0, 1, 2, 3, 4]);
}

fn any_offer() -> impl Strategy<Value = Offered> {
    let stock = prop_oneof![
        Just(Stock::None),
        Just(Stock::Low),
        Just(Stock::Unknown),
        Just(Stock::High)
    ];
    let price = proptest::option::of(0_u64..1_000);
    ("[ab]", any::<bool>(), price, stock).prop_map(|(vendor, spot, price, stock)| Offered {
        spot,
        stock,
        ..offered(&vendor, price)
    })
}

proptest! {
    #[test]
    fn candidates_fit_are_priced_in_stock_within_the_bound_and_in_order(
        offers in proptest::collection::vec(any_offer(), 0..20),
        most in proptest::option::of(0_u64..1_000),
        spot in proptest::option::of(any::<bool>()),
    ) {
        let wish = Wish { max_microusd_per_hour: most, spot, ..Wish::default() };
        let choice = choose(&offers, &wish);
        prop_assert!(choice.candidates.len() <= MOST_CANDIDATES);
        let able = |it: &Offered| wish.fits(it) && it.stock != Stock::None
            && it.microusd_per_hour.is_some_and(|price| most.is_none_or(|most| price <= most));
        let cheapest = offers.iter().filter(|it| able(it)).filter_map(|it| it.microusd_per_hour).min();
        let prices: Vec<u64> = choice.candidates.iter()
            .map(|place| offers[*place].microusd_per_hour.unwrap()).collect();
        prop_assert_eq!(prices.first().copied(), cheapest);
        prop_assert!(prices.is_sorted());
        for place in &choice.candidates {
            prop_assert!(able(&offers[*place]));
            let price = offers[*place].microusd_per_hour.unwrap();
            prop_assert!(most.is_some() || price <= 2 * cheapest.unwrap());
        }
        let mut places = choice.candidates.clone();
        places.sort_unstable();
        places.dedup();
        prop_assert_eq!(places.len(), choice.candidates.len());
    }
}
