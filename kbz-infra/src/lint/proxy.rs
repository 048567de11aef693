//! Servers of a cluster in configurations of proxies that are written by hand.
//!
//! Read as text: lines such as `server db2 10.0.0.121:5432 check port 8008 backup`. What is
//! generated is read too, and must be found good.

use super::facts::{Facts, Said, Server, Way};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::resource::Fitness;

/// One finding for each text and mistake.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    facts
        .texts
        .iter()
        .flat_map(|said| {
            let servers = servers(said, facts);
            [backups(said, &servers), renamed(said, &servers, facts)]
        })
        .flatten()
        .collect()
}

/// A line that names a server of a cluster.
struct Line<'a> {
    number: usize,
    words: Vec<&'a str>,
    server: &'a Server,
}

fn servers<'a>(said: &'a Said, facts: &'a Facts) -> Vec<Line<'a>> {
    let lines = (1..).zip(said.text.lines());
    let lines = lines.filter_map(|(number, line)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["server", _, address, ..] = words[..] else {
            return None;
        };
        let (address, _) = address.rsplit_once(':')?;
        let server = facts.server_at(address.parse().ok()?)?;
        Some(Line {
            number,
            words,
            server,
        })
    });
    lines.collect()
}

/// Where the servers themselves say who is fit, a `backup` is never the one that is.
fn backups(said: &Said, servers: &[Line<'_>]) -> Option<Finding> {
    let backups = servers.iter();
    let backups: Vec<&Line<'_>> = backups
        .filter(|line| line.server.fitness.is_some() && line.words.contains(&"backup"))
        .collect();
    let of = &backups.first()?.server.of;
    let numbers = and(backups.iter().map(|line| line.number));
    let finding = Finding::error(
        "kbz::check::backup",
        format!("{} makes servers of {of} a `backup`", said.place),
    );
    let label = format!("`backup` in line {numbers}");
    let why = "they tell themselves who leads: whoever does is no backup, and the others fail \
               the check";
    Some(
        labelled(finding, [(&said.by.place, label)])
            .note("why", why)
            .help("make them equal servers, and let the health check decide"),
    )
}

/// A health check that asks for a path of old.
fn renamed(said: &Said, servers: &[Line<'_>], facts: &Facts) -> Option<Finding> {
    let asked = servers.iter().filter(|line| !generated(line.server, facts));
    let fitness = asked
        .into_iter()
        .find_map(|line| line.server.fitness.as_ref())?;
    let lines = (1..).zip(said.text.lines());
    let asks = |line: &str| line.contains("httpchk") || line.contains("http-check");
    let (number, (old, now)) = lines
        .filter(|(_, line)| asks(line))
        .find_map(|(number, line)| Some((number, old_path(line, fitness)?)))?;
    let finding = Finding::warning(
        "kbz::check::renamed",
        format!("{} asks for {old}, a name of old", said.place),
    );
    let label = format!("it is {now} now; line {number}");
    Some(
        labelled(finding, [(&said.by.place, label)])
            .help(format!("ask for {now}, or lead to the cluster itself")),
    )
}

/// Whether a declared way leads to a server: then its check is judged, and not what is generated
/// from it.
fn generated(server: &Server, facts: &Facts) -> bool {
    let ways = facts.hops.iter();
    let mut checked = ways.filter(|hop| matches!(hop.way, Way::Service { check: Some(_) }));
    checked.any(|hop| hop.to.iter().any(|to| to.address == server.address))
}

fn old_path<'a>(line: &str, fitness: &'a Fitness) -> Option<(&'a str, &'a str)> {
    line.split_whitespace().find_map(|word| {
        let path = word.split('?').next().unwrap_or(word);
        let (old, now) = fitness.renamed.iter().find(|(old, _)| old == path)?;
        Some((old.as_str(), now.as_str()))
    })
}
