//! Reads the table: finds the columns, checks every cell, and goes on after a bad row.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use super::super::InputErrors;
use super::super::input::Faults;
use super::{Host, Role};
use crate::diag::{Finding, SourceLocation, SourceText, did_you_mean, listed};
use crate::ident::HostName;

/// A column that the reader uses: its name, and the other names it goes by.
struct Wanted {
    name: &'static str,
    aliases: &'static [&'static str],
    /// Where other tools expect it, counted from 1.
    position: Option<usize>,
}

const HOSTNAME: Wanted = Wanted {
    name: "HOSTNAME",
    aliases: &[],
    position: Some(3),
};
const PRIVATE: Wanted = Wanted {
    name: "IP_PRIVEE",
    aliases: &["IP_PRIVÉE", "IP_PRIVATE"],
    position: Some(4),
};
const ROLE: Wanted = Wanted {
    name: "ROLE",
    aliases: &[],
    position: None,
};
const SUBROLE: Wanted = Wanted {
    name: "SUBROLE",
    aliases: &[],
    position: None,
};
const PUBLIC: Wanted = Wanted {
    name: "IP_PUBLIQUE",
    aliases: &["IP_PUBLIC"],
    position: None,
};

/// What people write into a cell to say that it is empty.
const EMPTY: [&str; 2] = ["", "-"];

const TABS: &str = "part the columns by one tab each; an editor may have turned tabs into spaces";

/// A cell without the spaces around it, and its bytes in the line.
#[derive(Debug, Clone)]
struct Cell<'a> {
    text: &'a str,
    bytes: Range<usize>,
}

#[derive(Debug)]
struct Row<'a> {
    number: u32,
    line: &'a str,
    cells: Vec<Cell<'a>>,
}

impl<'a> Row<'a> {
    fn new(number: u32, line: &'a str) -> Self {
        let mut start = 0;
        let cells = line.split('\t').map(|raw| {
            let text = raw.trim();
            let at = start + (raw.len() - raw.trim_start().len());
            start += raw.len() + 1;
            Cell {
                text,
                bytes: at..at + text.len(),
            }
        });
        Self {
            number,
            line,
            cells: cells.collect(),
        }
    }

    /// A cell; behind the last one all are empty, since trailing tabs are easily lost.
    fn cell(&self, at: usize) -> Cell<'a> {
        let end = self.line.len();
        self.cells.get(at).cloned().unwrap_or(Cell {
            text: "",
            bytes: end..end,
        })
    }

    /// Whether the columns seem to be parted by spaces.
    fn is_spaced(&self) -> bool {
        self.cells
            .iter()
            .any(|cell| cell.text.contains(char::is_whitespace))
    }

    fn place(&self, source: &SourceText<'_>, cell: &Cell<'_>) -> SourceLocation {
        source.in_line(self.number, self.line, cell.bytes.clone())
    }

    fn whole(&self, source: &SourceText<'_>) -> SourceLocation {
        let end = self.line.trim_end().len();
        source.in_line(self.number, self.line, 0..end)
    }

    /// The place behind the last cell.
    fn end(&self, source: &SourceText<'_>) -> SourceLocation {
        let end = self.line.trim_end().len();
        source.in_line(self.number, self.line, end..end)
    }
}

/// Where the columns are, counted from 0.
#[derive(Debug, Clone, Copy)]
struct Columns {
    hostname: usize,
    private: usize,
    role: usize,
    subrole: usize,
    public: Option<usize>,
}

