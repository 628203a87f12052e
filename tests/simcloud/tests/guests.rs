//! What instances do inside, for real, and what of it reaches the cloud.
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

use client::{Sim, ask, between, with_boxes};
use serde_json::{Value, json};

const TERMINATES: (&str, &str) = ("InstanceInitiatedShutdownBehavior", "terminate");
const SPOT: (&str, &str) = ("InstanceMarketOptions.MarketType", "spot");

/// What a container answers, once it does.
async fn through(sim: &Sim, id: &str, path: &str) -> Value {
    on(sim, id, 8000, path).await
}

async fn on(sim: &Sim, id: &str, port: u16, path: &str) -> Value {
    let url = format!("{}/{id}-{port}/{path}", sim.url("proxy"));
    let patience = std::time::Duration::from_secs(20);
    let answered = async {
        loop {
            let reply = ask("GET", &url, &[], "").await.unwrap();
            if reply.status == 200 {
                return reply.json();
            }
        }
    };
    tokio::time::timeout(patience, answered).await.unwrap()
}

async fn act(sim: &Sim, action: &str, id: &str) {
    let reply = sim.ec2(&[("Action", action), ("InstanceId.1", id)]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn a_container_has_the_variables_that_it_was_given_and_the_port_that_was_published() {
    let sim = Sim::start(with_boxes());
    let script = "#!/bin/bash\n\
        printf '%s\\n' '# a comment' 'A=b c=d' 'KEY=$HOME' >env\n\
        export OUTSIDE=1 NAMED=2\n\
        docker run -d --name=box --gpus all --ipc=host --env-file env -e NAMED -e MORE=3 -p 8000:80 image --flag\n";
    let id = sim.instance(script, &[]).await;
    sim.until(&id, "running").await;
    let env = through(&sim, &id, "env").await;
    for (name, value) in [
        ("A", "b c=d"),
        ("KEY", "$HOME"),
        ("NAMED", "2"),
        ("MORE", "3"),
    ] {
        assert_eq!(env[name], value, "{name}");
    }
    for name in ["OUTSIDE", "SIMCLOUD_CONTROL", "TIDEGATE_ROOT", "CARGO"] {
        assert_eq!(env.get(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_shutdown_comes_at_its_time_of_the_clouds_clock_and_ends_the_bill_there() {
    let sim = Sim::start(with_boxes());
    let script = "#!/bin/bash\nshutdown -h +720\ndocker run -d -p 8000:8000 image\necho armed\n";
    let id = sim.instance(script, &[TERMINATES]).await;
    sim.said(&id, "armed").await;
    through(&sim, &id, "env").await;
    sim.advance(700 * 60_000).await;
    assert_eq!(sim.until(&id, "running").await["state"], "running");
    sim.advance(24 * 3_600_000).await;
    let ended = sim.until(&id, "terminated").await;
    assert_eq!(ended["reason"]["code"], "Client.InstanceInitiatedShutdown");
    let told = sim
        .ec2(&[("Action", "DescribeInstances"), ("InstanceId.1", &id)])
        .await;
    assert_eq!(told.status, 400, "told of for an hour only");
    let seconds = sim.bill(&id).await["seconds"]["full"].as_u64().unwrap();
    assert!((720 * 60..720 * 60 + 60).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn a_shutdown_may_be_called_off_and_stops_what_is_not_to_be_terminated() {
    let sim = Sim::start(with_boxes());
    let script = "#!/bin/bash\nshutdown +5\nshutdown -c\necho off\n";
    let id = sim.instance(script, &[]).await;
    sim.said(&id, "off").await;
    sim.advance(3_600_000).await;
    assert_eq!(sim.until(&id, "running").await["agenda"], json!([]));
    let script = "#!/bin/bash\nshutdown now\n";
    let id = sim.instance(script, &[]).await;
    assert_eq!(sim.until(&id, "stopped").await["billing"], "disk");
}

#[tokio::test]
async fn every_way_to_turn_a_machine_off_leads_through_the_cloud() {
    let sim = Sim::start(with_boxes());
    for off in [
        "poweroff",
        "halt -p",
        "systemctl poweroff",
        "sudo -n shutdown -h now",
        "sudo systemctl halt",
    ] {
        let id = sim
            .instance(&format!("#!/bin/bash\n{off}\n"), &[TERMINATES])
            .await;
        sim.until(&id, "terminated").await;
    }
    for refused in [
        "reboot",
        "init 0",
        "telinit 0",
        "systemd-run poweroff",
        "loginctl poweroff",
        "systemctl reboot",
    ] {
        let id = sim
            .instance(&format!("#!/bin/bash\n{refused} || echo refused\n"), &[])
            .await;
        sim.said(&id, "refused").await;
        sim.until(&id, "running").await;
    }
}

#[tokio::test]
async fn user_data_is_executed_once_scripts_for_every_boot_at_each() {
    let sim = Sim::start(with_boxes());
    let script = "#!/bin/bash\n\
        cp -- \"$0\" \"$TIDEGATE_ROOT/var/lib/cloud/scripts/per-boot/again\"\n\
        echo \"boot $((++n)) by ${0##*/}\"\n\
        docker run -d --name kept --restart always -p 8000:8000 image || docker ps\n\
        echo done by ${0##*/}\n";
    let id = sim.instance(script, &[]).await;
    let log = sim.said(&id, "done by part-001").await;
    assert_eq!(log.matches("boot 1 by").count(), 1, "{log}");
    through(&sim, &id, "env").await;
    act(&sim, "StopInstances", &id).await;
    sim.until(&id, "stopped").await;
    act(&sim, "StartInstances", &id).await;
    sim.until(&id, "running").await;
    let log = sim.said(&id, "done by again").await;
    assert_eq!(log.matches("by part-001").count(), 2, "{log}");
    assert!(log.contains("is already in use"), "{log}");
    through(&sim, &id, "env").await;
}

#[tokio::test]
async fn a_container_is_restarted_as_its_policy_says() {
    let sim = Sim::start(with_boxes());
    let script = "#!/bin/bash\n\
        docker run -d --name kept --restart on-failure -p 8000:8000 image\n\
        docker run -d --name gone -p 8001:8001 image\n";
    let id = sim.instance(script, &[]).await;
    for port in [8000, 8001] {
        on(&sim, &id, port, "env").await;
        let end = format!("{}/{id}-{port}/end", sim.url("proxy"));
        assert_eq!(ask("GET", &end, &[], "").await.unwrap().status, 502);
    }
    // Ended with status 3: the one comes back, the other does not.
    on(&sim, &id, 8000, "env").await;
    let gone = format!("{}/{id}-8001/env", sim.url("proxy"));
    assert_eq!(ask("GET", &gone, &[], "").await.unwrap().status, 502);
}

#[tokio::test]
async fn without_gpus_no_container_that_wants_them_starts() {
    let sim = Sim::start(with_boxes());
    sim.once("create", json!({"do": "gpus", "count": 0})).await;
    let script =
        "#!/bin/bash\nnvidia-smi -L || echo none\ndocker run -d --gpus all image || echo failed\n";
    let id = sim.instance(script, &[]).await;
    let log = sim.said(&id, "failed").await;
    assert!(log.contains("No devices were found\nnone"), "{log}");
    assert!(log.contains("could not select device driver"), "{log}");
    let id = sim
        .instance("#!/bin/bash\nnvidia-smi -L && echo one\n", &[])
        .await;
    assert!(sim.said(&id, "one").await.contains("GPU 0: "));
}

#[tokio::test]
async fn what_could_reach_this_computer_or_is_no_script_is_not_executed() {
    let sim = Sim::start(with_boxes());
    let id = sim
        .instance("#!/bin/bash\necho alive\n/sbin/shutdown -c\n", &[])
        .await;
    let machine = sim.until(&id, "running").await;
    let patience = std::time::Duration::from_secs(20);
    let ended = async {
        loop {
            let machine = sim.until(&id, "running").await;
            if let Some(ended) = machine["box"]["ended"].as_str() {
                return ended.to_owned();
            }
        }
    };
    let ended = tokio::time::timeout(patience, ended).await.unwrap();
    assert!(ended.contains("names /sbin"), "{ended} {machine}");
    let id = sim.instance("#cloud-config\nruncmd: [x]\n", &[]).await;
    sim.said(&id, "is not executed").await;
}

#[tokio::test]
async fn an_instance_that_never_boots_runs_and_costs() {
    let sim = Sim::start(with_boxes());
    sim.once("create", json!({"do": "never_boots"})).await;
    let id = sim
        .instance("#!/bin/bash\nshutdown -h now\n", &[TERMINATES])
        .await;
    sim.until(&id, "running").await;
    sim.advance(3_600_000).await;
    let machine = sim.until(&id, "running").await;
    assert_eq!(
        (&machine["box"]["boots"], &machine["billing"]),
        (&json!(0), &json!("full"))
    );
}

#[tokio::test]
async fn a_spot_instance_hears_before_it_is_taken_away() {
    let sim = Sim::start(with_boxes());
    let script = "#!/bin/bash\n\
        at=$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest\n\
        until token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $at/api/token); do :; done\n\
        ask() { curl -s -o /dev/null -w '%{http_code}\\n' \"$@\"; }\n\
        echo \"bare $(ask $at/meta-data/instance-id)\"\n\
        with=(-H \"X-aws-ec2-metadata-token: $token\")\n\
        echo \"id $(curl -s \"${with[@]}\" $at/meta-data/instance-id)\"\n\
        echo \"quiet $(ask \"${with[@]}\" $at/meta-data/spot/instance-action)\"\n\
        until curl -sf \"${with[@]}\" $at/meta-data/spot/instance-action; do :; done\n\
        trap 'echo told to end; exit' TERM\n\
        echo; echo noticed\n\
        while :; do sleep 0.02; done\n";
    let id = sim.instance(script, &[SPOT]).await;
    let log = sim.said(&id, "quiet 404").await;
    assert!(
        log.contains("bare 401") && log.contains(&format!("id {id}")),
        "{log}"
    );
    sim.order(
        &format!("machines/{id}/preempt"),
        json!({"notice_ms": 120_000}),
    )
    .await;
    let log = sim.said(&id, "noticed").await;
    assert!(log.contains("\"action\":\"terminate\""), "{log}");
    sim.until(&id, "running").await;
    sim.order("settings", json!({"delays": {"terminate_ms": 5000}}))
        .await;
    sim.advance(120_000).await;
    sim.said(&id, "told to end").await;
    sim.advance(5_000).await;
    let ended = sim.until(&id, "terminated").await;
    assert_eq!(ended["reason"]["code"], "Server.SpotInstanceTermination");
}

#[tokio::test]
async fn errors_are_told_in_ec2s_own_form() {
    let sim = Sim::start(with_boxes());
    sim.once("RunInstances", json!({"do": "no_capacity"})).await;
    let images = sim.ec2(&[("Action", "DescribeImages")]).await.text();
    let image = between(&images, "<imageId>", "</imageId>");
    let launch = [
        ("Action", "RunInstances"),
        ("ImageId", image),
        ("InstanceType", "g6.xlarge"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
    ];
    let refused = sim.ec2(&launch).await;
    assert_eq!(refused.status, 500);
    assert!(
        refused.text().contains(
            "<Response><Errors><Error><Code>InsufficientInstanceCapacity</Code><Message>"
        )
    );
    let odd = sim
        .ec2(&[("Action", "DescribeInstances"), ("Colour", "red")])
        .await;
    assert_eq!(odd.status, 200, "only launches know all of their members");
    let unknown = sim.ec2(&[("Action", "Dance")]).await;
    assert!(unknown.text().contains("<Code>InvalidAction</Code>"));
    let call = sim.look("journal?operation=create").await["calls"][0].clone();
    assert_eq!(
        (&call["error"], &call["faults"]),
        (
            &json!("InsufficientInstanceCapacity"),
            &json!(["no_capacity"])
        )
    );
}
