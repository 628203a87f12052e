//! Which crate of ours uses which, held against the committed `docs/crate-graph.txt`: a new arrow is a
//! decision, and so it shows in a review.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

const GOLDEN: &str = "docs/crate-graph.txt";

/// What differs.
pub fn complaints(root: &Path) -> Vec<String> {
    let golden = std::fs::read_to_string(root.join(GOLDEN)).unwrap_or_default();
    match render(root) {
        Ok(graph) if graph == golden => Vec::new(),
        Ok(graph) => {
            let (old, new): (BTreeSet<_>, BTreeSet<_>) =
                (golden.lines().collect(), graph.lines().collect());
            let gone = old
                .difference(&new)
                .map(|line| format!("{GOLDEN}: no longer true: {line}"));
            let added = new
                .difference(&old)
                .map(|line| format!("{GOLDEN}: missing: {line}"));
            let mend = "if that is meant: cargo xtask graph --write".to_owned();
            gone.chain(added).chain([mend]).collect()
        }
        Err(error) => vec![error],
    }
}

/// Writes the graph as it is.
pub fn write(root: &Path) -> Vec<String> {
    let written = render(root).and_then(|graph| {
        std::fs::write(root.join(GOLDEN), graph).map_err(|error| format!("{GOLDEN}: {error}"))
    });
    written.err().into_iter().collect()
}

fn render(root: &Path) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    Ok(lines(&metadata))
}

/// One line a crate: its name, then the crates of ours that its code (not its tests) uses.
fn lines(metadata: &serde_json::Value) -> String {
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let name =
        |package: &serde_json::Value| package["name"].as_str().unwrap_or_default().to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &packages {
        let uses = graph.entry(name(package)).or_default();
        let dependencies = package["dependencies"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let built = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null());
        uses.extend(built.map(name).filter(|used| ours.contains(used)));
    }
    let line = |(user, uses): (&String, &BTreeSet<String>)| {
        let uses: Vec<&str> = uses.iter().map(String::as_str).collect();
        format!(
            "{user} -> {}\n",
            if uses.is_empty() {
                "-".to_owned()
            } else {
                uses.join(" ")
            }
        )
    };
    graph.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_crates_and_only_what_is_built_are_drawn() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "a", "dependencies": [
                { "name": "b", "kind": null }, { "name": "serde", "kind": null }, { "name": "c", "kind": "dev" },
            ] },
            { "name": "b", "dependencies": [] },
            { "name": "c", "dependencies": [] },
        ] });
        assert_eq!(lines(&metadata), "a -> b\nb -> -\nc -> -\n");
    }
}
