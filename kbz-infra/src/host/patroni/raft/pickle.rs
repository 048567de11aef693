//! As much of Python's pickle as RAFT's status is written in, read as plain data.
//!
//! Nothing is called and nothing is made: an object is the dictionary of its fields. Python
//! shares what occurs twice, so values lie in a heap and refer to each other by number. The
//! reader is total: whatever a member sends is a value of the known kinds, or an error.

use std::collections::HashMap;

/// What stands behind a number of the heap.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// A list or a tuple.
    Sequence(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A function or class by name.
    Global(String),
    /// An object, with its fields once they are known.
    Object(Option<Id>),
}

/// The number of a value.
pub(super) type Id = usize;

/// What is no pickle of the known kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its answer cannot be read: {0}")]
pub(in crate::host::patroni) struct Garbled(&'static str);

const SHORT: Garbled = Garbled("it ends early");
const EMPTY: Garbled = Garbled("a value is missing");

/// All values of a pickle.
#[derive(Debug)]
pub(super) struct Heap {
    values: Vec<Value>,
    root: Id,
}

impl Heap {
    /// Reads a pickle.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Garbled> {
        let mut reader = Reader {
            rest: bytes,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            to_make: bytes.len(),
        };
        while reader.step()? {}
        let root = reader.pop()?;
        Ok(Self {
            values: reader.values,
            root,
        })
    }

    /// The value that the pickle is of.
    pub(super) fn root(&self) -> Id {
        self.root
    }

    /// A value.
    pub(super) fn get(&self, id: Id) -> &Value {
        self.values.get(id).unwrap_or(&Value::None)
    }

    /// An element of a sequence.
    pub(super) fn element(&self, id: Id, place: usize) -> Option<Id> {
        match self.get(id) {
            Value::Sequence(elements) => elements.get(place).copied(),
            _ => None,
        }
    }

    /// The entries of a dictionary, or the fields of an object, that have texts for keys.
    pub(super) fn entries(&self, id: Id) -> Vec<(&str, Id)> {
        let dict = match self.get(id) {
            Value::Object(Some(fields)) => self.get(*fields),
            other => other,
        };
        let Value::Dict(entries) = dict else {
            return Vec::new();
        };
        let texts = entries.iter().filter_map(|(key, value)| {
            let Value::Text(key) = self.get(*key) else {
                return None;
            };
            Some((key.as_str(), *value))
        });
        texts.collect()
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Id>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// How many bytes calls may still make. Each is written out once, so that they are never more
    /// than the pickle has; a text that is named again and again would make any number.
    to_make: usize,
}

impl<'a> Reader<'a> {
    /// Carries out one instruction; `false` at the end.
    fn step(&mut self) -> Result<bool, Garbled> {
        let [code] = self.take()?;
        match code {
            b'.' => return Ok(false),
            0x80 => drop(self.take::<1>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool(code == 0x88)),
            b'K' | b'M' | b'J' | 0x8a => self.integer(code)?,
            // The only fractions are times, which nobody asks for.
            b'G' => {
                self.take::<8>()?;
                self.push(Value::None);
            }
            b'X' => {
                let length = u32::from_le_bytes(self.take()?);
                let text = self.bytes(length as usize)?;
                let text = std::str::from_utf8(text).map_err(|_| Garbled("a text is none"))?;
                self.push(Value::Text(text.to_owned()));
            }
            // As later protocols write them.
            b'B' | b'C' => {
                let length = match code {
                    b'B' => u32::from_le_bytes(self.take()?),
                    _ => u32::from(u8::from_le_bytes(self.take()?)),
                };
                let bytes = self.bytes(length as usize)?.to_vec();
                self.push(Value::Bytes(bytes));
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' | b')' => self.push(Value::Sequence(Vec::new())),
            b'a' => {
                let element = self.pop()?;
                self.extend(&[element])?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend(&[key, value])?;
            }
            b'e' | b'u' => {
                let more = self.above_mark()?;
                self.extend(&more)?;
            }
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let elements = self.above_mark()?;
                self.push(Value::Sequence(elements));
            }
            b'q' | b'r' | b'h' | b'j' => self.remember(code)?,
            b'c' => self.global()?,
            b'R' | 0x81 => self.call(code)?,
            b'b' => self.build()?,
            _ => return Err(Garbled("it has an unknown instruction")),
        }
        Ok(true)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Garbled> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Garbled> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, Garbled> {
        self.stack.pop().ok_or(EMPTY)
    }

    fn above_mark(&mut self) -> Result<Vec<Id>, Garbled> {
        let height = self.marks.pop().ok_or(Garbled("a mark is missing"))?;
        if height > self.stack.len() {
            return Err(EMPTY);
        }
        Ok(self.stack.split_off(height))
    }

    fn integer(&mut self, code: u8) -> Result<(), Garbled> {
        let number = match code {
            b'K' => i64::from(u8::from_le_bytes(self.take()?)),
            b'M' => i64::from(u16::from_le_bytes(self.take()?)),
            b'J' => i64::from(i32::from_le_bytes(self.take()?)),
            _ => {
                let [length] = self.take()?;
                let digits = self.bytes(usize::from(length))?;
                let negative = digits.last().is_some_and(|last| *last >= 0x80);
                let mut whole = [if negative { 0xff } else { 0 }; 8];
                let low = whole.get_mut(..digits.len());
                low.ok_or(Garbled("a number is too large"))?
                    .copy_from_slice(digits);
                i64::from_le_bytes(whole)
            }
        };
        self.push(Value::Int(number));
        Ok(())
    }

    /// Adds to the list or dictionary on top of the stack.
    fn extend(&mut self, more: &[Id]) -> Result<(), Garbled> {
        let top = *self.stack.last().ok_or(EMPTY)?;
        match self.values.get_mut(top) {
            Some(Value::Sequence(elements)) => elements.extend(more),
            Some(Value::Dict(entries)) if more.len().is_multiple_of(2) => {
                entries.extend(more.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err(Garbled("something is added to what holds nothing")),
        }
        Ok(())
    }

    fn tuple(&mut self, length: usize) -> Result<(), Garbled> {
        let height = self.stack.len().checked_sub(length).ok_or(EMPTY)?;
        let elements = self.stack.split_off(height);
        self.push(Value::Sequence(elements));
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<(), Garbled> {
        let number = match code {
            b'q' | b'h' => u32::from(u8::from_le_bytes(self.take()?)),
            _ => u32::from_le_bytes(self.take()?),
        };
        if matches!(code, b'q' | b'r') {
            let top = *self.stack.last().ok_or(EMPTY)?;
            self.memo.insert(number, top);
        } else {
            let known = self.memo.get(&number);
            self.stack
                .push(*known.ok_or(Garbled("it refers to nothing"))?);
        }
        Ok(())
    }

    fn global(&mut self) -> Result<(), Garbled> {
        let mut line = || -> Result<&str, Garbled> {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            let line = &self.rest[..end.ok_or(SHORT)?];
            self.rest = &self.rest[line.len() + 1..];
            std::str::from_utf8(line).map_err(|_| Garbled("a name is no text"))
        };
        let (module, name) = (line()?, line()?);
        self.push(Value::Global(format!("{module}.{name}")));
        Ok(())
    }

    /// Bytes are written as a call that makes them of a text; every other call makes an object.
    fn call(&mut self, code: u8) -> Result<(), Garbled> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let text = match self.values.get(arguments) {
            Some(Value::Sequence(all)) => all.first().and_then(|first| self.values.get(*first)),
            _ => return Err(Garbled("a call has no arguments")),
        };
        let made = match (self.values.get(function), text) {
            (Some(Value::Global(name)), Some(Value::Text(text)))
                if code == b'R' && name == "_codecs.encode" =>
            {
                let bytes = text.chars().map(|c| u8::try_from(u32::from(c)));
                let left = self.to_make.checked_sub(text.len());
                self.to_make = left.ok_or(Garbled("it makes more than it holds"))?;
                let bytes: Result<Vec<u8>, _> = bytes.collect();
                Value::Bytes(bytes.map_err(|_| Garbled("a byte is too large"))?)
            }
            (Some(Value::Global(_)), _) => Value::Object(None),
            _ => return Err(Garbled("it calls what is no function")),
        };
        self.push(made);
        Ok(())
    }

    fn build(&mut self) -> Result<(), Garbled> {
        let state = self.pop()?;
        let top = *self.stack.last().ok_or(EMPTY)?;
        match self.values.get_mut(top) {
            Some(Value::Object(fields)) => *fields = Some(state),
            _ => return Err(Garbled("fields are given to what is no object")),
        }
        Ok(())
    }
}
