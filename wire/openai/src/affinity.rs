//! The affinity hash: which prompts begin alike.
//!
//! Invariant: the same bytes hash to the same number in every build, host and release, because the
//! number picks the server whose KV cache already holds the prompt's head.
//! Out of scope: resistance to chosen collisions. A client that collides on purpose only piles its own
//! prompts onto one server, and the queue there bounds that.

/// FNV-1a over 64 bits (offset basis and prime from the IETF draft `draft-eastlake-fnv`).
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::fnv1a;

    #[test]
    fn published_vectors_hold() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
