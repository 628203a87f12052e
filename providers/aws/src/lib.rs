//! AWS EC2.

use tidegate_provider_api::{
    Capability, CredentialForm, CredentialRefused, EncodeCx, ErrorKind, HttpCall, HttpReply, Offer,
    Part, Permission, Provider, ProviderError, Query, Reply, Request, Settings, StoppedBilling,
    TimeLimit,
};

/// The vendor.
pub struct Aws;

static CAPABILITY: Capability = Capability {
    spot: true,
    stop_start: true,
    idempotent_create: true,
    tags: true,
    public_tls: false,
    bills: false,
    time_limit: Some(TimeLimit::Guest),
    stopped_billing: StoppedBilling::Disk,
    list_lag_ms: 300_000,
    create_timeout_ms: 60_000,
    call_timeout_ms: 20_000,
    startup_timeout_ms: 20 * 60_000,
    large_startup_timeout_ms: 30 * 60_000,
    stop_lead_ms: 60_000,
    billing_minimum_ms: 60_000,
    billing_step_ms: 1_000,
    calls_per_minute: 120,
    first_token_cap_ms: None,
    webhooks: true,
};

static FORM: CredentialForm = CredentialForm {
    credential: &[],
    settings: &[],
    least_privilege: "",
    help: "",
};

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
        &CAPABILITY
    }

    fn form(&self) -> &'static CredentialForm {
        &FORM
    }

    fn permissions(&self) -> &'static [Permission] {
        &[]
    }

    fn list_regions(&self, _: &Settings) -> Vec<String> {
        vec!["default".to_owned()]
    }

    fn check_settings(&self, _: &Settings) -> Result<(), CredentialRefused> {
        Ok(())
    }

    fn encode(&self, _: &EncodeCx<'_>, request: &Request) -> Result<HttpCall, ProviderError> {
        Err(ProviderError::new(
            ErrorKind::Validation,
            request.operation(),
            "not built yet",
        ))
    }

    fn decode(
        &self,
        _: &EncodeCx<'_>,
        request: &Request,
        _: &HttpReply,
    ) -> Result<Reply, ProviderError> {
        Err(ProviderError::new(
            ErrorKind::Validation,
            request.operation(),
            "not built yet",
        ))
    }

    fn shop(&self, _: &Settings) -> Vec<Query> {
        Vec::new()
    }

    fn offers(&self, _: &Settings, _: &[Part]) -> Vec<Offer> {
        Vec::new()
    }
}
