//! An API that answers as Hetzner's does not.

use std::time::Duration;

use kbz_infra::host::hetzner::{HetznerClient, Patience};
use proptest::prelude::*;
use wiremock::matchers::any as whatever;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::bend::{bend, bent};
use crate::json;

fn body() -> impl Strategy<Value = Vec<u8>> {
    let samples = prop::sample::select(json::samples());
    let value = prop_oneof![2 => samples, 1 => json::value()];
    let bends = prop::collection::vec(bend(), 0..3);
    (value, bends).prop_map(|(value, bends)| bent(value.to_string().into_bytes(), &bends))
}

/// What is said of an API that always answers this.
fn asked(status: u16, body: Vec<u8>) -> Result<usize, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).set_body_raw(body, "application/json");
        Mock::given(whatever())
            .respond_with(answer)
            .mount(&server)
            .await;
        let token = "canary".to_owned().into();
        let client = HetznerClient::new(&server.uri(), token, Patience::default()).unwrap();
        let read = tokio::time::timeout(Duration::from_mins(1), client.read("lb")).await;
        match read.map_err(|_| "it keeps its reader for ever".to_owned())? {
            Ok(state) => Ok(format!("{state:?}").len()),
            Err(error) => Err(format!("{error}")),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_of_the_api_makes_its_reader_panic_hang_or_tell_the_token(
        status in prop::sample::select(vec![200, 200, 200, 201, 204, 400, 403, 404, 422]),
        body in body(),
    ) {
        let bound = 100_000 + 400 * body.len();
        match asked(status, body) {
            Ok(kept) => prop_assert!(kept < bound, "{} bytes", kept),
            Err(said) => {
                prop_assert!(said.len() < bound, "{} bytes", said.len());
                prop_assert!(!said.contains("for ever"), "{}", said);
                prop_assert!(!said.contains("canary"), "{}", said);
            }
        }
    }
}

#[test]
fn an_answer_that_is_another_is_an_outage_and_no_absence() {
    for body in [
        "{}",
        r#"{"servers": []}"#,
        r#"{"load_balancers": {}}"#,
        "[]",
    ] {
        let said = asked(200, body.into());
        assert!(said.is_err(), "{body}: {said:?}");
    }
    let nothing = asked(200, br#"{"load_balancers": []}"#.to_vec());
    assert!(nothing.is_ok(), "{nothing:?}");
}
