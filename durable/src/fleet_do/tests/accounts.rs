use super::*;
use crate::bindings::fleet::{AccountEntry, AccountEntryView};
use tidegate_provider_api::{Fingerprint, Settings};

const SEALED: &str = "sealed1.credential";

fn account_entry(label: &str) -> AccountEntry {
    AccountEntry {
        vendor: "runpod".to_owned(),
        label: label.to_owned(),
        settings: Settings([("data_centers".to_owned(), "EU-RO-1".to_owned())].into()),
        fingerprint: Fingerprint::parse("0123456789").unwrap(),
    }
}

fn connect(id: &str, label: &str) -> FleetCommand {
    FleetCommand::ConnectAccount {
        id: id.to_owned(),
        entry: account_entry(label),
        sealed: SEALED.to_owned(),
    }
}

fn update(label: Option<&str>, regions: Option<&str>) -> FleetCommand {
    let settings =
        |regions: &str| Settings([("data_centers".to_owned(), regions.to_owned())].into());
    FleetCommand::UpdateAccount {
        id: "acc_1".to_owned(),
        label: label.map(str::to_owned),
        settings: regions.map(settings),
    }
}

fn view(label: &str, generation: u64, updated_at_ms: i64) -> AccountEntryView {
    AccountEntryView {
        id: "acc_1".to_owned(),
        entry: account_entry(label),
        generation,
        created_at_ms: START.as_ms(),
        updated_at_ms,
    }
}

fn shown(account: AccountEntryView) -> FleetAnswer {
    FleetAnswer::Account {
        account: Box::new(account),
    }
}

fn spec(label: &str, generation: u64) -> serde_json::Value {
    json!({
        "generation": generation, "vendor": "runpod", "label": label,
        "settings": { "data_centers": "EU-RO-1" }, "fingerprint": "0123456789",
    })
}

/// Where messages go, the journal left out.
fn receivers(messages: &Sent) -> Vec<&str> {
    let to = messages.iter().map(|(to, _)| to.as_str());
    to.filter(|to| !to.starts_with("journal/")).collect()
}

#[test]
fn a_connected_account_is_enrolled_and_told_what_it_is_with_its_credential() {
    let mut rig = fleet();
    let (answer, messages) = settle(&mut rig, &connect("acc_1", "main"));
    assert_eq!(answer, shown(view("main", 1, START.as_ms())));
    assert_eq!(
        messages[..3],
        [
            (
                "directory".to_owned(),
                json!({ "command": "enroll", "org": "acme" })
            ),
            (
                "directory".to_owned(),
                json!({ "command": "enroll_account", "org": "acme", "account": "acc_1" })
            ),
            (
                "account/acme/acc_1".to_owned(),
                json!({ "command": "configure", "spec": spec("main", 1), "sealed": SEALED })
            ),
        ]
    );
    assert_eq!(
        audit(&messages),
        audited("admin", "account.connected", "acc_1", "main at runpod")
    );
    assert_eq!(messages.len(), 4);
    assert_eq!(version(&mut rig), 1, "routing does not know accounts");
    rig.evict();
    let id = "acc_1".to_owned();
    let account = FleetCommand::Account { id };
    assert_eq!(
        ask(&mut rig, &account),
        shown(view("main", 1, START.as_ms()))
    );
    let accounts = vec![view("main", 1, START.as_ms())];
    assert_eq!(
        ask(&mut rig, &FleetCommand::Accounts),
        FleetAnswer::Accounts { accounts }
    );
}

#[test]
fn the_credential_is_not_kept_by_the_registry() {
    let mut rig = fleet();
    settle(&mut rig, &connect("acc_1", "main"));
    for table in ["accounts", "outbox", "meta", "once"] {
        let rows = format!("{:?}", rig.rows(&format!("SELECT * FROM {table}")));
        assert!(!rows.contains(SEALED), "{table}: {rows}");
    }
}

#[test]
fn an_account_is_connected_once_and_a_lost_answer_is_given_again() {
    let mut rig = fleet();
    settle(&mut rig, &connect("acc_1", "main"));
    assert_eq!(
        settle(&mut rig, &connect("acc_1", "main")),
        (shown(view("main", 1, START.as_ms())), vec![])
    );
    for (id, label) in [("acc_1", "other"), ("acc_2", "main")] {
        let existing = "acc_1".to_owned();
        assert_eq!(
            settle(&mut rig, &connect(id, label)),
            (FleetAnswer::Duplicate { existing }, vec![])
        );
    }
    let (answer, messages) = settle(&mut rig, &connect("acc_2", "second"));
    assert!(matches!(answer, FleetAnswer::Account { .. }));
    assert_eq!(
        receivers(&messages),
        ["directory", "account/acme/acc_2"],
        "the organisation is enrolled already"
    );
}

