use std::collections::BTreeMap;

use super::*;
use crate::diag::{NoSources, SourceLocation};

struct Sources(BTreeMap<&'static str, &'static str>);

impl SourceReader for Sources {
    fn read(&self, file: &str) -> Option<String> {
        self.0.get(file).map(ToString::to_string)
    }
}

/// The same text for every file.
struct Foreign(&'static str);

impl SourceReader for Foreign {
    fn read(&self, _file: &str) -> Option<String> {
        Some(self.0.to_owned())
    }
}

const PROGRAM: &str = r#"    let lb = hosts.select(Role::Lb, "internal-haproxy")?;
    let pooler = stack.add_each(&lb, |host| PgBouncer::on(host).port(6432)
        .upstream(&entry)
    let entry = stack.add(HetznerLb::new("lb-haproxy").service(&pooler.as_port(5432)));
    Ok(())
"#;

fn sources() -> Sources {
    Sources(BTreeMap::from([
        ("stacks/keybuzz.rs", PROGRAM),
        (
            "stacks/servers.tsv",
            "HOSTNAME\tIP_PRIVEE\ndb-1\t10.0.0.1\n",
        ),
    ]))
}

fn circle() -> Finding {
    let at = |line, column| SourceLocation::new("stacks/keybuzz.rs", line, column, 0);
    Finding::error(
        "kbz::topology::loop",
        "a connection to 10.0.0.10:5432 would run in a circle",
    )
    .label(at(3, 10), "PgBouncer connects to 10.0.0.10:5432 …")
    .label(at(4, 56), "… which leads back to PgBouncer")
    .note(
        "way",
        "lb-haproxy:5432 → haproxy-01:5432 → pgbouncer@haproxy-01:6432 → lb-haproxy:5432",
    )
    .help("let PgBouncer connect to the HAProxy on its own host: .upstream(&write)")
}

#[test]
fn two_labels_of_a_file_stand_in_one_snippet() {
    let report = Report::from(circle());
    insta::assert_snapshot!(Renderer::new(100).fancy(&report, &sources()));
}

#[test]
fn ascii_on_a_narrow_terminal() {
    let report = Report::from(circle());
    let renderer = Renderer::new(60).symbols(Symbols::Ascii);
    insta::assert_snapshot!(renderer.fancy(&report, &sources()));
}

#[test]
fn labels_of_several_files_and_of_files_that_cannot_be_quoted() {
    let report = Report::from_iter([
        circle().label(
            SourceLocation::new("stacks/servers.tsv", 2, 1, 4),
            "this host",
        ),
        Finding::warning("kbz::credentials::short", "the password is short")
            .label(
                SourceLocation::new("stacks/servers.tsv", 2, 1, 4).withhold(),
                "shown nowhere",
            )
            .label(SourceLocation::new("gone.rs", 2, 1, 4), ""),
        Finding::advice("kbz::versions::unused", "nothing uses `minio`"),
    ]);
    insta::assert_snapshot!(Renderer::new(100).fancy(&report, &sources()));
}

#[test]
fn lines_and_json() {
    let report = Report::from_iter([
        circle(),
        Finding::warning("kbz::x::y", "bad \u{1b}[31mthing\nhere\u{7}"),
    ]);
    insta::assert_snapshot!(Renderer::plain(&report));
    let json = Renderer::json(&report);
    insta::assert_snapshot!(json);
    for (line, finding) in json.lines().zip(report.findings()) {
        assert_eq!(&serde_json::from_str::<Finding>(line).unwrap(), finding);
    }
}

#[test]
fn colour_repeats_what_the_symbols_say() {
    let report = Report::from(circle());
    let plain = Renderer::new(100).fancy(&report, &sources());
    let colored = Renderer::new(100).color(true).fancy(&report, &sources());
    assert!(colored.contains('\u{1b}'));
    assert!(!plain.contains('\u{1b}'));
    assert_eq!(cleaned(&colored), plain);
}

#[test]
fn no_escape_of_a_foreign_text_reaches_the_terminal() {
    let foreign = "\u{1b}]0;owned\u{7}\u{9b}2J";
    let report = Report::from(
        Finding::error("kbz::x::y", foreign)
            .label(SourceLocation::new(format!("f{foreign}"), 1, 1, 1), foreign)
            .note(foreign, foreign)
            .help(foreign),
    );
    let sources: [&dyn SourceReader; 2] = [&NoSources, &Foreign("\u{1b}]0;owned\u{7}\u{9b}2J")];
    for sources in sources {
        let drawn = Renderer::new(80).fancy(&report, sources) + &Renderer::plain(&report);
        assert!(
            drawn.chars().all(|c| c == '\n' || !c.is_control()),
            "{drawn:?}"
        );
    }
}

#[test]
fn colour_is_decided_by_the_terminal_no_color_and_the_person() {
    use ColorChoice::{Always, Auto, Never};
    let one = Some(OsStr::new("1"));
    for (choice, no_color, is_terminal, wanted) in [
        (Auto, None, true, true),
        (Auto, None, false, false),
        (Auto, one, true, false),
        (Auto, Some(OsStr::new("")), true, true),
        (Always, one, false, true),
        (Never, None, true, false),
    ] {
        assert_eq!(choice.decide(no_color, is_terminal), wanted, "{choice:?}");
    }
}
