//! The processes that stand for rented GPUs, and the proxy before them.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod client;

use std::io::BufRead as _;
use std::process::{Command, Stdio};

use client::{Sim, ask, pod, quick, with_boxes};
use serde_json::{Value, json};

async fn through(sim: &Sim, id: &str, path: &str) -> client::Reply {
    let url = format!("{}/{id}-8000/{path}", sim.url("proxy"));
    ask("GET", &url, &[], "").await.unwrap()
}

/// The process group of a machine that runs.
fn group(machine: &Value) -> i32 {
    i32::try_from(machine["box"]["group"].as_i64().unwrap()).unwrap()
}

/// Whether anything but what waits to be reaped is left of a group.
fn lives(group: i32) -> bool {
    let listed = Command::new("ps")
        .args(["-eo", "pgid=,stat="])
        .output()
        .unwrap();
    let text = String::from_utf8(listed.stdout).unwrap();
    text.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(&group.to_string()) && !words.next().unwrap().starts_with('Z')
    })
}

async fn until_dead(group: i32) {
    let dead = async {
        while lives(group) {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, dead).await.unwrap();
}

#[tokio::test]
async fn a_pod_runs_with_its_variables_and_none_of_this_program() {
    let sim = Sim::start(with_boxes());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    let env = through(&sim, &id, "env").await.json();
    assert_eq!(env["A"], "b");
    assert_eq!(env["RUNPOD_POD_ID"], json!(id));
    assert_eq!(env["RUNPOD_GPU_COUNT"], "1");
    assert_eq!(env.get("CARGO_PKG_NAME"), None);
    let path = env["PATH"].as_str().unwrap();
    assert!(
        path.ends_with("/fakes:/usr/bin:/bin") && !path.contains("sbin"),
        "{path}"
    );
}

#[tokio::test]
async fn the_key_inside_a_pod_ends_that_pod_and_no_other() {
    let sim = Sim::start(with_boxes());
    let (id, other) = (sim.pod("a").await, sim.pod("b").await);
    sim.until(&id, "RUNNING").await;
    let env = through(&sim, &id, "env").await.json();
    let bearer = format!("Bearer {}", env["RUNPOD_API_KEY"].as_str().unwrap());
    let end = async |id: &str| {
        let url = format!("{}/v2/pods/{id}", sim.url("runpod"));
        let reply = ask("DELETE", &url, &[("Authorization", &bearer)], "").await;
        reply.unwrap().status
    };
    assert_eq!(end(&other).await, 403);
    assert_eq!(end(&id).await, 204);
    sim.until(&id, "TERMINATED").await;
}

#[tokio::test]
async fn the_proxy_knows_what_is_there_and_what_is_not_yet() {
    let sim = Sim::start(with_boxes());
    sim.once("create", json!({"do": "never_boots"})).await;
    let id = sim.pod("a").await;
    sim.until(&id, "STARTING").await;
    assert_eq!(through(&sim, &id, "").await.status, 502);
    assert_eq!(through(&sim, "nothing", "").await.status, 404);
    let other_port = format!("{}/{id}-8001/", sim.url("proxy"));
    assert_eq!(ask("GET", &other_port, &[], "").await.unwrap().status, 404);
}

#[tokio::test]
async fn bodies_pass_both_ways_and_silence_is_cut_at_the_cap() {
    let sim = Sim::start(with_boxes());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    let url = format!("{}/{id}-8000/echo", sim.url("proxy"));
    let body = "x".repeat(1_000_000);
    let echoed = ask("POST", &url, &[], &body).await.unwrap();
    assert_eq!(echoed.body.len(), body.len());
    assert_eq!(
        through(&sim, &id, "drip?chunks=3&every_ms=1").await.text(),
        "drip\ndrip\ndrip\n"
    );
    sim.order("settings", json!({"proxy": {"cap_ms": 50}}))
        .await;
    assert_eq!(through(&sim, &id, "silence").await.status, 524);
    let url = format!(
        "{}/{id}-8000/drip?chunks=2&every_ms=60000",
        sim.url("proxy")
    );
    assert!(ask("GET", &url, &[], "").await.is_err());
}

#[tokio::test]
async fn an_unhealthy_box_answers_500_though_it_is_up() {
    let sim = Sim::start(with_boxes());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    sim.order(&format!("machines/{id}/unhealthy"), json!({}))
        .await;
    assert_eq!(through(&sim, &id, "health").await.status, 500);
    sim.order(&format!("machines/{id}/unhealthy"), json!({"on": false}))
        .await;
    assert_eq!(through(&sim, &id, "health").await.status, 200);
}

#[tokio::test]
async fn a_box_that_crashes_is_a_pod_that_has_exited() {
    let sim = Sim::start(with_boxes());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    sim.order(&format!("machines/{id}/crash"), json!({})).await;
    let exited = sim.until(&id, "EXITED").await;
    assert_eq!(
        (&exited["billing"], &exited["box"]["listens"]),
        (&json!("none"), &json!(false))
    );
    assert!(
        exited["box"]["ended"]
            .as_str()
            .unwrap()
            .contains("signal: 9")
    );
    assert_eq!(through(&sim, &id, "health").await.status, 502);
}

#[tokio::test]
async fn stop_and_termination_end_the_process_and_a_start_begins_another() {
    let sim = Sim::start(with_boxes());
    let id = sim.pod("a").await;
    let first = group(&sim.until(&id, "RUNNING").await);
    assert!(lives(first));
    let action = format!("/v2/pods/{id}/action");
    sim.runpod("POST", &action, json!({"action": "stop"})).await;
    sim.until(&id, "EXITED").await;
    until_dead(first).await;
    sim.runpod("POST", &action, json!({"action": "start"}))
        .await;
    let second = sim.until(&id, "RUNNING").await;
    assert_eq!(second["box"]["boots"], 2);
    sim.runpod("POST", &action, json!({"action": "restart"}))
        .await;
    let third = sim.until(&id, "RUNNING").await;
    assert_eq!(third["box"]["boots"], 3);
    until_dead(group(&second)).await;
    sim.runpod("POST", &action, json!({"action": "terminate"}))
        .await;
    sim.until(&id, "TERMINATED").await;
    until_dead(group(&third)).await;
}

#[tokio::test]
async fn a_cloud_that_is_dropped_takes_its_boxes_along() {
    let sim = Sim::start(with_boxes());
    let id = sim.pod("a").await;
    let group = group(&sim.until(&id, "RUNNING").await);
    let folder = sim.running.cloud.folder.clone();
    drop(sim);
    until_dead(group).await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_cloud_that_is_killed_takes_its_boxes_along() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tidegate-simcloud"));
    for word in with_boxes().box_command {
        program.args(["--box-command", &word]);
    }
    let mut child = program
        .args(["--set", "delays.provisioning_ms=1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    std::io::BufReader::new(out).read_line(&mut line).unwrap();
    let hello: Value = serde_json::from_str(&line).unwrap();
    let url = |of: &str, path: &str| format!("{}{path}", hello[of].as_str().unwrap());
    let bearer = format!("Bearer {}", hello["keys"][0]["id"].as_str().unwrap());
    let headers = [("Authorization", bearer.as_str())];
    let made = ask(
        "POST",
        &url("runpod", "/v2/pods"),
        &headers,
        &pod("a").to_string(),
    )
    .await;
    assert_eq!(made.unwrap().status, 201);
    let up = url("control", "/control/machines?state=running&wait_ms=20000");
    let machines = ask("GET", &up, &[], "").await.unwrap().json();
    let group = group(&machines["machines"][0]);
    assert!(lives(group));
    child.kill().unwrap();
    child.wait().unwrap();
    until_dead(group).await;
}

#[tokio::test]
async fn without_a_command_machines_count_as_up() {
    let sim = Sim::start(quick());
    let id = sim.pod("a").await;
    sim.until(&id, "RUNNING").await;
    assert_eq!(through(&sim, &id, "").await.status, 502);
}

#[tokio::test]
async fn what_a_box_says_can_be_read() {
    let sim = Sim::start(with_boxes());
    let id = sim.pod("a").await;
    let log = sim.said(&id, "\n").await;
    assert!(log.starts_with("listening http://127."), "{log}");
}
