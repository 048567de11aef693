//! From what is declared to what it is made of. Each knows the whole program: a cluster its
//! nodes, an image the hosts that run it.

mod cluster;
mod image;
mod node;
