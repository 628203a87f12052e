//! The one trait of a vendor.

use core::cmp::Reverse;

use tidegate_vault::Secret;

use crate::{
    Capability, CreateSecrets, Credential, CredentialForm, HttpCall, HttpReply, Offer, Part,
    Permission, ProviderError, Query, Reply, Request, Settings,
};

/// A vendor of GPUs.
pub trait Provider: Sync {
    /// Its name in URLs and records: `runpod`, `aws`.
    fn vendor(&self) -> &'static str;

    /// What people call it.
    fn title(&self) -> &'static str;

    /// The hosts that its calls go to, over `https`; `*` stands for one label (`ec2.*.amazonaws.com`). A call
    /// that [`Provider::encode`] builds for another host is not sent, unless [`Origins::api`] says where the
    /// vendor is: then that is the only place.
    fn hosts(&self) -> &'static [&'static str] {
        &[]
    }

    /// What it can do.
    fn capability(&self) -> &'static Capability;

    /// What is asked when an account is connected.
    fn form(&self) -> &'static CredentialForm;

    /// What the credential must be allowed to do, for the account's test.
    fn permissions(&self) -> &'static [Permission];

    /// The regions where this account may have machines, each to be listed by itself. Never empty. One for
    /// vendors whose list knows no regions.
    ///
    /// Behavior: the `region` of requests and machines is one of these, or one below that the vendor itself
    /// names in an offer.
    fn list_regions(&self, settings: &Settings) -> Vec<String>;

    /// Checks settings.
    ///
    /// # Errors
    /// The field, and what it must be.
    fn check_settings(&self, settings: &Settings) -> Result<(), crate::CredentialRefused>;

    /// Builds the call of a request.
    ///
    /// # Errors
    /// A `validation` error when this vendor cannot be asked for that.
    fn encode(&self, cx: &EncodeCx<'_>, request: &Request) -> Result<HttpCall, ProviderError>;

    /// Reads what came back.
    ///
    /// # Errors
    /// In the vendor's words; a body that cannot be read after a change leaves open what was done.
    fn decode(
        &self,
        cx: &EncodeCx<'_>,
        request: &Request,
        reply: &HttpReply,
    ) -> Result<Reply, ProviderError>;

    /// The pieces of the catalogue that offers are made of.
    fn shop(&self, settings: &Settings) -> Vec<Query>;

    /// Puts the pieces together. Pieces may be missing: what cannot be known without them is left open.
    fn offers(&self, settings: &Settings, parts: &[Part]) -> Vec<Offer>;
}

/// What a codec is told besides the request.
#[derive(Clone, Copy, Debug)]
pub struct EncodeCx<'a> {
    /// The time, in milliseconds since the epoch: for signatures.
    pub now_ms: i64,
    /// The account's credential in the clear.
    pub credential: &'a Credential,
    /// The account's settings.
    pub settings: &'a Settings,
    /// Where the vendor's hosts are.
    pub origins: &'a Origins,
    /// What goes onto a machine that is created.
    pub secrets: &'a CreateSecrets,
}

impl EncodeCx<'_> {
    /// A vendor's words with every secret of this call taken out: vendors repeat what they refuse. To be applied
    /// before the words are cut, or a piece of a secret could stay.
    ///
    /// Behavior: the host gives `decode` the same context as `encode`, so it knows what was sent.
    pub fn without_secrets(&self, words: &str) -> String {
        let of_machine = self.secrets.env.values().chain(&self.secrets.boot_token);
        let mut secrets: Vec<&str> = of_machine
            .filter_map(Secret::expose_str)
            .chain(self.credential.values())
            .filter(|secret| !secret.is_empty())
            .collect();
        // One may be part of another.
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        let redact = |words: String, secret: &&str| words.replace(secret, REDACTED);
        secrets.iter().fold(words.to_owned(), redact)
    }
}

/// Stands where a secret stood.
const REDACTED: &str = "[redacted]";

/// Where the vendor's hosts are, if not where they are for everybody: for tests against a stand-in, and for
/// proxies in front of the vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// The root of the vendor's API, without a slash at its end; stands for all its hosts.
    pub api: Option<String>,
    /// The root of what a machine serves, with `{id}` and `{port}` in the places of those.
    pub endpoint: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn words_that_repeat_what_was_sent_lose_its_secrets() {
        let credential = Credential::from_plaintext(&Secret::from(r#"{"api_key":"k3y"}"#)).unwrap();
        let secrets = CreateSecrets {
            env: BTreeMap::from([
                ("HF_TOKEN".to_owned(), Secret::from("hf_k3y_long")),
                ("EMPTY".to_owned(), Secret::from("")),
            ]),
            boot_token: Some(Secret::from("b00t")),
        };
        let cx = EncodeCx {
            now_ms: 0,
            credential: &credential,
            settings: &Settings::default(),
            origins: &Origins::default(),
            secrets: &secrets,
        };
        assert_eq!(
            cx.without_secrets("no hf_k3y_long, no b00t and no k3y here"),
            "no [redacted], no [redacted] and no [redacted] here"
        );
    }
}