/// All hosts of a table and what is odd about it, or all that is wrong with it.
pub(super) fn parse(name: &str, text: &str) -> Result<(Vec<Host>, Vec<Finding>), InputErrors> {
    let source = SourceText::new(name, text);
    let mut rows = source
        .lines()
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(number, line)| Row::new(number, line));
    let Some(header) = rows.next() else {
        return Err(empty(&source, "it has no header"));
    };
    let (columns, warnings) = columns(&source, &header)?;
    let mut reader = Reader {
        source: &source,
        columns,
        faults: Faults::default(),
        names: BTreeMap::new(),
        addresses: BTreeMap::new(),
        hosts: Vec::new(),
    };
    for row in rows {
        reader.read(&row);
    }
    let (hosts, faults) = (reader.hosts, reader.faults);
    let hosts = faults.unless_any(hosts)?;
    if hosts.is_empty() {
        return Err(empty(&source, "no row follows its header"));
    }
    Ok((hosts, warnings))
}

fn empty(source: &SourceText<'_>, why: &str) -> InputErrors {
    let message = format!("{} names no host: {why}", source.short_name());
    let example = "HOSTNAME, IP_PRIVEE, ROLE and SUBROLE are the columns that are read";
    Finding::error("kbz::inventory::empty", message)
        .label(SourceLocation::new(source.name(), 1, 1, 1), "")
        .help(example)
        .into()
}

fn columns(
    source: &SourceText<'_>,
    header: &Row<'_>,
) -> Result<(Columns, Vec<Finding>), InputErrors> {
    let mut faults = Faults::default();
    let mut warnings = Vec::new();
    let mut find =
        |wanted: &Wanted| find_column(source, header, wanted, &mut faults, &mut warnings);
    let required = [find(&HOSTNAME), find(&PRIVATE), find(&ROLE), find(&SUBROLE)];
    let public = find(&PUBLIC);
    for (wanted, found) in [HOSTNAME, PRIVATE, ROLE, SUBROLE].iter().zip(required) {
        if found.is_none() && !header.is_spaced() {
            faults.push(no_column(source, header, wanted));
        }
    }
    if header.is_spaced() {
        faults.push(spaced(source, header));
    }
    match required {
        [Some(hostname), Some(private), Some(role), Some(subrole)] => {
            let columns = Columns {
                hostname,
                private,
                role,
                subrole,
                public,
            };
            faults.unless_any((columns, warnings))
        }
        _ => Err(faults.into_errors()),
    }
}

fn find_column(
    source: &SourceText<'_>,
    header: &Row<'_>,
    wanted: &Wanted,
    faults: &mut Faults,
    warnings: &mut Vec<Finding>,
) -> Option<usize> {
    let is_wanted = |cell: &Cell<'_>| {
        let name = cell.text.to_uppercase();
        name == wanted.name || wanted.aliases.contains(&name.as_str())
    };
    let mut found = header
        .cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| is_wanted(cell));
    let (at, first) = found.next()?;
    if let Some((_, second)) = found.next() {
        faults.push(
            Finding::error(
                "kbz::inventory::duplicate-column",
                format!("two columns are named {}", wanted.name),
            )
            .label(header.place(source, second), "again here")
            .label(header.place(source, first), "first here")
            .help("give one of them another name"),
        );
    }
    if let Some(position) = wanted.position.filter(|position| *position != at + 1) {
        warnings.push(
            Finding::warning(
                "kbz::inventory::column-moved",
                format!("{} is column {} instead of {position}", wanted.name, at + 1),
            )
            .label(
                header.place(source, first),
                "other tools read the table by position",
            )
            .help("move the column if such tools read this file"),
        );
    }
    Some(at)
}

fn no_column(source: &SourceText<'_>, header: &Row<'_>, wanted: &Wanted) -> Finding {
    let names = header.cells.iter().map(|cell| cell.text);
    let used = [HOSTNAME, PRIVATE, ROLE, SUBROLE, PUBLIC].map(|column| column.name);
    let free = names.filter(|name| !used.contains(name));
    let help = match did_you_mean(wanted.name, free) {
        Some(near) => format!("rename the column `{near}` to {}", wanted.name),
        None => format!(
            "add the column {} to the header and to every row",
            wanted.name
        ),
    };
    Finding::error(
        "kbz::inventory::no-column",
        format!("the header has no column {}", wanted.name),
    )
    .label(header.whole(source), "this is read as the header")
    .help(help)
}

