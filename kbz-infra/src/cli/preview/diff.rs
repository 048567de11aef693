//! The difference between two texts, as a few lines.

use similar::TextDiff;

/// Lines around a change.
const CONTEXT: usize = 2;
/// More lines than this of one diff are counted, not shown.
const LONGEST: usize = 80;

/// A unified diff, without its file header.
pub(in crate::cli) fn lines(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let unified = diff.unified_diff().context_radius(CONTEXT).to_string();
    let mut lines: Vec<String> = unified
        .lines()
        .filter(|line| !line.starts_with("\\ "))
        .map(str::to_owned)
        .collect();
    if lines.len() > LONGEST {
        let more = lines.len() - LONGEST;
        lines.truncate(LONGEST);
        lines.push(format!("  … and {more} lines more"));
    }
    lines
}
