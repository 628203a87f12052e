//! Comparing secrets without telling how much of them was right.
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whether two secrets are equal, for instance the admin key that was sent and the one that is bound.
///
/// Both sides are hashed first: the comparison then always covers 32 bytes, so its time tells neither the
/// length of the expected secret nor where the first difference is.
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    Sha256::digest(a).ct_eq(&Sha256::digest(b)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_secrets_are_the_same() {
        assert!(same_secret(b"admin", b"admin"));
        assert!(same_secret(b"", b""));
        assert!(!same_secret(b"admin", b"admin "));
        assert!(!same_secret(b"admin", b"admi"));
        assert!(!same_secret(b"admin", b""));
        assert!(!same_secret(b"admin", b"bdmin"));
    }
}
