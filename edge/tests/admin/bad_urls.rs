//! Addresses that are refused before anything is sent anywhere.

use serde_json::json;

use crate::world::{ADMIN_KEY, World};

const REFUSED: [&str; 41] = [
    "",
    "gpu.example.com",
    "ftp://gpu.example.com",
    "file:///etc/passwd",
    "http:gpu.example.com",
    "http://",
    "http://:8000",
    // Credentials.
    "https://user:hunter2@gpu.example.com",
    "https://user@gpu.example.com",
    "https://@gpu.example.com",
    // Private, shared and reserved networks.
    "http://10.0.0.1",
    "http://172.16.3.4:8000",
    "http://192.168.1.1",
    "http://100.64.0.1",
    "http://0.0.0.0",
    "http://255.255.255.255",
    "http://[fd00::1]",
    "http://server.local",
    "http://server.internal",
    "http://server",
    // Loopback.
    "http://127.0.0.1:8000",
    "http://127.1",
    "http://localhost:8000",
    "http://a.localhost",
    "http://[::1]:8000",
    // Link-local and metadata.
    "http://169.254.169.254/latest/meta-data",
    "http://169.254.0.1",
    "http://[fe80::1]",
    "http://metadata.google.internal",
    "http://[fd00:ec2::254]",
    // Decimal, octal, hexadecimal and other spellings.
    "http://2130706433",
    "http://0177.0.0.1",
    "http://0x7f.0.0.1",
    "http://0x7f000001",
    "http://127.0.0.1.",
    "http://１２７.0.0.1",
    "http://%31%32%37.0.0.1",
    // IPv4 inside IPv6.
    "http://[::ffff:127.0.0.1]",
    "http://[::ffff:a9fe:a9fe]",
    "http://[64:ff9b::7f00:1]",
    // What only looks like a base.
    "https://gpu.example.com/v1/chat/completions",
];

#[test]
fn a_bad_address_is_400_with_the_reason_and_nothing_is_sent() {
    let mut world = World::new();
    for url in REFUSED {
        let body = json!({ "model_name": "tiny", "endpoint_url": url });
        let answer = world.admin("POST", "/admin/register", body);
        assert_eq!(
            answer.error(),
            (400, "invalid_value", Some("endpoint_url")),
            "{url}"
        );
        assert!(
            answer.message().len() > 60,
            "a reason is given: {}",
            answer.message()
        );
        assert!(!answer.message().contains("hunter2"));
        assert_eq!(
            (&world.asked[..], &world.probed[..]),
            (&[][..], &[][..]),
            "{url}"
        );
    }
}

#[test]
fn moving_a_server_to_a_bad_address_is_400_and_leaves_it_where_it_was() {
    let mut world = World::new();
    let id = world.register(json!({}));
    let path = format!("/admin/register/{id}");
    for url in REFUSED {
        let answer = world.admin("PUT", &path, json!({ "endpoint_url": url }));
        assert_eq!(
            answer.error(),
            (400, "invalid_value", Some("endpoint_url")),
            "{url}"
        );
        assert_eq!(
            (&world.asked[..], &world.probed[..]),
            (&[][..], &[][..]),
            "{url}"
        );
    }
    let server = world.get(&format!("/admin/servers/{id}")).body;
    assert_eq!(server["endpoint_url"], crate::world::URL);
}

#[test]
fn an_address_with_an_escape_in_the_json_is_no_way_round() {
    let mut world = World::new();
    let body = br#"{"model_name":"tiny","endpoint_url":"http://\u0031\u00327.0.0.1\u0000"}"#;
    let answer = world.raw("POST", "/admin/register", &[("x-api-key", ADMIN_KEY)], body);
    assert_eq!(answer.error(), (400, "invalid_value", Some("endpoint_url")));
}
