//! The relay in `docs/webhooks.md` runs as it stands there, against the gateway.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tidegate_domain::time::Timestamp;

use crate::account::Account;
use crate::rig::{ORG, Rig, Sent};

const DOCUMENT: &str = include_str!("../../../docs/webhooks.md");
/// As EventBridge hands it over.
const EVENT: &str = r#"{"id": "7bf73129-1428-4cd3-a780-95db273d1602",
    "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
    "detail": {"instance-id": "i-abcd1111", "state": "stopped"}}"#;
/// Hands the handler the event that comes in, and prints what it returns.
const RUNNER: &str = "import json, sys, relay; print(relay.handler(json.load(sys.stdin), None))";
const PATIENCE: Duration = Duration::from_secs(60);

fn relay() -> &'static str {
    let (_, block) = DOCUMENT.split_once("```python\n").unwrap();
    block.split_once("```").unwrap().0
}

#[test]
fn the_documented_relay_is_short() {
    assert!(relay().lines().filter(|line| !line.is_empty()).count() <= 15);
}

#[test]
fn the_documented_relay_signs_an_event_of_ec2_as_the_gateway_wants_it() {
    let folder = std::env::temp_dir().join(format!("tidegate-relay-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("relay.py"), relay()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || serve(&listener));

    let rig = Rig::new();
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut child = Command::new(python)
        .args(["-c", RUNNER])
        .current_dir(&folder)
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("WEBHOOK_SECRET", rig.secret())
        .env(
            "WEBHOOK_URL",
            format!("http://{address}/webhooks/aws/{ORG}~{}", rig.account()),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a Python interpreter: install one, or name it in PYTHON");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(EVENT.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "200");
    let (looks, event_ids) = served.join().unwrap();
    assert_eq!(looks, [Some("i-abcd1111".to_owned())]);
    assert_eq!(event_ids, ["7bf73129-1428-4cd3-a780-95db273d1602"]);
}

/// One request for the gateway; what the account made of it, and under which id.
fn serve(listener: &TcpListener) -> (Vec<Option<String>>, Vec<String>) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = read(&stream);
    let (mut rig, mut account) = (Rig::new(), Account::default());
    // The sender's clock is the one that counts here.
    let timestamp = sent
        .headers
        .iter()
        .find(|(name, _)| name == "webhook-timestamp");
    let seconds: i64 = timestamp.unwrap().1.parse().unwrap();
    rig.now = Timestamp::from_ms(seconds * 1_000);
    let answer = rig.send(&sent, |_, message| account.take(message));
    let body = answer.body.to_string();
    let (status, length) = (answer.status, body.len());
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let ids = rig
        .asked
        .iter()
        .map(|(_, message)| message["event_id"].as_str().unwrap().to_owned());
    (account.looks, ids.collect())
}

fn read(stream: &TcpStream) -> Sent {
    let mut reader = BufReader::new(stream);
    let first = line(&mut reader);
    let mut sent = Sent::default().at(first.split(' ').nth(1).unwrap());
    while let Some((name, value)) = line(&mut reader).split_once(':') {
        sent = sent.with(&name.to_ascii_lowercase(), value.trim());
    }
    let mut lengths = sent
        .headers
        .iter()
        .filter(|(name, _)| name == "content-length");
    let mut body = vec![0; lengths.next().unwrap().1.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    sent.saying(body)
}

fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
