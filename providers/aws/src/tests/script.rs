//! The script of a machine, run for real by bash: with a Docker, a shutdown and a curl that write down what they
//! are told, and below a root of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use tidegate_provider_api::{CreateSpec, ErrorKind, SealedEnv};
use tidegate_vault::Secret;

use super::{Account, account, create, spec};
use crate::user_data;

/// A machine to run it on.
struct Machine {
    root: PathBuf,
}

/// What a program says that is only there to be called: each call on a line, its words between `|`.
const NOTES: &str =
    r#"{ printf '%s' "${0##*/}"; printf '|%s' "$@"; echo; } >>"$TIDEGATE_ROOT/calls""#;

impl Machine {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let root =
            std::env::temp_dir().join(format!("tidegate-aws-{}-{number}", std::process::id()));
        let machine = Self { root };
        fs::create_dir_all(machine.root.join("bin")).unwrap();
        fs::create_dir_all(machine.root.join("etc")).unwrap();
        fs::create_dir_all(machine.root.join("var/lib/cloud/scripts/per-boot")).unwrap();
        let me = "me:x:0:0::/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n";
        machine.write("etc/passwd", me);
        machine.program("shutdown", NOTES);
        machine.program("chown", NOTES);
        machine.program("docker", NOTES);
        // The gateway takes four calls and then says that nobody waits any more; the loop's sleep ends the loop.
        machine.program(
            "curl",
            &format!(
                r#"{NOTES}
case "$*" in *169.254.169.254*) exit 22 ;; esac
echo >>"$TIDEGATE_ROOT/turns"
if [ "$(wc -l <"$TIDEGATE_ROOT/turns")" -gt 4 ]; then echo 410; touch "$TIDEGATE_ROOT/over"; else echo 204; fi"#
            ),
        );
        machine.program("sleep", r#"[ ! -e "$TIDEGATE_ROOT/over" ] || kill "$PPID""#);
        machine
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.root.join(path), text).unwrap();
    }

    fn program(&self, name: &str, does: &str) {
        let path = self.root.join("bin").join(name);
        fs::write(&path, format!("#!/bin/bash\n{does}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a script and everything that it leaves running, to the end.
    fn boot(&self, script: &str) {
        self.write("script", script);
        let path = format!(
            "{}:{}",
            self.root.join("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let ran = Command::new("bash")
            .arg("-c")
            // What it leaves running holds this pipe open until it ends.
            .arg(r#"bash "$TIDEGATE_ROOT/script" 3>&1"#)
            .env("PATH", path)
            .env("TIDEGATE_ROOT", &self.root)
            .env_remove("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{said}");
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    /// The calls of a program.
    fn calls(&self, program: &str) -> Vec<String> {
        let all = self.read("calls");
        let prefix = format!("{program}|");
        let mine = all.lines().filter_map(|line| line.strip_prefix(&prefix));
        mine.map(str::to_owned).collect()
    }

    fn mode(&self, path: &str) -> u32 {
        let at = fs::metadata(self.root.join(path)).unwrap();
        at.permissions().mode() & 0o777
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn script(account: &Account, spec: &CreateSpec) -> String {
    user_data::script(&account.cx(), spec).unwrap()
}

/// A machine that does not call home: its script ends by itself.
fn silent() -> CreateSpec {
    CreateSpec {
        callback: None,
        ..spec()
    }
}

#[test]
fn a_machine_sets_its_end_first_and_then_starts_what_it_is_for() {
    let machine = Machine::new();
    machine.boot(&script(&account(), &silent()));
    let calls = machine.read("calls");
    let env = machine.root.join("var/lib/tidegate/env");
    let programs: Vec<&str> = calls
        .lines()
        .map(|line| line.split('|').next().unwrap())
        .collect();
    assert_eq!(programs, ["shutdown", "chown", "docker"]);
    assert_eq!(machine.calls("shutdown"), ["-h|+720"]);
    assert_eq!(
        machine.calls("docker"),
        [format!(
            "run|-d|--name=tidegate|--restart=on-failure|--ipc=host|--gpus|all|--env-file|{}|-p|8000:8000|\
             vllm/vllm-openai:v0.9.1|--model|Qwen/Qwen3-8B",
            env.display()
        )]
    );
    assert_eq!(
        machine.read("var/lib/tidegate/env"),
        "API_KEY=sk-only-for-this-server\nHF_HOME=/data\n"
    );
    assert_eq!(machine.mode("var/lib/tidegate/env"), 0o600);
    assert_eq!(machine.mode("var/lib/tidegate"), 0o700);
    let keys = machine.read("home/ubuntu/.ssh/authorized_keys");
    assert_eq!(keys, "ssh-ed25519 AAAAC3Nz somebody\n");
    assert_eq!(
        machine.read("root/.ssh/authorized_keys"),
        "",
        "nobody else lets it in"
    );
}

#[test]
fn a_machine_calls_home_until_nobody_waits_for_it_and_then_ends_itself() {
    let machine = Machine::new();
    machine.boot(&script(&account(), &spec()));
    let says: Vec<String> = machine
        .calls("curl")
        .iter()
        .map(|call| call.rsplit("says\":\"").next().unwrap().replace("\"}", ""))
        .collect();
    assert_eq!(says, ["booted", "alive", "alive", "alive", "alive"]);
    let caller = machine.root.join("var/lib/tidegate/caller");
    let nonce = machine.read("var/lib/tidegate/nonce");
    assert_eq!(nonce.len(), 32);
    assert_eq!(
        machine.calls("curl")[0],
        format!(
            "-s|-o|/dev/null|-w|%{{http_code}}|-m|10|-K|{}|-d|{{\"nonce\":\"{nonce}\",\"says\":\"booted\"}}",
            caller.display()
        )
    );
    assert_eq!(
        machine.read("var/lib/tidegate/caller"),
        "url = \"https://gw.example/webhooks/boot/org~srv_a\"\nheader = \"Content-Type: application/json\"\n\
         header = \"Authorization: Bearer boot-0123456789abcdef\"\n"
    );
    assert_eq!(machine.mode("var/lib/tidegate/caller"), 0o600);
    assert_eq!(machine.calls("shutdown"), ["-h|+720", "-h|now"]);
}

#[test]
fn a_machine_that_is_started_again_calls_home_as_the_same_machine() {
    let machine = Machine::new();
    let script = script(&account(), &spec());
    machine.boot(&script);
    let first = machine.calls("curl");
    for mark in ["calls", "turns", "over"] {
        fs::remove_file(machine.root.join(mark)).unwrap();
    }
    machine.boot(&script);
    assert_eq!(machine.calls("curl"), first);
    let other = Machine::new();
    other.boot(&script);
    assert_ne!(
        other.read("var/lib/tidegate/nonce"),
        machine.read("var/lib/tidegate/nonce")
    );
}

#[test]
fn a_spot_machine_says_once_that_it_is_about_to_be_taken() {
    let machine = Machine::new();
    machine.program(
        "curl",
        &format!(
            r#"{NOTES}
case "$*" in
  */latest/api/token*) echo ticket; exit 0 ;;
  */spot/instance-action*) [ -e "$TIDEGATE_ROOT/told" ] && exit 0; touch "$TIDEGATE_ROOT/told"; exit 22 ;;
esac
echo >>"$TIDEGATE_ROOT/turns"
if [ "$(wc -l <"$TIDEGATE_ROOT/turns")" -gt 3 ]; then echo 410; touch "$TIDEGATE_ROOT/over"; else echo 204; fi"#
        ),
    );
    let mut spot = spec();
    spot.spot = true;
    machine.boot(&script(&account(), &spot));
    let calls = machine.calls("curl");
    let ticket = "-sf|-m|2|--noproxy|*|-X|PUT|-H|X-aws-ec2-metadata-token-ttl-seconds: 60|\
                  http://169.254.169.254/latest/api/token";
    let notice = "-sf|-o|/dev/null|-m|2|--noproxy|*|-H|X-aws-ec2-metadata-token: ticket|\
                  http://169.254.169.254/latest/meta-data/spot/instance-action";
    assert_eq!((calls[1].as_str(), calls[2].as_str()), (ticket, notice));
    let says: Vec<&str> = calls
        .iter()
        .filter_map(|call| call.rsplit_once("says\":\""))
        .map(|(_, says)| says.trim_end_matches("\"}"))
        .collect();
    assert_eq!(says, ["booted", "preempting", "alive", "alive"]);
}

#[test]
fn a_machine_that_is_started_again_keeps_its_end_and_its_container() {
    let machine = Machine::new();
    let first = script(&account(), &silent());
    machine.boot(&first);
    let again = machine.root.join("var/lib/cloud/scripts/per-boot/tidegate");
    assert_eq!(fs::read_to_string(&again).unwrap(), first);
    assert_eq!(
        machine.mode("var/lib/cloud/scripts/per-boot/tidegate"),
        0o700
    );
    // An hour of its twelve is left, less the seconds that this test takes.
    let ends: u64 = machine
        .read("var/lib/tidegate/ends")
        .trim()
        .parse()
        .unwrap();
    machine.write("var/lib/tidegate/ends", &format!("{}\n", ends - 11 * 3600));
    machine.write("calls", "");
    machine.boot(&first);
    assert_eq!(machine.calls("shutdown"), ["-h|+60"]);
    assert_eq!(machine.calls("docker"), ["start|tidegate"]);
    let keys = machine.read("home/ubuntu/.ssh/authorized_keys");
    assert_eq!(keys, "ssh-ed25519 AAAAC3Nz somebody\n", "once is enough");
    machine.write("var/lib/tidegate/ends", "1\n");
    machine.write("calls", "");
    machine.boot(&first);
    assert_eq!(machine.calls("shutdown"), ["-h|+0"]);
}

#[test]
fn a_container_that_does_not_start_is_tried_again_from_scratch() {
    let machine = Machine::new();
    machine.program(
        "docker",
        &format!(
            r#"{NOTES}
[ "$1" != run ] || [ -e "$TIDEGATE_ROOT/pulled" ] || {{ touch "$TIDEGATE_ROOT/pulled"; exit 125; }}"#
        ),
    );
    machine.boot(&script(&account(), &silent()));
    let verbs: Vec<String> = machine
        .calls("docker")
        .iter()
        .map(|call| call.split('|').next().unwrap().to_owned())
        .collect();
    assert_eq!(verbs, ["run", "rm", "run"]);
}

/// Everything that a shell, a template or Docker could mistake for something else.
const NASTY: [&str; 14] = [
    "",
    " ",
    "'",
    "''; touch /tmp/x; '",
    "\"$(id)\"",
    "`id`",
    "$HOME ${PATH} $((1+1))",
    "\\",
    "a\\'b",
    "*?[a-z]~",
    "@WORDS@ @PORT@ @TOKEN@ @@",
    "# no comment",
    "=a=b=",
    "é ü 漢字 😀",
];

#[test]
fn arguments_and_variables_arrive_as_they_were_given() {
    let machine = Machine::new();
    machine.program("docker", r#"printf '%s\0' "$@" >"$TIDEGATE_ROOT/words""#);
    let mut account = account();
    let mut nasty = silent();
    nasty.runtime.args = NASTY.map(str::to_owned).to_vec();
    nasty.runtime.args.push("two\nlines\tand\ta tab".to_owned());
    nasty.runtime.env = (0..)
        .zip(NASTY)
        .map(|(at, text)| (format!("V{at:02}"), text.to_owned()))
        .collect();
    nasty.runtime.sealed_env.clear();
    for (at, text) in (0..).zip(NASTY) {
        let name = format!("W{at:02}");
        account.secrets.env.insert(name.clone(), Secret::from(text));
        nasty.runtime.sealed_env.push(SealedEnv {
            name,
            record: String::new(),
            field: String::new(),
            sealed: String::new(),
        });
    }
    machine.boot(&script(&account, &nasty));
    let words = machine.read("words");
    let words: Vec<&str> = words.trim_end_matches('\0').split('\0').collect();
    let image = words
        .iter()
        .position(|word| *word == "vllm/vllm-openai:v0.9.1")
        .unwrap();
    assert_eq!(words[image + 1..], nasty.runtime.args);
    let line = |letter: char| {
        let all = (0..).zip(NASTY);
        all.map(move |(at, text)| format!("{letter}{at:02}={text}\n"))
            .collect::<String>()
    };
    assert_eq!(machine.read("var/lib/tidegate/env"), line('V') + &line('W'));
}

#[test]
fn what_cannot_be_put_into_a_script_is_refused_without_its_value() {
    let account = account();
    let mut spaced = spec();
    spaced.runtime.image = "image with blanks".to_owned();
    let mut option = spec();
    option.runtime.image = "--privileged".to_owned();
    let mut nul = spec();
    nul.runtime.args.push("secret\0".to_owned());
    let mut name = spec();
    name.runtime
        .env
        .insert("A B".to_owned(), "secret".to_owned());
    let mut lines = spec();
    lines
        .runtime
        .env
        .insert("PEM".to_owned(), "secret\nsecret".to_owned());
    let mut sealed = spec();
    sealed.runtime.sealed_env[0].name = "OTHER".to_owned();
    let mut key = spec();
    key.ssh_public_key = Some("ssh-ed25519 A\nssh-ed25519 secret".to_owned());
    let mut address = spec();
    address.callback.as_mut().unwrap().url = "https://gw.example/\" secret".to_owned();
    let mut scheme = spec();
    scheme.callback.as_mut().unwrap().url = "file:///secret".to_owned();
    let mut long = spec();
    long.runtime.args.push("secret".repeat(3000));
    for (spec, words) in [
        (spaced, "one word"),
        (option, "one word"),
        (nul, "a NUL"),
        (name, "letters, digits"),
        (lines, "variable PEM holds a line break"),
        (sealed, "variable OTHER is still sealed"),
        (key, "one line"),
        (address, "cannot call home"),
        (scheme, "cannot call home"),
        (long, "EC2 takes 16384"),
    ] {
        let error = account.encode(&create(spec)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Validation);
        assert!(error.words.contains(words), "{error}");
        assert!(!error.words.contains("secret"), "{error}");
        assert!(error.permanent && !error.unclear);
    }
}

#[test]
fn a_script_may_be_as_long_as_ec2_takes() {
    let account = account();
    let mut long = silent();
    let short = script(&account, &long).len();
    // An argument costs its quotes and the blank before it.
    long.runtime.args.push("a".repeat(16 * 1024 - short - 3));
    assert_eq!(script(&account, &long).len(), 16 * 1024);
    long.runtime.args.push(String::new());
    assert!(user_data::script(&account.cx(), &long).is_err());
}

#[test]
fn no_credential_of_the_account_is_on_the_machine() {
    let account = account().with_session();
    let script = script(&account, &spec());
    for secret in ["AKIDEXAMPLE", super::SECRET, super::SESSION] {
        assert!(!script.contains(secret));
    }
    assert!(
        !script.contains("/sbin/"),
        "every program is found through PATH"
    );
}

/// Whether bash can read a script.
fn is_readable(script: &str, at: &Path) -> bool {
    fs::write(at, script).unwrap();
    let read = Command::new("bash").arg("-n").arg(at).output().unwrap();
    read.status.success() && read.stderr.is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_script_can_be_read_by_bash(
        args in prop::collection::vec("\\PC{0,20}|['\"$`\\\\@ \n]{0,12}", 0..6),
        env in prop::collection::btree_map("[A-Z]{1,4}", "[^\n\r\0]{0,20}", 0..4),
        key in proptest::option::of("[ -~]{0,40}"),
        spot in any::<bool>(),
    ) {
        let machine = Machine::new();
        let mut any = spec();
        any.runtime.args = args;
        any.runtime.env = env.into_iter().collect::<BTreeMap<_, _>>();
        any.ssh_public_key = key;
        any.spot = spot;
        if let Ok(script) = user_data::script(&account().cx(), &any) {
            let is_readable = is_readable(&script, &machine.root.join("script"));
            prop_assert!(is_readable);
        }
    }
}
