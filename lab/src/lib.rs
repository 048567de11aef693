//! Production on one machine.
