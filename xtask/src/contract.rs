//! Whether `schemas/openapi/openapi.json` still keeps what `schemas/openapi/released.json` promised.
//!
//! A client that was written for the released document must work with the new one: every operation is
//! still there, takes what it took and answers as it did. What is added is no complaint, a value that an
//! answer's enumeration gains included: the document tells clients to expect that.
//!
//! In scope: what the document says. Out of scope: whether it is true, which the tests of `edge` and the
//! end-to-end tests hold it to.

mod schemas;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use schemas::{Compare, Direction};

const CURRENT: &str = "schemas/openapi/openapi.json";
const RELEASED: &str = "schemas/openapi/released.json";

/// What the current document breaks.
pub fn complaints(root: &Path) -> Vec<String> {
    let documents = read(root, RELEASED).and_then(|old| Ok((old, read(root, CURRENT)?)));
    match documents {
        Ok((old, new)) => {
            let mut found = broken(&old, &new);
            if !found.is_empty() {
                found.push(format!(
                    "{CURRENT} breaks what {RELEASED} promised; CONTRIBUTING.md says what to do"
                ));
            }
            found
        }
        Err(error) => vec![error],
    }
}

/// Makes the current document the released one. One that breaks a promise needs a version that says so.
pub fn release(root: &Path) -> Vec<String> {
    let written = read(root, RELEASED).and_then(|old| {
        let new = read(root, CURRENT)?;
        let found = broken(&old, &new);
        let (before, now) = (version(&old), version(&new));
        if !found.is_empty() && compatible(&before, &now) {
            let list = found.join("\n");
            return Err(format!(
                "{list}\nversion {now} would promise to keep what {before} said: raise info.version \
                 (the second number below 1.0, else the first)"
            ));
        }
        std::fs::copy(root.join(CURRENT), root.join(RELEASED))
            .map(|_| ())
            .map_err(|error| format!("{RELEASED}: {error}"))
    });
    written.err().into_iter().collect()
}

fn read(root: &Path, name: &str) -> Result<Value, String> {
    let text = std::fs::read_to_string(root.join(name)).map_err(|e| format!("{name}: {e}"))?;
    serde_json::from_str(&text).map_err(|e| format!("{name}: {e}"))
}

fn version(document: &Value) -> String {
    let version = document["info"]["version"].as_str();
    version.unwrap_or_default().to_owned()
}

/// Whether a client of `before` may expect to work with `now`, as semantic versions have it.
fn compatible(before: &str, now: &str) -> bool {
    let promise = |version: &str| {
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0_u64));
        match parts.next() {
            Some(0) | None => (0, parts.next().unwrap_or(0)),
            Some(major) => (major, 0),
        }
    };
    promise(before) >= promise(now)
}

/// One line for each promise of `old` that `new` does not keep.
pub fn broken(old: &Value, new: &Value) -> Vec<String> {
    let mut compare = Compare::new(old, new);
    let (before, after) = (operations(old), operations(new));
    for (at, was) in &before {
        match after.get(at) {
            Some(is) => operation(&mut compare, at, was, is),
            None => compare.complain(format!("{at} is gone")),
        }
    }
    compare.finish()
}

/// Operations by method and path. What a path's parameter is called is no promise.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    for (path, item) in members(&document["paths"]) {
        let mut pieces = path.split('{');
        let mut bare = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let rest = piece.split_once('}').map_or(piece, |(_, rest)| rest);
            bare = format!("{bare}{{}}{rest}");
        }
        for (method, operation) in members(item) {
            found.insert(format!("{} {bare}", method.to_uppercase()), operation);
        }
    }
    found
}

fn operation(compare: &mut Compare<'_>, at: &str, was: &Value, is: &Value) {
    if was["operationId"] != is["operationId"] {
        compare.complain(format!(
            "{at} is called {} and was {}: generated clients name their methods by it",
            is["operationId"], was["operationId"]
        ));
    }
    security(compare, at, &was["security"], &is["security"]);
    parameters(compare, at, was, is);
    request(compare, at, &was["requestBody"], &is["requestBody"]);
    let (was, is) = (&was["responses"], &is["responses"]);
    for (status, was) in members(was) {
        match is.get(status) {
            Some(is) => compare.once(Direction::Response, was, is, |compare| {
                response(compare, &format!("{at} {status}"), was, is);
            }),
            None => compare.complain(format!("{at} no longer answers {status}")),
        }
    }
}

