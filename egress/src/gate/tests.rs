use proptest::prelude::*;

use super::*;
use crate::fuzzing;

fn refused(text: &str) -> Refused {
    Gate::default().check(text).unwrap_err()
}

fn address_class(text: &str) -> Option<AddressClass> {
    match refused(text) {
        Refused::Address { class, .. } => Some(class),
        _ => None,
    }
}

fn name_class(text: &str) -> Option<NameClass> {
    match refused(text) {
        Refused::Name { class, .. } => Some(class),
        _ => None,
    }
}

#[test]
fn public_servers_pass_and_are_normalised() {
    for (text, url, origin) in [
        (
            "http://8.8.8.8:8000",
            "http://8.8.8.8:8000/",
            "http://8.8.8.8:8000",
        ),
        (
            "HTTPS://API.Example.com:443/V1",
            "https://api.example.com/V1",
            "https://api.example.com",
        ),
        (
            "https://a.io/v1?x=y#frag",
            "https://a.io/v1?x=y",
            "https://a.io",
        ),
        ("https://a.io:/v1", "https://a.io/v1", "https://a.io"),
        (
            "https://xn--bcher-kva.example.com/",
            "https://xn--bcher-kva.example.com/",
            "https://xn--bcher-kva.example.com",
        ),
        (
            "http://[2606:4700:0::1]:80/",
            "http://[2606:4700::1]/",
            "http://[2606:4700::1]",
        ),
        ("http://a.io/a/../b", "http://a.io/b", "http://a.io"),
    ] {
        let destination = Gate::default().check(text).unwrap();
        assert_eq!(destination.url().as_str(), url);
        assert_eq!(destination.origin(), origin);
        assert_eq!(destination.reach(), Reach::Public);
    }
}

#[test]
fn texts_that_are_not_plain_web_urls_are_refused() {
    for text in [
        "",
        "a.io",
        "ftp://a.io",
        "file:///etc/passwd",
        "javascript:1",
        "ws://a.io",
        "data:,x",
        "//a.io",
    ] {
        assert_eq!(refused(text), Refused::Scheme, "{text}");
    }
    for text in [
        "http:a.io",
        "http:/a.io",
        "http:\\\\a.io",
        "http://a.io\\@b.io",
        " http://a.io",
        "http://a.io ",
        "http://a.\tio",
        "http://a.io/\n",
        "http://a.io/\u{0}",
        "http://a.io/\u{200b}",
        "http://a.io/ x",
    ] {
        assert_eq!(refused(text), Refused::Ambiguous, "{text:?}");
    }
    for text in [
        "http://",
        "http:///a.io",
        "http://:80",
        "http://?x",
        "http://#x",
    ] {
        assert_eq!(refused(text), Refused::EmptyHost, "{text}");
    }
    for text in [
        "http://u:p@a.io",
        "http://u@a.io",
        "http://@a.io",
        "http://:p@a.io",
        "http://a.io@127.0.0.1",
        "http://a@b@c",
    ] {
        assert_eq!(refused(text), Refused::Credentials, "{text}");
    }
    for text in [
        "http://a b",
        "http://a.io:99999",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1",
    ] {
        assert!(
            matches!(refused(text), Refused::Unreadable(_) | Refused::Ambiguous),
            "{text}"
        );
    }
    let long = format!("http://a.io/{}", "x".repeat(2048));
    assert_eq!(refused(&long), Refused::TooLong { bytes: 2060 });
}

#[test]
fn every_spelling_of_an_inner_ipv4_address_is_seen_through() {
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "0X7F.0x0.0x0.0x1",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "127.0.0.%31",
        "１２７.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "127.255.255.255",
    ] {
        let text = format!("http://{host}/");
        assert_eq!(address_class(&text), Some(AddressClass::Loopback), "{host}");
        let dev = Gate {
            allow_loopback: true,
            ..Gate::default()
        };
        let plain = host.starts_with("127.") && host.parse::<std::net::Ipv4Addr>().is_ok();
        assert_eq!(dev.check(&text).is_ok(), plain, "{host}");
    }
    for (host, class) in [
        ("10.0.0.1", AddressClass::Private),
        ("0xa.1", AddressClass::Private),
        ("172.16.0.1", AddressClass::Private),
        ("192.168.1.1", AddressClass::Private),
        ("169.254.1.1", AddressClass::LinkLocal),
        ("169.254.169.254", AddressClass::Metadata),
        ("2852039166", AddressClass::Metadata),
        ("0xa9fea9fe", AddressClass::Metadata),
        ("100.100.100.200", AddressClass::Metadata),
        ("100.64.0.1", AddressClass::Shared),
        ("0.0.0.0", AddressClass::Unspecified),
        ("0", AddressClass::Unspecified),
        ("224.0.0.1", AddressClass::Multicast),
        ("255.255.255.255", AddressClass::Broadcast),
        ("240.0.0.1", AddressClass::Reserved),
        ("192.0.2.1", AddressClass::Documentation),
        ("198.18.0.1", AddressClass::Benchmark),
    ] {
        assert_eq!(
            address_class(&format!("http://{host}/")),
            Some(class),
            "{host}"
        );
    }
}

