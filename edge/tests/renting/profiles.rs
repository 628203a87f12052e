use serde_json::{Value, json};

use crate::rig::{HF_TOKEN, Rig};

const SMALL: &str = "/admin/profiles/small";

/// What a `GET` shows, as a `PUT` takes it.
fn as_body(shown: &Value) -> Value {
    let mut body = shown.clone();
    for field in ["name", "updated_at"] {
        body.as_object_mut().unwrap().remove(field).unwrap();
    }
    body
}

#[test]
fn a_model_is_all_that_a_profile_of_a_known_kind_needs() {
    let mut rig = Rig::new();
    for (kind, image, port, args, env, key, health, preload) in [
        (
            "vllm",
            "vllm/vllm-openai:latest",
            8000,
            json!(["--model", "acme/tiny", "--port", "8000"]),
            json!({}),
            json!("VLLM_API_KEY"),
            "/health",
            Value::Null,
        ),
        (
            "tgi",
            "ghcr.io/huggingface/text-generation-inference:latest",
            80,
            json!(["--model-id", "acme/tiny", "--port", "80"]),
            json!({}),
            json!("API_KEY"),
            "/health",
            Value::Null,
        ),
        (
            "ollama",
            "ollama/ollama:latest",
            11434,
            json!([]),
            json!({ "OLLAMA_HOST": "0.0.0.0:11434", "OLLAMA_NUM_PARALLEL": "4" }),
            Value::Null,
            "/api/version",
            json!({ "path": "/api/pull", "body": { "model": "acme/tiny", "stream": false } }),
        ),
        (
            "llama_cpp",
            "ghcr.io/ggml-org/llama.cpp:server-cuda",
            8080,
            json!([
                "-hf",
                "acme/tiny",
                "--alias",
                "acme/tiny",
                "--host",
                "0.0.0.0",
                "--port",
                "8080",
                "--parallel",
                "4"
            ]),
            json!({}),
            json!("LLAMA_API_KEY"),
            "/health",
            Value::Null,
        ),
    ] {
        let body = json!({ "kind": kind, "model_name": "tiny", "upstream_model": "acme/tiny" });
        let shown = rig.put(SMALL, body).body;
        assert_eq!(
            (&shown["image"], &shown["port"]),
            (&json!(image), &json!(port))
        );
        assert_eq!((&shown["args"], &shown["env"]), (&args, &env), "{kind}");
        assert_eq!(
            (&shown["api_key_env"], &shown["preload"]),
            (&key, &preload),
            "{kind}"
        );
        assert_eq!(shown["health_path"], health);
        let scaling = json!({
            "max_instances": 1, "idle_timeout_seconds": 900, "on_idle": "terminate",
            "max_lifetime_seconds": 43_200,
        });
        assert_eq!(shown["scaling"], scaling);
        assert_eq!(
            (&shown["gpu_count"], &shown["queue_depth"]),
            (&json!(1), &json!(64))
        );
    }
    let body = json!({
        "kind": "vllm", "model_name": "acme/tiny", "gpu_count": 2, "port": 9000, "max_concurrency": 8,
    });
    let shown = rig.put(SMALL, body).body;
    assert_eq!(
        shown["args"],
        json!([
            "--model",
            "acme/tiny",
            "--port",
            "9000",
            "--tensor-parallel-size",
            "2"
        ])
    );
    assert_eq!(
        (&shown["max_concurrency"], &shown["upstream_model"]),
        (&json!(8), &Value::Null)
    );
}

