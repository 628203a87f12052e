//! What a rented machine shows when it calls: `tgb_` + 33 characters of base62 over the number of the attempt
//! that rented it (4 bytes) and a MAC over organisation, instance and attempt (20 bytes).
//!
//! A token says which attempt it was made for, so that the machine of an attempt that was given up is told
//! from the one that took its place. Everybody on the machine can read it (it stands in its environment), so
//! it is good for calling home as this machine, and for nothing else; the first machine that calls binds it.
//!
//! Invariant: one attempt has one token, made again whenever it is needed and stored nowhere; the attempt in
//! a text is believed only behind its MAC, which is compared in constant time.
use crate::{
    base62, installation::Installation, organisation::Organisation, secret::Secret, tag::Purpose,
};

const PREFIX: &str = "tgb_";
const ATTEMPT: usize = 4;
/// 160 bits: whoever guesses here reaches a machine that bills.
const MAC: usize = 20;
const CHUNKS: usize = (ATTEMPT + MAC) / base62::CHUNK;
const _: () = assert!(ATTEMPT + MAC == CHUNKS * base62::CHUNK);

impl Installation {
    /// The token of one attempt to rent for an instance.
    pub fn boot_token(&self, organisation: &Organisation, instance: &str, attempt: u32) -> Secret {
        let attempt = attempt.to_be_bytes();
        let mac: [u8; MAC] = self.tag(Purpose::Boot, &parts(organisation, instance, &attempt));
        let mut bytes = attempt.iter().chain(&mac).copied();
        let chunks: [[u8; base62::CHUNK]; CHUNKS] =
            core::array::from_fn(|_| core::array::from_fn(|_| bytes.next().unwrap_or(0)));
        let mut text = String::with_capacity(PREFIX.len() + CHUNKS * base62::CHUNK_CHARS);
        text.push_str(PREFIX);
        base62::encode_into(&chunks, &mut text);
        Secret::from(text)
    }

    /// The attempt that a token was made for; nothing when it is not of this instance.
    pub fn verify_boot_token(
        &self,
        organisation: &Organisation,
        instance: &str,
        text: &str,
    ) -> Option<u32> {
        let chunks = text
            .strip_prefix(PREFIX)
            .and_then(base62::decode::<CHUNKS>)?;
        let mut bytes = chunks.iter().flatten().copied();
        let attempt: [u8; ATTEMPT] = core::array::from_fn(|_| bytes.next().unwrap_or(0));
        let given: [u8; MAC] = core::array::from_fn(|_| bytes.next().unwrap_or(0));
        let parts = parts(organisation, instance, &attempt);
        let is_ours = self.is_tag(Purpose::Boot, &parts, &given);
        is_ours.then_some(u32::from_be_bytes(attempt))
    }
}

fn parts<'a>(
    organisation: &'a Organisation,
    instance: &'a str,
    attempt: &'a [u8; ATTEMPT],
) -> [&'a [u8]; 3] {
    [
        organisation.as_str().as_bytes(),
        instance.as_bytes(),
        attempt,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INSTANCE: &str = "srv_0bPELAU4eqF0bPErPOCgqv";

    fn installation() -> Installation {
        Installation::derive(b"0123456789abcdef0123456789abcdef").unwrap()
    }

    fn organisation(text: &str) -> Organisation {
        Organisation::parse(text).unwrap()
    }

    fn token(attempt: u32) -> String {
        let token = installation().boot_token(&organisation("default"), INSTANCE, attempt);
        token.expose_str().unwrap().to_owned()
    }

    /// Machines outlive releases: this text may never change.
    #[test]
    fn the_text_form_is_pinned() {
        assert_eq!(token(3), "tgb_00000ERUnV09FNtjrsa7YnLuVrWrvJZyi");
    }

    #[test]
    fn a_token_is_good_for_its_instance_and_says_its_attempt() {
        let (ours, org) = (installation(), organisation("default"));
        for attempt in [1, 3, u32::MAX] {
            assert_eq!(
                ours.verify_boot_token(&org, INSTANCE, &token(attempt)),
                Some(attempt)
            );
        }
        let text = token(3);
        assert_eq!(ours.verify_boot_token(&org, "srv_other", &text), None);
        assert_eq!(
            ours.verify_boot_token(&organisation("other"), INSTANCE, &text),
            None
        );
        let theirs = Installation::derive(b"another-secret-of-enough-length!!").unwrap();
        assert_eq!(theirs.verify_boot_token(&org, INSTANCE, &text), None);
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let (ours, org) = (installation(), organisation("default"));
        let text = token(3);
        for other in [
            String::new(),
            "tgb_".to_owned(),
            text.replace("tgb_", "tg_"),
            format!("{text}0"),
            format!(" {text}"),
            format!("tgb_{}", "0".repeat(33)),
            format!("tgb_{}", "z".repeat(33)),
        ] {
            assert_eq!(
                ours.verify_boot_token(&org, INSTANCE, &other),
                None,
                "{other}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_token_with_another_character_is_one(at in 4usize..37, with in "[0-9A-Za-z]") {
            let (ours, org) = (installation(), organisation("default"));
            let text = token(7);
            let mut forged = text.clone();
            forged.replace_range(at..=at, &with);
            let verified = ours.verify_boot_token(&org, INSTANCE, &forged);
            prop_assert_eq!(verified.is_some(), forged == text);
        }
    }

    #[test]
    fn a_token_of_the_secret_before_counts_while_that_is_bound_and_a_new_one_is_none_of_it() {
        let former = || Installation::derive(b"fedcba9876543210fedcba9876543210").unwrap();
        let org = organisation("default");
        let old = former().boot_token(&org, INSTANCE, 3);
        let old = old.expose_str().unwrap();
        assert_eq!(installation().verify_boot_token(&org, INSTANCE, old), None);
        let both = installation().succeeding(former());
        assert_eq!(both.verify_boot_token(&org, INSTANCE, old), Some(3));
        let made = both.boot_token(&org, INSTANCE, 4);
        let made = made.expose_str().unwrap();
        assert_eq!(
            installation().verify_boot_token(&org, INSTANCE, made),
            Some(4)
        );
        assert_eq!(former().verify_boot_token(&org, INSTANCE, made), None);
    }
}
