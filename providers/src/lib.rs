//! Every vendor there is.
//!
//! In scope: the list. Out of scope: everything that one of them does.

use tidegate_provider_api::Provider;

/// Every vendor, in the order in which they are shown.
pub static ALL: &[&dyn Provider] = &[
    &tidegate_provider_runpod::RunPod,
    &tidegate_provider_aws::Aws,
];

/// The vendor with this name.
pub fn by_name(vendor: &str) -> Option<&'static dyn Provider> {
    ALL.iter()
        .copied()
        .find(|provider| provider.vendor() == vendor)
}
