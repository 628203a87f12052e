use super::*;
use crate::bindings::fleet::Profile;

fn profile() -> Profile {
    Profile {
        kind: "vllm".to_owned(),
        model_name: "llama".to_owned(),
        image: "vllm/vllm-openai:latest".to_owned(),
        args: vec!["--token=not-here".to_owned()],
        sealed_env: [("HF_TOKEN".to_owned(), "sealed1.abc".to_owned())].into(),
        api_key_env: Some("VLLM_API_KEY".to_owned()),
        port: 8000,
        health_path: "/health".to_owned(),
        gpu_count: 1,
        disk_gb: 50,
        max_concurrency: 32,
        queue_depth: 64,
        max_instances: 1,
        max_lifetime_ms: 43_200_000,
        ..Profile::default()
    }
}

fn put(name: &str, profile: Profile) -> FleetCommand {
    FleetCommand::PutProfile {
        name: name.to_owned(),
        profile: Box::new(profile),
    }
}

fn get(name: &str) -> FleetCommand {
    FleetCommand::Profile {
        name: name.to_owned(),
    }
}

fn sealed(name: &str) -> FleetCommand {
    FleetCommand::SealedProfile {
        name: name.to_owned(),
    }
}

fn shown(profile: Profile) -> FleetAnswer {
    FleetAnswer::Profile {
        profile: Box::new(profile),
    }
}

fn blank(profile: Profile) -> Profile {
    Profile {
        sealed_env: [("HF_TOKEN".to_owned(), String::new())].into(),
        ..profile
    }
}

fn stored(at_ms: i64) -> Profile {
    Profile {
        updated_at_ms: at_ms,
        ..profile()
    }
}

#[test]
fn a_profile_is_stored_whole_and_shown_without_its_secrets() {
    let mut rig = fleet();
    let (answer, messages) = settle(&mut rig, &put("small", profile()));
    let at_ms = START.as_ms();
    assert_eq!(answer, shown(blank(stored(at_ms))));
    assert_eq!(
        audit(&messages),
        audited(
            "admin",
            "profile.put",
            "small",
            "llama of vllm in vllm/vllm-openai:latest"
        )
    );
    assert_eq!(messages.len(), 1);
    assert_eq!(version(&mut rig), 1, "routing does not know profiles");
    rig.evict();
    assert_eq!(ask(&mut rig, &get("small")), shown(blank(stored(at_ms))));
    let profiles = [("small".to_owned(), blank(stored(at_ms)))].into();
    assert_eq!(
        ask(&mut rig, &FleetCommand::Profiles),
        FleetAnswer::Profiles { profiles }
    );
    assert_eq!(ask(&mut rig, &sealed("small")), shown(stored(at_ms)));
    assert_eq!(ask(&mut rig, &sealed("large")), FleetAnswer::NotFound);
    assert_eq!(ask(&mut rig, &get("large")), FleetAnswer::NotFound);
}

#[test]
fn a_blank_secret_stays_what_it_is_and_one_that_is_left_out_goes() {
    let mut rig = fleet();
    settle(&mut rig, &put("small", profile()));
    rig.wait(tidegate_domain::time::Span::from_secs(60));
    let (_, messages) = settle(&mut rig, &put("small", blank(profile())));
    assert_eq!(messages, [], "nothing has changed");
    assert_eq!(
        ask(&mut rig, &sealed("small")),
        shown(stored(START.as_ms()))
    );

    let mut more = blank(profile());
    more.port = 8001;
    let (_, messages) = settle(&mut rig, &put("small", more));
    let reason = "llama of vllm in vllm/vllm-openai:latest; changed: port";
    assert_eq!(
        audit(&messages),
        audited("admin", "profile.put", "small", reason)
    );
    let kept = Profile {
        port: 8001,
        ..stored(START.as_ms() + 60_000)
    };
    assert_eq!(ask(&mut rig, &sealed("small")), shown(kept.clone()));

    let without = Profile {
        sealed_env: Default::default(),
        ..kept.clone()
    };
    let (_, messages) = settle(&mut rig, &put("small", without.clone()));
    assert!(audit(&messages).3.ends_with("; changed: sealed_env"));
    assert_eq!(ask(&mut rig, &sealed("small")), shown(without));
}

