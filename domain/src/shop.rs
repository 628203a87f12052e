//! Choosing among what can be rented: which offers fit a wish, in which order they are shown, and which of them
//! a launch tries.
//!
//! Invariant: what has no price is never tried; what is tried costs at most what was allowed, and without such a
//! bound at most twice the cheapest that fits, so that a shortage never turns a small GPU into a large bill.
//!
//! In scope: picking from a list, by place in that list. Out of scope: where offers come from (each account's own
//! object), what a launch makes of them (the instance tries one after the other).

use core::cmp::Ordering;

/// Offers that one launch tries.
pub const MOST_CANDIDATES: usize = 5;
/// Of these so many from one vendor, while another has some as well: when a vendor is down, all of its are.
const OF_ONE_VENDOR: usize = 3;
/// Without a bound on the price: the dearest candidate by the cheapest.
const DEAREST_TIMES: u64 = 2;

/// An offer, cut down to what it is picked by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The vendor.
    pub vendor: String,
    /// Where.
    pub region: String,
    /// One name of the GPU for all vendors: `l4`.
    pub gpu: String,
    /// The vendor's name of it.
    pub gpu_name: String,
    /// GPUs; at least one.
    pub count: u32,
    /// Memory of one of them, in GB.
    pub vram_gb: u32,
    /// Whether it may be taken away.
    pub spot: bool,
    /// What all of it costs an hour, where that is known.
    pub microusd_per_hour: Option<u64>,
    /// Whether there are any.
    pub stock: Stock,
}

/// Whether there are any, as far as a vendor tells; more is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stock {
    /// There are none.
    None,
    /// Few.
    Low,
    /// The vendor does not say.
    Unknown,
    /// Some.
    Medium,
    /// Many.
    High,
}

impl Offered {
    /// What one of its GPUs costs an hour, to the nearest micro-dollar.
    pub fn microusd_per_gpu_hour(&self) -> Option<u64> {
        let count = u64::from(self.count.max(1));
        let price = self.microusd_per_hour?;
        Some(price / count + u64::from(price % count >= count.div_ceil(2)))
    }

    fn vram_in_all(&self) -> u64 {
        u64::from(self.count) * u64::from(self.vram_gb)
    }
}

/// What is looked for. What is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// This GPU, by either of its names, small and capital letters alike.
    pub gpu: Option<String>,
    /// So much memory on each GPU, in GB.
    pub min_vram_gb: Option<u32>,
    /// Exactly so many GPUs.
    pub count: Option<u32>,
    /// There, small and capital letters alike.
    pub region: Option<String>,
    /// From this vendor.
    pub vendor: Option<String>,
    /// One that may, or may not, be taken away.
    pub spot: Option<bool>,
    /// For at most so much an hour: then it must have a price.
    pub max_microusd_per_hour: Option<u64>,
}

impl Wish {
    /// Whether it is the right machine, whatever it costs.
    pub fn fits(&self, offered: &Offered) -> bool {
        let is = |wanted: &Option<String>, has: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(has))
        };
        (is(&self.gpu, &offered.gpu) || is(&self.gpu, &offered.gpu_name))
            && is(&self.region, &offered.region)
            && is(&self.vendor, &offered.vendor)
            && self
                .min_vram_gb
                .is_none_or(|least| offered.vram_gb >= least)
            && self.count.is_none_or(|count| offered.count == count)
            && self.spot.is_none_or(|spot| offered.spot == spot)
    }

    /// Whether it may be paid.
    fn affords(&self, offered: &Offered) -> bool {
        self.max_microusd_per_hour
            .is_none_or(|most| offered.microusd_per_hour.is_some_and(|price| price <= most))
    }
}

/// By what offers are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortBy {
    /// What all of it costs an hour.
    #[default]
    Price,
    /// What one GPU of it costs an hour.
    PricePerGpu,
    /// The memory of all its GPUs.
    Vram,
}

/// An order of offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub by: SortBy,
    /// Greatest first.
    pub reversed: bool,
}

impl Order {
    /// Reads `price`, `price_per_gpu` or `vram`, with a `-` before it for the other way round.
    pub fn parse(text: &str) -> Option<Self> {
        let (field, reversed) = text
            .strip_prefix('-')
            .map_or((text, false), |field| (field, true));
        let by = match field {
            "price" => SortBy::Price,
            "price_per_gpu" => SortBy::PricePerGpu,
            "vram" => SortBy::Vram,
            _ => return None,
        };
        Some(Self { by, reversed })
    }

