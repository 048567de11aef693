//! As much of D-Bus as two questions take, for a list of units and for a property of one, with their
//! answers. Everything else that arrives is read over.
//!
//! A message is a head, fields that say what it is, and a body; numbers and strings begin at
//! multiples of four bytes, fields and the body at multiples of eight. What arrives is believed to
//! be hostile: lengths are bounded, and parsing is total.

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

/// Root says who it is, which the socket itself proves, and that it needs nothing else.
pub(super) const GREETING: &[u8] = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n";
/// What welcomes it.
const WELCOME: &[u8] = b"OK ";
/// No line of a greeting is longer.
const LINE: u64 = 512;
/// No message is larger: a list tells some hundred bytes of each unit.
const LARGEST: usize = 4 << 20;

/// How long the head of a message is.
const HEAD: usize = 16;

/// Kinds of messages.
const CALL: u8 = 1;
const RETURN: u8 = 2;
const ERROR: u8 = 3;

/// Fields of a message, each with the letter of its type.
const PATH: (u8, char) = (1, 'o');
const INTERFACE: (u8, char) = (2, 's');
const MEMBER: (u8, char) = (3, 's');
const REPLY_TO: (u8, char) = (5, 'u');
const SIGNATURE: (u8, char) = (8, 'g');

/// Where systemd keeps its units, and is itself.
const UNITS: &str = "/org/freedesktop/systemd1/unit/";
const SYSTEMD: &str = "/org/freedesktop/systemd1";
/// What has the properties that every kind of unit has.
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// The type of a property's value, and of a list: name, description, load state, active state, state
/// of its kind, whom it follows, path, and the number, kind and path of a job.
const VARIANT: &str = "v";
const LISTED: &str = "a(ssssssouso)";

/// What an answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    States(Vec<State>),
}

/// What a list tells of a unit, as far as anybody wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) load: String,
    pub(super) active: String,
}

/// What is said to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// The number of the question.
    pub(super) to: u32,
    /// The value, or why there is none.
    pub(super) said: Result<Value, String>,
}

/// What arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Message {
    Reply(Reply),
    /// What nobody asked for.
    Other,
}

/// Asks for a property of a unit.
pub(super) fn question(number: u32, unit: &str, property: &str) -> Vec<u8> {
    let mut body = Vec::new();
    put_text(&mut body, UNIT);
    put_text(&mut body, property);
    let properties = "org.freedesktop.DBus.Properties";
    call(number, &path(unit), properties, "Get", "ss", &body)
}

/// Asks for the states of units, in their order.
pub(super) fn list<'a>(number: u32, units: impl IntoIterator<Item = &'a &'a str>) -> Vec<u8> {
    let mut names = Vec::new();
    for unit in units {
        put_text(&mut names, unit);
    }
    let body = [&length(&names).to_le_bytes()[..], &names].concat();
    call(number, SYSTEMD, MANAGER, "ListUnitsByNames", "as", &body)
}

fn call(
    number: u32,
    path: &str,
    interface: &str,
    member: &str,
    signature: &str,
    body: &[u8],
) -> Vec<u8> {
    let mut fields = Vec::new();
    for (field, value) in [(PATH, path), (INTERFACE, interface), (MEMBER, member)] {
        begin(&mut fields, field);
        put_text(&mut fields, value);
    }
    begin(&mut fields, SIGNATURE);
    put_signature(&mut fields, signature);
    message(CALL, number, &fields, body)
}

/// The path of a unit: what is no letter or digit is written as a number.
fn path(unit: &str) -> String {
    let escaped = unit.bytes().enumerate().map(|(place, byte)| {
        let plain = byte.is_ascii_alphabetic() || (byte.is_ascii_digit() && place > 0);
        if plain {
            char::from(byte).to_string()
        } else {
            format!("_{byte:02x}")
        }
    });
    format!("{UNITS}{}", escaped.collect::<String>())
}

fn message(kind: u8, number: u32, fields: &[u8], body: &[u8]) -> Vec<u8> {
    let mut message = vec![b'l', kind, 0, 1];
    for value in [length(body), number, length(fields)] {
        message.extend(value.to_le_bytes());
    }
    message.extend(fields);
    pad(&mut message, 8);
    message.extend(body);
    message
}

