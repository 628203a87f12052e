//! `schemas/openapi/openapi.json`, and whether an answer is one that it describes.
//!
//! Tests of this crate hold every answer they get to it. Here an object of ours has exactly the members
//! that the document lists, though clients are told to expect more: what is not listed is what somebody
//! forgot to write down. Where the document says `additionalProperties` itself, that stands.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

const TEXT: &str = include_str!("../../../schemas/openapi/openapi.json");

/// Headers of ours: one of these that the document does not list for an answer should not be there.
const OURS: [&str; 5] = [
    "x-request-id",
    "x-gateway-",
    "x-ratelimit-",
    "x-should-retry",
    "retry-after",
];

pub struct Document {
    pub root: Value,
    /// The same with objects closed.
    closed: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The document, read once.
pub fn document() -> &'static Document {
    static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
        let root: Value = serde_json::from_str(TEXT).expect("the document is JSON");
        let mut closed = root.clone();
        close(&mut closed["components"]);
        Document {
            root,
            closed,
            validators: Mutex::default(),
        }
    });
    &DOCUMENT
}

/// An answer as a client saw it. `None` for the body of a stream or a file.
#[derive(Debug)]
pub struct Seen<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub status: u16,
    pub headers: &'a [(String, String)],
    pub body: Option<&'a Value>,
}

impl Document {
    /// Why the document does not describe this answer, if it does not.
    pub fn refusal(&self, seen: &Seen<'_>) -> Option<String> {
        self.judge(seen).err()
    }

    fn judge(&self, seen: &Seen<'_>) -> Result<(), String> {
        let method = match seen.method {
            "HEAD" => "get".to_owned(),
            method => method.to_lowercase(),
        };
        if seen.method == "OPTIONS" && seen.status == 204 {
            // A preflight: browsers ask it of any path, and only they.
            return Ok(());
        }
        let Some(item) = self.item(seen.path) else {
            // Strangers are not told what there is below /admin.
            return expect(seen, &[404, 403, 413, 414, 415, 431]);
        };
        let Some(operation) = item.get(&method) else {
            return expect(seen, &[405, 403, 413, 414, 415, 431]);
        };
        let responses = &operation["responses"];
        let status = seen.status.to_string();
        let class = format!("{}XX", seen.status / 100);
        let response = responses
            .get(&status)
            .or_else(|| responses.get(&class))
            .ok_or_else(|| format!("status {status} is not among {:?}", keys(responses)))?;
        let response = self.resolve(response);
        self.judge_headers(seen, &response["headers"])?;
        self.judge_body(seen, &response["content"])
    }

    /// The path item of a path; a name takes what is left, since names hold slashes.
    fn item(&self, path: &str) -> Option<&Value> {
        let path = path.trim_end_matches('/');
        let paths = self.root["paths"].as_object()?;
        paths
            .iter()
            .find(|(template, _)| is_at(template, path))
            .map(|(_, item)| item)
    }

    fn judge_headers(&self, seen: &Seen<'_>, listed: &Value) -> Result<(), String> {
        for (name, header) in listed.as_object().into_iter().flatten() {
            let header = self.resolve(header);
            let sent: Vec<_> = seen.headers.iter().filter(|(n, _)| n == name).collect();
            if sent.is_empty() && header["required"] == true {
                return Err(format!("the header {name} is missing"));
            }
            for (_, value) in sent {
                self.validate(&header["schema"], &json!(value))
                    .map_err(|why| format!("the header {name}: {why}"))?;
            }
        }
        let stray = seen.headers.iter().find(|(name, _)| {
            OURS.iter().any(|ours| name.starts_with(ours)) && listed.get(name).is_none()
        });
        match stray {
            Some((name, _)) => Err(format!("the header {name} is not listed")),
            None => Ok(()),
        }
    }

    fn judge_body(&self, seen: &Seen<'_>, content: &Value) -> Result<(), String> {
        let sent = seen
            .headers
            .iter()
            .find(|(name, _)| name == "content-type")
            .map(|(_, value)| value.split(';').next().unwrap_or_default().trim());
        let Some(sent) = sent else {
            return match content.as_object() {
                None => Ok(()),
                Some(_) => Err("it has no content-type".to_owned()),
            };
        };
        let family = sent.split('/').next().unwrap_or_default();
        let media = content
            .get(sent)
            .or_else(|| content.get(format!("{family}/*")))
            .ok_or_else(|| format!("{sent} is not among {:?}", keys(content)))?;
        match seen.body {
            Some(body) => self.validate(&media["schema"], body),
            None => Ok(()),
        }
    }

    /// Follows a reference to a component.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(at) => self
                .root
                .pointer(&at[1..])
                .expect("the reference leads somewhere"),
            None => value,
        }
    }

    /// Whether a value is what a schema asks for, objects closed.
    pub fn validate(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let validator = {
            let mut validators = self.validators.lock().unwrap();
            let made = validators.entry(schema.to_string()).or_insert_with(|| {
                let mut rooted = schema.clone();
                rooted["components"] = self.closed["components"].clone();
                let made = jsonschema::options()
                    .should_validate_formats(true)
                    .build(&rooted)
                    .expect("the schema is one");
                Arc::new(made)
            });
            Arc::clone(made)
        };
        match validator.iter_errors(value).next() {
            Some(error) => Err(format!("{error} at `{}`", error.instance_path())),
            None => Ok(()),
        }
    }
}

fn is_at(template: &str, path: &str) -> bool {
    let (mut templates, mut segments) = (template.split('/'), path.split('/'));
    loop {
        match (templates.next(), segments.next()) {
            (None, None) => return true,
            (Some("{name}" | "{model}" | "{scope}"), Some(first)) => {
                let rest = [first].into_iter().chain(segments).collect::<String>();
                return !rest.is_empty() && templates.next().is_none();
            }
            (Some(a), Some(b)) if a == b || (a.starts_with('{') && !b.is_empty()) => {}
            _ => return false,
        }
    }
}

fn expect(seen: &Seen<'_>, statuses: &[u16]) -> Result<(), String> {
    if statuses.contains(&seen.status) {
        return Ok(());
    }
    Err("the document has no such operation".to_owned())
}

fn keys(value: &Value) -> Vec<&String> {
    value
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys())
        .collect()
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
