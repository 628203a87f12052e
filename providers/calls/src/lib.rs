//! An object's call to a vendor as HTTP, and the vendor's answer as an outcome: what every host does around
//! the codecs, whatever it sends with.
//!
//! Objects hold credentials sealed. Here they are opened, just before the call, and here they end: what goes
//! back to an object is a [`Reply`] or a [`ProviderError`].
//!
//! Invariant: nothing is sent but to the vendor's own hosts, or to where the operator said that the vendor is.
//! An error of [`VendorCalls::prepare`] means that nothing was sent. No error holds a credential or anything
//! else that was sealed, whatever the vendor wrote into its answer.
//!
//! In scope: opening, encoding, the address, decoding. Out of scope: when a vendor is called and what follows
//! from its answer (the `Account` object), the sending (a host).

mod opened;

use tidegate_durable::turn::VendorCall;
use tidegate_egress::Pinned;
use tidegate_provider_api::{
    Credential, EncodeCx, ErrorKind, HttpCall, HttpReply, Origins, Provider, ProviderError, Reply,
};
use tidegate_providers::VendorOrigins;
use tidegate_vault::{Installation, Keyring};
use url::Url;

/// Finds a vendor by its name.
pub type Find = fn(&str) -> Option<&'static dyn Provider>;

/// The code of an error that says that a credential rests sealed under another secret than the bound ones:
/// the account's machines cannot be seen, nor given back, until the secret is bound again.
pub const UNREADABLE_CREDENTIAL: &str = "unreadable_credential";

/// What an installation calls vendors with.
pub struct VendorCalls {
    /// Makes boot tokens.
    pub installation: Installation,
    /// Opens what is sealed.
    pub keyring: Keyring,
    /// Where vendors are, if not where they are for everybody.
    pub origins: VendorOrigins,
    /// Which vendors there are: [`tidegate_providers::by_name`], but in tests.
    pub find: Find,
}

impl VendorCalls {
    /// What to send.
    ///
    /// # Errors
    /// How the call ends, nothing having been sent: the vendor is unknown or cannot be asked for that, what is
    /// sealed does not open, the address is not the vendor's.
    pub fn prepare(&self, now_ms: i64, call: &VendorCall) -> Result<HttpCall, ProviderError> {
        let provider = self.provider(call)?;
        let credential = self.credential(call)?;
        let secrets = self.secrets(call)?;
        let origins = self.origins.of(provider.vendor());
        let cx = EncodeCx {
            now_ms,
            credential: &credential,
            settings: &call.settings,
            origins: &origins,
            secrets: &secrets,
        };
        let encoded = provider.encode(&cx, &call.request);
        let http = encoded.map_err(|error| without_secrets(&cx, error))?;
        check_address(provider, &origins, &http.url)
            .map_err(|words| refused(call, ErrorKind::Validation, &words))?;
        Ok(http)
    }

    /// What came back.
    ///
    /// # Errors
    /// In the vendor's words.
    pub fn read(&self, call: &VendorCall, reply: &HttpReply) -> Result<Reply, ProviderError> {
        let sent = |error: ProviderError| Self::unanswered(call, &error.words);
        let provider = self.provider(call).map_err(sent)?;
        let credential = self.credential(call).map_err(sent)?;
        let secrets = self.secrets(call).map_err(sent)?;
        let origins = self.origins.of(provider.vendor());
        let cx = EncodeCx {
            now_ms: reply.now_ms,
            credential: &credential,
            settings: &call.settings,
            origins: &origins,
            secrets: &secrets,
        };
        provider
            .decode(&cx, &call.request, reply)
            .map_err(|error| without_secrets(&cx, error))
    }

    /// How a call ends that was sent and not answered, or not to its end. After a change nobody knows what was
    /// done. `words` are the host's and hold nothing of what was sent.
    pub fn unanswered(call: &VendorCall, words: &str) -> ProviderError {
        let operation = call.request.operation();
        if call.request.is_change() {
            ProviderError::no_answer(operation, words)
        } else {
            ProviderError::new(ErrorKind::Network, operation, words)
        }
    }

    fn provider(&self, call: &VendorCall) -> Result<&'static dyn Provider, ProviderError> {
        (self.find)(&call.vendor).ok_or_else(|| {
            let words = format!("this release knows no vendor `{}`", call.vendor);
            refused(call, ErrorKind::Validation, &words)
        })
    }

    fn credential(&self, call: &VendorCall) -> Result<Credential, ProviderError> {
        opened::credential(&self.keyring, &call.credential)
            .map_err(|words| refused(call, ErrorKind::Auth, &words).code(UNREADABLE_CREDENTIAL))
    }

    fn secrets(
        &self,
        call: &VendorCall,
    ) -> Result<tidegate_provider_api::CreateSecrets, ProviderError> {
        opened::secrets(
            &self.installation,
            &self.keyring,
            &call.credential.org,
            &call.request,
        )
        .map_err(|words| refused(call, ErrorKind::Validation, &words))
    }
}

/// Codecs take secrets out of what they quote; a release of theirs that forgets to must not matter.
fn without_secrets(cx: &EncodeCx<'_>, error: ProviderError) -> ProviderError {
    ProviderError {
        words: cx.without_secrets(&error.words),
        code: error.code.map(|code| cx.without_secrets(&code)),
        ..error
    }
}

fn refused(call: &VendorCall, kind: ErrorKind, words: &str) -> ProviderError {
    ProviderError::new(kind, call.request.operation(), words)
}

fn check_address(provider: &dyn Provider, origins: &Origins, url: &str) -> Result<(), String> {
    let checked = match &origins.api {
        None => Pinned::Hosts(provider.hosts()).check(url),
        Some(root) => {
            let root = Url::parse(root).map_err(|_| "VENDOR_ORIGINS names no URL".to_owned())?;
            Pinned::Below(&root).check(url)
        }
    };
    checked.map(drop).map_err(|refused| {
        let title = provider.title();
        format!("nothing was sent: the address is not one of {title}'s: {refused}")
    })
}

#[cfg(test)]
mod tests;
