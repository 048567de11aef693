//! Takes a program the way of the command line, and holds what a user sees.

use std::path::Path;

use kbz_infra::cli::{Checked, checked};
use kbz_infra::diag::{FileSources, Finding, Renderer, Report, Severity};
use kbz_infra::ident::StackName;
use kbz_infra::prelude::*;
use kbz_infra::program::Settings;

/// Columns of the screen.
const WIDTH: usize = 100;

/// Which files a program reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Inputs {
    /// Those of the real program.
    Good,
    /// Those with mistakes.
    Bad,
}

fn taken(
    inputs: Inputs,
    program: impl FnOnce(&mut Stack) -> Result<()>,
) -> Result<Checked, Report> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let credentials = folder.path().join("postgres.env");
    // What is made now is not remarked on later.
    Credentials::load_or_generate(&credentials).expect("credentials are made");
    let settings = Settings {
        credentials: Some(credentials),
        ..Settings::new(match inputs {
            Inputs::Good => "../stacks",
            Inputs::Bad => "tests/mistakes/inputs",
        })
    };
    let name = StackName::new("keybuzz").expect("a name");
    checked(&name, settings, program)
}

/// Nothing is odd about a program.
pub(crate) fn accepted(program: impl FnOnce(&mut Stack) -> Result<()>) {
    let warnings = match taken(Inputs::Good, program) {
        Ok(checked) => checked.program.warnings.into_iter().collect(),
        Err(report) => report,
    };
    assert_eq!(shown(&warnings), "");
}

/// A program is refused for these reasons and no others.
pub(crate) fn refused(name: &str, codes: &[&str], program: impl FnOnce(&mut Stack) -> Result<()>) {
    refused_with(Inputs::Good, name, codes, program);
}

/// The same of a program with these inputs.
pub(crate) fn refused_with(
    inputs: Inputs,
    name: &str,
    codes: &[&str],
    program: impl FnOnce(&mut Stack) -> Result<()>,
) {
    let report = taken(inputs, program).expect_err("the program is refused");
    assert!(report.has_errors());
    held(name, codes, &report);
}

/// A program goes on, and these things are told.
pub(crate) fn warned(name: &str, codes: &[&str], program: impl FnOnce(&mut Stack) -> Result<()>) {
    let checked = match taken(Inputs::Good, program) {
        Ok(checked) => checked,
        Err(report) => panic!("the program is refused:\n{}", shown(&report)),
    };
    held(name, codes, &checked.program.warnings.into_iter().collect());
}

fn held(name: &str, codes: &[&str], report: &Report) {
    let text = shown(report);
    let mut found: Vec<&str> = report.findings().iter().map(|f| &*f.code).collect();
    found.dedup();
    assert_eq!(found, codes, "\n{text}");
    for finding in report.findings() {
        helps(finding);
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../snapshots/mistakes");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Every finding says where it was declared, and what cures it.
fn helps(finding: &Finding) {
    assert!(finding.severity >= Severity::Warning, "{finding:?}");
    assert!(finding.help.is_some(), "no cure: {finding:?}");
    let place = finding.location().expect("a place");
    let source = Path::new(&place.file);
    let known = ["rs", "tsv", "yaml"].iter();
    assert!(
        known
            .into_iter()
            .any(|known| source.extension().is_some_and(|is| is == *known)),
        "{finding:?}"
    );
}

fn shown(report: &Report) -> String {
    let sources = FileSources::below(env!("CARGO_MANIFEST_DIR"));
    Renderer::new(WIDTH).fancy(report, &sources)
}
