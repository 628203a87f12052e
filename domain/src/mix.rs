//! One hash for everything that is to be spread: timers over time, requests over servers.
//!
//! In scope: neighbouring inputs give unrelated outputs, the same on every host. Out of scope: secrecy; whoever
//! knows the input knows the output.

/// The first output of SplitMix64 with this seed (Steele, Lea and Flood, "Fast splittable pseudorandom
/// number generators", 2014).
pub(crate) const fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_of_splitmix64() {
        // Its state moves on by the same constant that is added first: seeds 0, 1 and 2 constants further.
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let seeds = [0, STEP, STEP.wrapping_mul(2)];
        assert_eq!(
            seeds.map(mix),
            [
                0xE220_A839_7B1D_CDAF,
                0x6E78_9E6A_A1B9_65F4,
                0x06C4_5D18_8009_454F
            ]
        );
    }
}