#[test]
fn ipv6_forms_of_inner_addresses_are_seen_through() {
    for (host, class) in [
        ("[::1]", AddressClass::Loopback),
        ("[0:0:0:0:0:0:0:1]", AddressClass::Loopback),
        ("[::]", AddressClass::Unspecified),
        ("[::ffff:127.0.0.1]", AddressClass::Embedding),
        ("[::ffff:7f00:1]", AddressClass::Embedding),
        ("[::127.0.0.1]", AddressClass::Embedding),
        ("[::ffff:0:127.0.0.1]", AddressClass::Embedding),
        ("[64:ff9b::169.254.169.254]", AddressClass::Embedding),
        ("[64:ff9b:1::a00:1]", AddressClass::Embedding),
        ("[2002:7f00:1::]", AddressClass::Embedding),
        (
            "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
            AddressClass::Embedding,
        ),
        ("[fe80::1]", AddressClass::LinkLocal),
        ("[fc00::1]", AddressClass::UniqueLocal),
        ("[fd00:ec2::254]", AddressClass::Metadata),
        ("[ff02::1]", AddressClass::Multicast),
        ("[2001:db8::1]", AddressClass::Documentation),
    ] {
        assert_eq!(
            address_class(&format!("http://{host}:8000/v1")),
            Some(class),
            "{host}"
        );
    }
}

#[test]
fn an_unusual_spelling_is_refused_even_of_a_public_host() {
    for (host, meant) in [
        ("0x08080808", "8.8.8.8"),
        ("134744072", "8.8.8.8"),
        ("010.8.8.8", "8.8.8.8"),
        ("8.8.8.8.", "8.8.8.8"),
        ("8.8.2056", "8.8.8.8"),
        ("%61.io", "a.io"),
        ("ａ.io", "a.io"),
        ("b\u{fc}cher.io", "xn--bcher-kva.io"),
        ("a\u{ad}b.io", "ab.io"),
    ] {
        let host_meant = meant.to_owned();
        assert_eq!(
            refused(&format!("http://{host}/")),
            Refused::Spelling { host: host_meant },
            "{host}"
        );
    }
}

#[test]
fn names_that_lead_inward_are_refused() {
    for (host, class) in [
        ("localhost", NameClass::Loopback),
        ("LOCALHOST", NameClass::Loopback),
        ("a.localhost", NameClass::Loopback),
        ("l%6fcalhost", NameClass::Loopback),
        ("metadata.google.internal", NameClass::Metadata),
        ("metadata", NameClass::Metadata),
        ("gpu", NameClass::SingleLabel),
        ("gpu.internal", NameClass::LocalDomain),
        ("gpu.local", NameClass::LocalDomain),
        ("gpu.home.arpa", NameClass::LocalDomain),
        ("127.0.0.1.nip.io", NameClass::WildcardDns),
        ("localtest.me", NameClass::WildcardDns),
        ("10-0-0-1.example.com", NameClass::SpellsAddress),
        ("a..io", NameClass::Invalid),
        ("a*.io", NameClass::Invalid),
    ] {
        assert_eq!(
            name_class(&format!("http://{host}/")),
            Some(class),
            "{host}"
        );
    }
    for host in [
        "localhost.",
        "example.com.",
        "metadata.google.internal.",
        "a.io..",
    ] {
        assert_eq!(
            refused(&format!("http://{host}/")),
            Refused::TrailingDot,
            "{host}"
        );
    }
}

#[test]
fn ports_of_other_services_are_refused() {
    assert_eq!(refused("http://a.io:22"), Refused::Port { port: 22 });
    assert_eq!(refused("http://a.io:0"), Refused::Port { port: 0 });
    let dev = Gate {
        allow_loopback: true,
        ..Gate::default()
    };
    assert_eq!(
        dev.check("http://127.0.0.1:6379"),
        Err(Refused::Port { port: 6379 })
    );
}

#[test]
fn the_development_switch_opens_loopback_and_nothing_else() {
    let dev = Gate {
        allow_loopback: true,
        ..Gate::default()
    };
    for text in [
        "http://127.0.0.1:8000",
        "http://127.9.9.9",
        "http://[::1]:8000",
        "http://localhost:8000/v1",
    ] {
        assert_eq!(dev.check(text).unwrap().reach(), Reach::Loopback, "{text}");
    }
    for text in [
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://0.0.0.0:8000",
        "http://[::ffff:127.0.0.1]",
        "http://a.localhost",
        "http://localhost.",
        "http://lvh.me",
        "http://2130706433",
        "http://gpu",
    ] {
        assert!(dev.check(text).is_err(), "{text}");
    }
    assert_eq!(dev.check("http://8.8.8.8").unwrap().reach(), Reach::Public);
}

