use kbz_infra::prelude::*;

fn program(stack: &mut Stack, haproxy: &[Handle<Haproxy>]) {
    stack.add(HaproxyFrontend::new("pg_write", 5432).on(haproxy));
}

fn main() {}
