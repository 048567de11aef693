//! The infrastructure of KeyBuzz.

fn main() {}
