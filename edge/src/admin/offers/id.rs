//! The id of an offer: opaque to clients, and all that is needed to find it again.
//!
//! Invariant: an id that is read was written here, as far as its form goes, and is written the same again. It grants
//! nothing: its account must be one of the organisation's, and the offer must still be there.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::market::Listed;

const PREFIX: &str = "off_";
/// Ids of vendors are tens of characters.
const LONGEST: usize = 1_024;

/// What an offer is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferId {
    /// The account.
    pub account: String,
    /// Where.
    pub region: String,
    /// Where in there.
    pub zone: Option<String>,
    /// The vendor's id of its kind.
    pub machine_type: String,
    /// GPUs.
    pub count: u32,
    /// Whether it may be taken away.
    pub spot: bool,
    /// What it cost an hour when it was listed: whoever picks it has agreed to that and no more.
    pub microusd_per_hour: Option<u64>,
}

impl OfferId {
    /// That of an offer.
    pub fn of(listed: &Listed) -> Self {
        let offer = &listed.offer;
        Self {
            account: listed.account.id.clone(),
            region: offer.region.clone(),
            zone: offer.zone.clone(),
            machine_type: offer.machine_type.clone(),
            count: offer.gpu.count,
            spot: offer.spot,
            microusd_per_hour: offer.microusd_per_hour,
        }
    }

    /// Whether it is the same machine in the same place, whatever it costs now.
    pub fn names(&self, listed: &Listed) -> bool {
        let other = Self {
            microusd_per_hour: self.microusd_per_hour,
            ..Self::of(listed)
        };
        *self == other
    }

    /// As clients get it.
    pub fn to_text(&self) -> String {
        let parts = (
            &self.account,
            &self.region,
            &self.zone,
            &self.machine_type,
            self.count,
            self.spot,
            self.microusd_per_hour,
        );
        let json = serde_json::to_vec(&parts).unwrap_or_default();
        format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(&json))
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        if encoded.len() > LONGEST {
            return None;
        }
        let json = Base64UrlUnpadded::decode_vec(encoded).ok()?;
        let (account, region, zone, machine_type, count, spot, microusd_per_hour) =
            serde_json::from_slice(&json).ok()?;
        let id = Self {
            account,
            region,
            zone,
            machine_type,
            count,
            spot,
            microusd_per_hour,
        };
        (id.to_text() == text).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> OfferId {
        OfferId {
            account: "acc_0bPELAU4eqF0bPErPOCgqv".to_owned(),
            region: "EU-RO-1".to_owned(),
            zone: None,
            machine_type: "NVIDIA GeForce RTX 4090".to_owned(),
            count: 1,
            spot: false,
            microusd_per_hour: Some(690_000),
        }
    }

    /// Somebody may list offers with one release and launch with the next.
    #[test]
    fn the_text_form_is_pinned() {
        let text = id().to_text();
        assert_eq!(
            text,
            "off_WyJhY2NfMGJQRUxBVTRlcUYwYlBFclBPQ2dxdiIsIkVVLVJPLTEiLG51bGwsIk5WSURJQSBHZUZvcmNlIFJUWCA0MDkwIiwxLGZhbHNlLDY5MDAwMF0"
        );
        assert_eq!(OfferId::parse(&text), Some(id()));
    }

    #[test]
    fn other_texts_are_no_ids() {
        let text = id().to_text();
        let long = format!("off_{}", "A".repeat(1_025));
        for odd in [
            "",
            "off_",
            "off_!",
            "off_e30",
            &text[4..],
            &format!("{text}A"),
            &format!("{text}="),
            &long,
        ] {
            assert_eq!(OfferId::parse(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn whatever_an_offer_holds_comes_back(
            region in "\\PC{0,20}", machine_type in "\\PC{0,20}", zone in proptest::option::of("\\PC{0,9}"),
            count: u32, spot: bool, price: Option<u64>,
        ) {
            let id = OfferId { region, machine_type, zone, count, spot, microusd_per_hour: price, ..id() };
            prop_assert_eq!(OfferId::parse(&id.to_text()), Some(id));
        }

        #[test]
        fn no_text_makes_it_panic(text in "(off_)?[-_A-Za-z0-9]{0,60}") {
            let _ = OfferId::parse(&text);
        }
    }
}
