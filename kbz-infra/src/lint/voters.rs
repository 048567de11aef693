//! Groups that cannot decide, or cannot lose a member.

use std::collections::BTreeSet;

use super::facts::{Facts, Voters};
use super::label::labelled;
use crate::diag::Finding;

/// With fewer voters the loss of one ends all decisions.
const FEWEST: usize = 3;

/// Too few voters, an even number of them, one counted twice, and two groups of one name.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = facts.voters.iter().filter_map(count).collect();
    for (index, first) in facts.voters.iter().enumerate() {
        for second in &facts.voters[index + 1..] {
            if first.group == second.group {
                findings.push(namesakes(first, second));
            }
        }
    }
    findings
}

fn count(voters: &Voters) -> Option<Finding> {
    let distinct: BTreeSet<_> = voters.members.iter().collect();
    let (all, group) = (voters.members.len(), &voters.group);
    let (code, message, label) = if distinct.len() < all {
        let message = format!("a host votes twice in `{group}`");
        (
            "kbz::voters::twice",
            message,
            "one host, one vote".to_owned(),
        )
    } else if all < FEWEST {
        let message = format!("`{group}` has {}", counted(all));
        let label = "the loss of one would end all decisions".to_owned();
        ("kbz::voters::few", message, label)
    } else if all.is_multiple_of(2) {
        let message = format!("`{group}` has an even number of voters, {all}");
        let label = format!(
            "survives the loss of {}, as {} would",
            (all - 1) / 2,
            all - 1
        );
        ("kbz::voters::even", message, label)
    } else {
        return None;
    };
    let finding = Finding::error(code, message);
    Some(
        labelled(finding, [(&voters.by.place, label)])
            .help("take an odd number, three at least: three survive the loss of one, five of two"),
    )
}

fn counted(voters: usize) -> String {
    match voters {
        0 => "no voters".to_owned(),
        1 => "one voter".to_owned(),
        n => format!("{n} voters"),
    }
}

fn namesakes(first: &Voters, second: &Voters) -> Finding {
    let message = format!("two groups have the name `{}`", first.group);
    let labels = [
        (&second.by.place, "the second".to_owned()),
        (&first.by.place, "the first".to_owned()),
    ];
    labelled(Finding::error("kbz::voters::namesakes", message), labels)
        .help("give one of them another name: members would be rolled as if they were one group")
}
