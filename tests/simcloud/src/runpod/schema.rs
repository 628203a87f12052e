//! Whether a body is as RunPod's OpenAPI document wants it. Invariant: whatever passes has the types that
//! [`crate::runpod::pods`] reads; whatever the document does not name is refused.

use serde_json::{Map, Value};

/// What is wrong with a body, one line each, in the form `$.gpu: missing property 'id'`.
#[derive(Debug, Default)]
pub struct Check {
    /// The lines.
    pub errors: Vec<String>,
}

/// What a member must be.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// Text of at least so many characters.
    Text(usize),
    /// A whole number, at least this.
    Whole(i64),
    /// True or false.
    Flag,
    /// A list of texts.
    Texts,
    /// Texts by name.
    Named,
    /// Text or `null`.
    TextOrNull,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `major.minor`.
    Version,
    /// A list of such.
    Versions,
    /// Looked at by somebody else.
    Any,
}

/// A member's name, what it must be, and whether it must be there.
pub type Member = (&'static str, Type, bool);

const CONTAINER: [Member; 9] = [
    ("image", Type::Text(0), false),
    ("args", Type::Text(0), false),
    ("entrypoint", Type::Texts, false),
    ("cmd", Type::Texts, false),
    ("disk", Type::Whole(1), false),
    ("env", Type::Named, false),
    ("ports", Type::Texts, false),
    ("registry", Type::TextOrNull, false),
    ("mounts", Type::Any, false),
];

const CREATE: [Member; 9] = [
    ("name", Type::Text(1), true),
    ("cloud", Type::Word(&["SECURE", "COMMUNITY"]), false),
    ("cpu", Type::Any, false),
    ("dataCenterIds", Type::Texts, false),
    ("globalNetworking", Type::Flag, false),
    ("gpu", Type::Any, false),
    ("startJupyter", Type::Flag, false),
    ("startSsh", Type::Flag, false),
    ("templateId", Type::Text(1), false),
];

const UPDATE: [Member; 4] = [
    ("name", Type::Text(1), false),
    ("globalNetworking", Type::Flag, false),
    ("locked", Type::Flag, false),
    ("templateId", Type::Text(1), false),
];

const GPU: [Member; 6] = [
    ("id", Type::Text(0), true),
    ("count", Type::Whole(1), false),
    ("allowedCudaVersions", Type::Versions, false),
    ("minCudaVersion", Type::Version, false),
    ("minRamPerGpu", Type::Whole(1), false),
    ("minVcpuCountPerGpu", Type::Whole(1), false),
];

const CPU: [Member; 2] = [
    ("id", Type::Text(1), true),
    ("vcpuCount", Type::Whole(2), true),
];

const ACTION: [Member; 1] = [(
    "action",
    Type::Word(&["start", "stop", "restart", "terminate"]),
    true,
)];

/// Checks the body of a create.
pub fn create(body: &Value) -> Vec<String> {
    let mut check = Check::default();
    let members: Vec<Member> = CONTAINER.into_iter().chain(CREATE).collect();
    if let Some(all) = check.object("$", body, &members) {
        if !all.contains_key("templateId") && !all.contains_key("image") {
            check
                .errors
                .push(String::from("$: missing property 'image'"));
        }
        check.parts(all);
    }
    check.errors
}

/// Checks the body of a change.
pub fn update(body: &Value) -> Vec<String> {
    let mut check = Check::default();
    let members: Vec<Member> = CONTAINER.into_iter().chain(UPDATE).collect();
    if let Some(all) = check.object("$", body, &members) {
        check.parts(all);
    }
    check.errors
}

/// Checks the body of an action.
pub fn action(body: &Value) -> Vec<String> {
    let mut check = Check::default();
    check.object("$", body, &ACTION);
    check.errors
}

/// Checks a body of SSH keys.
pub fn ssh_keys(body: &Value) -> Vec<String> {
    let mut check = Check::default();
    check.object("$", body, &[("keys", Type::Texts, true)]);
    check.errors
}

impl Check {
    fn parts(&mut self, all: &Map<String, Value>) {
        if let Some(gpu) = all.get("gpu") {
            self.object("$.gpu", gpu, &GPU);
        }
        if let Some(cpu) = all.get("cpu") {
            self.object("$.cpu", cpu, &CPU);
        }
        if let Some(mounts) = all.get("mounts") {
            self.mounts(mounts);
        }
    }

    fn mounts(&mut self, mounts: &Value) {
        let members = [
            ("persistent", Type::Any, false),
            ("network", Type::Any, false),
        ];
        let Some(all) = self.object("$.mounts", mounts, &members) else {
            return;
        };
        if let Some(persistent) = all.get("persistent") {
            let members = [
                ("size", Type::Whole(10), true),
                ("path", Type::Text(0), true),
            ];
            self.object("$.mounts.persistent", persistent, &members);
        }
        match all.get("network") {
            None => {}
            Some(Value::Array(network)) if network.len() <= 1 => {
                for mount in network {
                    let members = [
                        ("volumeId", Type::Text(0), true),
                        ("path", Type::Text(0), true),
                    ];
                    self.object("$.mounts.network[0]", mount, &members);
                }
            }
            Some(Value::Array(_)) => self.say("$.mounts.network", "maxItems: want 1"),
            Some(other) => self.wrong("$.mounts.network", other, "array"),
        }
    }

    fn object<'a>(
        &mut self,
        at: &str,
        value: &'a Value,
        members: &[Member],
    ) -> Option<&'a Map<String, Value>> {
        let Some(all) = value.as_object() else {
            self.wrong(at, value, "object");
            return None;
        };
        for (name, _, required) in members {
            if *required && !all.contains_key(*name) {
                self.say(at, &format!("missing property '{name}'"));
            }
        }
        for (name, value) in all {
            match members.iter().find(|(known, _, _)| known == name) {
                Some((_, wanted, _)) => self.member(&format!("{at}.{name}"), value, *wanted),
                None => self.say(at, &format!("additional properties '{name}' not allowed")),
            }
        }
        Some(all)
    }

    fn member(&mut self, at: &str, value: &Value, wanted: Type) {
        match (wanted, value) {
            (Type::Any, _) | (Type::Flag, Value::Bool(_)) | (Type::TextOrNull, Value::Null) => {}
            (Type::TextOrNull, Value::String(_)) => {}
            (Type::Text(least), Value::String(text)) => {
                if text.chars().count() < least {
                    self.say(at, &format!("minLength: got 0, want {least}"));
                }
            }
            (Type::Word(words), Value::String(text)) => {
                if !words.contains(&text.as_str()) {
                    self.say(
                        at,
                        &format!("value must be one of '{}'", words.join("', '")),
                    );
                }
            }
            (Type::Version, Value::String(text)) => {
                if version(text).is_none() {
                    self.say(
                        at,
                        &format!("'{text}' does not match pattern '^\\d+\\.\\d+$'"),
                    );
                }
            }
            (Type::Whole(least), Value::Number(_)) => match whole(value) {
                Some(number) if number >= least => {}
                Some(number) => self.say(at, &format!("minimum: got {number}, want {least}")),
                None => self.wrong(at, value, "integer"),
            },
            (Type::Texts | Type::Versions, Value::Array(values)) => {
                let inner = match wanted {
                    Type::Versions => Type::Version,
                    _ => Type::Text(0),
                };
                for (index, value) in values.iter().enumerate() {
                    self.member(&format!("{at}[{index}]"), value, inner);
                }
            }
            (Type::Named, Value::Object(values)) => {
                for (name, value) in values {
                    self.member(&format!("{at}.{name}"), value, Type::Text(0));
                }
            }
            (Type::Flag, _) => self.wrong(at, value, "boolean"),
            (Type::Whole(_), _) => self.wrong(at, value, "integer"),
            (Type::Texts | Type::Versions, _) => self.wrong(at, value, "array"),
            (Type::Named, _) => self.wrong(at, value, "object"),
            (Type::TextOrNull, _) => self.wrong(at, value, "string or null"),
            (Type::Text(_) | Type::Word(_) | Type::Version, _) => self.wrong(at, value, "string"),
        }
    }

    fn wrong(&mut self, at: &str, value: &Value, wanted: &str) {
        let got = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        self.say(at, &format!("got {got}, want {wanted}"));
    }

    fn say(&mut self, at: &str, what: &str) {
        self.errors.push(format!("{at}: {what}"));
    }
}

