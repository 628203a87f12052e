//! Where ids come from. Invariant: the same seed gives the same ids in the same order.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// So many characters out of these.
    pub fn text(&mut self, alphabet: &[u8], chars: usize) -> String {
        let mut pick = || {
            let index = self.number() % alphabet.len() as u64;
            char::from(alphabet[usize::try_from(index).unwrap_or(0)])
        };
        (0..chars).map(|_| pick()).collect()
    }

    /// Hexadecimal digits.
    pub fn hex(&mut self, chars: usize) -> String {
        self.text(b"0123456789abcdef", chars)
    }

    /// As request ids are written.
    pub fn uuid(&mut self) -> String {
        [8, 4, 4, 4, 12].map(|chars| self.hex(chars)).join("-")
    }
}
