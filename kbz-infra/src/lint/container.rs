//! Containers that miss what they need: the file that is written anew, somebody who starts them,
//! the owner of their data, limits of their own.

use std::collections::BTreeMap;

use super::data::overlap;
use super::facts::{Facts, Kept, Running, Store};
use super::label::{and, labelled};
use crate::diag::Finding;
use crate::ident::{HostName, Place};
use crate::resource::Limit;

/// Mounted files, missing units, owners by number, and limits that nobody chose.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = mounted_files(facts);
    findings.extend(owners_by_number(facts));
    findings.extend(never_started(facts));
    findings.extend(unlimited(facts));
    findings
}

/// The same mistake of one declaration on several hosts.
type Folded<'a, K> = BTreeMap<(&'a Place, K), Vec<(&'a Running, &'a Kept)>>;

/// A file that takes the place of another is a new one; the mount keeps showing the old.
fn mounted_files(facts: &Facts) -> Vec<Finding> {
    let mut found: Folded<'_, &str> = BTreeMap::new();
    for container in &facts.containers {
        let files = facts.kept.iter().filter(|kept| !kept.directory);
        for file in files.filter(|file| file.host == container.goal.host) {
            if container.goal.sees.contains(&file.path) {
                let key = (&container.by.place, file.path.as_str());
                found.entry(key).or_default().push((container, file));
            }
        }
    }
    found
        .into_iter()
        .map(|((place, path), ends)| {
            let (names, hosts) = named(&ends);
            let finding = Finding::error(
                "kbz::container::file-mount",
                format!("{names} on {hosts} would see the old {path} for ever"),
            );
            let file = (
                &ends[0].1.by.place,
                "each change puts a new file here".to_owned(),
            );
            labelled(
                finding,
                [(place, "mounts the file itself".to_owned()), file],
            )
            .help(format!(
                "mount its folder, {}: a reload then reads the new file",
                folder(path)
            ))
        })
        .collect()
}

fn folder(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => folder,
        _ => "/",
    }
}

/// Who a number is, is a matter of the image that reads the file.
fn owners_by_number(facts: &Facts) -> Vec<Finding> {
    let mut found: Folded<'_, (&str, u32)> = BTreeMap::new();
    for kept in &facts.kept {
        let number = kept.owner.as_deref().and_then(|owner| owner.parse().ok());
        let Some(number) = number.filter(|number| *number != 0) else {
            continue;
        };
        for container in facts
            .containers
            .iter()
            .filter(|c| reads_as_other(c, kept, number))
        {
            let key = (&kept.by.place, (kept.path.as_str(), number));
            found.entry(key).or_default().push((container, kept));
        }
    }
    found
        .into_iter()
        .map(|((place, (path, number)), ends)| {
            let (names, hosts) = named(&ends);
            let image = &ends[0].0.goal.image;
            let finding = Finding::error(
                "kbz::owner::number",
                format!(
                    "{path} on {hosts} belongs to number {number}, whoever that is for {names}"
                ),
            );
            let labels = [
                (place, format!("owned by {number}")),
                (&ends[0].0.by.place, format!("runs as {image} has it")),
            ];
            labelled(finding, labels)
                .help("take the owner from the image: Owner::InImage { reference, user }")
        })
        .collect()
}

/// Whether a container sees a path and runs as somebody else than this number.
fn reads_as_other(container: &Running, kept: &Kept, number: u32) -> bool {
    let place = |path: &str| Store {
        by: kept.by.clone(),
        host: kept.host.clone(),
        path: path.to_owned(),
    };
    let sees = container
        .goal
        .sees
        .iter()
        .any(|path| overlap(&place(path), &place(&kept.path)));
    let user = container
        .goal
        .user
        .as_deref()
        .and_then(|user| user.split(':').next());
    container.goal.host == kept.host && sees && user != Some(number.to_string().as_str())
}

