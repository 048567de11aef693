//! systemd, asked by its own API: D-Bus, at the socket that it keeps for root.
//!
//! It is asked for a list of all units and for what the list does not tell, all at once. The host
//! starts no program for it: `systemctl show` takes longer to start than systemd to answer, and asks
//! it for all of its three hundred properties, whichever it is to print.

mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::try_join;
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt as _, BufReader};

use self::wire::{Reply, State, Value};
use super::transport::{Lane, Stream, Transport};
use crate::diag::error_chain;
use crate::probe::UnitReading;

/// Where systemd listens for root.
const SOCKET: &str = "/run/systemd/private";
/// What leads there from the streams of a command, where the login is not root's. It comes with
/// systemd, and is what `systemctl --host` runs.
const BRIDGE: &str = "systemd-stdio-bridge --bus-path=unix:path=/run/systemd/private";
/// How long it may take to answer; while it reads all units again it says nothing.
const DEADLINE: Duration = Duration::from_secs(30);

/// What is asked of each unit besides.
const PROPERTIES: [&str; 2] = ["UnitFileState", "NeedDaemonReload"];

/// The number of the question for the list; those for properties come after it.
const LIST: u32 = 1;

/// The states of `names` on a host, or why systemd does not tell.
pub(super) async fn units(
    host: &dyn Transport,
    names: &BTreeSet<&str>,
) -> Result<BTreeMap<String, UnitReading>, String> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    // To be connected has a limit of its own.
    let stream = if host.logs_in_as_root() {
        host.unix(SOCKET, Lane::Talk).await
    } else {
        host.pipe(BRIDGE, Lane::Talk).await
    };
    let stream = stream.map_err(|error| error_chain(&error))?;
    let told = tokio::time::timeout(DEADLINE, conversation(stream, names)).await;
    let told = told.unwrap_or_else(|_| Err(format!("no answer in {} s", DEADLINE.as_secs())));
    told.map_err(|why| format!("systemd does not tell of its units: {why}"))
}

async fn conversation(
    stream: Stream,
    names: &BTreeSet<&str>,
) -> Result<BTreeMap<String, UnitReading>, String> {
    let (heard, mut spoken) = tokio::io::split(stream);
    let mut heard = BufReader::new(heard);
    // What follows must not come with the greeting: before version 252, systemd puts it aside with
    // that, and looks at it again only when more arrives.
    say(&mut spoken, wire::GREETING).await?;
    wire::greeted(&mut heard).await?;
    let questions = questions(names);
    let listening = listen(&mut heard, names.len());
    let ((), (states, properties)) = try_join!(say(&mut spoken, &questions), listening)?;
    let properties = properties.chunks(PROPERTIES.len());
    let units = names.iter().zip(states).zip(properties);
    let reading = |((name, state), properties): ((&&str, State), &[Value])| {
        let [Value::Text(enabled), Value::Flag(stale)] = properties else {
            return Err("a property of another type".to_owned());
        };
        let unit = UnitReading {
            load: state.load,
            active: state.active,
            enabled: enabled.clone(),
            stale: *stale,
        };
        Ok(((*name).to_owned(), unit))
    };
    units.map(reading).collect()
}

async fn say(spoken: &mut (impl AsyncWrite + Unpin), words: &[u8]) -> Result<(), String> {
    spoken.write_all(words).await.map_err(|why| broken(&why))?;
    spoken.flush().await.map_err(|why| broken(&why))
}

/// All questions about `names`; those for the properties are numbered unit by unit.
fn questions(names: &BTreeSet<&str>) -> Vec<u8> {
    let mut words = wire::list(LIST, names);
    let properties = names
        .iter()
        .flat_map(|name| PROPERTIES.map(|property| (name, property)));
    for ((unit, property), number) in properties.zip(LIST + 1..) {
        words.extend(wire::question(number, unit, property));
    }
    words
}

