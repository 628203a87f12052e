//! The codec of one vendor: RunPod.
//!
//! Invariant: whatever comes back, decoding never panics, never guesses, and lets no secret and no environment
//! of a pod out.
//!
//! In scope: RunPod's HTTP. Out of scope: when it is asked, retries, deadlines, rate limits.
//!
#![doc = include_str!("../docs.md")]

mod capability;
mod form;

mod request;

mod error;
mod object;
mod offers;
mod reply;
mod state;

use tidegate_provider_api::{
    Capability, CredentialForm, CredentialRefused, EncodeCx, HttpCall, HttpReply, Offer, Part,
    Permission, Provider, ProviderError, Query, Reply, Request, Settings,
};

/// The vendor.
pub struct RunPod;

/// The one region of its lists, and of a machine whose data centre is not known.
const GLOBAL: &str = "global";

impl Provider for RunPod {
    fn vendor(&self) -> &'static str {
        "runpod"
    }

    fn title(&self) -> &'static str {
        "RunPod"
    }

    fn hosts(&self) -> &'static [&'static str] {
        &["api.runpod.io"]
    }

    fn capability(&self) -> &'static Capability {
        &capability::CAPABILITY
    }

    fn form(&self) -> &'static CredentialForm {
        &form::FORM
    }

    fn permissions(&self) -> &'static [Permission] {
        &form::PERMISSIONS
    }

    fn list_regions(&self, _: &Settings) -> Vec<String> {
        vec![GLOBAL.to_owned()]
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), CredentialRefused> {
        form::check_settings(settings)
    }

    fn encode(&self, cx: &EncodeCx<'_>, request: &Request) -> Result<HttpCall, ProviderError> {
        request::encode(cx, request)
    }

    fn decode(
        &self,
        cx: &EncodeCx<'_>,
        request: &Request,
        reply: &HttpReply,
    ) -> Result<Reply, ProviderError> {
        reply::decode(cx, request, reply)
    }

    fn shop(&self, _: &Settings) -> Vec<Query> {
        offers::queries()
    }

    fn offers(&self, settings: &Settings, parts: &[Part]) -> Vec<Offer> {
        offers::assemble(settings, parts)
    }
}