#[test]
fn a_change_reaches_the_account_without_a_credential() {
    let mut rig = fleet();
    settle(&mut rig, &connect("acc_1", "main"));
    rig.wait(tidegate_domain::time::Span::from_secs(1));
    let (answer, messages) = settle(&mut rig, &update(Some("spare"), None));
    let now = START.as_ms() + 1000;
    assert_eq!(answer, shown(view("spare", 2, now)));
    assert_eq!(
        messages[0],
        (
            "account/acme/acc_1".to_owned(),
            json!({ "command": "configure", "spec": spec("spare", 2), "sealed": null })
        )
    );
    assert_eq!(
        audit(&messages),
        audited("admin", "account.updated", "acc_1", "label: main → spare")
    );
    assert_eq!(messages.len(), 2);
    let (_, messages) = settle(&mut rig, &update(None, Some("US-KS-2")));
    assert_eq!(audit(&messages).3, "data_centers: EU-RO-1 → US-KS-2");
    assert_eq!(
        settle(&mut rig, &update(Some("spare"), Some("US-KS-2"))).1,
        [],
        "nothing has changed"
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut rig = fleet();
    settle(&mut rig, &connect("acc_1", "main"));
    settle(&mut rig, &connect("acc_2", "second"));
    let with = |change: fn(&mut AccountEntry)| {
        let mut entry = account_entry("third");
        change(&mut entry);
        FleetCommand::ConnectAccount {
            id: "acc_3".to_owned(),
            entry,
            sealed: SEALED.to_owned(),
        }
    };
    for (command, param) in [
        (with(|it| it.vendor = "nobody".to_owned()), "vendor"),
        (with(|it| it.label.clear()), "label"),
        (
            with(|it| drop(it.settings.0.insert("x".to_owned(), "y".repeat(8_192)))),
            "settings",
        ),
        (update(Some(""), None), "label"),
    ] {
        let (answer, messages) = settle(&mut rig, &command);
        assert_eq!((invalid(&answer), messages), (Some(param), vec![]));
    }
    let existing = "acc_2".to_owned();
    assert_eq!(
        settle(&mut rig, &update(Some("second"), None)),
        (FleetAnswer::Duplicate { existing }, vec![])
    );
}

#[test]
fn a_removed_account_is_gone_and_the_directory_is_left_to_its_own_object() {
    let mut rig = fleet();
    settle(&mut rig, &connect("acc_1", "main"));
    let remove = FleetCommand::RemoveAccount {
        id: "acc_1".to_owned(),
    };
    let (answer, messages) = settle(&mut rig, &remove);
    assert_eq!(answer, FleetAnswer::Done);
    assert_eq!(
        audit(&messages),
        audited("admin", "account.removed", "acc_1", "main at runpod")
    );
    assert_eq!(messages.len(), 1);
    let id = "acc_1".to_owned();
    for command in [
        remove,
        update(Some("x"), None),
        FleetCommand::Account { id },
    ] {
        assert_eq!(settle(&mut rig, &command), (FleetAnswer::NotFound, vec![]));
    }
}

#[test]
fn an_organisation_holds_a_bounded_number_of_accounts() {
    let mut rig = fleet();
    for at in 0..50 {
        let (answer, _) = settle(&mut rig, &connect(&format!("acc_{at}"), &format!("l{at}")));
        assert!(matches!(answer, FleetAnswer::Account { .. }), "{answer:?}");
    }
    let (answer, messages) = settle(&mut rig, &connect("acc_x", "one more"));
    assert_eq!((invalid(&answer), messages), (Some("label"), vec![]));
}

#[test]
fn what_an_account_or_a_person_did_gets_into_the_audit_under_their_name() {
    let mut rig = fleet();
    let note = || FleetCommand::NoteAccount {
        id: "acc_1".to_owned(),
        action: "account.rotated".to_owned(),
        reason: "another credential is in use".to_owned(),
    };
    let (answer, messages) = settle(&mut rig, &note());
    assert_eq!(answer, FleetAnswer::Done);
    let reason = "another credential is in use";
    assert_eq!(
        audit(&messages),
        audited("account/acc_1", "account.rotated", "acc_1", reason)
    );
    let named = FleetMessage {
        actor: Some("key/k1".to_owned()),
        once: None,
        command: FleetCommand::NoteRental {
            id: "srv_1".to_owned(),
            action: "instance.ssh_key_shown".to_owned(),
            reason: String::new(),
        },
    };
    let (_, effects): (FleetAnswer, Vec<Effect>) = rig.call(&named);
    assert_eq!(
        audit(&sent(&effects)),
        audited("key/k1", "instance.ssh_key_shown", "srv_1", "")
    );
}

#[test]
fn account_record_v1_format_unchanged() {
    let mut rig = fleet();
    settle(&mut rig, &connect("acc_1", "main"));
    assert_eq!(
        rig.text("SELECT entry FROM accounts"),
        r#"{"vendor":"runpod","label":"main","settings":{"data_centers":"EU-RO-1"},"fingerprint":"0123456789"}"#
    );
}