fn spaced(source: &SourceText<'_>, row: &Row<'_>) -> Finding {
    let count = match row.cells.len() {
        1 => "read as one column".to_owned(),
        count => format!("read as {count} columns"),
    };
    Finding::error("kbz::inventory::spaces", "columns are parted by spaces")
        .label(row.whole(source), count)
        .help(TABS)
}

struct Reader<'a> {
    source: &'a SourceText<'a>,
    columns: Columns,
    faults: Faults,
    names: BTreeMap<HostName, SourceLocation>,
    addresses: BTreeMap<IpAddr, SourceLocation>,
    hosts: Vec<Host>,
}

impl Reader<'_> {
    fn read(&mut self, row: &Row<'_>) {
        if !self.has_its_columns(row) {
            return;
        }
        let cell = |at: usize| row.cell(at);
        let name = self.name(row, &cell(self.columns.hostname));
        let address = self.private(row, &cell(self.columns.private));
        let role = self.role(row, &cell(self.columns.role));
        let subrole = self.subrole(row, &cell(self.columns.subrole));
        let public = self.public(row);
        if let (Some(name), Some(address), Some(role), Some(subrole)) =
            (name, address, role, subrole)
        {
            self.hosts.push(Host {
                name,
                address,
                public,
                role,
                subrole: (!subrole.is_empty()).then_some(subrole),
                declared: row.place(self.source, &cell(self.columns.hostname)),
            });
        }
    }

    fn has_its_columns(&mut self, row: &Row<'_>) -> bool {
        let Columns {
            hostname,
            private,
            role,
            ..
        } = self.columns;
        let needed = [(hostname, HOSTNAME), (private, PRIVATE), (role, ROLE)];
        let missing = needed
            .iter()
            .filter(|(at, _)| *at >= row.cells.len())
            .map(|(_, column)| column.name);
        let missing: Vec<_> = missing.collect();
        if missing.is_empty() {
            return true;
        }
        self.faults.push(if row.is_spaced() {
            spaced(self.source, row)
        } else {
            let names = listed(missing);
            Finding::error(
                "kbz::inventory::missing-column",
                format!("the row has no {names}"),
            )
            .label(
                row.end(self.source),
                format!("ends after column {}", row.cells.len()),
            )
            .help("write `-` where a cell is to stay empty, so that later columns keep their place")
        });
        false
    }

    fn name(&mut self, row: &Row<'_>, cell: &Cell<'_>) -> Option<HostName> {
        let place = row.place(self.source, cell);
        if EMPTY.contains(&cell.text) {
            self.faults.push(nothing_in(&HOSTNAME, place));
            return None;
        }
        let name = match HostName::new(cell.text) {
            Ok(name) => name,
            Err(error) => {
                self.faults.push(
                    Finding::error("kbz::inventory::invalid-name", error.to_string())
                        .label(place, "")
                        .help(nearest_name(cell.text)),
                );
                return None;
            }
        };
        if let Some(first) = self.names.get(&name) {
            self.faults.push(
                Finding::error(
                    "kbz::inventory::duplicate-host",
                    format!("two hosts are named {name}"),
                )
                .label(place, "again here")
                .label(first.clone(), "first here")
                .help("remove one of the rows, or rename one of the hosts"),
            );
            return None;
        }
        self.names.insert(name.clone(), place);
        Some(name)
    }

    fn private(&mut self, row: &Row<'_>, cell: &Cell<'_>) -> Option<IpAddr> {
        let place = row.place(self.source, cell);
        if EMPTY.contains(&cell.text) {
            self.faults.push(nothing_in(&PRIVATE, place));
            return None;
        }
        match private_address(cell.text) {
            Ok(address) => self.unique(address, place),
            Err(wrong) => {
                self.faults.push(
                    Finding::error(wrong.code, format!("`{}` {}", cell.text, wrong.why))
                        .label(place, wrong.label)
                        .help(wrong.help),
                );
                None
            }
        }
    }

    fn unique(&mut self, address: IpAddr, place: SourceLocation) -> Option<IpAddr> {
        if let Some(first) = self.addresses.get(&address) {
            self.faults.push(
                Finding::error(
                    "kbz::inventory::duplicate-address",
                    format!("two hosts have the address {address}"),
                )
                .label(place, "again here")
                .label(first.clone(), "first here")
                .help("give one of the hosts its own address"),
            );
            return None;
        }
        self.addresses.insert(address, place);
        Some(address)
    }

    fn role(&mut self, row: &Row<'_>, cell: &Cell<'_>) -> Option<Role> {
        let place = row.place(self.source, cell);
        if EMPTY.contains(&cell.text) {
            self.faults.push(nothing_in(&ROLE, place));
            return None;
        }
        let role = cell.text.parse::<Role>();
        role.map_err(|error| {
            self.faults.push(
                Finding::error("kbz::inventory::unknown-role", error.to_string())
                    .label(place, "")
                    .help(error.cure()),
            );
        })
        .ok()
    }

    /// The subrole, which may be empty; nothing where it is wrong.
    fn subrole(&mut self, row: &Row<'_>, cell: &Cell<'_>) -> Option<String> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if EMPTY.contains(&cell.text) {
            return Some(String::new());
        }
        if cell.text.chars().all(is_word) {
            return Some(cell.text.to_owned());
        }
        self.faults.push(
            Finding::error(
                "kbz::inventory::invalid-subrole",
                format!("subrole `{}` is no word", cell.text),
            )
            .label(row.place(self.source, cell), "")
            .help("letters, digits, `-` and `_` make a subrole, such as internal-haproxy"),
        );
        None
    }

    fn public(&mut self, row: &Row<'_>) -> Option<IpAddr> {
        let cell = &row.cell(self.columns.public?);
        if EMPTY.contains(&cell.text) {
            return None;
        }
        let place = row.place(self.source, cell);
        if let Ok(address) = cell.text.parse() {
            return self.unique(address, place);
        }
        self.faults.push(
            Finding::error(
                "kbz::inventory::invalid-address",
                format!("`{}` is no IP address", cell.text),
            )
            .label(place, PUBLIC.name)
            .help("write `-` for a host without a public address"),
        );
        None
    }
}

