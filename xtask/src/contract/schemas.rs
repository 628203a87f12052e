//! Two schemas of the same place, and what the newer one takes away.
//!
//! What a client sends must be taken as before: a request's schema may only become wider. What it gets must
//! be what it knew: an answer's may only become narrower, and keeps every member it had.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{members, resolve};

/// Who says what the schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The client.
    Request,
    /// The gateway.
    Response,
}

/// A comparison under way.
pub struct Compare<'a> {
    pub old: &'a Value,
    pub new: &'a Value,
    complaints: Vec<String>,
    /// Pairs of references that are being compared: schemas may contain themselves.
    under_way: Vec<Pair>,
    /// Pairs that were found to keep everything: most schemas are met on many routes.
    kept: BTreeSet<Pair>,
}

/// References to the older and the newer schema.
type Pair = (Direction, String, String);

const LOWER_BOUNDS: [&str; 4] = ["minimum", "minLength", "minItems", "exclusiveMinimum"];
const UPPER_BOUNDS: [&str; 4] = ["maximum", "maxLength", "maxItems", "exclusiveMaximum"];
const ALL_TYPES: [&str; 7] = [
    "null", "boolean", "integer", "number", "string", "array", "object",
];

impl<'a> Compare<'a> {
    pub fn new(old: &'a Value, new: &'a Value) -> Self {
        Self {
            old,
            new,
            complaints: Vec::new(),
            under_way: Vec::new(),
            kept: BTreeSet::new(),
        }
    }

    pub fn complain(&mut self, complaint: String) {
        if !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }

    pub fn finish(self) -> Vec<String> {
        self.complaints
    }

    pub fn schemas(&mut self, direction: Direction, at: &str, was: &Value, is: &Value) {
        self.once(direction, was, is, |compare| {
            compare.inline(direction, at, was, is)
        });
    }

    /// Compares two places, unless they are components of which it is known, or being found out, that
    /// the newer keeps what the older promised.
    pub fn once(
        &mut self,
        direction: Direction,
        was: &Value,
        is: &Value,
        compare: impl FnOnce(&mut Self),
    ) {
        let (Some(older), Some(newer)) = (was["$ref"].as_str(), is["$ref"].as_str()) else {
            return compare(self);
        };
        let pair = (direction, older.to_owned(), newer.to_owned());
        if self.under_way.contains(&pair) || self.kept.contains(&pair) {
            return;
        }
        self.under_way.push(pair.clone());
        let complaints = self.complaints.len();
        compare(self);
        self.under_way.pop();
        if self.complaints.len() == complaints {
            self.kept.insert(pair);
        }
    }

    fn inline(&mut self, direction: Direction, at: &str, was: &Value, is: &Value) {
        let (was, is) = (resolve(self.old, was), resolve(self.new, is));
        self.types(direction, at, was, is);
        self.values(direction, at, was, is);
        self.bounds(direction, at, was, is);
        self.choices(direction, at, was, is);
        self.objects(direction, at, was, is);
        if let Some(items) = was.get("items") {
            let is = is.get("items").unwrap_or(&Value::Null);
            self.schemas(direction, &format!("{at}[]"), items, is);
        }
    }

    fn types(&mut self, direction: Direction, at: &str, was: &Value, is: &Value) {
        let (before, now) = (types(was), types(is));
        let (narrow, wide) = match direction {
            Direction::Request => (&before, &now),
            Direction::Response => (&now, &before),
        };
        let lost: Vec<_> = narrow.difference(wide).copied().collect();
        if lost.is_empty() {
            return;
        }
        let lost = lost.join(" or ");
        self.complain(match direction {
            Direction::Request => format!("{at} no longer takes {lost}"),
            Direction::Response => format!("{at} may be {lost}, which it never was"),
        });
    }

    fn values(&mut self, direction: Direction, at: &str, was: &Value, is: &Value) {
        match (allowed(was), allowed(is), direction) {
            (Some(before), Some(now), _) => {
                // What an answer no longer says, somebody may be waiting for.
                for value in before.iter().filter(|value| !now.contains(value)) {
                    self.complain(format!("{at} loses the value {value}"));
                }
            }
            (None, Some(now), Direction::Request) => {
                self.complain(format!("{at} takes only {} values", now.len()));
            }
            (Some(_), None, Direction::Response) => {
                self.complain(format!("{at} may be any value, and was one of a few"));
            }
            _ => {}
        }
    }

