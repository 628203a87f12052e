//! What is known of engines: where a profile's left-out fields come from.
//!
//! Invariant: a profile of a known kind needs no more than a model: what comes from here starts that engine with it,
//! on the profile's port, with a key of its own where the engine can ask for one.
//!
//! Sources, read in November 2026:
//! * vLLM: <https://docs.vllm.ai/en/latest/deployment/docker.html>, the key in
//!   <https://docs.vllm.ai/en/latest/getting_started/quickstart.html>. `--model` is taken by every release, newer
//!   ones want the model without it and say so in their log.
//! * TGI: <https://huggingface.co/docs/text-generation-inference/quicktour> and `/reference/launcher`. It splits a
//!   model over all GPUs that it sees.
//! * Ollama: <https://docs.ollama.com/docker>, <https://docs.ollama.com/api>, `OLLAMA_NUM_PARALLEL` (1 by itself) in
//!   <https://docs.ollama.com/faq>. It asks for no key and loads nothing before it is told to.
//! * llama.cpp: <https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md> and `docs/docker.md` there.

use std::collections::BTreeMap;

use serde_json::json;
use tidegate_durable::bindings::rental::Preload;

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// vLLM.
    Vllm,
    /// Hugging Face's Text Generation Inference.
    Tgi,
    /// Ollama.
    Ollama,
    /// llama.cpp's server.
    LlamaCpp,
    /// Any container that serves.
    Custom,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Vllm,
        Self::Tgi,
        Self::Ollama,
        Self::LlamaCpp,
        Self::Custom,
    ];

    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Tgi => "tgi",
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llama_cpp",
            Self::Custom => "custom",
        }
    }

    /// The kind of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Its image.
    pub const fn image(self) -> Option<&'static str> {
        match self {
            Self::Vllm => Some("vllm/vllm-openai:latest"),
            Self::Tgi => Some("ghcr.io/huggingface/text-generation-inference:latest"),
            Self::Ollama => Some("ollama/ollama:latest"),
            Self::LlamaCpp => Some("ghcr.io/ggml-org/llama.cpp:server-cuda"),
            Self::Custom => None,
        }
    }

    /// The port that it serves on.
    pub const fn port(self) -> Option<u16> {
        match self {
            Self::Vllm => Some(8000),
            Self::Tgi => Some(80),
            Self::Ollama => Some(11_434),
            Self::LlamaCpp => Some(8080),
            Self::Custom => None,
        }
    }

    /// The path that answers 2xx once it can be asked.
    pub const fn health_path(self) -> &'static str {
        match self {
            Self::Vllm | Self::Tgi | Self::LlamaCpp | Self::Custom => "/health",
            Self::Ollama => "/api/version",
        }
    }

    /// The variable in which it takes its key.
    pub const fn api_key_env(self) -> Option<&'static str> {
        match self {
            Self::Vllm => Some("VLLM_API_KEY"),
            Self::Tgi => Some("API_KEY"),
            Self::LlamaCpp => Some("LLAMA_API_KEY"),
            Self::Ollama | Self::Custom => None,
        }
    }

    /// Requests that it runs at once on one GPU.
    pub const fn max_concurrency(self) -> u32 {
        match self {
            Self::Vllm | Self::Tgi | Self::Custom => 32,
            // Each gets a share of the context, so few.
            Self::Ollama | Self::LlamaCpp => 4,
        }
    }

    /// Disk for its image and for weights that fit one large GPU. Images with CUDA's libraries unpack to 10 to 25 GB.
    pub const fn disk_gb(self) -> u32 {
        match self {
            Self::Vllm | Self::Tgi => 100,
            Self::Ollama | Self::LlamaCpp | Self::Custom => 60,
        }
    }

    /// Its arguments.
    pub fn args(self, model: &str, port: u16, gpu_count: u32, max_concurrency: u32) -> Vec<String> {
        let port = port.to_string();
        let (gpus, slots) = (gpu_count.to_string(), max_concurrency.to_string());
        let mut args = match self {
            Self::Vllm => vec!["--model", model, "--port", &port],
            Self::Tgi => vec!["--model-id", model, "--port", &port],
            Self::LlamaCpp => vec![
                "-hf",
                model,
                "--alias",
                model,
                "--host",
                "0.0.0.0",
                "--port",
                &port,
                "--parallel",
                &slots,
            ],
            Self::Ollama | Self::Custom => Vec::new(),
        };
        if self == Self::Vllm && gpu_count > 1 {
            args.extend(["--tensor-parallel-size", &gpus]);
        }
        args.into_iter().map(str::to_owned).collect()
    }

    /// Its variables.
    pub fn env(self, port: u16, max_concurrency: u32) -> BTreeMap<String, String> {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        match self {
            Self::Ollama => [
                pair("OLLAMA_HOST", format!("0.0.0.0:{port}")),
                pair("OLLAMA_NUM_PARALLEL", max_concurrency.to_string()),
            ]
            .into(),
            Self::Vllm | Self::Tgi | Self::LlamaCpp | Self::Custom => BTreeMap::new(),
        }
    }

    /// What loads the model, where the engine does not by itself.
    pub fn preload(self, model: &str) -> Option<Preload> {
        match self {
            Self::Ollama => Some(Preload {
                path: "/api/pull".to_owned(),
                body: json!({ "model": model, "stream": false }).to_string(),
            }),
            Self::Vllm | Self::Tgi | Self::LlamaCpp | Self::Custom => None,
        }
    }
}
