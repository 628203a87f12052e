//! `/openapi.json`, `/docs` and its parts: which file of the build, with which headers.

use tidegate_domain::time::Timestamp;
use tidegate_durable::testkit::Seeded;
use tidegate_edge::effect::Effect;
use tidegate_edge::gateway::{Config, Gateway};
use tidegate_edge::request::Head;
use tidegate_vault::{Installation, Keyring};

use crate::document::{Seen, document};

/// The effects of a request without a key, but for its line in the log.
fn effects(method: &str, path: &str) -> Vec<Effect> {
    let installation = Installation::derive(b"installation-0123456789abcdef-xyz").unwrap();
    let config = Config {
        keyring: Keyring::new(installation.wrapping_key().clone(), None),
        installation,
        admin_key: None,
        gate: Default::default(),
        manners: Default::default(),
        public_url: None,
    };
    let mut gateway = Gateway::new(config, Box::new(Seeded::new(3)));
    let head = Head {
        method: method.to_owned(),
        path: path.to_owned(),
        ..Head::default()
    };
    let effects = gateway.begin(Timestamp::from_ms(1), head).1;
    let is_line = |effect: &Effect| matches!(effect, Effect::Log { .. });
    assert_eq!(effects.iter().filter(|effect| is_line(effect)).count(), 1);
    effects
        .into_iter()
        .filter(|effect| !is_line(effect))
        .collect()
}

#[test]
fn each_path_is_a_file_of_the_build_and_nothing_else_is_asked() {
    for (path, expected) in [
        ("/openapi.json", "openapi.json"),
        ("/docs", "docs.html"),
        ("/docs/", "docs.html"),
        ("/docs/docs.js", "docs.js"),
        ("/docs/docs.css", "docs.css"),
        ("/docs/swagger-ui-bundle.js", "swagger-ui-bundle.js"),
        ("/docs/swagger-ui.css", "swagger-ui.css"),
    ] {
        let effects = effects("GET", path);
        let [Effect::RespondAsset { file, headers }, Effect::Done] = effects.as_slice() else {
            panic!("{path}: {effects:?}");
        };
        assert_eq!(*file, expected);
        let policy = headers
            .iter()
            .find(|(name, _)| name == "content-security-policy");
        let (_, policy) = policy.expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("http"),
            "{policy}"
        );
        let refusal = document().refusal(&Seen {
            method: "GET",
            path,
            status: 200,
            headers,
            body: None,
        });
        assert_eq!(refusal, None, "{path}");
    }
}

#[test]
fn no_other_name_reaches_the_host() {
    for path in [
        "/docs/openapi.json",
        "/docs/docs.html",
        "/docs/..%2Findex.js",
        "/docs/%2e%2e",
        "/docs/a/b",
    ] {
        let effects = effects("GET", path);
        let [Effect::Respond { status: 404, .. }, Effect::Done] = effects.as_slice() else {
            panic!("{path}: {effects:?}");
        };
    }
    let effects = effects("POST", "/openapi.json");
    assert!(matches!(
        effects.as_slice(),
        [Effect::Respond { status: 405, .. }, Effect::Done]
    ));
}