    /// Of an answer only the form counts: a number that may grow larger breaks nobody.
    fn bounds(&mut self, direction: Direction, at: &str, was: &Value, is: &Value) {
        for name in ["pattern", "format"] {
            let (before, now) = (was.get(name), is.get(name));
            let gone_narrow = direction == Direction::Request && now.is_some() && now != before;
            let gone_wide = direction == Direction::Response && before.is_some() && now != before;
            if gone_narrow || gone_wide {
                self.complain(format!("{at} has another {name}"));
            }
        }
        if direction == Direction::Response {
            return;
        }
        let number = |value: &Value, name: &str| value.get(name).and_then(Value::as_f64);
        for name in LOWER_BOUNDS {
            let before = number(was, name).unwrap_or(f64::MIN);
            if number(is, name).is_some_and(|now| now > before) {
                self.complain(format!("{at} has a higher {name}"));
            }
        }
        for name in UPPER_BOUNDS {
            let before = number(was, name).unwrap_or(f64::MAX);
            if number(is, name).is_some_and(|now| now < before) {
                self.complain(format!("{at} has a lower {name}"));
            }
        }
        if is["uniqueItems"] == true && was["uniqueItems"] != true {
            self.complain(format!("{at} takes nothing twice, and did"));
        }
        if is.get("not").is_some_and(|not| Some(not) != was.get("not")) {
            self.complain(format!("{at} excludes something"));
        }
    }

    /// Alternatives: each that a client might send is still taken, each that it may get was there.
    fn choices(&mut self, direction: Direction, at: &str, was: &Value, is: &Value) {
        for name in ["anyOf", "oneOf", "allOf"] {
            let branches = |value: &Value| value[name].as_array().cloned().unwrap_or_default();
            let (before, now) = (branches(was), branches(is));
            if before == now && before.is_empty() {
                continue;
            }
            let (needed, offered) = match direction {
                Direction::Request => (&before, &now),
                Direction::Response => (&now, &before),
            };
            if offered.is_empty() && direction == Direction::Request && name != "allOf" {
                // No alternatives any more: the rest of the schema has been compared.
                continue;
            }
            let fits = |one: &Value, other: &Value| {
                let (was, is) = match direction {
                    Direction::Request => (one, other),
                    Direction::Response => (other, one),
                };
                let mut inner = Compare::new(self.old, self.new);
                inner.under_way = self.under_way.clone();
                inner.schemas(direction, at, was, is);
                inner.complaints
            };
            let mut found = Vec::new();
            for one in needed {
                let tries: Vec<_> = offered.iter().map(|other| fits(one, other)).collect();
                // The nearest alternative says best what is wrong.
                match tries.into_iter().min_by_key(Vec::len) {
                    Some(best) => found.extend(best),
                    None => found.push(format!("{at} has alternatives that it did not have")),
                }
            }
            found
                .into_iter()
                .for_each(|complaint| self.complain(complaint));
        }
    }

    fn objects(&mut self, direction: Direction, at: &str, was: &Value, is: &Value) {
        for (name, was) in members(&was["properties"]) {
            let at = format!("{at}.{name}");
            match is["properties"].get(name) {
                Some(is) => self.schemas(direction, &at, was, is),
                None => self.complain(format!("{at} is gone")),
            }
        }
        let (before, now) = (required(was), required(is));
        match direction {
            Direction::Request => {
                for name in now.difference(&before) {
                    self.complain(format!("{at}.{name} must be sent, and need not have been"));
                }
            }
            Direction::Response => {
                for name in before.difference(&now) {
                    self.complain(format!("{at}.{name} may be left out, and never was"));
                }
            }
        }
        let open = |value: &Value| value.get("additionalProperties") != Some(&Value::Bool(false));
        if direction == Direction::Request && open(was) && !open(is) {
            self.complain(format!("{at} takes no further members, and did"));
        }
        if let Some(was) = was.get("additionalProperties").filter(|it| it.is_object())
            && let Some(is) = is.get("additionalProperties").filter(|it| it.is_object())
        {
            self.schemas(direction, &format!("{at}.*"), was, is);
        }
    }
}

/// The types that a value may have. A number may be whole.
fn types(schema: &Value) -> BTreeSet<&str> {
    let mut found: BTreeSet<&str> = match &schema["type"] {
        Value::String(one) => BTreeSet::from([one.as_str()]),
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => ALL_TYPES.into(),
    };
    if found.contains("number") {
        found.insert("integer");
    }
    found
}

fn allowed(schema: &Value) -> Option<Vec<&Value>> {
    if let Some(only) = schema.get("const") {
        return Some(vec![only]);
    }
    schema["enum"]
        .as_array()
        .map(|values| values.iter().collect())
}

fn required(schema: &Value) -> BTreeSet<&str> {
    let names = schema["required"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).collect()
}
