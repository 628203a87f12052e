//! EC2's Query protocol: a flat form whose names spell lists and structures.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::aws::errors::{Refusal, refuse};
use crate::fault::Fault;
use crate::faults::Applied;

/// A form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(pub BTreeMap<String, String>);

/// A filter: any of the values fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Such as `tag:Name`.
    pub name: String,
    /// With `*` and `?`.
    pub values: Vec<String>,
}

impl Form {
    /// Reads a body; of a name that is given twice the last counts.
    pub fn read(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).into_owned().collect())
    }

    /// A member.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A member that must be there.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn must(&self, name: &str) -> Result<&str, Refusal> {
        match self.get(name) {
            Some(value) => Ok(value),
            None => refuse(
                "MissingParameter",
                format!("The request must contain the parameter {name}"),
            ),
        }
    }

    /// Whether a member is `true`.
    ///
    /// # Errors
    /// `InvalidParameterValue` when it is neither that nor `false`.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => refuse(
                "InvalidParameterValue",
                format!("Value ({other}) for parameter {name} is invalid. Expected a boolean"),
            ),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// `InvalidParameterValue`.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => refuse(
                "InvalidParameterValue",
                format!("Value ({text}) for parameter {name} is invalid. Expected an integer"),
            ),
        }
    }

    /// `Name.1`, `Name.2`… in their order.
    pub fn list(&self, name: &str) -> Vec<String> {
        let item = |number: usize| self.get(&format!("{name}.{number}")).map(str::to_owned);
        (1..).map_while(item).collect()
    }

    /// The numbers of a list of structures.
    pub fn items(&self, name: &str) -> Vec<String> {
        let has = |prefix: &String| {
            let inner = format!("{prefix}.");
            let next = self.0.range(inner.clone()..).next();
            next.is_some_and(|(name, _)| name.starts_with(&inner))
        };
        (1..)
            .map(|number| format!("{name}.{number}"))
            .take_while(has)
            .collect()
    }

    /// The filters.
    pub fn filters(&self) -> Vec<Filter> {
        let filter = |prefix: String| Filter {
            name: self
                .get(&format!("{prefix}.Name"))
                .unwrap_or_default()
                .to_owned(),
            values: self.list(&format!("{prefix}.Value")),
        };
        self.items("Filter").into_iter().map(filter).collect()
    }

    /// Key and value pairs: `Prefix.1.Key`, `Prefix.1.Value`…
    pub fn tags(&self, name: &str) -> BTreeMap<String, String> {
        let tag = |prefix: String| {
            let part = |part: &str| self.get(&format!("{prefix}.{part}")).unwrap_or_default();
            (part("Key").to_owned(), part("Value").to_owned())
        };
        self.items(name).into_iter().map(tag).collect()
    }
}

impl Filter {
    /// Whether one of the values is this.
    pub fn takes(&self, value: &str) -> bool {
        self.values.iter().any(|pattern| matches(pattern, value))
    }

    /// The refusal of a filter that nobody knows.
    ///
    /// # Errors
    /// Always.
    pub fn unknown<T>(&self) -> Result<T, Refusal> {
        refuse(
            "InvalidParameterValue",
            format!("The filter '{}' is invalid", self.name),
        )
    }
}

/// `*` stands for any text, `?` for one character.
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = chars.as_str();
            matches(rest, text)
                || text
                    .char_indices()
                    .any(|(at, char)| matches(rest, &text[at + char.len_utf8()..]))
        }
        Some(first) => {
            let mut of_text = text.chars();
            of_text
                .next()
                .is_some_and(|char| first == '?' || first == char)
                && matches(chars.as_str(), of_text.as_str())
        }
    }
}

/// A page of a list, and the token of the next one.
pub struct Page<T> {
    /// Its entries.
    pub items: Vec<T>,
    /// Where the next begins.
    pub next: Option<String>,
}

