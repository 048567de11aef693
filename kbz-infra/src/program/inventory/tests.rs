use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::diag::{Renderer, Report, SourceReader};

struct Text<'a>(&'a str);

impl SourceReader for Text<'_> {
    fn read(&self, file: &str) -> Option<String> {
        (file == "servers.tsv").then(|| self.0.to_owned())
    }
}

const HEADER: &str = "ENV\tIP_PUBLIQUE\tHOSTNAME\tIP_PRIVEE\tROLE\tSUBROLE\n";

fn table(rows: &str) -> String {
    format!("{HEADER}{rows}")
}

fn drawn(text: &str) -> String {
    let errors = Inventory::parse("servers.tsv", text).expect_err("the table is wrong");
    Renderer::new(100).fancy(&Report::from(errors), &Text(text))
}

fn codes(text: &str) -> Vec<String> {
    let short = |finding: &Finding| finding.code.replace("kbz::inventory::", "");
    match Inventory::parse("servers.tsv", text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.findings().iter().map(short).collect(),
    }
}

#[test]
fn a_table_of_the_real_world_is_read() {
    let text = "\u{feff}# the hosts\r\n\r\nENV\tIP_PUBLIQUE\tHOSTNAME\tIP_PRIVEE\tROLE\tSUBROLE\tNOTE\r\n\
        prod\t192.0.2.7\tdb-master-01\t10.0.0.120\tdb\tpostgres\tsince 2024, two disks\r\n\
        # prod\t-\told-01\t10.0.0.119\tdb\tpostgres\r\n\
        prod\t-\thaproxy-01\t 10.0.0.11 \tlb\tinternal-haproxy\r\n\
        prod\t\tinstall-01\t10.0.0.5\tinstall";
    let inventory = Inventory::parse("servers.tsv", text).unwrap();
    insta::assert_debug_snapshot!(inventory.hosts());
    assert!(inventory.warnings().is_empty());
}

#[test]
fn every_bad_row_is_reported_at_once() {
    insta::assert_snapshot!(drawn(&table(
        "prod\t-\tdb-1\t10.0.0.120\tdb\tpostgres\n\
         prod\t-\tdb-1\t10.0.0.121\tdb\tpostgres\n\
         prod\t-\tdb-3\t10.0.0.120\tdb\tpostgres\n\
         prod\t-\tdb-4\t10.0.0.300\tdb\tpostgres\n\
         prod\t-\tdb-5\t203.0.113.5\tdb\tpostgres\n\
         prod\t-\tdb-6\tfd00::6\tdb\tpostgres\n\
         prod\t-\tcache-1\t10.0.0.130\tredsi\tredis\n\
         prod    -    db-7    10.0.0.127    db    postgres\n\
         prod\t-\tdb-8\t10.0.0.128\n\
         prod\t-\tDB_9.keybuzz.io\t10.0.0.129\tdb\tpostgres\n"
    )));
}

#[test]
fn a_header_without_its_columns_says_which() {
    insta::assert_snapshot!(drawn(
        "ENV\tHOSTNAM\tADDRESS\tROLE\tROLE\tSUBROLE\nx\tx\tx\tx\tx\tx\n"
    ));
}

#[test]
fn small_mistakes_have_their_codes() {
    for (text, expected) in [
        ("", vec!["empty"]),
        ("# only a comment\n", vec!["empty"]),
        (HEADER, vec!["empty"]),
        ("ENV  HOSTNAME  IP_PRIVEE  ROLE  SUBROLE\n", vec!["spaces"]),
        (&table("p\t-\t\t-\t-\t-\n"), vec!["empty-cell"; 3]),
        (
            &table("p\tx\tdb-1\t10.0.0.1\tdb\tpg\n"),
            vec!["invalid-address"],
        ),
        (
            &table("p\t-\tdb-1\t10.0.0.01\tdb\tpg\n"),
            vec!["invalid-address"],
        ),
        (
            &table("p\t-\tdb-1\t10.0.0.1/24\tdb\tpg\n"),
            vec!["invalid-address"],
        ),
        (
            &table("p\t-\tdb-1\t127.0.0.1\tdb\tpg\n"),
            vec!["public-address"],
        ),
        (
            &table("p\t-\tdb-1\t10.0.0.1\tDB\tpg\n"),
            vec!["unknown-role"],
        ),
        (
            &table("p\t-\tdb-1\t10.0.0.1\tdb\tp g\n"),
            vec!["invalid-subrole"],
        ),
        (&table("p\t-\tdb-1\t10.0.0.1\tdb_proxy\tproxysql\n"), vec![]),
    ] {
        assert_eq!(codes(text), expected, "{text:?}");
    }
}

