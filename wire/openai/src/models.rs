//! The model list as clients see it: OpenAI's shape, with the number of servers behind each model
//! under a key of our own that the SDKs keep and ignore.

use serde::Serialize;

/// One model a client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCard {
    /// The name to ask for.
    pub id: String,
    /// When it was first registered, in seconds since 1970.
    pub created: u64,
    /// Who registered it.
    pub owned_by: String,
    /// Servers that can take a request now.
    pub healthy_servers: u32,
    /// Servers registered.
    pub servers: u32,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'a str,
    tidegate: Servers,
}

#[derive(Serialize)]
struct Servers {
    healthy_servers: u32,
    servers: u32,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Shown<'a>>,
}

impl ModelCard {
    fn shown(&self) -> Shown<'_> {
        Shown {
            id: &self.id,
            object: "model",
            created: self.created,
            owned_by: &self.owned_by,
            tidegate: Servers {
                healthy_servers: self.healthy_servers,
                servers: self.servers,
            },
        }
    }
}

/// The body of `GET /v1/models`, in the order given.
pub fn render_list(cards: &[ModelCard]) -> Vec<u8> {
    // Strings and numbers always serialize; the empty body is unreachable and still harmless.
    let list = List {
        object: "list",
        data: cards.iter().map(ModelCard::shown).collect(),
    };
    serde_json::to_vec(&list).unwrap_or_default()
}

/// The body of `GET /v1/models/{id}`.
pub fn render_one(card: &ModelCard) -> Vec<u8> {
    serde_json::to_vec(&card.shown()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{ModelCard, render_list, render_one};

    fn card() -> ModelCard {
        ModelCard {
            id: "org/tiny \"chat\"".to_owned(),
            created: 1_793_181_600,
            owned_by: "default".to_owned(),
            healthy_servers: 1,
            servers: 2,
        }
    }

    const ONE: &str = r#"{"id":"org/tiny \"chat\"","object":"model","created":1793181600,"owned_by":"default","tidegate":{"healthy_servers":1,"servers":2}}"#;

    #[test]
    fn one_model_has_openais_shape_and_its_servers() {
        assert_eq!(String::from_utf8(render_one(&card())).unwrap(), ONE);
    }

    #[test]
    fn a_list_holds_its_models_and_may_be_empty() {
        assert_eq!(
            String::from_utf8(render_list(&[card()])).unwrap(),
            format!(r#"{{"object":"list","data":[{ONE}]}}"#)
        );
        assert_eq!(render_list(&[]), br#"{"object":"list","data":[]}"#);
    }
}
