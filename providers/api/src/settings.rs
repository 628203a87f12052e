//! Where and how an account rents: what is no secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings by name, as the vendor's form lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Settings(pub BTreeMap<String, String>);

impl Settings {
    /// A setting that is not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }

    /// A list: separated by commas, blanks around each left out.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.get(name)
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_separated_by_commas_and_blank_settings_are_absent() {
        let pairs = [("regions", " a, b ,,c"), ("empty", "  ")];
        let settings = Settings(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        );
        assert_eq!(settings.list("regions"), ["a", "b", "c"]);
        assert_eq!(settings.get("empty"), None);
        assert_eq!(settings.list("absent"), [""; 0]);
    }
}
