//! EC2's query protocol: a form body out of names that count and nest by dots (`Filter.1.Value.2`).
//!
//! Source: botocore's `EC2Serializer`, for the names, and Python's `urlencode`, which writes its bodies: all but
//! letters, digits and `-._~` is encoded, a blank as `+`.
//!
//! Invariant: names stand in the order in which they were added, and an absent value adds none.
//!
//! In scope: how it is written. Out of scope: what is asked.

use core::fmt::{Display, Write as _};

/// A form body.
pub(crate) struct Form {
    body: String,
}

impl Form {
    /// Begins with the action and the version of the service's API.
    pub(crate) fn new(action: &str, version: &str) -> Self {
        let mut form = Self {
            body: String::new(),
        };
        form.add("Action", action);
        form.add("Version", version);
        form
    }

    /// Adds a value. Numbers and booleans are written as Rust writes them, which is as EC2 reads them.
    pub(crate) fn add(&mut self, name: &str, value: impl Display) {
        if !self.body.is_empty() {
            self.body.push('&');
        }
        push_encoded(&mut self.body, name);
        self.body.push('=');
        push_encoded(&mut self.body, &value.to_string());
    }

    /// Adds a value that there may be.
    pub(crate) fn add_some(&mut self, name: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// Adds filter number `number`.
    pub(crate) fn add_filter(&mut self, number: usize, name: &str, values: &[&str]) {
        self.add(&format!("Filter.{number}.Name"), name);
        for (index, value) in (1..).zip(values) {
            self.add(&format!("Filter.{number}.Value.{index}"), value);
        }
    }

    /// The body.
    pub(crate) fn finish(self) -> String {
        self.body
    }
}

fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
}
