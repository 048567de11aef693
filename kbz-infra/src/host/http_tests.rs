//! Requests through an SSH server inside the process, to servers inside the process.

use std::sync::Arc;

use serde_json::json;
use wiremock::matchers::{basic_auth, body_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::host::ssh::testing::TestServer;

fn target(server: &MockServer) -> HttpTarget {
    HttpTarget {
        address: server.address().ip().to_string(),
        port: server.address().port(),
        auth: Some(("patroni".to_owned(), SecretString::from("s3cret:é"))),
        deadline: Duration::from_secs(10),
    }
}

#[tokio::test]
async fn json_goes_out_with_a_password_and_comes_back() {
    let patroni = MockServer::start().await;
    Mock::given(method("PATCH"))
        .and(path("/config"))
        .and(basic_auth("patroni", "s3cret:é"))
        .and(body_json(json!({"ttl": 30})))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"ttl": 30})))
        .mount(&patroni)
        .await;
    let ssh = TestServer::start().await;
    let body = json!({"ttl": 30});
    let answer = target(&patroni).patch(&ssh.host(), "/config", &body).await;
    let answer = answer.unwrap();
    assert!(answer.success());
    assert_eq!(answer.json::<serde_json::Value>().unwrap(), body);
    let answer = target(&patroni).get(&ssh.host(), "/replica").await.unwrap();
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn a_slow_or_endless_answer_is_given_up() {
    let patroni = MockServer::start().await;
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_mins(1));
    let long = ResponseTemplate::new(200).set_body_bytes(vec![b'x'; BODY_LIMIT + 1]);
    for (place, response) in [("/slow", slow), ("/long", long)] {
        let mock = Mock::given(path(place)).respond_with(response);
        mock.mount(&patroni).await;
    }
    let ssh = TestServer::start().await;
    let mut target = target(&patroni);
    let error = target.get(&ssh.host(), "/long").await.unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }), "{error}");
    target.deadline = Duration::from_millis(300);
    let error = target.get(&ssh.host(), "/slow").await.unwrap_err();
    assert!(matches!(error, HttpError::Deadline { .. }), "{error}");
    target.port = 1;
    let error = target.get(&ssh.host(), "/").await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_unreachable() {
    let ssh = TestServer::start().await;
    let mut settings = ssh.settings();
    settings.address = "127.0.0.1".to_owned();
    settings.port = 1;
    let host = crate::host::ssh::testing::host(settings);
    let lane = crate::host::transport::Lane::Talk;
    let error = crate::host::docker::connect(Arc::new(host), lane).await;
    let error = error.unwrap_err();
    let unreachable = matches!(error, crate::host::docker::DockerError::Unreachable { .. });
    assert!(unreachable, "{error:?}");
}
