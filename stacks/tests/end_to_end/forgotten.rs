//! The operator's memory is lost, and with it what only a mark on an object tells.

use trials::Operator;

/// What an earlier program has made, and none declares any more: a role, and a database of it.
const LEFT: [&str; 4] = [
    "CREATE ROLE former NOLOGIN",
    "COMMENT ON ROLE former IS 'kbz:keybuzz'",
    "CREATE DATABASE archive OWNER former",
    "COMMENT ON DATABASE archive IS 'kbz:keybuzz'",
];

pub(crate) fn is_found_by_its_mark(operator: &Operator) {
    let leader = operator.leader();
    for statement in LEFT {
        operator.superuser(&leader, statement);
    }
    for memory in ["snapshot.json", "journal.jsonl"] {
        let path = operator.folder().join(".kbz/lab/keybuzz").join(memory);
        std::fs::remove_file(path).expect(memory);
    }
    let said = operator.must(&["up"]);
    assert!(said.contains("no changes"), "{said}");
    // Wherever lines are broken.
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "pg-role:former bears the mark",
        "`DROP ROLE \"former\"`",
        "pg-database:archive bears the mark",
        "`DROP DATABASE \"archive\"`",
    ] {
        assert!(said.contains(told), "{told} is missing:\n{said}");
    }
    for known in ["kb_app", "pg-database:keybuzz", "lb-haproxy"] {
        let marked = format!("{known} bears the mark");
        assert!(!said.contains(&marked), "{said}");
    }
    for statement in ["DROP DATABASE archive", "DROP ROLE former"] {
        operator.superuser(&leader, statement);
    }
    operator.unchanged();
}
