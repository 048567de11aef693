//! The balancer over its own API, with real targets on loopback addresses.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Options, Running};

const FORWARD: &str = "127.0.0.10";
const FIRST: &str = "127.0.0.11";
const SECOND: &str = "127.0.0.12";

fn options(state: &std::path::Path) -> Options {
    Options {
        api: "127.0.0.1:0".parse().unwrap(),
        forward: FORWARD.parse().unwrap(),
        state: state.join("state.json"),
        tokens: vec!["token".into()],
        network: "keybuzz".into(),
        range: "127.0.0.0/24".parse().unwrap(),
        servers: vec![
            format!("haproxy-01={FIRST},role=lb").parse().unwrap(),
            format!("haproxy-02={SECOND},role=lb").parse().unwrap(),
        ],
        action_ms: 20,
        second_ms: 10,
        rate_limit: 100_000,
        cut_unhealthy: false,
    }
}

struct Bench {
    running: Running,
    folder: tempfile::TempDir,
    client: reqwest::Client,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(options(folder.path())).await.unwrap();
        // a second test may have installed it already
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            running,
            folder,
            client: reqwest::Client::new(),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.running.api());
        let request = self
            .client
            .request(method, url)
            .bearer_auth("token")
            .json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (
            status,
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default(),
        )
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, json!({})).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Posts, and polls the action to its end.
    async fn act(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, body).await;
        assert_eq!(status, 201, "{answer}");
        let id = answer["action"]["id"].as_u64().unwrap();
        assert_eq!(answer["action"]["status"], "running");
        until(|| async {
            self.get(&format!("/v1/actions/{id}")).await["action"]["status"] != "running"
        })
        .await;
        answer
    }

    /// A balancer in the network with both servers as targets.
    async fn balancer(&self, service: Value) -> u64 {
        let body = json!({
            "name": "lb-haproxy", "load_balancer_type": "lb11", "location": "fsn1",
            "labels": {"kbz.stack": "keybuzz"},
        });
        let id = self.act("/v1/load_balancers", body).await["load_balancer"]["id"]
            .as_u64()
            .unwrap();
        let path = format!("/v1/load_balancers/{id}/actions");
        let place = json!({"network": 4711, "ip": FORWARD});
        self.act(&format!("{path}/attach_to_network"), place).await;
        self.act(&format!("{path}/add_service"), service).await;
        for server in [1001, 1002] {
            let target =
                json!({"type": "server", "server": {"id": server}, "use_private_ip": true});
            self.act(&format!("{path}/add_target"), target).await;
        }
        id
    }

    async fn statuses(&self, id: u64) -> Vec<String> {
        let shown = self.get(&format!("/v1/load_balancers/{id}")).await;
        let targets = shown["load_balancer"]["targets"].as_array().unwrap();
        targets
            .iter()
            .map(|t| t["health_status"][0]["status"].as_str().unwrap().to_owned())
            .collect()
    }

    async fn until_statuses(&self, id: u64, expected: [&str; 2]) {
        until(|| async { self.statuses(id).await == expected }).await;
    }
}

/// Waits on a condition, at most ten seconds.
async fn until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("the condition never held");
}

/// A port that is free on every address used here.
async fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind((FORWARD, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let others = [FIRST, SECOND].map(|ip| std::net::TcpListener::bind((ip, port)));
        if others.iter().all(Result::is_ok) {
            return port;
        }
    }
}

/// A target that says its address and echoes.
async fn echo(ip: &'static str, port: u16) -> JoinHandle<()> {
    let listener = TcpListener::bind((ip, port)).await.unwrap();
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let _gone = stream.write_all(format!("{ip}\n").as_bytes()).await;
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    })
}

/// A web server that answers 200 or 503.
async fn web(ip: &'static str, port: u16, well: Arc<AtomicBool>) {
    let listener = TcpListener::bind((ip, port)).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let status = if well.load(Ordering::Relaxed) {
                "200 OK"
            } else {
                "503 No"
            };
            let mut request = [0; 1024];
            let _gone = stream.read(&mut request).await;
            let _gone = stream
                .write_all(format!("HTTP/1.0 {status}\r\n\r\n").as_bytes())
                .await;
        }
    });
}

fn forward(port: u16) -> SocketAddr {
    SocketAddr::new(FORWARD.parse::<IpAddr>().unwrap(), port)
}

/// Connects and reads who answers; an empty name is a closed connection.
async fn who(port: u16) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(forward(port)).await.unwrap();
    let mut name = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        if byte == b'\n' {
            break;
        }
        name.push(byte);
    }
    (String::from_utf8(name).unwrap(), stream)
}

fn tcp_service(listen: u16, destination: u16) -> Value {
    json!({
        "protocol": "tcp", "listen_port": listen, "destination_port": destination,
        "proxyprotocol": false,
        "health_check": {
            "protocol": "tcp", "port": destination, "interval": 3, "timeout": 2, "retries": 2,
        },
    })
}

