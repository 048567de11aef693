//! What the pages say of the code is there.

use std::path::Path;

/// The pages that name code, below the repository.
const PAGES: [&str; 2] = ["ARCHITECTURE.md", "SECURITY.md"];

/// The words of a page that are written as code, without its examples.
fn code_of(page: &str) -> Vec<&str> {
    let prose = page.split("```").step_by(2);
    prose
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .collect()
}

/// Whether a word names a file or folder of the repository: hosts have absolute paths.
fn is_path(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    word.chars().all(plain)
        && !word.starts_with(['/', '.'])
        && (word.contains('/') || Path::new(word).extension().is_some_and(|kind| kind == "rs"))
}

#[test]
fn the_paths_that_pages_name_are_there() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR"));
    let repository = library.join("..");
    let mut missing = Vec::new();
    for page in PAGES {
        let text = std::fs::read_to_string(repository.join(page)).unwrap();
        let paths: Vec<&str> = code_of(&text)
            .into_iter()
            .filter(|word| is_path(word))
            .collect();
        assert!(paths.len() > 10, "{page} names {paths:?}");
        let is_there =
            |path: &&str| repository.join(path).exists() || library.join("src").join(path).exists();
        let gone = paths.into_iter().filter(|path| !is_there(path));
        missing.extend(gone.map(|path| format!("{page}: {path}")));
    }
    assert!(missing.is_empty(), "not there:\n{}", missing.join("\n"));
}