/// A whole number; JSON Schema counts 1.0 among them.
pub fn whole(value: &Value) -> Option<i64> {
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() < 9e15;
    value
        .as_i64()
        .or_else(|| value.as_f64().filter(exact).map(|number| number as i64))
}

/// `major.minor`, compared as two numbers: 12.11 is above 12.2.
pub fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_document_does_not_name_is_refused_where_it_stands() {
        let body = json!({"image": "x", "dataCenterId": "a", "gpu": {"count": 0, "x": 1}, "env": {"A": 1}});
        assert_eq!(
            create(&body),
            [
                "$: missing property 'name'",
                "$: additional properties 'dataCenterId' not allowed",
                "$.env.A: got number, want string",
                "$.gpu: missing property 'id'",
                "$.gpu.count: minimum: got 0, want 1",
                "$.gpu: additional properties 'x' not allowed",
            ]
        );
        assert_eq!(create(&json!([])), ["$: got array, want object"]);
        assert_eq!(action(&json!({"action": "reset"})).len(), 1);
    }

    #[test]
    fn a_template_stands_for_the_image() {
        assert!(create(&json!({"name": "a", "templateId": "t"})).is_empty());
        assert_eq!(
            create(&json!({"name": "a"})),
            ["$: missing property 'image'"]
        );
    }
}