/// Each way to be let in that there was, there still is; none at all is a way of its own.
fn security(compare: &mut Compare<'_>, at: &str, was: &Value, is: &Value) {
    let ways = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (was, is) = (ways(was), ways(is));
    let nobody =
        |ways: &[Value]| ways.is_empty() || ways.iter().any(|way| members(way).next().is_none());
    if nobody(&is) {
        return;
    }
    if nobody(&was) {
        compare.complain(format!("{at} asks for a key, and did not"));
    }
    for way in was.iter().filter(|way| !is.contains(way)) {
        compare.complain(format!("{at} no longer lets in with {way}"));
    }
}

fn parameters(compare: &mut Compare<'_>, at: &str, was: &Value, is: &Value) {
    let (was, is) = (
        named(compare.old, &was["parameters"]),
        named(compare.new, &is["parameters"]),
    );
    for (name, was) in &was {
        // Of a path's own there is one, whatever it is called.
        let Some(is) = is.get(name) else {
            compare.complain(format!("{at} no longer takes {name}"));
            continue;
        };
        if is["required"] == true && was["required"] != true {
            compare.complain(format!("{at} asks for {name}, which could be left out"));
        }
        let at = format!("{at} {name}");
        compare.schemas(Direction::Request, &at, &was["schema"], &is["schema"]);
    }
    for (name, parameter) in &is {
        if parameter["required"] == true && !was.contains_key(name) {
            compare.complain(format!("{at} asks for {name}, which there was not"));
        }
    }
}

fn named<'a>(document: &'a Value, list: &'a Value) -> BTreeMap<String, &'a Value> {
    let all = list.as_array().into_iter().flatten();
    let all = all.map(|parameter| resolve(document, parameter));
    let name = |parameter: &Value| match (parameter["in"].as_str(), parameter["name"].as_str()) {
        (Some("path"), _) => "its path's parameter".to_owned(),
        (Some("header"), Some(name)) => format!("the header {}", name.to_lowercase()),
        (place, name) => format!(
            "{} in {}",
            name.unwrap_or_default(),
            place.unwrap_or_default()
        ),
    };
    all.map(|parameter| (name(parameter), parameter)).collect()
}

fn request(compare: &mut Compare<'_>, at: &str, was: &Value, is: &Value) {
    let (was, is) = (resolve(compare.old, was), resolve(compare.new, is));
    if is["required"] == true && was["required"] != true {
        compare.complain(format!("{at} asks for a body, which could be left out"));
    }
    for (kind, was) in members(&was["content"]) {
        match is["content"].get(kind) {
            Some(is) => {
                let at = format!("{at} body");
                compare.schemas(Direction::Request, &at, &was["schema"], &is["schema"]);
            }
            None => compare.complain(format!("{at} no longer takes a body in {kind}")),
        }
    }
}

fn response(compare: &mut Compare<'_>, at: &str, was: &Value, is: &Value) {
    let (was, is) = (resolve(compare.old, was), resolve(compare.new, is));
    for (name, was) in members(&was["headers"]) {
        let was = resolve(compare.old, was);
        let Some(is) = is["headers"].get(name) else {
            compare.complain(format!("{at} no longer has the header {name}"));
            continue;
        };
        let is = resolve(compare.new, is);
        if was["required"] == true && is["required"] != true {
            compare.complain(format!("{at} may leave out the header {name}"));
        }
        let at = format!("{at} header {name}");
        compare.schemas(Direction::Response, &at, &was["schema"], &is["schema"]);
    }
    for (kind, was) in members(&was["content"]) {
        match is["content"].get(kind) {
            Some(is) => compare.schemas(Direction::Response, at, &was["schema"], &is["schema"]),
            None => compare.complain(format!("{at} no longer answers in {kind}")),
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Follows references within the document.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let mut value = value;
    // A chain that is longer leads in a circle.
    for _ in 0..16 {
        let Some(at) = value["$ref"].as_str().and_then(|at| at.strip_prefix('#')) else {
            break;
        };
        value = document.pointer(at).unwrap_or(&Value::Null);
    }
    value
}