#[test]
fn a_moved_column_is_read_and_warned_about() {
    let text = "HOSTNAME\tIP_PRIVEE\tROLE\tSUBROLE\ndb-1\t10.0.0.1\tdb\tpg\n";
    let inventory = Inventory::parse("servers.tsv", text).unwrap();
    let messages: Vec<_> = inventory
        .warnings()
        .iter()
        .map(|one| &one.message)
        .collect();
    assert_eq!(
        messages,
        [
            "HOSTNAME is column 1 instead of 3",
            "IP_PRIVEE is column 2 instead of 4"
        ]
    );
}

fn production() -> Inventory {
    let rows = "p\t-\tdb-2\t10.0.0.121\tdb\tpostgres\n\
        p\t-\tlb-1\t10.0.0.11\tlb\tinternal-haproxy\n\
        p\t-\tdb-1\t10.0.0.120\tdb\tpostgres\n";
    Inventory::parse("servers.tsv", &table(rows)).unwrap()
}

#[test]
fn selecting_keeps_the_order_of_the_file() {
    let names = |hosts: Vec<Host>| {
        hosts
            .into_iter()
            .map(|host| host.name.to_string())
            .collect()
    };
    let hosts: Vec<String> = names(production().select(Role::Db, "postgres").unwrap());
    assert_eq!(hosts, ["db-2", "db-1"]);
    let hosts: Vec<String> = names(production().select_role(Role::Lb).unwrap());
    assert_eq!(hosts, ["lb-1"]);
}

#[test]
fn selecting_nothing_says_what_there_is() {
    let errors = production().select(Role::Db, "postgre").unwrap_err();
    let line = Renderer::plain(&Report::from(errors));
    let (_, said) = line.split_once(": error: ").unwrap();
    insta::assert_snapshot!(said.split_once(']').unwrap().0, @"no host of servers.tsv has role `db` and subrole `postgre` [kbz::inventory::nothing-selected");
    assert!(line.contains("inventory/tests.rs"), "{line}");
    assert!(
        line.contains("it holds: db postgres (2), lb internal-haproxy (1)"),
        "{line}"
    );
    assert!(line.contains("help: did you mean `postgres`?"), "{line}");
}

#[test]
fn the_inventory_is_found_where_it_usually_is() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("a/b");
    std::fs::create_dir_all(&program).unwrap();
    let missing = Inventory::find(&program).unwrap_err();
    assert!(
        missing.findings()[0]
            .help
            .as_deref()
            .unwrap()
            .contains("../../inventory/servers.tsv")
    );
    std::fs::create_dir(dir.path().join("inventory")).unwrap();
    let row = "p\t-\tdb-1\t10.0.0.1\tdb\tpg\n";
    std::fs::write(dir.path().join("inventory/servers.tsv"), table(row)).unwrap();
    assert_eq!(Inventory::find(&program).unwrap().hosts().len(), 1);
}

#[test]
fn a_file_that_is_no_text_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("servers.tsv");
    std::fs::write(&path, b"ENV\n\xff").unwrap();
    let errors = Inventory::load(&path).unwrap_err();
    let place = errors.findings()[0].location().unwrap();
    assert_eq!((place.line, place.column), (2, 1));
}

fn host_row() -> impl Strategy<Value = (String, [u8; 2], usize, bool)> {
    (
        "[a-z][a-z0-9]{0,8}",
        any::<[u8; 2]>(),
        0..Role::ALL.len(),
        any::<bool>(),
    )
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), rows in "([a-z0-9. \t-]{0,30}\n){0,5}") {
        let _ = Inventory::parse("servers.tsv", &text);
        let _ = Inventory::parse("servers.tsv", &table(&rows));
    }

    #[test]
    fn what_is_written_is_read_back(rows in proptest::collection::vec(host_row(), 1..8)) {
        let mut text = HEADER.to_owned();
        for (at, (name, [b, c], role, with_subrole)) in rows.iter().enumerate() {
            let subrole = if *with_subrole { "sub-role" } else { "-" };
            writeln!(text, "e\t-\t{name}-{at}\t10.{b}.{c}.{at}\t{}\t{subrole}", Role::ALL[*role]).unwrap();
        }
        let inventory = Inventory::parse("servers.tsv", &text).unwrap();
        prop_assert_eq!(inventory.hosts().len(), rows.len());
        for (at, (host, (name, [b, c], role, with_subrole))) in inventory.hosts().iter().zip(&rows).enumerate() {
            prop_assert_eq!(host.name.as_str(), format!("{name}-{at}"));
            prop_assert_eq!(host.address.to_string(), format!("10.{b}.{c}.{at}"));
            prop_assert_eq!(host.role, Role::ALL[*role]);
            prop_assert_eq!(host.subrole.is_some(), *with_subrole);
        }
    }
}