/// Listens until everything is answered of so many units: the list, and the properties in their
/// order.
async fn listen(
    heard: &mut (impl AsyncBufRead + Unpin),
    units: usize,
) -> Result<(Vec<State>, Vec<Value>), String> {
    let mut states = None;
    let mut properties = BTreeMap::new();
    let wanted = units * PROPERTIES.len();
    loop {
        match states {
            Some(states) if properties.len() >= wanted => {
                return Ok((states, properties.into_values().collect()));
            }
            _ => {}
        }
        let Some(Reply { to, said }) = wire::next(heard).await? else {
            continue;
        };
        match said? {
            Value::States(told) if to == LIST && told.len() == units => states = Some(told),
            Value::States(told) => return Err(format!("it lists {} of {units}", told.len())),
            value => drop(properties.insert(to, value)),
        }
        if properties.len() > wanted {
            return Err("more answers than questions".to_owned());
        }
    }
}

fn broken(why: &std::io::Error) -> String {
    format!("the connection ended: {why}")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// What is made of it when systemd says this, whatever it is asked, and hangs up; and what it
    /// was asked.
    fn told(answer: &[u8]) -> (Result<BTreeMap<String, UnitReading>, String>, Vec<u8>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(1 << 16);
            let systemd = async {
                far.write_all(answer).await.unwrap();
                far.shutdown().await.unwrap();
                let mut asked = Vec::new();
                far.read_to_end(&mut asked).await.unwrap();
                asked
            };
            let names = BTreeSet::from(["a.service", "b.service"]);
            futures::join!(conversation(Box::new(near), &names), systemd)
        })
    }

    fn whole() -> Vec<u8> {
        let answers = [
            wire::answer(3, 3, "b", b"\x01\0\0\0"),
            wire::listing(1, &[("loaded", "active"), ("not-found", "inactive")]),
            // Somebody else's message.
            wire::signal(),
            wire::answer(2, 2, "s", b"\x07\0\0\0enabled\0"),
            wire::answer(4, 5, "b", b"\0\0\0\0"),
            wire::answer(5, 4, "s", b"\0\0\0\0\0"),
        ];
        let mut said = b"OK 2924ba18af644a2fb6dbd96a6d0869c4\r\n".to_vec();
        said.extend(answers.concat());
        said
    }

    #[test]
    fn units_are_listed_and_have_properties() {
        let (units, asked) = told(&whole());
        let units = units.unwrap();
        let unit = |load: &str, active: &str, enabled: &str, stale| UnitReading {
            load: load.to_owned(),
            active: active.to_owned(),
            enabled: enabled.to_owned(),
            stale,
        };
        assert_eq!(
            units["a.service"],
            unit("loaded", "active", "enabled", true)
        );
        assert_eq!(units["b.service"], unit("not-found", "inactive", "", false));
        assert!(asked.starts_with(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\nl\x01\0\x01"));
        for unit in ["a", "b"] {
            let path = format!("/org/freedesktop/systemd1/unit/{unit}_2eservice\0");
            let mut parts = asked.windows(path.len());
            assert!(parts.any(|part| part == path.as_bytes()), "{unit}");
        }
    }

    #[test]
    fn what_is_cut_short_or_refused_is_no_answer() {
        let whole = whole();
        for length in 0..whole.len() {
            assert!(told(&whole[..length]).0.is_err(), "{length}");
        }
        let refused = |said: &[u8]| told(said).0.unwrap_err();
        assert!(refused(b"REJECTED EXTERNAL\r\n").contains("REJECTED EXTERNAL"));
        let let_in = |said: Vec<u8>| [b"OK x\r\n".to_vec(), said].concat();
        assert_eq!(
            refused(&let_in(wire::refusal(1, "no such thing"))),
            "no such thing"
        );
        let short = wire::listing(1, &[("loaded", "active")]);
        assert_eq!(refused(&let_in(short)), "it lists 1 of 2");
        let flag = |to| wire::answer(1, to, "b", b"\0\0\0\0");
        let many = (2..9).flat_map(flag).collect();
        assert_eq!(refused(&let_in(many)), "more answers than questions");
    }
}
