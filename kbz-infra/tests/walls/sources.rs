//! The sources of the library.

use std::path::{Path, PathBuf};

/// A file of the library, as the compiler sees it.
pub(crate) struct Source {
    /// The path below `src`, such as `plan/order.rs`.
    pub(crate) path: String,
    /// The modules that lead to it, such as `plan`, `order`.
    pub(crate) modules: Vec<String>,
    pub(crate) text: String,
}

impl Source {
    pub(crate) fn room(&self) -> &str {
        &self.modules[0]
    }
}

/// All sources, without those of tests and the crate's own root.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
        .iter()
        .filter_map(|path| source(&root, path))
        .collect()
}

/// A source, unless it is that of tests or of the crate's own root.
fn source(root: &Path, path: &PathBuf) -> Option<Source> {
    let below = path.strip_prefix(root).unwrap();
    let mut modules: Vec<String> = below
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    let test = |name: &String| {
        ["tests", "testing", "testkit"].contains(&name.as_str()) || name.ends_with("_tests")
    };
    if modules.iter().any(test) || modules == ["lib"] {
        return None;
    }
    if modules.last().is_some_and(|last| last == "mod") {
        modules.pop();
    }
    Some(Source {
        path: below.to_str().unwrap().to_owned(),
        modules,
        text: code(&std::fs::read_to_string(path).unwrap()),
    })
}

/// The lines of code of a source, without comments and without its tests.
pub(crate) fn code(text: &str) -> String {
    let mut lines = Vec::new();
    let mut source = text.lines().peekable();
    while let Some(line) = source.next() {
        let tests = source
            .peek()
            .is_some_and(|next| next.starts_with("mod tests {"));
        if line == "#[cfg(test)]" && tests {
            break;
        }
        if !line.trim_start().starts_with("//") {
            lines.push(line.split(" // ").next().unwrap_or(line));
        }
    }
    lines.join("\n")
}
