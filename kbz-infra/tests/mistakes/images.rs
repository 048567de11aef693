//! Images that move, and images that cannot be built or would lose votes.

use kbz_infra::model::{BuildContext, ContextFile};
use kbz_infra::prelude::*;
use kbz_infra::primitive::ImageBuild;

use crate::check::{refused, warned};
use crate::system::System;

/// The building of an image from a Dockerfile alone.
fn built(dockerfile: &str) -> ImageBuild {
    let file = ContextFile {
        content: dockerfile.to_owned(),
        executable: false,
    };
    ImageBuild::of(BuildContext {
        repository: "kbz-own".to_owned(),
        version: "1".to_owned(),
        files: [("Dockerfile".to_owned(), file)].into(),
        args: [].into(),
    })
}

#[test]
fn whatever_is_newest() {
    refused("image-latest", &["kbz::image::latest"], |stack| {
        let system = System::of(stack)?;
        let host = &system.lb[0].name;
        stack.add(Container::on(host, "haproxy", "haproxy:latest"));
        stack.add(Container::on(host, "redis", "redis"));
        Ok(())
    });
}

#[test]
fn a_tag_that_moves() {
    warned("image-that-moves", &["kbz::image::moving"], |stack| {
        let system = System::of(stack)?;
        stack.add(Container::on(&system.lb[0].name, "tools", "debian:trixie"));
        Ok(())
    });
}

#[test]
fn an_image_built_on_whatever_is_newest() {
    refused("built-on-latest", &["kbz::image::latest"], |stack| {
        stack.add(built("FROM postgres:latest AS base\nFROM base\nRUN true\n"));
        Ok(())
    });
}

#[test]
fn apt_on_alpine() {
    refused("apt-on-alpine", &["kbz::image::no-apt"], |stack| {
        stack.add(built(
            "FROM postgres:16.4-alpine\nRUN apt-get update && apt-get install -y patroni\n",
        ));
        Ok(())
    });
}

#[test]
fn a_raft_that_forgets_its_votes() {
    refused("raft-that-forgets", &["kbz::patroni::image"], |stack| {
        let system = System::of(stack)?;
        stack.add(PatroniImage::new(system.pins.postgres()?).pysyncobj("0.3.14"));
        Ok(())
    });
}

#[test]
fn a_patroni_of_old() {
    refused("patroni-of-old", &["kbz::patroni::image"], |stack| {
        let system = System::of(stack)?;
        stack.add(PatroniImage::new(system.pins.postgres()?).patroni("3.3.0"));
        Ok(())
    });
}
