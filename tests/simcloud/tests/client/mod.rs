//! A cloud of its own for each test, and a client of it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tidegate_simcloud::aws::sigv4::{Signed, signature};
use tidegate_simcloud::clock;
use tidegate_simcloud::http::Asked;
use tidegate_simcloud::options::{AWS_KEY, Options, RUNPOD_KEY};
use tidegate_simcloud::{Running, start};
use tokio::net::TcpStream;

const PATIENCE_MS: u64 = 20_000;

/// A cloud.
pub struct Sim {
    pub running: Running,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Delays that tests do not feel.
pub fn quick() -> Options {
    let mut options = Options::default();
    let quick = json!({
        "delays": {"provisioning_ms": 20, "starting_ms": 20, "pending_ms": 20, "stop_ms": 20,
            "terminate_ms": 20, "status_check_ms": 20},
        "machines_alone": true,
        "runpod_calls": {"minute": 10_000, "hour": 100_000, "day": 1_000_000},
    });
    options.settings = options.settings.with(&quick).unwrap();
    options
}

/// With the box that tells what it was given.
pub fn with_boxes() -> Options {
    let box_command = [
        env!("CARGO_BIN_EXE_tidegate-simcloud-box"),
        "--host",
        "{host}",
        "--port",
        "{port}",
    ];
    Options {
        box_command: box_command.map(str::to_owned).to_vec(),
        ..quick()
    }
}

/// One request on a connection of its own.
pub async fn ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let stream = TcpStream::connect(authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/{path}"))
        .header("Host", authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let reply = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let (head, body) = reply.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?;
    let text = |value: &hyper::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: body.to_bytes().to_vec(),
    })
}

impl Sim {
    pub fn start(options: Options) -> Self {
        Self {
            running: start(options).unwrap(),
        }
    }

    pub fn url(&self, of: &str) -> String {
        self.running.hello()[of].as_str().unwrap().to_owned()
    }

    /// RunPod's API with its first key.
    pub async fn try_runpod(&self, method: &str, path: &str, body: Value) -> io::Result<Reply> {
        let key = format!("Bearer {RUNPOD_KEY}");
        let headers = [
            ("Authorization", key.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        ask(
            method,
            &format!("{}{path}", self.url("runpod")),
            &headers,
            &body,
        )
        .await
    }

    pub async fn runpod(&self, method: &str, path: &str, body: Value) -> Reply {
        self.try_runpod(method, path, body).await.unwrap()
    }

    /// A pod of that name, made.
    pub async fn pod(&self, name: &str) -> String {
        let reply = self.runpod("POST", "/v2/pods", pod(name)).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    /// EC2's API in its first region, with the first key.
    pub async fn ec2(&self, form: &[(&str, &str)]) -> Reply {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.append_pair("Version", "2016-11-15").extend_pairs(form);
        let body = body.finish();
        let url = self.url("aws");
        let time = clock::rfc3339(clock::wall()).replace(['-', ':'], "");
        let mut signed = Signed {
            key: AWS_KEY.0.to_owned(),
            date: time[..8].to_owned(),
            region: String::from("us-east-1"),
            service: String::from("ec2"),
            headers: ["host", "x-amz-date"].map(str::to_owned).to_vec(),
            signature: String::new(),
        };
        let host = url.trim_start_matches("http://").to_owned();
        let asked = Asked {
            method: String::from("POST"),
            path: String::from("/"),
            headers: [("host", host.as_str()), ("x-amz-date", time.as_str())]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body: body.clone().into_bytes(),
            ..Asked::default()
        };
        signed.signature = signature(&asked, &signed, AWS_KEY.1, &time);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature={}",
            signed.key, signed.date, signed.signature
        );
        let headers = [
            ("Authorization", authorization.as_str()),
            ("X-Amz-Date", time.as_str()),
            (
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
        ];
        ask("POST", &url, &headers, &body).await.unwrap()
    }

    /// An instance that executes this, launched.
    pub async fn instance(&self, user_data: &str, more: &[(&str, &str)]) -> String {
        let images = self.ec2(&[("Action", "DescribeImages")]).await.text();
        let image = between(&images, "<imageId>", "</imageId>").to_owned();
        let data = STANDARD.encode(user_data);
        let mut form = vec![
            ("Action", "RunInstances"),
            ("ImageId", image.as_str()),
            ("InstanceType", "g6.xlarge"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("UserData", data.as_str()),
        ];
        form.extend(more);
        let reply = self.ec2(&form).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        between(&reply.text(), "<instanceId>", "</instanceId>").to_owned()
    }

    /// What an instance's scripts said, once that has this in it.
    pub async fn said(&self, id: &str, text: &str) -> String {
        let url = format!("{}/control/machines/{id}/log", self.url("control"));
        let patience = std::time::Duration::from_millis(PATIENCE_MS);
        let heard = async {
            loop {
                let log = ask("GET", &url, &[], "").await.unwrap().text();
                if log.contains(text) {
                    return log;
                }
            }
        };
        let heard = tokio::time::timeout(patience, heard).await;
        heard.unwrap_or_else(|_| panic!("{id} never said {text}"))
    }

    pub async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let url = format!("{}/control/{path}", self.url("control"));
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let reply = ask(method, &url, &[], &body).await.unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    pub async fn order(&self, path: &str, body: Value) -> Value {
        self.control("POST", path, body).await
    }

    pub async fn look(&self, path: &str) -> Value {
        self.control("GET", path, Value::Null).await
    }

    /// Arms a fault for one call.
    pub async fn once(&self, operation: &str, fault: Value) {
        let rule = json!({"operation": operation, "times": 1, "fault": fault});
        self.order("faults", rule).await;
    }

    pub async fn advance(&self, ms: u64) {
        self.order("clock", json!({ "advance_ms": ms })).await;
    }

    /// The machine, once it is in that state.
    pub async fn until(&self, id: &str, state: &str) -> Value {
        let path = format!("machines?id={id}&state={state}&wait_ms={PATIENCE_MS}");
        let found = self.look(&path).await;
        assert_eq!(
            found["complete"],
            true,
            "{id} is not {state}: {}",
            self.look("machines").await
        );
        found["machines"][0].clone()
    }

    /// The bill of a machine.
    pub async fn bill(&self, id: &str) -> Value {
        let meter = self.look("meter").await;
        let all = meter["machines"].as_array().unwrap();
        all.iter()
            .find(|machine| machine["id"] == id)
            .unwrap()
            .clone()
    }

    /// Ids in RunPod's list.
    pub async fn listed(&self) -> Vec<String> {
        let list = self.runpod("GET", "/v2/pods", Value::Null).await.json();
        ids(&list)
    }
}

/// The first text between two others.
pub fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split_once(after).unwrap().0
}

pub fn ids(list: &Value) -> Vec<String> {
    let pods = list["pods"].as_array().unwrap();
    pods.iter()
        .map(|pod| pod["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The body of a create.
pub fn pod(name: &str) -> Value {
    json!({
        "name": name, "image": "ghcr.io/x/server:1", "gpu": {"id": "NVIDIA L4", "count": 1},
        "ports": ["8000/http"], "env": {"A": "b"},
    })
}
