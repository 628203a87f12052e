//! The program itself, in real time.

use std::process::Command;

use crate::rig::{ADMIN_KEY, MARK, Rig, credential_text};

fn run(line: &str) -> (i32, String, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_tidegate-sweep"))
        .args(line.split_whitespace())
        .env("ADMIN", ADMIN_KEY)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        ran.status.code().unwrap(),
        text(ran.stdout),
        text(ran.stderr),
    )
}

#[test]
fn it_finds_gives_back_and_says_so_with_its_code() {
    let rig = Rig::new("runpod");
    let owned = rig.rent(MARK, "srv_a", 1);
    rig.own("srv_a", 1, Some(&owned.id));
    let file = std::env::temp_dir().join(format!("tidegate-sweep-{}.json", std::process::id()));
    std::fs::write(&file, credential_text("runpod")).unwrap();
    let path = file.to_str().unwrap().to_owned();
    let line = |more: &str| {
        let line = rig.beside(more);
        line.replace(
            "--credential-file credential",
            &format!("--credential-file {path}"),
        )
    };
    assert_eq!(run(&line("")).0, 0);
    rig.rent(MARK, "srv_lost", 1);
    let (code, out, _) = run(&line(""));
    assert_eq!(code, 3, "{out}");
    let (code, out, err) = run(&line("--kill --grace 1s"));
    assert_eq!(code, 2, "{out}{err}");
    assert_eq!(rig.living(), [owned.id]);
    rig.gate()
        .fails
        .push(("/admin".to_owned(), 0, 500, String::new()));
    assert_eq!(run(&line("--kill --grace 1s")).0, 1);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn it_says_how_it_is_used() {
    let (code, out, err) = run("--vendor runpod --api-key secret-of-mine");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        err.contains("--credential-file") && !err.contains("secret-of-mine"),
        "{err}"
    );
}
