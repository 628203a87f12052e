//! What an account at a vendor of GPUs has of its installation: the mark on its machines, and the key that
//! signs what is reported about them.
//!
//! Invariant: both are made anew from the installation whenever they are needed, and stored nowhere. The mark
//! is public and says nothing of the key.
use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::{installation::Installation, organisation::Organisation, secret::Secret, tag::Purpose};

/// As Standard Webhooks writes a secret.
const WEBHOOK_PREFIX: &str = "whsec_";

impl Installation {
    /// 10 lowercase hexadecimal digits that mark the machines of this account, so that two installations
    /// which share a vendor's account leave each other's alone.
    pub fn fingerprint(&self, organisation: &Organisation, account: &str) -> String {
        let tag: [u8; 5] = self.tag(Purpose::Fingerprint, &parts(organisation, account));
        tag.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The secret with which webhooks for this account are signed: `whsec_` and 32 bytes in base64.
    /// Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
    pub fn webhook_secret(&self, organisation: &Organisation, account: &str) -> Secret {
        let parts = parts(organisation, account);
        let key: Zeroizing<[u8; 32]> = Zeroizing::new(self.tag(Purpose::Webhook, &parts));
        let encoded = Zeroizing::new(Base64::encode_string(key.as_slice()));
        Secret::from(format!("{WEBHOOK_PREFIX}{}", encoded.as_str()))
    }
}

fn parts<'a>(organisation: &'a Organisation, account: &'a str) -> [&'a [u8]; 2] {
    [organisation.as_str().as_bytes(), account.as_bytes()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation(secret: &[u8]) -> Installation {
        Installation::derive(secret).unwrap()
    }

    fn organisation(text: &str) -> Organisation {
        Organisation::parse(text).unwrap()
    }

    /// Machines and senders keep them: these texts may never change.
    #[test]
    fn mark_and_secret_are_pinned() {
        let ours = installation(b"0123456789abcdef0123456789abcdef");
        let org = organisation("default");
        assert_eq!(ours.fingerprint(&org, "acc_a"), "f963693987");
        let secret = ours.webhook_secret(&org, "acc_a");
        assert_eq!(
            secret.expose_str(),
            Some("whsec_x7UrSH5h7uFHkNTa/4ZviUr04rpl+q/sc58c7xhkS48=")
        );
    }

    #[test]
    fn every_account_of_every_organisation_and_installation_has_its_own() {
        let ours = installation(b"0123456789abcdef0123456789abcdef");
        let theirs = installation(b"fedcba9876543210fedcba9876543210");
        let (org, other) = (organisation("default"), organisation("other"));
        let marks = [
            ours.fingerprint(&org, "acc_a"),
            ours.fingerprint(&org, "acc_b"),
            ours.fingerprint(&other, "acc_a"),
            theirs.fingerprint(&org, "acc_a"),
        ];
        let secrets = [
            ours.webhook_secret(&org, "acc_a"),
            ours.webhook_secret(&org, "acc_b"),
            ours.webhook_secret(&other, "acc_a"),
            theirs.webhook_secret(&org, "acc_a"),
        ];
        for at in 0..4 {
            for after in at + 1..4 {
                assert_ne!(marks[at], marks[after]);
                assert_ne!(secrets[at], secrets[after]);
            }
        }
        assert_eq!(format!("{:?}", secrets[0]), "[redacted]");
    }
}