#[test]
fn a_blank_secret_that_was_never_set_is_refused_by_its_name() {
    let mut rig = fleet();
    let (answer, messages) = settle(&mut rig, &put("small", blank(profile())));
    assert_eq!(invalid(&answer), Some("secret_env.HF_TOKEN"));
    assert_eq!((messages, rig.count("profiles")), (vec![], 0));
}

#[test]
fn nothing_that_might_be_a_secret_gets_into_the_audit() {
    let mut rig = fleet();
    let (_, first) = settle(&mut rig, &put("small", profile()));
    let other = Profile {
        args: vec!["--token=other".to_owned()],
        env: [("A".to_owned(), "value".to_owned())].into(),
        sealed_env: [("HF_TOKEN".to_owned(), "sealed1.def".to_owned())].into(),
        ..profile()
    };
    let (_, second) = settle(&mut rig, &put("small", other));
    let text = format!("{first:?}{second:?}");
    for word in ["not-here", "other", "value", "sealed1"] {
        assert!(!text.contains(word), "{text}");
    }
    assert!(
        audit(&second)
            .3
            .ends_with("; changed: args, env, sealed_env")
    );
}

#[test]
fn a_deleted_profile_is_gone() {
    let mut rig = fleet();
    settle(&mut rig, &put("small", profile()));
    let delete = FleetCommand::DeleteProfile {
        name: "small".to_owned(),
    };
    let (answer, messages) = settle(&mut rig, &delete);
    assert_eq!(answer, FleetAnswer::Done);
    assert_eq!(
        audit(&messages),
        audited("admin", "profile.deleted", "small", "")
    );
    assert_eq!(rig.count("profiles"), 0);
    assert_eq!(settle(&mut rig, &delete), (FleetAnswer::NotFound, vec![]));
}

#[test]
fn an_organisation_holds_a_bounded_number_of_profiles() {
    let mut rig = fleet();
    for at in 0..200 {
        let (answer, _) = settle(&mut rig, &put(&format!("p{at}"), profile()));
        assert!(matches!(answer, FleetAnswer::Profile { .. }), "{answer:?}");
    }
    let (answer, _) = settle(&mut rig, &put("one-more", profile()));
    assert_eq!(invalid(&answer), Some("name"));
    let changed = Profile {
        port: 1,
        ..profile()
    };
    let (answer, _) = settle(&mut rig, &put("p7", changed));
    assert!(matches!(answer, FleetAnswer::Profile { .. }), "{answer:?}");
}

#[test]
fn a_profile_of_the_release_before_loads() {
    let mut rig = fleet();
    ask(&mut rig, &FleetCommand::Profiles);
    rig.rows(
        "INSERT INTO profiles VALUES ('old', '{\"kind\":\"custom\",\"model_name\":\"m\",\"image\":\"i\",\
         \"port\":1,\"health_path\":\"/\",\"gpu_count\":1,\"disk_gb\":10,\"max_concurrency\":1,\
         \"queue_depth\":0,\"max_instances\":1,\"max_lifetime_ms\":1000,\"of_the_next\":1}')",
    );
    let FleetAnswer::Profile { profile } = ask(&mut rig, &get("old")) else {
        panic!("it is there");
    };
    assert_eq!((profile.kind.as_str(), profile.idle_ms), ("custom", None));
}

#[test]
fn profile_record_v1_format_unchanged() {
    let mut rig = fleet();
    settle(&mut rig, &put("small", profile()));
    assert_eq!(
        rig.text("SELECT profile FROM profiles"),
        r#"{"kind":"vllm","model_name":"llama","upstream_model":null,"image":"vllm/vllm-openai:latest","args":["--token=not-here"],"env":{},"sealed_env":{"HF_TOKEN":"sealed1.abc"},"api_key_env":"VLLM_API_KEY","port":8000,"health_path":"/health","preload":null,"min_vram_gb":0,"gpu_count":1,"disk_gb":50,"max_concurrency":32,"queue_depth":64,"max_instances":1,"idle_ms":null,"on_idle":"terminate","max_lifetime_ms":43200000,"updated_at_ms":1795255200000}"#
    );
}
