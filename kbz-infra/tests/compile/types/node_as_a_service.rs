use kbz_infra::prelude::*;

fn program(stack: &mut Stack, nodes: &Vec<Handle<PatroniNode>>) {
    stack.add(HetznerLb::new("lb-haproxy").service(nodes));
}

fn main() {}