#[test]
fn what_is_shown_can_be_sent_back_and_changes_nothing() {
    let mut rig = Rig::new();
    let custom = json!({
        "kind": "custom", "model_name": "tiny", "image": "acme/server:1", "port": 9000,
        "args": ["--fast"], "env": { "A": "b" }, "secret_env": { "HF_TOKEN": HF_TOKEN },
        "api_key_env": "KEY", "health_path": "/up?full=1",
        "preload": { "path": "/load", "body": { "a": [1, "b"] } },
        "min_vram_gb": 16, "gpu_count": 2, "disk_gb": 20, "max_concurrency": 3, "queue_depth": 0,
        "scaling": {
            "max_instances": 2, "idle_timeout_seconds": null, "on_idle": "stop",
            "max_lifetime_seconds": 3_600,
        },
    });
    let nothing = json!({
        "kind": "ollama", "model_name": "tiny", "preload": null, "api_key_env": null, "env": {},
        "args": [],
    });
    for body in [custom.clone(), nothing.clone()] {
        let put = rig.put(SMALL, body.clone());
        assert_eq!(put.status, 200, "{}", put.body);
        for (field, value) in body.as_object().unwrap() {
            let expected = if field == "secret_env" {
                json!({ "HF_TOKEN": null })
            } else {
                value.clone()
            };
            assert_eq!(put.body[field], expected, "{field}");
        }
        let shown = rig.get(SMALL);
        assert_eq!(shown.body, put.body);
        let before = rig.get("/admin/audit").body;
        let again = rig.put(SMALL, as_body(&shown.body));
        assert_eq!(again.body, shown.body);
        assert_eq!(rig.get("/admin/audit").body, before, "nothing has changed");
    }
    let list = rig.get("/admin/profiles").body;
    assert_eq!(list["data"][0]["name"], "small");
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_secret_is_sealed_for_its_profile_and_variable_and_kept_by_null() {
    let mut rig = Rig::new();
    rig.profile();
    let sealed = rig.told("put_profile")["profile"]["sealed_env"]["HF_TOKEN"].clone();
    assert_eq!(
        rig.opened("profile/small", "env/HF_TOKEN", &sealed),
        HF_TOKEN
    );
    let mut body = as_body(&rig.get(SMALL).body);
    body["secret_env"]["OTHER"] = json!(HF_TOKEN);
    assert_eq!(rig.put(SMALL, body.clone()).status, 200);
    let told = rig.told("put_profile")["profile"]["sealed_env"].clone();
    assert_eq!(told["HF_TOKEN"], "", "what is stored stays");
    assert_eq!(
        rig.opened("profile/small", "env/OTHER", &told["OTHER"]),
        HF_TOKEN
    );
    body["secret_env"] = json!({ "NEW": null });
    let refused = rig.put(SMALL, body);
    assert_eq!(
        refused.error(),
        (400, "invalid_value", Some("secret_env.NEW"))
    );
}

#[test]
fn a_bad_profile_is_refused_by_its_field() {
    let mut rig = Rig::new();
    for (field, value, code, param) in [
        ("kind", json!("sglang"), "invalid_value", "kind"),
        ("kind", Value::Null, "missing_required_parameter", "kind"),
        ("model_name", json!(""), "invalid_value", "model_name"),
        ("image", json!("a b"), "invalid_value", "image"),
        ("args", json!("x"), "invalid_type", "args"),
        ("args", json!(["x".repeat(5_000)]), "invalid_value", "args"),
        ("env", json!({ "A": 7 }), "invalid_type", "env.A"),
        ("env", json!({ "1A": "b" }), "invalid_value", "env"),
        (
            "secret_env",
            json!({ "A": ["hf"] }),
            "invalid_type",
            "secret_env.A",
        ),
        (
            "secret_env",
            json!({ "A": "\u{0}" }),
            "invalid_value",
            "secret_env.A",
        ),
        (
            "secret_env",
            json!({ "VLLM_API_KEY": "x" }),
            "invalid_value",
            "api_key_env",
        ),
        ("port", json!(0), "invalid_value", "port"),
        ("port", json!("80"), "invalid_type", "port"),
        (
            "health_path",
            json!("health"),
            "invalid_value",
            "health_path",
        ),
        (
            "preload",
            json!({ "path": "/x" }),
            "missing_required_parameter",
            "preload.body",
        ),
        (
            "preload",
            json!({ "path": "x", "body": {} }),
            "invalid_value",
            "preload.path",
        ),
        ("gpu_count", json!(0), "invalid_value", "gpu_count"),
        ("disk_gb", json!(1), "invalid_value", "disk_gb"),
        (
            "scaling",
            json!({ "on_idle": "sleep" }),
            "invalid_value",
            "scaling.on_idle",
        ),
        (
            "scaling",
            json!({ "idle": 1 }),
            "invalid_value",
            "scaling.idle",
        ),
        (
            "scaling",
            json!({ "idle_timeout_seconds": 0 }),
            "invalid_value",
            "scaling.idle_timeout_seconds",
        ),
        (
            "scaling",
            json!({ "max_lifetime_seconds": 2_592_001 }),
            "invalid_value",
            "scaling.max_lifetime_seconds",
        ),
        ("name", json!("small"), "invalid_value", "name"),
    ] {
        let mut body = json!({ "kind": "vllm", "model_name": "tiny" });
        body[field] = value;
        let answer = rig.put(SMALL, body.clone());
        assert_eq!(answer.error(), (400, code, Some(param)), "{body}");
    }
    for missing in ["image", "port"] {
        let mut body = json!({ "kind": "custom", "model_name": "m", "image": "i", "port": 1 });
        body[missing] = Value::Null;
        let answer = rig.put(SMALL, body);
        assert_eq!(
            answer.error(),
            (400, "missing_required_parameter", Some(missing))
        );
    }
    let odd = rig.put(
        "/admin/profiles/a%20b",
        json!({ "kind": "vllm", "model_name": "tiny" }),
    );
    assert_eq!(odd.error(), (400, "invalid_value", Some("name")));
    assert_eq!(rig.world.count("profiles"), 0);
}

#[test]
fn a_profile_that_is_not_there_is_not_found() {
    let mut rig = Rig::new();
    rig.profile();
    assert_eq!(
        rig.delete(SMALL).body,
        json!({ "name": "small", "deleted": true })
    );
    assert_eq!(rig.delete(SMALL).error(), (404, "not_found", None));
    assert_eq!(rig.get(SMALL).error(), (404, "not_found", None));
}