#[tokio::test]
async fn forwards_in_turn_and_fails_over() {
    let bench = Bench::new().await;
    let (listen, destination) = (free_port().await, free_port().await);
    let first = echo(FIRST, destination).await;
    let id = bench.balancer(tcp_service(listen, destination)).await;
    bench.until_statuses(id, ["healthy", "unhealthy"]).await;
    assert_eq!(who(listen).await.0, FIRST);

    let second = echo(SECOND, destination).await;
    bench.until_statuses(id, ["healthy", "healthy"]).await;
    let (one, mut kept) = who(listen).await;
    let (other, _) = who(listen).await;
    assert_ne!(one, other, "round robin");
    kept.write_all(b"ping").await.unwrap();
    let mut pong = [0; 4];
    kept.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"ping");

    first.abort();
    bench.until_statuses(id, ["unhealthy", "healthy"]).await;
    for _ in 0..4 {
        assert_eq!(who(listen).await.0, SECOND);
    }
    second.abort();
    bench.until_statuses(id, ["unhealthy", "unhealthy"]).await;
    assert_eq!(who(listen).await.0, "", "nobody is healthy");
}

#[tokio::test]
async fn connections_outlive_health_but_not_their_target() {
    let bench = Bench::new().await;
    let (listen, destination, health) = (free_port().await, free_port().await, free_port().await);
    let well = Arc::new(AtomicBool::new(true));
    for ip in [FIRST, SECOND] {
        drop(echo(ip, destination).await);
        web(ip, health, Arc::clone(&well)).await;
    }
    let mut service = tcp_service(listen, destination);
    service["health_check"] = json!({
        "protocol": "http", "port": health, "interval": 3, "timeout": 2, "retries": 1,
        "http": {"path": "/health", "domain": "", "status_codes": ["2??"]},
    });
    let id = bench.balancer(service).await;
    bench.until_statuses(id, ["healthy", "healthy"]).await;
    let (name, mut stream) = who(listen).await;

    well.store(false, Ordering::Relaxed);
    bench.until_statuses(id, ["unhealthy", "unhealthy"]).await;
    stream.write_all(b"x").await.unwrap();
    assert_eq!(
        stream.read_u8().await.unwrap(),
        b'x',
        "an old connection goes on"
    );

    let server = if name == FIRST { 1001 } else { 1002 };
    let target = json!({"type": "server", "server": {"id": server}});
    bench
        .act(
            &format!("/v1/load_balancers/{id}/actions/remove_target"),
            target,
        )
        .await;
    assert!(stream.read_u8().await.is_err(), "its target is gone");
}

#[tokio::test]
async fn a_restart_keeps_the_balancer() {
    let bench = Bench::new().await;
    let (listen, destination) = (free_port().await, free_port().await);
    let _first = echo(FIRST, destination).await;
    let id = bench.balancer(tcp_service(listen, destination)).await;
    let Bench {
        running,
        folder,
        client,
    } = bench;
    drop(running);
    until(|| async { TcpStream::connect(forward(listen)).await.is_err() }).await;

    let running = Running::start(options(folder.path())).await.unwrap();
    let bench = Bench {
        running,
        folder,
        client,
    };
    bench.until_statuses(id, ["healthy", "unhealthy"]).await;
    assert_eq!(who(listen).await.0, FIRST);
}

#[tokio::test]
async fn a_damaged_state_is_not_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("state.json"), "{").unwrap();
    let error = Running::start(options(folder.path())).await.unwrap_err();
    assert!(matches!(
        error,
        super::Error::Store(super::StoreError::Damaged { .. })
    ));
}

