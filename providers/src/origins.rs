//! Where vendors' hosts are, for an installation that does not call them where everybody does: against a
//! stand-in in tests, and through a proxy.
//!
//! Written as `runpod=http://127.0.0.1:9201, runpod.endpoint=http://127.0.0.1:9203/{id}-{port}`: a vendor's
//! name alone says where its API is, with `.endpoint` behind it where what its machines serve is.
//!
//! Invariant: what is read here are roots: no credentials, no query, no slash at their ends.

use std::collections::BTreeMap;

use tidegate_provider_api::Origins;
use url::Url;

use crate::by_name;

const ENDPOINT: &str = "endpoint";
/// What a machine's root has in the places of its id and port.
const ID: &str = "{id}";
const PORT: &str = "{port}";

/// Roots by vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VendorOrigins(BTreeMap<&'static str, Origins>);

/// Why the text cannot be used. Names the entry, never its URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VendorOriginsRefused {
    /// An entry without `=`.
    #[error("entry {at} has no `=`: write it as vendor=https://host, entries separated by commas")]
    NoName {
        /// From 1.
        at: usize,
    },
    /// Not a vendor, or not one of the two things that it has.
    #[error("`{name}` is neither a vendor nor vendor.endpoint; the vendors are {vendors}")]
    Unknown {
        /// What stands before the `=`.
        name: String,
        /// Those that there are.
        vendors: String,
    },
    /// The same entry again.
    #[error("`{name}` stands twice, so it is not clear which of the two is meant")]
    Twice {
        /// Which.
        name: String,
    },
    /// Not a root.
    #[error(
        "the URL of `{name}` is no root: it is http:// or https://, a host, perhaps a port and a path, and \
         neither credentials nor a query"
    )]
    NoRoot {
        /// Whose.
        name: String,
    },
    /// The root of every machine would be one.
    #[error(
        "the URL of `{name}` must hold {{id}} once, in the place of the machine's id, and may hold {{port}}"
    )]
    NoId {
        /// Whose.
        name: String,
    },
}

impl VendorOrigins {
    /// Reads entries separated by commas; an empty text has none.
    ///
    /// # Errors
    /// With the first entry that will not do.
    pub fn parse(text: &str) -> Result<Self, VendorOriginsRefused> {
        let mut read = Self::default();
        let entries = text.split(',').map(str::trim).enumerate();
        for (at, entry) in entries.filter(|(_, entry)| !entry.is_empty()) {
            let (name, url) = entry
                .split_once('=')
                .ok_or(VendorOriginsRefused::NoName { at: at + 1 })?;
            read.take(name.trim(), url.trim())?;
        }
        Ok(read)
    }

    /// Where this vendor's hosts are.
    pub fn of(&self, vendor: &str) -> Origins {
        self.0.get(vendor).cloned().unwrap_or_default()
    }

    fn take(&mut self, name: &str, url: &str) -> Result<(), VendorOriginsRefused> {
        let (vendor, part) = match name.split_once('.') {
            Some((vendor, part)) => (vendor, Some(part)),
            None => (name, None),
        };
        let known = by_name(vendor).filter(|_| part.is_none_or(|part| part == ENDPOINT));
        let Some(known) = known else {
            let vendors: Vec<_> = crate::ALL.iter().map(|it| it.vendor()).collect();
            return Err(VendorOriginsRefused::Unknown {
                name: name.to_owned(),
                vendors: vendors.join(", "),
            });
        };
        let name = || name.to_owned();
        let origins = self.0.entry(known.vendor()).or_default();
        let place = if part.is_some() {
            if url.matches(ID).count() != 1 || url.matches(PORT).count() > 1 {
                return Err(VendorOriginsRefused::NoId { name: name() });
            }
            &mut origins.endpoint
        } else {
            &mut origins.api
        };
        let example = match part {
            Some(_) => url.replace(ID, "id").replace(PORT, "1"),
            None => url.to_owned(),
        };
        if !is_root(&example) {
            return Err(VendorOriginsRefused::NoRoot { name: name() });
        }
        match place.replace(url.trim_end_matches('/').to_owned()) {
            None => Ok(()),
            Some(_) => Err(VendorOriginsRefused::Twice { name: name() }),
        }
    }
}

fn is_root(text: &str) -> bool {
    let odd = |each: char| each.is_whitespace() || each.is_control() || "{}\\?#@".contains(each);
    let starts = text.starts_with("http://") || text.starts_with("https://");
    starts && !text.contains(odd) && Url::parse(text).is_ok_and(|url| url.has_host())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_roots_of_a_vendor_and_of_its_machines() {
        let read = VendorOrigins::parse(
            " runpod=http://127.0.0.1:9201/ , runpod.endpoint = http://127.0.0.1:9203/{id}-{port},\n\
             aws=https://proxy.example.net/aws,",
        )
        .unwrap();
        let runpod = read.of("runpod");
        assert_eq!(runpod.api.as_deref(), Some("http://127.0.0.1:9201"));
        assert_eq!(
            runpod.endpoint.as_deref(),
            Some("http://127.0.0.1:9203/{id}-{port}")
        );
        let aws = read.of("aws");
        assert_eq!(aws.api.as_deref(), Some("https://proxy.example.net/aws"));
        assert_eq!(aws.endpoint, None);
        assert_eq!(
            VendorOrigins::parse("").unwrap().of("aws"),
            Origins::default()
        );
        assert!(VendorOrigins::parse("runpod.endpoint=https://{id}-{port}.pods.test").is_ok());
    }

    #[test]
    fn what_is_no_entry_is_refused_by_name_and_without_its_url() {
        let refused = |text: &str| VendorOrigins::parse(text).unwrap_err();
        assert_eq!(
            refused("aws=http://a, http://s3cret"),
            VendorOriginsRefused::NoName { at: 2 }
        );
        for name in ["", "azure", "runpod.api", "runpod.", ".endpoint", "RunPod"] {
            let text = refused(&format!("{name}=http://s3cret")).to_string();
            assert!(text.contains("the vendors are runpod, aws"), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
        assert_eq!(
            refused("aws=http://a,aws=http://b"),
            VendorOriginsRefused::Twice {
                name: "aws".to_owned()
            }
        );
        for url in [
            "",
            "127.0.0.1:9201",
            "ftp://a",
            "http://",
            "http://a b",
            "http://user:s3cret@a",
            "http://a?s3cret",
            "http://a#s3cret",
            "http://a\\b",
            "http://a/{id}",
            "http://a:99999",
        ] {
            let refused = refused(&format!("aws={url}"));
            let name = "aws".to_owned();
            assert_eq!(refused, VendorOriginsRefused::NoRoot { name }, "{url}");
            assert!(!refused.to_string().contains("s3cret"));
        }
        for url in [
            "http://a",
            "http://a/{id}/{id}",
            "http://a/{id}/{port}/{port}",
        ] {
            let name = "runpod.endpoint".to_owned();
            let refused = refused(&format!("runpod.endpoint={url}"));
            assert_eq!(refused, VendorOriginsRefused::NoId { name }, "{url}");
        }
    }
}
