//! One plan of each sort, as people read it.

use kbz_infra::plan::Request;
use kbz_infra::prelude::*;
use kbz_infra::program::{Program, Settings};
use kbz_infra::resource::Detail;

use crate::cluster::{NODES, Postgres};
use crate::random::rig;
use crate::rig::{Rig, host, shown, stack};
use crate::{groups, programs};

/// A directory with a file in it on each of two hosts; the second waits for the first.
fn pair(content: &str) -> Program {
    let mut stack = Stack::new(stack(), Settings::new("."));
    let mut before = None;
    for name in ["app-1", "app-2"] {
        let on = host(name);
        let directory = stack.add(Directory::on(&on, "/srv/shop"));
        let file = File::on(&on, "/srv/shop/config")
            .content(content)
            .depends_on(&directory);
        let file = file.after(before);
        before = Some(stack.add(file).urn().clone());
    }
    stack.finish().unwrap()
}

fn after(content: &str) -> Rig {
    let mut rig = rig();
    rig.up(&pair(content));
    rig
}

#[test]
fn everything_is_new() {
    insta::assert_snapshot!(shown(&rig().plan(&pair("one\n"))));
}

#[test]
fn a_file_changes() {
    let plan = after("one\ntwo\n").plan(&pair("one\nthree\n"));
    let mut text = shown(&plan);
    for detail in &plan.steps[0].details {
        if let Detail::Text { old, new } = detail {
            text.extend(["old:\n", old, "new:\n", new]);
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_no_longer_declared_goes() {
    insta::assert_snapshot!(shown(&after("one\n").plan(&programs::program(&[]))));
}

#[test]
fn everything_goes() {
    let plan = after("one\n").try_plan(&pair("one\n"), Request::Destroy);
    insta::assert_snapshot!(shown(&plan.unwrap()));
}

#[test]
fn what_is_there_and_unmarked_is_adopted() {
    let mut rig = after("one\n");
    rig.remembered.clear();
    rig.world
        .change(|world| world.lose_registry(&host("app-1")));
    insta::assert_snapshot!(shown(&rig.plan(&pair("one\n"))));
}

#[test]
fn what_does_not_answer_is_left_alone() {
    let rig = after("one\n");
    rig.world.change(|world| world.cut(&host("app-1")));
    insta::assert_snapshot!(shown(&rig.plan(&pair("two\n"))));
}

#[test]
fn a_cluster_is_changed_member_by_member() {
    let rig = groups::rig(&host("db-2"));
    let mut wanted = Postgres::new();
    for (name, _) in NODES {
        wanted = wanted.configured(&host(name), 1);
    }
    insta::assert_snapshot!(shown(&rig.plan(&wanted.program())));
}
