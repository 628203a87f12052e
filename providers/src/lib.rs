//! Every vendor there is.
//!
//! In scope: the list, and where an installation finds them. Out of scope: everything that one of them does.

mod origins;

pub use origins::{VendorOrigins, VendorOriginsRefused};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendor_has_a_name_of_its_own_and_says_which_hosts_are_its() {
        for provider in ALL {
            let vendor = provider.vendor();
            let found = by_name(vendor).map(|found| found.title());
            assert_eq!(found, Some(provider.title()));
            assert!(
                !provider.hosts().is_empty(),
                "{vendor} could never be called"
            );
            for host in provider.hosts() {
                let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                let fits = |byte| plain(byte) || b".*-".contains(&byte);
                assert!(host.bytes().all(fits), "{vendor}: {host}");
                let domain: Vec<&str> = host.rsplit('.').take(2).collect();
                assert!(!domain.contains(&"*"), "{vendor}: {host} is anybody's");
            }
        }
        assert!(by_name("nobody").is_none());
    }
}