fn named(ends: &[(&Running, &Kept)]) -> (String, String) {
    let names = ends
        .iter()
        .map(|(running, _)| format!("container {}", running.goal.name));
    let hosts = ends.iter().map(|(running, _)| &running.goal.host);
    (and(names), and(hosts))
}

/// Containers whose unit nobody declares.
fn never_started(facts: &Facts) -> Vec<Finding> {
    let mut found: BTreeMap<(&Place, &str), Vec<&Running>> = BTreeMap::new();
    for container in &facts.containers {
        if let Some(unit) = &container.goal.unit
            && !facts
                .units
                .contains(&(container.goal.host.clone(), unit.clone()))
        {
            found
                .entry((&container.by.place, unit))
                .or_default()
                .push(container);
        }
    }
    found
        .into_iter()
        .map(|((place, unit), containers)| {
            let names = and(containers
                .iter()
                .map(|c| format!("container {}", c.goal.name)));
            let hosts = and(containers.iter().map(|c| &c.goal.host));
            let finding = Finding::error(
                "kbz::container::nobody-starts",
                format!("nobody starts {names} on {hosts}"),
            );
            labelled(
                finding,
                [(place, format!("left to {unit}, which is not declared"))],
            )
            .help("declare the unit (SystemdUnit::on(&host, ..)), or leave the container to Docker")
        })
        .collect()
}

/// The declarations that leave the same limits to the engine.
type Unlimited<'a> = BTreeMap<(&'a Place, Vec<Limit>), Vec<(&'a str, &'a HostName)>>;

/// Limits that a container with data leaves to whatever the engine has.
fn unlimited(facts: &Facts) -> Vec<Finding> {
    let mut found: Unlimited<'_> = BTreeMap::new();
    for container in facts.containers.iter().filter(|c| keeps_data(c, facts)) {
        let counts =
            |limit: &Limit| *limit != Limit::SharedMemory || is_postgres(&container.goal.image);
        let unsaid: Vec<Limit> = container
            .goal
            .unsaid
            .iter()
            .copied()
            .filter(counts)
            .collect();
        if !unsaid.is_empty() {
            let who = (container.goal.name.as_str(), &container.goal.host);
            found
                .entry((&container.by.place, unsaid))
                .or_default()
                .push(who);
        }
    }
    found
        .into_iter()
        .map(|((place, unsaid), who)| {
            let names = and(who.iter().map(|(name, _)| name));
            let hosts = and(who.iter().map(|(_, host)| host));
            let finding = Finding::warning(
                "kbz::container::defaults",
                format!("container {names} on {hosts} keeps data under the limits of its engine"),
            );
            labelled(
                finding,
                [(place, and(unsaid.iter().map(|limit| why(*limit))))],
            )
            .help(format!(
                "say what it needs: {}",
                and(unsaid.iter().map(|l| cure(*l)))
            ))
        })
        .collect()
}

/// Whether a container writes to a data directory.
fn keeps_data(container: &Running, facts: &Facts) -> bool {
    let own = facts
        .writers
        .iter()
        .filter(|(_, store)| store.by.urn == container.by.urn);
    own.into_iter()
        .any(|(_, store)| facts.stores.iter().any(|data| overlap(data, store)))
}

/// PostgreSQL keeps the hash tables of parallel queries in `/dev/shm`.
fn is_postgres(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.contains("postgres") || name.contains("patroni")
}

fn why(limit: Limit) -> &'static str {
    match limit {
        Limit::SharedMemory => "64 MB of /dev/shm break parallel queries",
        Limit::OpenFiles => "how many files it may open is the daemon's choice",
        Limit::Logs => "its logs grow without bound",
    }
}

fn cure(limit: Limit) -> &'static str {
    match limit {
        Limit::SharedMemory => ".shm_size(1 << 30)",
        Limit::OpenFiles => ".nofile(65_536)",
        Limit::Logs => ".logs(LogLimits::default())",
    }
}
