//! AES-256-GCM over byte strings: the one place that touches the cipher.
//!
//! Bytes are `ciphertext ‖ 16-byte tag`, as NIST SP 800-38D lays them out. Callers own the rule that a key
//! never sees a nonce twice.
use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};

/// Bytes that the tag adds.
pub(crate) const TAG: usize = 16;
/// Bytes of a nonce.
pub(crate) const NONCE: usize = 12;

pub(crate) struct CipherRefused;

pub(crate) fn encrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE],
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CipherRefused> {
    let payload = Payload {
        msg: plaintext,
        aad: associated,
    };
    Aes256Gcm::new(key.into())
        .encrypt(nonce.into(), payload)
        .map_err(|_| CipherRefused)
}

pub(crate) fn decrypt(
    key: &[u8; 32],
    nonce: &[u8; NONCE],
    associated: &[u8],
    ciphertext: &[u8],
) -> Result<Vec<u8>, CipherRefused> {
    let payload = Payload {
        msg: ciphertext,
        aad: associated,
    };
    Aes256Gcm::new(key.into())
        .decrypt(nonce.into(), payload)
        .map_err(|_| CipherRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Vector {
        key: &'static str,
        nonce: &'static str,
        plaintext: &'static str,
        associated: &'static str,
        ciphertext: &'static str,
        tag: &'static str,
    }

    const ZERO_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    const KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";

    /// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, test cases 13 to 16.
    const MCGREW_VIEGA: &[Vector] = &[
        Vector {
            key: ZERO_KEY,
            nonce: "000000000000000000000000",
            plaintext: "",
            associated: "",
            ciphertext: "",
            tag: "530f8afbc74536b9a963b4f1c4cb738b",
        },
        Vector {
            key: ZERO_KEY,
            nonce: "000000000000000000000000",
            plaintext: "00000000000000000000000000000000",
            associated: "",
            ciphertext: "cea7403d4d606b6e074ec5d3baf39d18",
            tag: "d0d1c8a799996bf0265b98b5d48ab919",
        },
        Vector {
            key: KEY,
            nonce: "cafebabefacedbaddecaf888",
            plaintext: concat!(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
                "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255"
            ),
            associated: "",
            ciphertext: concat!(
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
                "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
            ),
            tag: "b094dac5d93471bdec1a502270e3cc6c",
        },
        Vector {
            key: KEY,
            nonce: "cafebabefacedbaddecaf888",
            plaintext: concat!(
                "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
                "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
            ),
            associated: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            ciphertext: concat!(
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
                "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            ),
            tag: "76fc6ece0f4e1768cddf8853bb2d551b",
        },
    ];

    /// NIST CAVP, gcmEncryptExtIV256.rsp: empty, and associated data only.
    const NIST: &[Vector] = &[
        Vector {
            key: "b52c505a37d78eda5dd34f20c22540ea1b58963cf8e5bf8ffa85f9f2492505b4",
            nonce: "516c33929df5a3284ff463d7",
            plaintext: "",
            associated: "",
            ciphertext: "",
            tag: "bdc1ac884d332457a1d2664f168c76f0",
        },
        Vector {
            key: "78dc4e0aaf52d935c3c01eea57428f00ca1fd475f5da86a49c8dd73d68c8e223",
            nonce: "d79cf22d504cc793c3fb6c8a",
            plaintext: "",
            associated: "b96baa8c1c75a671bfb2d08d06be5f36",
            ciphertext: "",
            tag: "3e5d486aa2e30b22e040b85723a06e76",
        },
    ];

    #[test]
    fn the_cipher_agrees_with_the_published_vectors_both_ways() {
        for vector in MCGREW_VIEGA.iter().chain(NIST) {
            let bytes = |text: &str| hex::decode(text).unwrap();
            let key: [u8; 32] = bytes(vector.key).try_into().unwrap();
            let nonce: [u8; NONCE] = bytes(vector.nonce).try_into().unwrap();
            let associated = bytes(vector.associated);
            let sealed = bytes(&format!("{}{}", vector.ciphertext, vector.tag));
            let encrypted = encrypt(&key, &nonce, &associated, &bytes(vector.plaintext));
            assert_eq!(encrypted.ok(), Some(sealed.clone()));
            let decrypted = decrypt(&key, &nonce, &associated, &sealed);
            assert_eq!(decrypted.ok(), Some(bytes(vector.plaintext)));
        }
    }
}
