//! State in a bucket of a real S3 API server, and of one that ignores conditions.
//!
//! The server is `moto`, from the Python package index, in a virtual environment below the target
//! folder. It is installed once; where Python's `venv` is missing, and this is Debian and runs as
//! root, that is installed too.

#![cfg(feature = "s3")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a test prepares its own world and tells what it installs"
)]

mod moto;

use std::sync::Arc;

use kbz_infra::ident::{StackName, Urn};
use kbz_infra::state::s3::{S3Disk, S3Settings};
use kbz_infra::state::{Durability, Entry, Store};
use tokio::runtime::Runtime;
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use moto::Moto;

fn settings(endpoint: &str) -> S3Settings {
    S3Settings {
        bucket: moto::BUCKET.to_owned(),
        prefix: "team".to_owned(),
        endpoint: Some(endpoint.to_owned()),
        region: "us-east-1".to_owned(),
        access_key: "anybody".to_owned(),
        secret_key: "canary".to_owned().into(),
    }
}

/// One operator's view of the bucket.
fn store(endpoint: &str) -> Store {
    let disk = S3Disk::new(&settings(endpoint)).unwrap();
    Store::on(Arc::new(disk), "", StackName::new("shop").unwrap())
}

fn forget(name: &str) -> Entry {
    Entry::Forget {
        urn: Urn::global("thing", name),
    }
}

#[test]
fn two_operators_share_a_bucket_and_one_of_them_runs() {
    let server = Moto::start();
    let endpoint = server.endpoint();
    let mut ours = store(&endpoint).lock().unwrap();
    let refused = store(&endpoint).lock().unwrap_err().to_string();
    assert!(refused.contains("another run holds the state"), "{refused}");
    for name in ["a", "b", "c"] {
        ours.append(&[forget(name)], Durability::Now).unwrap();
    }
    drop(ours);
    // What was written and not folded is there, as after a kill.
    let mut theirs = store(&endpoint).lock().unwrap();
    theirs.append(&[forget("d")], Durability::Now).unwrap();
    theirs.fold().unwrap();
    let read = store(&endpoint).read().unwrap();
    assert_eq!(read.held_by.as_ref(), Some(theirs.holder()));
    assert_eq!(read.cut, None);
}

#[test]
fn whoever_lost_the_lock_of_a_real_server_writes_nothing_any_more() {
    let server = Moto::start();
    let endpoint = server.endpoint();
    let mut stalled = store(&endpoint).lock().unwrap();
    stalled.append(&[forget("a")], Durability::Now).unwrap();
    assert!(store(&endpoint).unlock().unwrap().is_some());
    let mut next = store(&endpoint).lock().unwrap();
    next.append(&[forget("b")], Durability::Now).unwrap();
    assert!(stalled.append(&[forget("c")], Durability::Now).is_err());
    next.fold().unwrap();
}

/// A server that takes every write that none of these answers.
fn lenient(strict: impl IntoIterator<Item = Mock>) -> (Runtime, MockServer) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(async {
        let server = MockServer::start().await;
        for mock in strict {
            mock.mount(&server).await;
        }
        let written = ResponseTemplate::new(200).insert_header("ETag", "\"1\"");
        Mock::given(method("PUT"))
            .respond_with(written)
            .mount(&server)
            .await;
        let gone = ResponseTemplate::new(204);
        Mock::given(method("DELETE"))
            .respond_with(gone)
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(200).set_body_string("<DeleteResult/>"))
            .mount(&server)
            .await;
        server
    });
    (runtime, server)
}

/// What is said of a store that cannot hold a lock; what was tried on it is taken away.
fn refusal(runtime: &Runtime, server: &MockServer) -> String {
    let refused = store(&server.uri()).lock().unwrap_err();
    let said = kbz_infra::diag::error_chain(&refused);
    assert!(!said.contains("canary"), "{said}");
    let asked = runtime.block_on(server.received_requests()).unwrap();
    let last = asked.last().map(|request| request.method.to_string());
    let removes = ["DELETE", "POST"].map(str::to_owned);
    assert!(last.is_some_and(|last| removes.contains(&last)), "{said}");
    said
}

#[test]
fn a_store_that_ignores_conditions_is_refused() {
    let (runtime, server) = lenient([]);
    let said = refusal(&runtime, &server);
    assert!(said.contains("ignores conditions of a write"), "{said}");
    assert!(said.contains("(If-None-Match)"), "{said}");
}

#[test]
fn a_store_that_replaces_what_has_changed_is_refused() {
    let made = || Mock::given(method("PUT")).and(header("If-None-Match", "*"));
    let once = made()
        .respond_with(ResponseTemplate::new(200).insert_header("ETag", "\"1\""))
        .up_to_n_times(1);
    let again = made().respond_with(ResponseTemplate::new(412));
    let (runtime, server) = lenient([once, again]);
    let said = refusal(&runtime, &server);
    assert!(said.contains("ignores conditions of a write"), "{said}");
    assert!(said.contains("(If-Match)"), "{said}");
}

#[test]
fn a_bucket_that_is_not_there_is_one_clear_error() {
    let server = Moto::start();
    let mut other = settings(&server.endpoint());
    other.bucket = "nobodys".to_owned();
    let disk = S3Disk::new(&other).unwrap();
    let store = Store::on(Arc::new(disk), "", StackName::new("shop").unwrap());
    let said = kbz_infra::diag::error_chain(&store.lock().unwrap_err());
    assert!(said.contains("nobodys"), "{said}");
}
