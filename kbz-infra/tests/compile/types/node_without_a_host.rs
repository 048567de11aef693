use kbz_infra::prelude::*;

fn program(stack: &mut Stack, cluster: &Handle<PatroniCluster>) {
    stack.add(PatroniNode::new().cluster(cluster));
}

fn main() {}
