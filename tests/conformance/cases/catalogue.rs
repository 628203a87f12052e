//! What is on offer, and for how much.

use serde_json::json;
use tidegate_provider_api::{Availability, Offer, Part, Query};

use crate::rig::{DISK_GB, Rig};
use crate::vendors::{PriceList, Shelved};

fn shelved(offer: &Offer) -> Shelved {
    Shelved {
        region: offer.region.clone(),
        zone: offer.zone.clone(),
        machine_type: offer.machine_type.clone(),
        count: offer.gpu.count,
        vram_gb: offer.gpu.vram_gb,
        spot: offer.spot,
        microusd: offer.microusd_per_hour,
        availability: offer.availability,
    }
}

fn sorted(offers: &[Offer]) -> Vec<Shelved> {
    let mut shelved: Vec<Shelved> = offers.iter().map(shelved).collect();
    shelved.sort();
    shelved
}

fn shelf(rig: &Rig) -> Vec<Shelved> {
    let mut shelf = rig.sim.with(|world, _| (rig.row.shelf)(world));
    shelf.sort();
    shelf
}

/// The offer of the kind that the row rents.
pub fn the_whole_catalogue_is_offered_at_exactly_the_vendors_prices(rig: &mut Rig) {
    let offers = rig.offers();
    assert!(offers.len() > 5);
    assert_eq!(sorted(&offers), shelf(rig));
    for offer in &offers {
        let name = offer.gpu.model.as_str();
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        assert!(!name.is_empty() && name.bytes().all(is_plain), "{name}");
        assert!(!offer.gpu.name.is_empty());
    }
}

/// A vendor that tells prices by the time tells those of the hour before as well, be it on another page.
pub fn older_prices_beside_the_newest_change_nothing(rig: &mut Rig) {
    rig.sim.advance(3_600_000);
    let pages = json!({"do": "small_pages", "size": 7});
    rig.sim.always("shop", &pages);
    let offers = rig.offers();
    assert_eq!(sorted(&offers), shelf(rig));
}

pub fn a_price_that_changes_is_offered_as_it_is_now(rig: &mut Rig) {
    let before = rig.offers();
    let (vendor, (_, kind)) = (rig.row.vendor, rig.row.rents);
    let order = json!({"vendor": vendor, "kind": kind, "microusd_per_hour": 1_234_567});
    rig.sim.order("stock", &order);
    let after = rig.offers();
    assert_eq!(sorted(&after), shelf(rig));
    assert_eq!(rig.rented(&after).microusd_per_hour, Some(1_234_567));
    assert_ne!(rig.rented(&before).microusd_per_hour, Some(1_234_567));
}

pub fn what_is_sold_out_is_told_or_not_told_but_never_told_otherwise(rig: &mut Rig) {
    let (vendor, (_, kind), place) = (rig.row.vendor, rig.row.rents, rig.row.stocked);
    let order = json!({"vendor": vendor, "kind": kind, "place": place, "level": "NONE"});
    rig.sim.order("stock", &order);
    let offers = rig.offers();
    assert_eq!(sorted(&offers), shelf(rig));
    let expected = if rig.row.tells_stock {
        Availability::None
    } else {
        Availability::Unknown
    };
    assert_eq!(rig.rented(&offers).availability, expected);
}

/// P5: price missing, a text, negative.
pub fn a_price_that_is_none_leaves_the_offer_without_one(rig: &mut Rig) {
    let whole = shelf(rig);
    for PriceList { operation, tells } in rig.row.prices {
        assert!(whole.iter().any(tells));
        let bare = |shelved: &Shelved| Shelved {
            microusd: shelved.microusd.filter(|_| !tells(shelved)),
            ..shelved.clone()
        };
        let bare: Vec<Shelved> = whole.iter().map(bare).collect();
        for how in ["missing", "null", "negative", "zero", "text"] {
            let fault = json!({"do": "bad_price", "how": how});
            rig.sim.always(operation, &fault);
            assert_eq!(sorted(&rig.offers()), bare, "{operation}: {how}");
            rig.sim.heal();
        }
    }
}

/// Whether an offer says nothing else than what is true, though perhaps less.
fn is_true_of(offer: &Offer, shelved: &Shelved) -> bool {
    let is_same = offer.region == shelved.region
        && offer.machine_type == shelved.machine_type
        && offer.gpu.count == shelved.count
        && offer.spot == shelved.spot
        && (offer.zone.is_none() || offer.zone == shelved.zone);
    let price = offer.microusd_per_hour;
    is_same && (price.is_none() || price == shelved.microusd)
}

pub fn a_piece_that_fails_costs_offers_or_prices_and_makes_up_none(rig: &mut Rig) {
    let whole = shelf(rig);
    let queries: Vec<Query> = rig.provider.shop(&rig.settings);
    let pieces: Vec<Vec<Part>> = queries.into_iter().map(|query| rig.pieces(query)).collect();
    for missing in 0..pieces.len() {
        let there = pieces.iter().enumerate().filter(|(at, _)| *at != missing);
        let parts: Vec<Part> = there.flat_map(|(_, parts)| parts.clone()).collect();
        let offers = rig.provider.offers(&rig.settings, &parts);
        for offer in &offers {
            let is_true = whole.iter().any(|shelved| is_true_of(offer, shelved));
            assert!(is_true, "without piece {missing}: {offer:?}");
        }
    }
    assert_eq!(rig.provider.offers(&rig.settings, &[]), []);
}

pub fn a_catalogue_out_of_reach_is_no_catalogue(rig: &mut Rig) {
    for fault in [json!({"do": "html"}), json!({"do": "truncated"})] {
        for operation in ["shop", "regions"] {
            rig.sim.always(operation, &fault);
        }
        assert_eq!(rig.offers(), []);
        let asked = rig.ask(tidegate_provider_api::Request::Regions);
        assert!(asked.is_err(), "{asked:?}");
        rig.sim.heal();
    }
    assert!(!rig.offers().is_empty());
}

pub fn what_a_machine_costs_is_what_its_offer_said(rig: &mut Rig) {
    let offers = rig.offers();
    let offer = rig.rented(&offers);
    let machine = rig.running(1);
    let meter = rig.sim.meter(&machine.id);
    let stretch = |at: usize| {
        (
            &meter["stretches"][at]["rate"],
            &meter["stretches"][at]["microusd_per_hour"],
        )
    };
    let (kind, rate) = stretch(0);
    assert_eq!(
        (kind, rate),
        (&json!("full"), &json!(offer.microusd_per_hour))
    );
    let beside = offer.beside_microusd_per_hour(DISK_GB);
    assert_eq!(stretch(1), (&json!("disk"), &json!(beside)));
    if let Some(told) = machine.microusd_per_hour {
        assert_eq!(json!(told), *rate);
    }
}