fn begin(fields: &mut Vec<u8>, (code, letter): (u8, char)) {
    pad(fields, 8);
    fields.push(code);
    put_signature(fields, &letter.to_string());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    pad(bytes, 4);
    bytes.extend(length(text.as_bytes()).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn put_signature(bytes: &mut Vec<u8>, signature: &str) {
    bytes.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
    bytes.extend(signature.as_bytes());
    bytes.push(0);
}

fn pad(bytes: &mut Vec<u8>, multiple: usize) {
    bytes.resize(bytes.len().next_multiple_of(multiple), 0);
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Reads the word that lets root in.
pub(super) async fn greeted(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<(), String> {
    let mut line = Vec::new();
    let read = stream.take(LINE).read_until(b'\n', &mut line).await;
    read.map_err(|why| why.to_string())?;
    if line.starts_with(WELCOME) && line.ends_with(b"\n") {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&line);
    Err(format!("it lets nobody in: {:?}", said.trim()))
}

/// Reads a message; `None` where it is no reply.
pub(super) async fn next(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<Reply>, String> {
    let mut message = vec![0; HEAD];
    let broken = |why: std::io::Error| format!("the connection ended: {why}");
    stream.read_exact(&mut message).await.map_err(broken)?;
    let whole = size(&message).filter(|size| *size <= LARGEST);
    message.resize(whole.ok_or("a message that cannot be read")?, 0);
    let rest = &mut message[HEAD..];
    stream.read_exact(rest).await.map_err(broken)?;
    match parse(&message).ok_or("a message that cannot be read")? {
        Message::Reply(reply) => Ok(Some(reply)),
        Message::Other => Ok(None),
    }
}

/// How large a message is as a whole, by its head.
fn size(head: &[u8]) -> Option<usize> {
    let mut cursor = Cursor::new(head, *head.first()?)?;
    cursor.at = 4;
    let body = usize::try_from(cursor.u32()?).ok()?;
    cursor.at = 12;
    let fields = usize::try_from(cursor.u32()?).ok()?;
    let fields = HEAD.checked_add(fields)?.checked_next_multiple_of(8)?;
    fields.checked_add(body)
}

/// What a message says; `None` where it is none.
fn parse(message: &[u8]) -> Option<Message> {
    let order = *message.first()?;
    let kind = *message.get(1)?;
    let mut cursor = Cursor::new(message, order)?;
    cursor.at = 12;
    let fields = usize::try_from(cursor.u32()?).ok()?;
    let end = HEAD.checked_add(fields)?;
    let (mut to, mut signature) = (None, "");
    while cursor.at < end {
        cursor.align(8);
        let code = cursor.u8()?;
        match (code, cursor.signature()?) {
            (code, "u") => {
                let value = cursor.u32()?;
                to = to.or((code == REPLY_TO.0).then_some(value));
            }
            (_, "s" | "o") => drop(cursor.text()?),
            (code, "g") => {
                let value = cursor.signature()?;
                if code == SIGNATURE.0 {
                    signature = value;
                }
            }
            _ => return None,
        }
    }
    cursor.align(8);
    let mut body = Cursor::new(message.get(cursor.at..)?, order)?;
    let said = match kind {
        RETURN if signature == VARIANT => Ok(body.variant()?),
        RETURN if signature == LISTED => Ok(Value::States(body.states()?)),
        ERROR if signature.starts_with('s') => Err(body.text()?.to_owned()),
        ERROR => Err("no reason".to_owned()),
        RETURN => return None,
        _ => return Some(Message::Other),
    };
    Some(Message::Reply(Reply { to: to?, said }))
}

/// A place in a message.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether numbers begin with their largest byte.
    big: bool,
}

impl<'a> Cursor<'a> {
    /// At the beginning of something whose numbers are in the order that a message names first.
    fn new(bytes: &'a [u8], order: u8) -> Option<Self> {
        let big = match order {
            b'l' => false,
            b'B' => true,
            _ => return None,
        };
        Some(Self { bytes, at: 0, big })
    }

    fn align(&mut self, multiple: usize) {
        self.at = self.at.next_multiple_of(multiple);
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(if self.big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.ended(length)
    }

    fn signature(&mut self) -> Option<&'a str> {
        let length = usize::from(self.u8()?);
        self.ended(length)
    }

    /// Text, and the zero after it.
    fn ended(&mut self, length: usize) -> Option<&'a str> {
        let text = self.take(length)?;
        (self.u8()? == 0).then_some(())?;
        std::str::from_utf8(text).ok()
    }

    fn variant(&mut self) -> Option<Value> {
        match self.signature()? {
            "s" => Some(Value::Text(self.text()?.to_owned())),
            "b" => match self.u32()? {
                0 => Some(Value::Flag(false)),
                1 => Some(Value::Flag(true)),
                _ => None,
            },
            _ => None,
        }
    }

    fn states(&mut self) -> Option<Vec<State>> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.align(8);
        let end = self.at.checked_add(length)?;
        let mut states = Vec::new();
        while self.at < end {
            self.align(8);
            let [_, _, load, active, _, _, _] = self.texts()?;
            self.u32()?;
            let [_, _] = self.texts()?;
            let (load, active) = (load.to_owned(), active.to_owned());
            states.push(State { load, active });
        }
        Some(states)
    }

    fn texts<const N: usize>(&mut self) -> Option<[&'a str; N]> {
        let mut texts = [""; N];
        for text in &mut texts {
            *text = self.text()?;
        }
        Some(texts)
    }
}

#[cfg(test)]
pub(super) use tests::{answer, listing, refusal, signal};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(to: u32, signature: &str) -> Vec<u8> {
        let mut fields = Vec::new();
        begin(&mut fields, REPLY_TO);
        fields.extend(to.to_le_bytes());
        begin(&mut fields, (7, 's'));
        put_text(&mut fields, "org.freedesktop.systemd1");
        begin(&mut fields, SIGNATURE);
        put_signature(&mut fields, signature);
        fields
    }

    /// The answer to a question: a value of a type, as its bytes.
    pub(in super::super) fn answer(number: u32, to: u32, letter: &str, value: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        put_signature(&mut body, letter);
        pad(&mut body, 4);
        body.extend(value);
        message(RETURN, number, &fields(to, "v"), &body)
    }

    /// The list of units of such states.
    pub(in super::super) fn listing(to: u32, states: &[(&str, &str)]) -> Vec<u8> {
        let mut units = Vec::new();
        for (load, active) in states {
            pad(&mut units, 8);
            for text in ["a.service", "A", load, active, "running", "", "/a"] {
                put_text(&mut units, text);
            }
            pad(&mut units, 4);
            units.extend(0_u32.to_le_bytes());
            put_text(&mut units, "");
            put_text(&mut units, "/");
        }
        let mut body = length(&units).to_le_bytes().to_vec();
        pad(&mut body, 8);
        body.extend(units);
        message(RETURN, 9, &fields(to, LISTED), &body)
    }

    pub(in super::super) fn refusal(to: u32, why: &str) -> Vec<u8> {
        let mut body = Vec::new();
        put_text(&mut body, why);
        message(ERROR, 1, &fields(to, "s"), &body)
    }

    /// What systemd says when it has loaded a unit.
    pub(in super::super) fn signal() -> Vec<u8> {
        let mut fields = Vec::new();
        begin(&mut fields, PATH);
        put_text(&mut fields, "/org/freedesktop/systemd1");
        begin(&mut fields, MEMBER);
        put_text(&mut fields, "UnitNew");
        begin(&mut fields, SIGNATURE);
        put_signature(&mut fields, "so");
        let mut body = Vec::new();
        put_text(&mut body, "a.service");
        put_text(&mut body, &path("a.service"));
        message(4, 10, &fields, &body)
    }

    /// What systemd 252 said, byte by byte.
    #[test]
    fn a_message_of_systemd() {
        let said = b"l\x02\x01\x01\x0f\0\0\0\x02\0\0\0\x37\0\0\0\
            \x05\x01u\0\x02\0\0\0\x07\x01s\0\x18\0\0\0org.freedesktop.systemd1\0\0\0\0\0\0\0\0\
            \x08\x01g\0\x01v\0\0\x01s\0\0\x06\0\0\0active\0";
        assert_eq!(size(&said[..HEAD]), Some(said.len()));
        let active = Ok(Value::Text("active".to_owned()));
        let reply = Reply {
            to: 2,
            said: active,
        };
        assert_eq!(parse(said), Some(Message::Reply(reply)));
        assert_eq!(parse(&signal()), Some(Message::Other));
    }

    #[test]
    fn units_have_paths_that_hold_for_any_name() {
        let name = "1-a@b.service";
        assert_eq!(path(name), format!("{UNITS}_31_2da_40b_2eservice"));
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(
            order in prop::sample::select(vec![b'l', b'B', b'x']),
            kind in 0..5_u8,
            rest in prop::collection::vec(prop_oneof![0..9_u8, any::<u8>()], 0..90),
            place in 0..200_usize,
            bent in any::<u8>(),
        ) {
            let mut message = vec![order, kind];
            message.extend(&rest);
            let _ = (size(&message), parse(&message));
            for mut message in [
                answer(1, 2, "s", b"\x06\0\0\0active\0"),
                listing(1, &[("loaded", "active"), ("masked", "inactive")]),
            ] {
                if let Some(byte) = message.get_mut(place) {
                    *byte = bent;
                }
                let _ = (size(&message), parse(&message));
            }
        }
    }
}