#[tokio::test]
async fn refuses_in_hetzners_words() {
    let bench = Bench::new().await;
    let (listen, destination) = (free_port().await, free_port().await);
    let id = bench.balancer(tcp_service(listen, destination)).await;
    let actions = format!("/v1/load_balancers/{id}/actions");
    let service = |change: fn(&mut Value)| {
        let mut service = tcp_service(7, 8);
        change(&mut service);
        service
    };
    let check = async |path: &str, body: Value, status: u16, code: &str| {
        let (got, answer) = bench.ask(Method::POST, path, body).await;
        assert_eq!(
            (got, answer["error"]["code"].as_str()),
            (status, Some(code)),
            "{answer}"
        );
    };
    let again = json!({"name": "lb-haproxy", "load_balancer_type": "lb11", "location": "fsn1"});
    check("/v1/load_balancers", again, 409, "uniqueness_error").await;
    check(
        "/v1/load_balancers",
        json!({"name": "x"}),
        422,
        "invalid_input",
    )
    .await;
    let nowhere = json!({"name": "x", "load_balancer_type": "lb11", "location": "moon1"});
    check("/v1/load_balancers", nowhere, 422, "invalid_input").await;
    let add = format!("{actions}/add_service");
    check(
        &add,
        tcp_service(listen, 1),
        409,
        "source_port_already_used",
    )
    .await;
    check(
        &add,
        service(|s| s["protocol"] = json!("http")),
        422,
        "invalid_input",
    )
    .await;
    check(
        &add,
        service(|s| s["health_check"]["interval"] = json!(1)),
        422,
        "invalid_input",
    )
    .await;
    check(
        &add,
        service(|s| s["listen_port"] = json!(0)),
        422,
        "invalid_input",
    )
    .await;
    let add = format!("{actions}/add_target");
    let cloud = json!({"type": "ip", "ip": {"ip": FIRST}});
    check(&add, cloud, 422, "cloud_resource_ip_not_allowed").await;
    let double = json!({"type": "server", "server": {"id": 1001}, "use_private_ip": true});
    check(&add, double, 409, "target_already_defined").await;
    let place = json!({"network": 4711});
    let attach = format!("{actions}/attach_to_network");
    check(&attach, place, 409, "load_balancer_already_attached").await;
    check(&format!("{actions}/dance"), json!({}), 404, "not_found").await;
    check(
        "/v1/load_balancers/99/actions/add_target",
        json!({}),
        404,
        "not_found",
    )
    .await;

    let path = format!("{actions}/change_protection");
    let (_, _) = bench
        .ask(Method::POST, &path, json!({"delete": true}))
        .await;
    check(&path, json!({"delete": false}), 423, "locked").await;
    until(|| async {
        let shown = bench.get(&format!("/v1/load_balancers/{id}")).await;
        shown["load_balancer"]["protection"]["delete"] == true
    })
    .await;
    let path = format!("/v1/load_balancers/{id}");
    let (status, answer) = bench.ask(Method::DELETE, &path, json!({})).await;
    assert_eq!(
        (status, answer["error"]["code"].as_str()),
        (423, Some("protected"))
    );

    let url = format!("http://{}/v1/load_balancers", bench.running.api());
    let answer = bench
        .client
        .get(url)
        .bearer_auth("wrong")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn lists_page_by_page_and_by_label() {
    let bench = Bench::new().await;
    for number in 0..5 {
        let labels = json!({"odd": (number % 2).to_string()});
        let body = json!({
            "name": format!("lb-{number}"), "load_balancer_type": 1, "network_zone": "eu-central",
            "labels": labels,
        });
        bench.act("/v1/load_balancers", body).await;
    }
    let page = bench.get("/v1/load_balancers?per_page=2&page=2").await;
    let names: Vec<_> = page["load_balancers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| &b["name"])
        .collect();
    assert_eq!(names, ["lb-2", "lb-3"]);
    assert_eq!(
        page["meta"]["pagination"],
        json!({"page": 2, "per_page": 2, "previous_page": 1, "next_page": 3, "last_page": 3,
               "total_entries": 5})
    );
    let odd = bench.get("/v1/load_balancers?label_selector=odd%3D1").await;
    assert_eq!(odd["load_balancers"].as_array().unwrap().len(), 2);
    let found = bench.get("/v1/load_balancers?name=lb-4").await;
    assert_eq!(found["load_balancers"][0]["name"], "lb-4");
    assert_eq!(
        bench.get("/v1/networks?name=keybuzz").await["networks"][0]["id"],
        4711
    );
    assert_eq!(
        bench.get("/v1/servers?name=haproxy-02").await["servers"][0]["id"],
        1002
    );
}

#[tokio::test]
async fn faults_come_as_ordered() {
    let bench = Bench::new().await;
    let order = async |fault: Value| {
        assert_eq!(bench.ask(Method::POST, "/lab/faults", fault).await.0, 204);
    };
    order(json!({"kind": "status", "status": 429, "count": 2, "reset_seconds": 7})).await;
    for _ in 0..2 {
        let url = format!("http://{}/v1/load_balancers", bench.running.api());
        let answer = bench
            .client
            .get(url)
            .bearer_auth("token")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["RateLimit-Remaining"], "0");
        assert!(answer.headers().contains_key("RateLimit-Reset"));
    }
    bench.get("/v1/load_balancers").await;

    order(json!({"kind": "lost_answer", "status": 500, "method": "post"})).await;
    let body = json!({"name": "lost", "load_balancer_type": "lb11", "location": "fsn1"});
    assert_eq!(
        bench.ask(Method::POST, "/v1/load_balancers", body).await.0,
        500
    );
    let found = bench.get("/v1/load_balancers?name=lost").await;
    let id = found["load_balancers"][0]["id"].as_u64().unwrap();

    order(json!({"kind": "action_error", "code": "action_failed", "message": "no"})).await;
    until(|| async {
        let all = bench.get(&format!("/v1/load_balancers/{id}/actions")).await;
        all["actions"][0]["status"] == "success"
    })
    .await;
    let path = format!("/v1/load_balancers/{id}/actions/change_algorithm");
    let action =
        bench.act(&path, json!({"type": "least_connections"})).await["action"]["id"].clone();
    let ended = bench.get(&format!("/v1/actions/{action}")).await;
    assert_eq!(ended["action"]["error"]["code"], "action_failed");
    let shown = bench.get(&format!("/v1/load_balancers/{id}")).await;
    assert_eq!(shown["load_balancer"]["algorithm"]["type"], "round_robin");
}
