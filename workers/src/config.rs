//! The environment's bindings as a [`Config`].

use serde::Deserialize;
use tidegate_edge::gateway::{
    Config, Manners, Origins, OriginsRefused, PublicUrlRefused, read_public_url,
};
use tidegate_egress::{Gate, HostRule, RuleRefused};
use tidegate_providers::{VendorOrigins, VendorOriginsRefused};
use tidegate_vault::{Installation, Keyring, Secret, WeakSecret};

/// What the host read from its bindings.
#[derive(Deserialize)]
pub struct Bindings {
    #[serde(default)]
    admin_key: Option<String>,
    secret: String,
    #[serde(default)]
    previous_secret: Option<String>,
    #[serde(default)]
    allow_loopback: bool,
    #[serde(default)]
    allow_hosts: String,
    #[serde(default)]
    cors_origins: String,
    #[serde(default)]
    client_address_header: String,
    #[serde(default)]
    vendor_origins: String,
    #[serde(default)]
    public_url: String,
}

/// The environment is not one to run in. Never quotes a value.
#[derive(Debug, thiserror::Error)]
pub enum Misconfigured {
    /// The host handed over something else.
    #[error("the bindings cannot be read: host and Wasm are of different releases")]
    Bindings,
    /// `TIDEGATE_SECRET`.
    #[error("TIDEGATE_SECRET is missing or cannot be used: {0}")]
    Secret(WeakSecret),
    /// `TIDEGATE_SECRET_PREVIOUS`.
    #[error("TIDEGATE_SECRET_PREVIOUS cannot be used: {0}")]
    PreviousSecret(WeakSecret),
    /// `ALLOW_HOSTS`.
    #[error("ALLOW_HOSTS cannot be used: {0}")]
    AllowHosts(RuleRefused),
    /// `CORS_ORIGINS`.
    #[error("CORS_ORIGINS cannot be used: {0}")]
    CorsOrigins(OriginsRefused),
    /// `CLIENT_ADDRESS_HEADER`.
    #[error(
        "CLIENT_ADDRESS_HEADER is not the name of a header: give the one that your proxy sets, such as \
         x-real-ip, or leave it out"
    )]
    ClientAddressHeader,
    /// `VENDOR_ORIGINS`.
    #[error("VENDOR_ORIGINS cannot be used: {0}")]
    VendorOrigins(VendorOriginsRefused),
    /// `PUBLIC_URL`.
    #[error("PUBLIC_URL cannot be used: {0}")]
    PublicUrl(PublicUrlRefused),
}

/// A header's name as requests have it, in lower case.
fn header_name(text: &str) -> Result<Option<String>, Misconfigured> {
    let name = text.trim().to_ascii_lowercase();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.bytes().all(fits) {
        return Err(Misconfigured::ClientAddressHeader);
    }
    Ok(Some(name).filter(|name| !name.is_empty()))
}

impl Bindings {
    /// Reads what the host handed over (JSON).
    ///
    /// # Errors
    /// [`Misconfigured::Bindings`].
    pub fn read(json: &str) -> Result<Self, Misconfigured> {
        serde_json::from_str(json).map_err(|_| Misconfigured::Bindings)
    }

    /// Everything the gateway is told.
    ///
    /// # Errors
    /// With the binding's name and what to do about it.
    pub fn config(self) -> Result<Config, Misconfigured> {
        let gate = self.gate()?;
        // Told now rather than at the first call to a vendor.
        self.vendor_origins()?;
        let manners = Manners {
            origins: Origins::parse(&self.cors_origins).map_err(Misconfigured::CorsOrigins)?,
            client_address: header_name(&self.client_address_header)?,
        };
        let public_url = read_public_url(&self.public_url).map_err(Misconfigured::PublicUrl)?;
        let admin_key = self.admin_key.clone().filter(|key| !key.is_empty());
        let (installation, keyring) = self.keys()?;
        Ok(Config {
            installation,
            keyring,
            admin_key: admin_key.map(Secret::from),
            gate,
            manners,
            public_url,
        })
    }

    /// What may be called.
    ///
    /// # Errors
    /// [`Misconfigured::AllowHosts`].
    pub fn gate(&self) -> Result<Gate, Misconfigured> {
        let allow = HostRule::parse_list(&self.allow_hosts).map_err(Misconfigured::AllowHosts)?;
        Ok(Gate {
            allow_loopback: self.allow_loopback,
            allow,
            ..Gate::default()
        })
    }

    /// Where vendors are, if not where they are for everybody.
    ///
    /// # Errors
    /// [`Misconfigured::VendorOrigins`].
    pub fn vendor_origins(&self) -> Result<VendorOrigins, Misconfigured> {
        VendorOrigins::parse(&self.vendor_origins).map_err(Misconfigured::VendorOrigins)
    }

    /// What is derived from the secrets.
    ///
    /// # Errors
    /// When one of them cannot protect anything.
    pub fn keys(self) -> Result<(Installation, Keyring), Misconfigured> {
        let secret = Secret::from(self.secret);
        let installation = Installation::derive(secret.expose()).map_err(Misconfigured::Secret)?;
        let previous = self
            .previous_secret
            .filter(|text| !text.is_empty())
            .map(|text| Installation::derive(Secret::from(text).expose()))
            .transpose()
            .map_err(Misconfigured::PreviousSecret)?;
        let former = previous.as_ref().map(|it| it.wrapping_key().clone());
        let keyring = Keyring::new(installation.wrapping_key().clone(), former);
        let installation = match previous {
            Some(previous) => installation.succeeding(previous),
            None => installation,
        };
        Ok((installation, keyring))
    }
}
