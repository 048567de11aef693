//! Random programs made of primitives, small enough to collide with each other.

use proptest::prelude::*;
use stories::items::KINDS;
pub(crate) use stories::items::{Item, program};

pub(crate) fn items() -> impl Strategy<Value = Vec<Item>> {
    let waits = prop::collection::vec(0_usize..30, 0..3);
    let item = (0..KINDS, 0_usize..2, 0_usize..3, 0_usize..3, waits);
    let item = item.prop_map(|(kind, host, slot, variant, waits)| Item {
        kind,
        host,
        slot,
        variant,
        waits,
        protect: false,
    });
    prop::collection::vec(item, 0..24)
}