/// Cuts a page out of a list whose order does not change. `key` names an entry, and the token is the key of the
/// last one told: entries that come and go between pages move nothing.
///
/// # Errors
/// For a token or a number that is none, and what faults want for the second page.
pub fn page<T>(
    all: Vec<T>,
    form: &Form,
    fewest: u64,
    key: impl Fn(&T) -> String,
    applied: &Applied,
) -> Result<Page<T>, Refusal> {
    let most = form.number("MaxResults")?;
    if let Some(most) = most.filter(|most| !(fewest..=1000).contains(most)) {
        return refuse(
            "InvalidParameterValue",
            format!(
                "Value ( {most} ) for parameter maxResults is invalid. Expecting a value between {fewest} and 1000."
            ),
        );
    }
    let is_partial = applied.has(&Fault::PartialList {});
    let begins = match form.get("NextToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(_) if is_partial => return refuse("InternalError", "An internal error has occurred"),
        Some(token) => {
            let Some(last) = told(token) else {
                return refuse(
                    "InvalidPaginationToken",
                    "The specified pagination token is not valid",
                );
            };
            all.iter().take_while(|item| key(item) <= last).count()
        }
    };
    let small = applied.find(|fault| match fault {
        Fault::SmallPages { size } => Some((*size).max(1)),
        _ => None,
    });
    let most = most.map_or(1000, |most| usize::try_from(most).unwrap_or(1000));
    let most = small.map_or(most, |small| small.min(most));
    let most = if is_partial {
        all.len().div_ceil(2).min(most)
    } else {
        most
    };
    let ends = (begins + most).min(all.len());
    let overlap = usize::from(applied.has(&Fault::OverlappingPages {}) && begins > 0);
    let more = ends < all.len() || (is_partial && !all.is_empty());
    let last = all[..ends].last().filter(|_| more);
    let next = last.map(|item| STANDARD.encode(format!("simcloud {}", key(item))));
    let items = all.into_iter().take(ends).skip(begins - overlap).collect();
    Ok(Page { items, next })
}

fn told(token: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
    text.strip_prefix("simcloud ").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_structures_and_filters_are_read_by_their_numbers() {
        let form = Form::read(b"InstanceId.1=a&InstanceId.2=b&InstanceId.4=d&Filter.1.Name=tag%3Ax&Filter.1.Value.1=1&Filter.1.Value.2=2*&Tag.1.Key=k&Tag.1.Value=v");
        assert_eq!(form.list("InstanceId"), ["a", "b"]);
        let filters = form.filters();
        assert_eq!(filters[0].name, "tag:x");
        assert!(filters[0].takes("1") && filters[0].takes("23") && !filters[0].takes("3"));
        assert_eq!(form.tags("Tag")["k"], "v");
        assert!(form.must("x").is_err() && form.flag("InstanceId.1").is_err());
    }

    #[test]
    fn stars_and_question_marks_stand_for_text() {
        for (pattern, text, fits) in [
            ("g6.*", "g6.xlarge", true),
            ("g6.*", "g6", false),
            ("*", "", true),
            ("?6*e", "g6.xlarge", true),
            ("*x*x*", "axbxc", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn pages_hold_each_entry_once_though_entries_go() {
        let form = |token: Option<&str>| {
            let mut form = Form::read(b"MaxResults=5");
            form.0
                .extend(token.map(|token| (String::from("NextToken"), token.to_owned())));
            form
        };
        let all: Vec<String> = ('a'..='g').map(String::from).collect();
        let cut = |all: &[String], token: Option<&str>| {
            page(
                all.to_vec(),
                &form(token),
                5,
                String::clone,
                &Applied::default(),
            )
        };
        let first = cut(&all, None).unwrap();
        assert_eq!(first.items.join(""), "abcde");
        let second = cut(&all[2..], first.next.as_deref()).unwrap();
        assert_eq!((second.items.join("").as_str(), second.next), ("fg", None));
        assert!(cut(&all, Some("x")).is_err());
    }
}
