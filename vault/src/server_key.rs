//! The key that a rented server asks of its clients: `sk-tg-` + 44 characters of base62 over 32 random bytes.
//! Only the gateway ever shows it, and it is nobody's key here: `sk-` is what clients and scanners of leaked
//! secrets know such keys by.
use crate::{base62, secret::Secret};

/// Random bytes that a server's key takes.
pub const SERVER_KEY_RANDOM: usize = 32;
const PREFIX: &str = "sk-tg-";
const CHUNKS: usize = SERVER_KEY_RANDOM / base62::CHUNK;

/// Makes a server's key. `random` must come from a cryptographic source and be used for this key only.
pub fn server_key(random: [u8; SERVER_KEY_RANDOM]) -> Secret {
    let mut bytes = random.iter().copied();
    let chunks: [[u8; base62::CHUNK]; CHUNKS] =
        core::array::from_fn(|_| core::array::from_fn(|_| bytes.next().unwrap_or(0)));
    let mut text = String::with_capacity(PREFIX.len() + CHUNKS * base62::CHUNK_CHARS);
    text.push_str(PREFIX);
    base62::encode_into(&chunks, &mut text);
    Secret::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_header_of_its_random_bytes_alone() {
        let key = server_key([7; 32]);
        let text = key.expose_str().unwrap();
        assert_eq!(text, "sk-tg-0bPELAU4eqF0bPELAU4eqF0bPELAU4eqF0bPELAU4eqF");
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        let mut other = [7; 32];
        other[31] = 8;
        assert_ne!(server_key(other), key);
    }
}
