use super::*;

const KEY: &str = "admin_very_secret";
const CREDENTIAL: &str = r#"{"api_key": "rpa_very_secret"}"#;

/// As a shell would split them.
fn read(line: &str) -> Result<Options, OptionsRefused> {
    let sources = Sources {
        variable: &|name| (name == "TG_ADMIN").then(|| KEY.to_owned()),
        file: &|path| match path {
            "key.json" => Ok(CREDENTIAL.to_owned()),
            "raw" => Ok("rpa_very_secret".to_owned()),
            "other.json" => Ok(r#"{"token": "rpa_very_secret"}"#.to_owned()),
            _ => Err("entity not found".to_owned()),
        },
    };
    Options::read(line.split_whitespace().map(OsString::from), &sources)
}

fn refused(line: &str) -> String {
    let refused = match read(line) {
        Ok(_) => panic!("{line} was taken"),
        Err(refused) => refused.to_string(),
    };
    for secret in [KEY, "very_secret"] {
        assert!(!refused.contains(secret), "{refused}");
    }
    refused
}

const VENDOR: &str = "--vendor runpod --credential-file key.json";
const GATEWAY: &str = "--gateway https://gpu.example.com --admin-key-env TG_ADMIN --account acc_a";
const MARK: &str = "--fingerprint 0123456789";

#[test]
fn a_sweep_beside_the_gateway_is_asked_for_like_this() {
    let line = format!("{VENDOR} {GATEWAY} --org lab --setting cloud=SECURE --setting a= --kill");
    let options = read(&line).unwrap();
    assert_eq!(options.provider.vendor(), "runpod");
    assert_eq!(options.credential.get("api_key"), Some("rpa_very_secret"));
    assert_eq!(options.settings.get("cloud"), Some("SECURE"));
    assert!(options.kill && options.fingerprint.is_none() && options.times == 1);
    let Asked::Gateway {
        url,
        admin_key,
        org,
        account,
    } = options.owners
    else {
        panic!("the gateway is not asked");
    };
    assert_eq!(
        (url.as_str(), org.as_str(), account.as_str()),
        ("https://gpu.example.com/", "lab", "acc_a")
    );
    assert_eq!(admin_key.expose_str(), Some(KEY));
}

#[test]
fn a_sweep_without_it_says_whose_machines_and_how_old() {
    let options = read(&format!(
        "{VENDOR} {MARK} --without-gateway --older-than 13h"
    ))
    .unwrap();
    let is_right = matches!(options.owners, Asked::Nobody { older_than } if older_than == Span::from_secs(46_800));
    assert!(is_right && !options.kill);
}

#[test]
fn what_is_missing_or_does_not_go_together_is_named() {
    for (line, word) in [
        (String::new(), "--vendor"),
        (format!("--vendor lambda {GATEWAY}"), "runpod and aws"),
        (format!("--vendor runpod {GATEWAY}"), "--credential-file"),
        (VENDOR.to_owned(), "--gateway"),
        (
            format!("{VENDOR} --gateway https://a --admin-key-env TG_ADMIN"),
            "--account",
        ),
        (
            format!("{VENDOR} --gateway https://a --account acc_a"),
            "--admin-key-env",
        ),
        (
            format!("{VENDOR} --gateway https://a --account acc_a --admin-key-env NONE"),
            "NONE is not set",
        ),
        (
            format!("{VENDOR} {GATEWAY} --older-than 13h"),
            "--without-gateway",
        ),
        (
            format!("{VENDOR} {GATEWAY} --fingerprint 0123"),
            "ten digits",
        ),
        (format!("{VENDOR} {GATEWAY} --account ../other"), "acc_"),
        (format!("{VENDOR} {GATEWAY} --setting cloud"), "NAME=VALUE"),
        (format!("{VENDOR} {GATEWAY} --grace 1s"), "--vendor-origins"),
        (
            format!("{VENDOR} {GATEWAY} --vendor-origins aws=http://a --grace 1s"),
            "--vendor-origins",
        ),
        (
            format!("{VENDOR} {GATEWAY} --vendor-origins azure=http://a"),
            "--vendor-origins",
        ),
        (
            format!("{VENDOR} --without-gateway --older-than 13h"),
            "--fingerprint",
        ),
        (format!("{VENDOR} {MARK} --without-gateway"), "--older-than"),
        (
            format!("{VENDOR} {MARK} {GATEWAY} --without-gateway --older-than 13h"),
            "--gateway",
        ),
    ] {
        let words = refused(&line);
        assert!(words.contains(word), "{line}: {words}");
    }
}

#[test]
fn an_age_that_is_none_or_too_young_is_refused() {
    for age in [
        "",
        "13",
        "h",
        "9m",
        "-1h",
        "13H",
        "1.5h",
        "13 h",
        "99999999999999999999h",
        "9223372036854775807d",
        "é",
    ] {
        let words = [
            "--vendor",
            "runpod",
            "--credential-file",
            "key.json",
            "--without-gateway",
            "--fingerprint",
            "0123456789",
            "--older-than",
            age,
        ];
        let sources = Sources {
            variable: &|_| None,
            file: &|_| Ok(CREDENTIAL.to_owned()),
        };
        let read = Options::read(words.map(OsString::from), &sources);
        let Err(refused) = read else {
            panic!("{age} was taken");
        };
        assert!(
            refused.to_string().contains("--older-than"),
            "{age}: {refused}"
        );
    }
}

#[test]
fn the_admin_key_goes_over_tls_or_stays_on_this_computer() {
    let line =
        |url: &str| format!("{VENDOR} --gateway {url} --admin-key-env TG_ADMIN --account acc_a");
    for url in [
        "https://a",
        "https://a/tidegate/",
        "http://127.0.0.1:8787",
        "http://localhost:1",
        "http://[::1]:1",
    ] {
        assert!(read(&line(url)).is_ok(), "{url}");
    }
    for url in [
        "http://gpu.example.com",
        "http://127.0.0.1.example.com",
        "ftp://a",
        "a",
        "https://me:very_secret@a",
        "https://a?k=very_secret",
        "https://a#x",
    ] {
        assert!(refused(&line(url)).contains("--gateway"), "{url}");
    }
}

#[test]
fn a_credential_that_is_none_is_named_by_its_file_and_not_shown() {
    for (file, word) in [
        ("nowhere", "nowhere cannot be read"),
        ("raw", "{\"api_key\": \"…\"}"),
        ("other.json", "api_key"),
    ] {
        let words = refused(&format!(
            "--vendor runpod --credential-file {file} {GATEWAY}"
        ));
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn a_secret_among_the_arguments_is_not_repeated() {
    for line in [
        "very_secret",
        "--api-key very_secret",
        "--api-key=very_secret",
        "-k very_secret",
    ] {
        refused(&format!("{VENDOR} {GATEWAY} {line}"));
    }
}

#[test]
fn a_shorter_grace_makes_the_clock_run_and_nothing_else() {
    let line = format!("{VENDOR} {GATEWAY} --vendor-origins runpod=http://127.0.0.1:1 --grace");
    assert_eq!(read(&format!("{line} 2s")).unwrap().times, 300);
    assert_eq!(read(&format!("{line} 10m")).unwrap().times, 1);
    for grace in ["0s", "11m", "x"] {
        assert!(refused(&format!("{line} {grace}")).contains("--grace"));
    }
}
