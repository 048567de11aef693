//! Every block of Rust in the README and the book is compiled: as a documentation test
//! (`src/lib.rs`), or where it comes from.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The README, the architecture, and every chapter.
fn texts() -> Vec<PathBuf> {
    let chapters = fs::read_dir(root().join("book/src")).unwrap();
    let chapters = chapters.map(|entry| entry.unwrap().path());
    let mut texts: Vec<PathBuf> = chapters
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .filter(|path| !path.ends_with("SUMMARY.md"))
        .chain([root().join("README.md"), root().join("ARCHITECTURE.md")])
        .collect();
    texts.sort();
    texts
}

/// The fenced blocks of a text: what follows the opening fence, and the lines inside.
fn blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let inner = lines.by_ref().take_while(|line| line.trim() != "```");
            blocks.push((language, inner.collect()));
        }
    }
    blocks
}

/// What is wrong with an `{{#include FILE[:ANCHOR]}}`.
fn broken_include(chapter: &Path, line: &str) -> Option<String> {
    let Some(target) = line
        .strip_prefix("{{#include ")
        .and_then(|rest| rest.strip_suffix("}}"))
    else {
        return Some(format!("`{line}` is code that nothing compiles"));
    };
    let (file, anchor) = target.split_once(':').unwrap_or((target, ""));
    let path = chapter.parent().unwrap().join(file);
    let Ok(source) = fs::read_to_string(&path) else {
        return Some(format!("there is no {file}"));
    };
    let compiled = file.starts_with("../../examples/") || file.starts_with("../../stacks/");
    if !compiled {
        return Some(format!("{file} is no source of the examples or stacks"));
    }
    let there = |word: &str| source.contains(&format!("// {word}: {anchor}\n"));
    let found = anchor.is_empty() || (there("ANCHOR") && there("ANCHOR_END"));
    (!found).then(|| format!("{file} has no anchor `{anchor}`"))
}

#[test]
fn every_text_is_a_documentation_test() {
    let tested = fs::read_to_string(root().join("examples/src/lib.rs")).unwrap();
    for text in texts() {
        let path = text.strip_prefix(root()).unwrap().display().to_string();
        assert!(tested.contains(&format!("\"../../{path}\"")), "{path}");
    }
}

#[test]
fn what_is_not_run_here_is_compiled_where_it_comes_from() {
    let mut included = 0;
    let mut broken = Vec::new();
    for path in texts() {
        let text = fs::read_to_string(&path).unwrap();
        for (language, lines) in blocks(&text) {
            // Without a language a block counts as Rust.
            let rust = language.is_empty() || language.starts_with("rust");
            if !rust || !(language.contains("ignore") || text_of(&lines).contains("{{#")) {
                continue;
            }
            included += lines.len();
            let wrong = lines.iter().filter_map(|line| broken_include(&path, line));
            broken.extend(wrong.map(|what| format!("{}: {what}", path.display())));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(included > 5, "only {included} includes were found");
}

fn text_of(lines: &[&str]) -> String {
    lines.join("\n")
}
