//! async-openai asks the gateway one kind of thing and fails loudly when the answer is not what it should be.
//!
//! `tidegate-async-openai SCENARIO`, with `BASE_URL`, `KEY` and `MODEL` in the environment. What the gateway
//! stands on is set up by `async_openai.test.mjs`.

use std::env;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionMessageToolCalls, CreateChatCompletionRequest, FinishReason,
};
use async_openai::types::embeddings::CreateEmbeddingRequest;
use futures::StreamExt;
use serde_json::{Value, json};

const HELLO: &str = "Hello! How can I help you today?";

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn client(key: &str) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new()
        .with_api_base(setting("BASE_URL"))
        .with_api_key(key);
    Client::with_config(config)
}

fn chat(prompt: &str, more: Value) -> CreateChatCompletionRequest {
    let mut body = json!({
        "model": setting("MODEL"),
        "temperature": 0.0,
        "messages": [{"role": "user", "content": prompt}],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    serde_json::from_value(body).unwrap()
}

fn weather() -> Value {
    json!({"tools": [{"type": "function", "function": {
        "name": "get_weather",
        "description": "Weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    }}]})
}

/// The status and the code of an answer that is an error.
fn refused<T: std::fmt::Debug>(answer: Result<T, OpenAIError>) -> (u16, Option<String>) {
    match answer {
        Err(OpenAIError::ApiError(error)) => (error.status_code.as_u16(), error.api_error.code),
        other => panic!("not an error of the API: {other:?}"),
    }
}

async fn plain(client: &Client<OpenAIConfig>) {
    let answer = client
        .chat()
        .create(chat("Say hello.", json!({})))
        .await
        .unwrap();
    let [choice] = answer.choices.as_slice() else {
        panic!("one choice was asked for");
    };
    assert_eq!(choice.message.content.as_deref(), Some(HELLO));
    assert_eq!(choice.finish_reason, Some(FinishReason::Stop));
    assert_eq!(answer.usage.unwrap().completion_tokens, 10);
    let models = client.models().list().await.unwrap();
    assert_eq!(models.data[0].id, setting("MODEL"));
}

async fn stream(client: &Client<OpenAIConfig>) {
    let asked = chat(
        "Say hello.",
        json!({"stream_options": {"include_usage": true}}),
    );
    let mut stream = client.chat().create_stream(asked).await.unwrap();
    let (mut text, mut pieces, mut tokens) = (String::new(), 0, None);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        for choice in chunk.choices {
            text += choice.delta.content.as_deref().unwrap_or_default();
            pieces += 1;
        }
        tokens = chunk.usage.map(|usage| usage.completion_tokens).or(tokens);
    }
    assert_eq!((text.as_str(), tokens), (HELLO, Some(10)));
    assert!(pieces > 3);
}

async fn tools(client: &Client<OpenAIConfig>) {
    let asked = chat("What is the weather in Paris?", weather());
    let answer = client.chat().create(asked).await.unwrap();
    let calls = answer.choices[0].message.tool_calls.as_deref().unwrap();
    let [ChatCompletionMessageToolCalls::Function(call)] = calls else {
        panic!("one function call was due: {calls:?}");
    };
    assert_eq!(call.function.name, "get_weather");
    let arguments: Value = call.function.arguments.parse().unwrap();
    assert_eq!(arguments, json!({"city": "Paris"}));

    let asked = chat("Weather in London and Oslo?", weather());
    let mut stream = client.chat().create_stream(asked).await.unwrap();
    let mut names = Vec::new();
    while let Some(chunk) = stream.next().await {
        for choice in chunk.unwrap().choices {
            for piece in choice.delta.tool_calls.unwrap_or_default() {
                names.extend(piece.function.and_then(|function| function.name));
            }
        }
    }
    assert_eq!(names, ["get_weather", "get_weather"]);
}

async fn embeddings(client: &Client<OpenAIConfig>) {
    let body = json!({"model": setting("MODEL"), "input": ["hello", "world"]});
    let asked: CreateEmbeddingRequest = serde_json::from_value(body).unwrap();
    let answer = client.embeddings().create(asked).await.unwrap();
    let lengths: Vec<_> = answer.data.iter().map(|one| one.embedding.len()).collect();
    assert_eq!(lengths, [256, 256]);
}

async fn errors(good: &Client<OpenAIConfig>) {
    let answer = client("tg_wrong")
        .chat()
        .create(chat("ping", json!({})))
        .await;
    assert_eq!(refused(answer), (401, Some("invalid_api_key".to_owned())));
    let answer = good
        .chat()
        .create(chat("ping", json!({"model": "nobody"})))
        .await;
    assert_eq!(refused(answer), (404, Some("model_not_found".to_owned())));
}

async fn refusal(client: &Client<OpenAIConfig>) {
    // This client tries a 429 again only when it is told to.
    let answer = client.chat().create(chat("ping", json!({}))).await;
    assert_eq!(refused(answer), (429, Some("servers_busy".to_owned())));
}

async fn broken(client: &Client<OpenAIConfig>) {
    let mut stream = client
        .chat()
        .create_stream(chat("ping", json!({})))
        .await
        .unwrap();
    let (mut text, mut failure) = (String::new(), None);
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => {
                text += chunk.choices[0]
                    .delta
                    .content
                    .as_deref()
                    .unwrap_or_default()
            }
            Err(error) => failure = Some(error.to_string()),
        }
    }
    assert_eq!(text, "w0 w1 w2 ");
    let failure = failure.expect("a stream that breaks off is an error");
    assert!(
        failure.contains("broke before the answer was complete"),
        "{failure}"
    );
}

async fn left(client: &Client<OpenAIConfig>) {
    let asked = chat("Tell me a long story.", json!({}));
    let mut stream = client.chat().create_stream(asked).await.unwrap();
    while let Some(chunk) = stream.next().await {
        if chunk.unwrap().choices[0].delta.content.is_some() {
            return;
        }
    }
    panic!("the stream ended first");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = client(&setting("KEY"));
    match env::args().nth(1).as_deref() {
        Some("plain") => plain(&client).await,
        Some("stream") => stream(&client).await,
        Some("tools") => tools(&client).await,
        Some("embeddings") => embeddings(&client).await,
        Some("errors") => errors(&client).await,
        Some("refusal") => refusal(&client).await,
        Some("broken") => broken(&client).await,
        Some("left") => left(&client).await,
        other => panic!("there is no scenario {other:?}"),
    }
}