    /// What has no price comes last, whichever way round; equals come by price, and as they stood.
    fn compare(self, one: &Offered, other: &Offered) -> Ordering {
        let turned = |order: Ordering| {
            if self.reversed {
                order.reverse()
            } else {
                order
            }
        };
        let price = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => turned(one.cmp(&other)),
            (one, other) => one.is_none().cmp(&other.is_none()),
        };
        match self.by {
            SortBy::Price => price(one.microusd_per_hour, other.microusd_per_hour),
            SortBy::PricePerGpu => {
                price(one.microusd_per_gpu_hour(), other.microusd_per_gpu_hour())
            }
            SortBy::Vram => turned(one.vram_in_all().cmp(&other.vram_in_all()))
                .then_with(|| cheaper(one, other)),
        }
    }
}

/// Cheaper first, unpriced last; of equals the one of which there are more.
fn cheaper(one: &Offered, other: &Offered) -> Ordering {
    let key = |offered: &Offered| {
        (
            offered.microusd_per_hour.is_none(),
            offered.microusd_per_hour,
        )
    };
    key(one)
        .cmp(&key(other))
        .then_with(|| other.stock.cmp(&one.stock))
}

/// The offers to show, in order, by their places.
pub fn browse(offers: &[Offered], wish: &Wish, order: Order) -> Vec<usize> {
    let matches = |(_, it): &(usize, &Offered)| wish.fits(it) && wish.affords(it);
    let mut found: Vec<(usize, &Offered)> = offers.iter().enumerate().filter(matches).collect();
    found.sort_by(|(_, one), (_, other)| order.compare(one, other));
    found.into_iter().map(|(place, _)| place).collect()
}

/// What a launch tries, and what of the rest it could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Places in the list, in the order in which they are tried: cheapest first.
    pub candidates: Vec<usize>,
    /// Offers that are the right machine.
    pub fitting: usize,
    /// Of these, without a price.
    pub unpriced: usize,
    /// Of those with a price, the vendor has none now.
    pub none_left: usize,
    /// Of the rest, dearer than was allowed.
    pub too_dear: usize,
    /// What the cheapest of these costs an hour.
    pub cheapest_too_dear: Option<u64>,
}

/// The offers that a launch tries, at most [`MOST_CANDIDATES`].
pub fn choose(offers: &[Offered], wish: &Wish) -> Choice {
    let mut choice = Choice::default();
    let mut able: Vec<(usize, &Offered, u64)> = Vec::new();
    for (place, offered) in offers.iter().enumerate() {
        if !wish.fits(offered) {
            continue;
        }
        choice.fitting += 1;
        match offered.microusd_per_hour {
            None => choice.unpriced += 1,
            Some(_) if offered.stock == Stock::None => choice.none_left += 1,
            Some(price) if !wish.affords(offered) => {
                choice.too_dear += 1;
                let cheapest = choice.cheapest_too_dear.unwrap_or(price);
                choice.cheapest_too_dear = Some(cheapest.min(price));
            }
            Some(price) => able.push((place, offered, price)),
        }
    }
    able.sort_by(|(_, one, _), (_, other, _)| cheaper(one, other));
    let cheapest = able.first().map_or(0, |(_, _, price)| *price);
    let most = wish
        .max_microusd_per_hour
        .unwrap_or_else(|| cheapest.saturating_mul(DEAREST_TIMES));
    able.retain(|(_, _, price)| *price <= most);
    choice.candidates = mixed(&able);
    choice
}

/// The first few, of several vendors where there are several; in the same order.
fn mixed(able: &[(usize, &Offered, u64)]) -> Vec<usize> {
    let mut ranks: Vec<usize> = Vec::new();
    let mut spare: Vec<usize> = Vec::new();
    for (rank, (_, offered, _)) in able.iter().enumerate() {
        let taken = able
            .iter()
            .enumerate()
            .filter(|(at, (_, other, _))| ranks.contains(at) && other.vendor == offered.vendor);
        if taken.count() < OF_ONE_VENDOR {
            ranks.push(rank);
        } else {
            spare.push(rank);
        }
        if ranks.len() == MOST_CANDIDATES {
            break;
        }
    }
    let free = MOST_CANDIDATES - ranks.len();
    ranks.extend(spare.into_iter().take(free));
    ranks.sort_unstable();
    let places = ranks.into_iter().filter_map(|rank| able.get(rank));
    places.map(|(place, _, _)| *place).collect()
}

#[cfg(test)]
#[path = "shop/tests.rs"]
mod tests;
