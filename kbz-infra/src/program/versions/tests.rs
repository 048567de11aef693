use proptest::prelude::*;

use super::*;
use crate::diag::{Renderer, Report, SourceReader};

struct Text<'a>(&'a str);

impl SourceReader for Text<'_> {
    fn read(&self, file: &str) -> Option<String> {
        (file == "versions.yaml").then(|| self.0.to_owned())
    }
}

fn parse(text: &str) -> Result<Versions, InputErrors> {
    Versions::parse("versions.yaml", text)
}

fn codes(text: &str) -> Vec<String> {
    let short = |finding: &Finding| finding.code.replace("kbz::versions::", "");
    match parse(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.findings().iter().map(short).collect(),
    }
}

const GOOD: &str = "\u{feff}# what runs\r\n\
    postgres: 16.4 # the default\r\n\
    patroni: \"4.1.5\"\r\n\
    haproxy: 2.8.5\r\n\
    redis: '7.2.5-alpine'\r\n\
    minio: RELEASE.2024-10-02T17-50-41Z\r\n\
    own: registry.example:5000/team/own:1.2.3@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n";

#[test]
fn pins_are_read() {
    let versions = parse(GOOD).unwrap();
    let postgres = PostgresVersion {
        major: 16,
        minor: 4,
    };
    assert_eq!(versions.postgres().unwrap(), postgres);
    assert_eq!(versions.get("patroni").unwrap().as_str(), "4.1.5");
    for (name, image) in [
        ("haproxy", "haproxy:2.8.5"),
        ("redis", "redis:7.2.5-alpine"),
        ("minio", "minio/minio:RELEASE.2024-10-02T17-50-41Z"),
        (
            "own",
            "registry.example:5000/team/own:1.2.3@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ),
    ] {
        assert_eq!(versions.image(name).unwrap().to_string(), image);
    }
}

#[test]
fn pins_that_nothing_asks_for_are_reported() {
    let versions = parse(GOOD).unwrap();
    let elsewhere = versions.clone();
    elsewhere.postgres().unwrap();
    elsewhere.image("haproxy").unwrap();
    let unused = Report::from_iter(versions.unused());
    insta::assert_snapshot!(Renderer::plain(&unused), @r"
    versions.yaml:6:8: warning: nothing uses the pin `minio` [kbz::versions::unused] help: remove the line, or use it in the program
    versions.yaml:7:6: warning: nothing uses the pin `own` [kbz::versions::unused] help: remove the line, or use it in the program
    versions.yaml:3:10: warning: nothing uses the pin `patroni` [kbz::versions::unused] help: remove the line, or use it in the program
    versions.yaml:5:8: warning: nothing uses the pin `redis` [kbz::versions::unused] help: remove the line, or use it in the program
    ");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = "postgres: 16.4-alpine\n\
        haproxy: latest\n\
        pgbouncer: 1.24.1\n\
        pgbackrest: 2.10\n\
        redis: 7.2-alpine\n\
        pysyncobj: 0.3.10\n\
        patroni: \">=4\"\n\
        minio: minio/minio\n\
        pgbouncer: 1.23.0\n\
        images:\n  haproxy: latest\n";
    let errors = parse(text).expect_err("almost every line is wrong");
    let drawn = Renderer::new(90).fancy(&Report::from(errors), &Text(text));
    insta::assert_snapshot!(drawn);
}

#[test]
fn a_pin_is_exact_or_refused() {
    for (line, expected) in [
        ("postgres: 16.4", None),
        ("postgres: 17.11-trixie", None),
        ("postgres: postgres:16.4", None),
        ("postgres: 16", Some("floating")),
        ("postgres: 15.8", Some("postgres")),
        ("postgres: 18.0", Some("misread")),
        ("postgres: '18.0'", Some("postgres")),
        ("postgres: 16.4.1", Some("postgres")),
        ("postgres: 16.4beta1", Some("postgres")),
        ("postgres: 17.10", Some("misread")),
        ("postgres: '17.10'", None),
        ("redis: 7", Some("floating")),
        ("redis: 7.2", Some("floating")),
        ("redis: 7.2.5", None),
        ("redis: alpine", Some("floating")),
        ("redis: redis:latest", Some("floating")),
        ("redis: 'redis:'", Some("no-tag")),
        ("redis: library/redis", Some("no-tag")),
        ("redis: 7.2.x", Some("range")),
        ("redis: ~7.2.5", Some("range")),
        ("redis: 7.2.5@sha256:12", Some("digest")),
        ("redis:", Some("no-version")),
        ("redis: ~", Some("no-version")),
        ("redis: no", Some("no-version")),
        ("redis: 1e3", Some("misread")),
        ("redis: 0x10", Some("misread")),
        ("redis: 017", Some("misread")),
        ("redis: 12:30", Some("misread")),
        ("redis: 2024-10-02", Some("misread")),
        ("redis: '2024-10-02'", None),
        ("redis: 1_000", Some("misread")),
        ("redis: &a 7.2.5", None),
        ("redis: !!str 7.2.5", Some("tag")),
        ("redis: [7.2.5]", Some("nested")),
        ("redis: 7.2.5 7.2.6", Some("no-version")),
        ("k3s: v1.30.5+k3s1", None),
        ("debian: trixie-20251103", None),
        ("debian: trixie", Some("floating")),
        ("patroni: 3.3.0", Some("too-old")),
        ("pysyncobj: 0.3.17", None),
        ("- redis", Some("nested")),
        ("redis", Some("no-map")),
        ("a: 1.2.3\nb: *c", Some("no-yaml")),
        ("a: \"1.2.3", Some("no-yaml")),
    ] {
        assert_eq!(
            codes(line),
            expected.into_iter().collect::<Vec<_>>(),
            "{line}"
        );
    }
}

#[test]
fn an_empty_file_pins_nothing() {
    for text in ["", "# nothing\n", "---\n", "{}\n"] {
        let errors = parse(text).unwrap().get("redis").unwrap_err();
        assert_eq!(
            errors.to_string(),
            "versions.yaml pins no version of `redis`"
        );
    }
}

#[test]
fn asking_for_what_is_not_pinned_names_the_line_of_the_program() {
    let versions = parse(GOOD).unwrap();
    let errors = versions.image("haproxi").unwrap_err();
    let finding = &errors.findings()[0];
    assert_eq!(finding.location().unwrap().line, line!() - 2);
    assert!(
        finding
            .location()
            .unwrap()
            .file
            .ends_with("versions/tests.rs")
    );
    assert_eq!(finding.help.as_deref(), Some("did you mean `haproxy`?"));
}

#[test]
fn what_is_no_tag_is_no_image() {
    let versions = parse("k3s: v1.30.5+k3s1").unwrap();
    assert_eq!(versions.get("k3s").unwrap().as_str(), "v1.30.5+k3s1");
    let errors = versions.image("k3s").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "`v1.30.5+k3s1` cannot be the tag of an image"
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), lines in "([a-z\"'*&!{}@:. 0-9-]{0,20}\n){0,6}") {
        let _ = parse(&text);
        let _ = parse(&lines);
    }

    #[test]
    fn what_is_written_is_read_back(pins in proptest::collection::btree_map("[a-z]{1,8}x", any::<[u16; 3]>(), 0..8)) {
        let lines: Vec<_> = pins.iter().map(|(name, [a, b, c])| format!("{name}: {a}.{b}.{c}")).collect();
        let versions = parse(&lines.join("\n")).unwrap();
        for (name, [a, b, c]) in &pins {
            prop_assert_eq!(versions.get(name).unwrap().to_string(), format!("{a}.{b}.{c}"));
        }
        prop_assert!(versions.unused().is_empty());
    }
}