fn nearest_name(text: &str) -> String {
    let short = text.split('.').next().unwrap_or_default();
    match HostName::new(short.to_lowercase().replace('_', "-")) {
        Ok(name) => format!("write `{name}`"),
        Err(_) => "use a name such as db-master-01".to_owned(),
    }
}

fn nothing_in(wanted: &Wanted, place: SourceLocation) -> Finding {
    Finding::error(
        "kbz::inventory::empty-cell",
        format!("{} is empty", wanted.name),
    )
    .label(place, "")
    .help("every host needs a HOSTNAME, an IP_PRIVEE and a ROLE")
}

struct Wrong {
    code: &'static str,
    why: &'static str,
    label: &'static str,
    help: &'static str,
}

const PRIVATE_NETS: &str = "private networks are 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16";

fn private_address(text: &str) -> Result<IpAddr, Wrong> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_private() => Ok(IpAddr::V4(address)),
        Ok(IpAddr::V4(_)) => Err(Wrong {
            code: "kbz::inventory::public-address",
            why: "is no private address",
            label: "nothing that a host serves may be reached from outside its private network",
            help: PRIVATE_NETS,
        }),
        Ok(IpAddr::V6(_)) => Err(Wrong {
            code: "kbz::inventory::wrong-family",
            why: "is an IPv6 address",
            label: "the private network knows IPv4 only",
            help: PRIVATE_NETS,
        }),
        Err(_) => Err(Wrong {
            code: "kbz::inventory::invalid-address",
            why: "is no IP address",
            label: "four numbers from 0 to 255 without leading zeros and without a mask",
            help: "write an address such as 10.0.0.120",
        }),
    }
}
