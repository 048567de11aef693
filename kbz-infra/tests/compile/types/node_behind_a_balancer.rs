use kbz_infra::prelude::*;

fn program(stack: &mut Stack, nodes: &[Handle<PatroniNode>]) {
    stack.add(HetznerLb::new("lb-haproxy").targets(nodes));
}

fn main() {}
