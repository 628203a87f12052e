//! Effects as short lines, with what a test states and without what differs from run to run.

use serde_json::Value;
use tidegate_domain::time::Timestamp;
use tidegate_edge::effect::Effect;

pub fn line(effect: &Effect, now: Timestamp) -> String {
    match effect {
        Effect::ReadBody { .. } => "read_body".to_owned(),
        Effect::ReadUpload { .. } => "read_upload".to_owned(),
        Effect::HoldUpload => "hold_upload".to_owned(),
        Effect::ForgetUpload => "forget_upload".to_owned(),
        Effect::Collect { attempt } => format!("collect {attempt}"),
        Effect::Break => "break".to_owned(),
        Effect::Ask { to, message, .. } => format!("ask {}", message_line(to.as_str(), message)),
        Effect::Tell { to, message } => format!("tell {}", message_line(to.as_str(), message)),
        Effect::Refresh { to, message, .. } => {
            format!("refresh {}", message_line(to.as_str(), message))
        }
        Effect::Probe { .. } => "probe".to_owned(),
        Effect::Fetch { attempt, url, .. } => format!("fetch {attempt} {}", host(url)),
        Effect::Abort { attempt } => format!("abort {attempt}"),
        Effect::Respond { status, body, .. } => match body {
            Some(_) => format!("respond {status}"),
            None => format!("respond {status} with the server's bytes"),
        },
        Effect::Open { .. } => "open".to_owned(),
        Effect::Write => "write".to_owned(),
        Effect::WriteChunk => "write_chunk".to_owned(),
        Effect::Close => "close".to_owned(),
        Effect::WakeAt { at_ms } => format!("wake in {}", at_ms - now.as_ms()),
        Effect::FlushAfter { ms } => format!("flush {ms}"),
        Effect::Log { .. } => "log".to_owned(),
        Effect::RespondAsset { file, .. } => format!("respond with {file}"),
        Effect::Done => "done".to_owned(),
    }
}

fn host(url: &str) -> &str {
    let rest = url.strip_prefix("https://").unwrap_or(url);
    rest.split('.').next().unwrap_or_default()
}

fn message_line(to: &str, message: &str) -> String {
    let message: Value = serde_json::from_str(message).unwrap();
    let mut parts = to.splitn(3, '/');
    let (kind, tail) = (parts.next().unwrap(), parts.nth(1).unwrap_or_default());
    match kind {
        "instance" => format!("{tail}{}", turnover(&message)),
        "key" => format!("key: {}", key(&message)),
        "model" => format!("model {tail}: {}", message["command"].as_str().unwrap()),
        _ => format!("{kind}: {}", message["command"].as_str().unwrap()),
    }
}

fn key(message: &Value) -> String {
    match message["command"].as_str().unwrap() {
        "admit" => format!("admit {}", message["reserve_tokens"]),
        "settle" if message["refund"] == true => "refund".to_owned(),
        "settle" => format!("settle {}", message["used_tokens"]),
        other => other.to_owned(),
    }
}

/// `: first tentative, settle success 5+2, cancel, renew`.
fn turnover(message: &Value) -> String {
    assert_eq!(message["command"], "turnover", "{message}");
    let mut parts = Vec::new();
    if let Some(ask) = message.get("ask") {
        let word = |name: &str| ask[name].as_str().unwrap().to_owned();
        parts.push(format!("{} {}", word("kind"), word("mode")));
    }
    for settled in message["settled"].as_array().into_iter().flatten() {
        let outcome = &settled["outcome"];
        let detail = outcome
            .get("kind")
            .map(|kind| format!(" {}", kind.as_str().unwrap()))
            .or_else(|| outcome.get("status").map(|status| format!(" {status}")))
            .unwrap_or_default();
        parts.push(format!(
            "settle {}{detail} {}+{}",
            outcome["is"].as_str().unwrap(),
            settled["prompt_tokens"],
            settled["completion_tokens"]
        ));
    }
    for (name, word) in [("cancelled", "cancel"), ("renewed", "renew")] {
        for _ in message[name].as_array().into_iter().flatten() {
            parts.push(word.to_owned());
        }
    }
    format!(": {}", parts.join(", "))
}