#[test]
fn the_list_opens_what_it_names_and_never_a_metadata_service() {
    let rules = "10.0.0.0/24 169.254.0.0/16 100.64.0.0/10 fd00::/8 fd12::1 gpu *.gpu.internal metadata 224.0.0.0/8 *.nip.io";
    let gate = Gate {
        allow: HostRule::parse_list(rules).unwrap(),
        ..Gate::default()
    };
    for text in [
        "http://10.0.0.7:8000",
        "http://169.254.7.7",
        "http://100.64.1.1",
        "http://[fd12::1]:8000",
        "http://gpu:8000",
        "http://a.gpu.internal",
        "http://10.0.0.7.nip.io",
    ] {
        assert_eq!(gate.check(text).unwrap().reach(), Reach::Listed, "{text}");
    }
    for text in [
        "http://10.0.1.1",
        "http://169.254.169.254",
        "http://100.100.100.200",
        "http://[fd00:ec2::254]",
        "http://metadata",
        "http://224.0.0.1",
        "http://gpu.internal",
        "http://127.0.0.1",
        "http://0xa.0.0.7",
        "http://[::ffff:10.0.0.7]",
        "http://gpu:22",
    ] {
        assert!(gate.check(text).is_err(), "{text}");
    }
}

#[test]
fn tls_can_be_required_of_public_hosts() {
    let allow = HostRule::parse_list("10.0.0.7").unwrap();
    let gate = Gate {
        require_tls: true,
        allow,
        allow_loopback: true,
    };
    assert_eq!(gate.check("http://8.8.8.8"), Err(Refused::NotTls));
    for text in ["https://a.io", "http://10.0.0.7", "http://127.0.0.1"] {
        assert!(gate.check(text).is_ok(), "{text}");
    }
}

#[test]
fn a_redirect_is_told_where_it_leads() {
    let gate = Gate::default();
    let from = Url::parse("https://a.io/v1/models").unwrap();
    let leads = |location: &str| gate.check_redirect(&from, location);
    assert_eq!(
        leads("/login?next=http://x").unwrap().url().as_str(),
        "https://a.io/login?next=http://x"
    );
    assert_eq!(leads("//b.io/x").unwrap().origin(), "https://b.io");
    assert_eq!(leads("https://b.io").unwrap().origin(), "https://b.io");
    assert_eq!(leads("http://b.io"), Err(Refused::Downgrade));
    assert_eq!(leads("file:///etc/passwd"), Err(Refused::Scheme));
    assert_eq!(leads("\\\\127.0.0.1"), Err(Refused::Ambiguous));
    assert_eq!(leads("https://u:p@b.io"), Err(Refused::Credentials));
    for inward in [
        "http://169.254.169.254/latest/meta-data",
        "//127.0.0.1",
        "https://0x7f.1",
        "//localhost",
        "https:[::1]",
        "https:127.0.0.1",
    ] {
        assert!(leads(inward).is_err(), "{inward}");
    }
    let plain = Url::parse("http://a.io/").unwrap();
    assert!(gate.check_redirect(&plain, "http://b.io").is_ok());
}

#[test]
fn a_refusal_never_repeats_what_may_be_secret() {
    for text in [
        "http://user:hunter2@a.io/",
        "http://10.0.0.1/hunter2?key=hunter2",
        "http://a.io:22/#hunter2",
    ] {
        let refused = refused(text);
        assert!(
            !format!("{refused} {refused:?}").contains("hunter2"),
            "{refused}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_gate(text in "\\PC{0,60}") {
        fuzzing::url_gate(&text);
    }

    #[test]
    fn no_url_breaks_the_gate(
        scheme in "(http|https|HTTP|ftp):/{0,3}",
        host in "[0-9a-fA-FxX.:%\\[\\]@-]{1,24}|([a-z0-9-]{1,8}\\.){0,3}(com|io|local|internal|localhost|0x7f)\\.?|[0-9]{1,3}(\\.[0-9]{1,3}){3}|\\[[0-9a-f:]{2,30}\\]",
        port in "(:[0-9]{0,6})?",
        path in "(/[a-z0-9%.\\\\]{0,6}){0,3}(\\?[a-z]*)?(#[a-z]*)?",
    ) {
        fuzzing::url_gate(&format!("{scheme}{host}{port}{path}"));
    }

    #[test]
    fn every_address_is_judged_as_the_oracle_does(v4: u32, v6: u128, global in 0u128..(1 << 125)) {
        fuzzing::url_gate(&format!("https://{}/", std::net::Ipv4Addr::from(v4)));
        for bits in [v6, global | 1 << 125] {
            fuzzing::url_gate(&format!("https://[{}]/", std::net::Ipv6Addr::from(bits)));
        }
    }
}
