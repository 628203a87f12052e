use super::*;
use crate::bindings::fleet::FleetAnswer;
use crate::bindings::rental::Preload;

fn honest() -> Profile {
    Profile {
        kind: "vllm".to_owned(),
        model_name: "llama".to_owned(),
        image: "vllm/vllm-openai:v0.23.0".to_owned(),
        args: vec!["--model".to_owned(), "meta-llama/Llama-3.1-8B".to_owned()],
        env: [("A".to_owned(), "b\nc".to_owned())].into(),
        sealed_env: [("HF_TOKEN".to_owned(), "sealed1.x".to_owned())].into(),
        api_key_env: Some("VLLM_API_KEY".to_owned()),
        port: 8000,
        health_path: "/health".to_owned(),
        preload: Some(Preload {
            path: "/api/pull".to_owned(),
            body: "{}".to_owned(),
        }),
        gpu_count: 1,
        disk_gb: 50,
        max_concurrency: 32,
        queue_depth: 64,
        max_instances: 1,
        idle_ms: Some(900_000),
        max_lifetime_ms: 43_200_000,
        ..Profile::default()
    }
}

fn judged(name: &str, change: impl FnOnce(&mut Profile)) -> Option<String> {
    let mut it = honest();
    change(&mut it);
    profile(name, &it)
        .err()
        .map(|refused| match refused.into() {
            FleetAnswer::Invalid { param, .. } => param,
            other => format!("{other:?}"),
        })
}

fn refusal(change: impl FnOnce(&mut Profile)) -> Option<String> {
    judged("llama-8b", change)
}

#[test]
fn an_honest_profile_passes_with_any_kind() {
    for kind in KINDS {
        assert_eq!(refusal(|it| it.kind = kind.to_owned()), None, "{kind}");
    }
    let bare = refusal(|it| {
        *it = Profile {
            env: Default::default(),
            sealed_env: Default::default(),
            api_key_env: None,
            preload: None,
            idle_ms: None,
            args: Vec::new(),
            ..honest()
        }
    });
    assert_eq!(bare, None);
}

#[test]
fn a_name_stands_in_paths() {
    for name in ["a", "Llama-3.1_8b", "x".repeat(64).as_str(), "a.b"] {
        assert_eq!(judged(name, |_| ()), None, "{name}");
    }
    let long = "x".repeat(65);
    for name in ["", "a/b", "a b", "é", ".", "..", "a\0", &long] {
        assert_eq!(judged(name, |_| ()).as_deref(), Some("name"), "{name}");
    }
}

#[test]
fn what_is_out_of_bounds_is_named() {
    type Change = fn(&mut Profile);
    let table: [(&str, Change); 26] = [
        ("kind", |it| it.kind = "sglang".to_owned()),
        ("model_name", |it| it.model_name.clear()),
        ("upstream_model", |it| {
            it.upstream_model = Some(String::new())
        }),
        ("image", |it| it.image.clear()),
        ("image", |it| it.image = "a b".to_owned()),
        ("image", |it| it.image = "x".repeat(513)),
        ("args", |it| it.args = vec![String::new(); 101]),
        ("args", |it| it.args = vec!["x".repeat(4_097)]),
        ("args", |it| it.args = vec!["\0".to_owned()]),
        ("env", |it| {
            drop(it.env.insert("1A".to_owned(), String::new()))
        }),
        ("env", |it| {
            drop(it.env.insert("B".to_owned(), "x".repeat(4_096)))
        }),
        ("env", |it| {
            drop(it.env.insert("B".to_owned(), "\0".to_owned()))
        }),
        ("secret_env", |it| {
            drop(it.sealed_env.insert("a-b".to_owned(), "s".to_owned()))
        }),
        ("secret_env", |it| {
            drop(it.sealed_env.insert("A".to_owned(), "s".to_owned()))
        }),
        ("secret_env", |it| {
            drop(it.sealed_env.insert("B".to_owned(), "s".repeat(16_384)))
        }),
        ("api_key_env", |it| it.api_key_env = Some(String::new())),
        ("api_key_env", |it| it.api_key_env = Some("A".to_owned())),
        ("api_key_env", |it| {
            it.api_key_env = Some("HF_TOKEN".to_owned())
        }),
        ("port", |it| it.port = 0),
        ("health_path", |it| it.health_path = "health".to_owned()),
        ("health_path", |it| {
            it.health_path = "//other.example.com/".to_owned()
        }),
        ("preload.path", |it| it.preload = Some(Preload::default())),
        ("gpu_count", |it| it.gpu_count = 0),
        ("disk_gb", |it| it.disk_gb = 9),
        ("scaling.idle_timeout_seconds", |it| it.idle_ms = Some(999)),
        ("scaling.max_lifetime_seconds", |it| it.max_lifetime_ms = 0),
    ];
    for (param, change) in table {
        assert_eq!(refusal(change).as_deref(), Some(param));
    }
}

#[test]
fn bounds_are_included() {
    assert_eq!(
        refusal(|it| {
            it.idle_ms = Some(1_000);
            it.max_lifetime_ms = 10_000;
            it.min_vram_gb = 0;
            it.disk_gb = 10;
            it.queue_depth = 0;
        }),
        None
    );
    assert_eq!(
        refusal(|it| {
            it.idle_ms = Some(30 * 86_400_000);
            it.max_lifetime_ms = 30 * 86_400_000;
            it.min_vram_gb = 1_000;
            it.gpu_count = 16;
            it.disk_gb = 16_000;
            it.max_concurrency = 10_000;
            it.queue_depth = 100_000;
            it.max_instances = 100;
        }),
        None
    );
    let a_second_more = 30 * 86_400_000 + 1_000;
    let refused = refusal(|it| it.max_lifetime_ms = a_second_more);
    assert_eq!(refused.as_deref(), Some("scaling.max_lifetime_seconds"));
}

#[test]
fn variables_of_both_kinds_are_counted_together() {
    let many = |count: usize| {
        move |it: &mut Profile| {
            it.env = (0..count - 1)
                .map(|at| (format!("V{at}"), String::new()))
                .collect();
        }
    };
    assert_eq!(refusal(many(40)), None);
    assert_eq!(refusal(many(41)).as_deref(), Some("env"));
}
