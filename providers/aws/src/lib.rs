//! Amazon EC2 as a vendor of GPUs: its query API, what it answers, and the script that a machine begins with.
//!
//! In scope: the calls of EC2, and those of STS and of the Price List that go with them; their signatures. Out of
//! scope: when anything is asked.
#![doc = include_str!("docs.md")]

mod capability;
mod form;
mod settings;

mod request;

mod launch;
mod user_data;

mod query;
mod sigv4;

mod reply;

mod error;
mod state;
mod xml;

mod offers;
mod shelf;

#[cfg(test)]
mod tests;

use tidegate_provider_api::{
    Capability, CredentialForm, CredentialRefused, EncodeCx, HttpCall, HttpReply, Offer, Part,
    Permission, Provider, ProviderError, Query, Reply, Request, Settings,
};

/// Amazon EC2.
pub struct Aws;

impl Provider for Aws {
    fn vendor(&self) -> &'static str {
        "aws"
    }

    fn title(&self) -> &'static str {
        "AWS EC2"
    }

    /// Source: <https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html>.
    fn hosts(&self) -> &'static [&'static str] {
        &[
            "ec2.*.amazonaws.com",
            "sts.*.amazonaws.com",
            "ssm.*.amazonaws.com",
            "servicequotas.*.amazonaws.com",
            "api.pricing.*.amazonaws.com",
            "pricing.*.amazonaws.com",
        ]
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

    fn list_regions(&self, settings: &Settings) -> Vec<String> {
        settings::regions(settings)
    }

    fn check_settings(&self, settings: &Settings) -> Result<(), CredentialRefused> {
        settings::check(settings)
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

    fn shop(&self, settings: &Settings) -> Vec<Query> {
        offers::shop(settings)
    }

    fn offers(&self, settings: &Settings, parts: &[Part]) -> Vec<Offer> {
        shelf::offers(settings, parts)
    }
}
