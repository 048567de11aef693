//! A file that is appended to, as the parts that follow an object.

use std::io;
use std::sync::Arc;

use super::super::disk::Append;
use super::objects::{Key, Objects};

/// What is appended: collected until it is synced, and then a part of its own.
#[derive(Debug)]
pub(super) struct Parts {
    objects: Arc<Objects>,
    below: Key,
    next: usize,
    collected: Vec<u8>,
}

impl Parts {
    pub(super) fn new(objects: Arc<Objects>, below: Key, next: usize) -> Self {
        Self {
            objects,
            below,
            next,
            collected: Vec::new(),
        }
    }
}

impl Append for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.collected.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.collected.is_empty() {
            return Ok(());
        }
        // A part that is there already is somebody else's: then this run must not go on.
        self.objects
            .create(&self.below.part(self.next), &self.collected)?;
        self.next += 1;
        self.collected.clear();
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // What was written and never synced need not stay; a local file would keep it, though.
        let _ = self.sync();
    }
}
