use kbz_infra::prelude::*;

fn main() {
    let _ = PatroniCluster::new("keybuzz-pg").dcs(Raft::voters::<4>());
}
