//! The library's Hetzner client against the lab's load balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use kbz_infra::host::hetzner::{Applied, HetznerClient, HetznerError, Patience};
use kbz_infra::primitive::hetzner_lb::{
    Algorithm, LABEL_STACK, LoadBalancerChange as Change, LoadBalancerSpec, LoadBalancerState,
    NetworkSpec, Service, TargetRef, changes,
};
use kbz_lab::balancer::{Options, PresetServer, Running};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const NAME: &str = "lb-haproxy";

struct Bench {
    running: Running,
    client: HetznerClient,
    _folder: tempfile::TempDir,
}

/// 130 servers, so that the last ones stand on the third page.
fn servers() -> Vec<PresetServer> {
    (11..=140)
        .map(|last| format!("server-{last}=127.0.0.{last}").parse().unwrap())
        .collect()
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(Options {
            api: "127.0.0.1:0".parse().unwrap(),
            forward: "127.0.0.9".parse().unwrap(),
            state: folder.path().join("state.json"),
            tokens: vec!["token".to_owned()],
            network: "keybuzz".to_owned(),
            range: "127.0.0.0/24".parse().unwrap(),
            servers: servers(),
            action_ms: 10,
            second_ms: 10,
            rate_limit: 1_000_000,
            cut_unhealthy: false,
        })
        .await
        .unwrap();
        let client = client(running.api(), "token", patience());
        Self {
            running,
            client,
            _folder: folder,
        }
    }

    async fn order(&self, fault: Value) {
        let url = format!("http://{}/lab/faults", self.running.api());
        let answer = reqwest::Client::new()
            .post(url)
            .json(&fault)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
    }

    /// Faults that are not spent.
    async fn ordered(&self) -> usize {
        let url = format!("http://{}/lab/faults", self.running.api());
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer["faults"].as_array().unwrap().len()
    }

    async fn apply(&self, change: &Change) -> Result<Applied, HetznerError> {
        self.client.apply(NAME, change).await
    }

    async fn read(&self) -> Option<LoadBalancerState> {
        self.client.read(NAME).await.unwrap()
    }

    /// Plans, carries out, and finds nothing left to do.
    async fn up(&self, spec: &LoadBalancerSpec) -> usize {
        assert_eq!(spec.faults(), []);
        let steps = changes(spec, self.read().await.as_ref());
        for step in &steps {
            assert_eq!(self.apply(step).await.unwrap(), Applied::Now, "{step:?}");
            if !matches!(step, Change::Create { .. } | Change::Delete { .. }) {
                assert_eq!(
                    self.apply(step).await.unwrap(),
                    Applied::Already,
                    "{step:?}"
                );
            }
        }
        assert_eq!(changes(spec, self.read().await.as_ref()), []);
        steps.len()
    }
}

fn patience() -> Patience {
    Patience {
        request: Duration::from_millis(500),
        overall: Duration::from_secs(20),
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(50),
    }
}

fn client(api: SocketAddr, token: &str, patience: Patience) -> HetznerClient {
    HetznerClient::new(
        &format!("http://{api}/v1"),
        SecretString::from(token),
        patience,
    )
    .unwrap()
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn spec(services: &[u16], targets: &[u8]) -> LoadBalancerSpec {
    LoadBalancerSpec {
        name: NAME.to_owned(),
        load_balancer_type: "lb11".to_owned(),
        location: "fsn1".to_owned(),
        network: NetworkSpec {
            name: "keybuzz".to_owned(),
            ip: ip(10),
        },
        public_interface: false,
        algorithm: Algorithm::RoundRobin,
        labels: BTreeMap::from([(LABEL_STACK.to_owned(), "keybuzz".to_owned())]),
        delete_protection: true,
        services: services
            .iter()
            .map(|port| Service::tcp(*port, *port))
            .collect(),
        targets: targets.iter().copied().map(ip).collect(),
    }
}

/// Ports that nobody listens on: enough where no connection is made.
async fn free_ports<const N: usize>() -> [u16; N] {
    let mut taken = Vec::new();
    while taken.len() < N {
        taken.push(TcpListener::bind("127.0.0.9:0").await.unwrap());
    }
    std::array::from_fn(|at| taken[at].local_addr().unwrap().port())
}

#[tokio::test]
async fn from_nothing_to_a_connection() {
    let bench = Bench::new().await;
    let [port] = free_ports().await;
    // 139 is on the last page of servers; 200 is no cloud server
    for last in [139, 200] {
        let listener = TcpListener::bind((ip(last), port)).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _gone = stream.write_all(&[last]).await;
            }
        });
    }
    assert_eq!(bench.read().await, None);
    assert_eq!(bench.up(&spec(&[port], &[139, 200])).await, 6);
    let state = bench.read().await.unwrap();
    assert_eq!(state.owner(), Some("keybuzz"));
    let names = async |stack| {
        let marked = format!("{LABEL_STACK}={stack}");
        bench.client.names(&marked).await.unwrap()
    };
    assert_eq!(names("keybuzz").await, [NAME]);
    assert_eq!(names("shop").await, [""; 0]);
    let mut kinds: Vec<_> = state.targets.iter().map(|t| t.reference.clone()).collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [TargetRef::Ip(ip(200)), TargetRef::Server(1001 + 128)]
    );

    let healthy = async || bench.read().await.unwrap().healthy_targets(port).len() == 2;
    while !healthy().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut answers = BTreeSet::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(("127.0.0.9", port)).await.unwrap();
        answers.insert(stream.read_u8().await.unwrap());
    }
    assert_eq!(answers, BTreeSet::from([139, 200]));
}

#[tokio::test]
async fn from_any_spec_to_the_next() {
    let bench = Bench::new().await;
    let ports: [u16; 7] = free_ports().await;
    let first = spec(&ports[..2], &[11, 12]);
    let mut second = spec(&ports[1..3], &[12, 13]);
    second.services[0].health_check.interval = 7;
    second.algorithm = Algorithm::LeastConnections;
    second.public_interface = true;
    second.delete_protection = false;
    let mut third = spec(&ports, &[14]);
    third.load_balancer_type = "lb21".to_owned();
    third.network.ip = ip(10);
    third.labels.insert("kbz.extra".to_owned(), String::new());
    let mut fourth = first.clone();
    fourth.location = "nbg1".to_owned();
    let fifth = spec(&ports[..5], &[11]);
    let sixth = spec(&ports[6..], &[12]);
    for spec in [&first, &second, &third, &fourth, &fifth, &sixth, &first] {
        bench.up(spec).await;
    }
}

#[tokio::test]
async fn lost_answers_are_not_repeated_blindly() {
    let bench = Bench::new().await;
    let [a, b] = free_ports().await;
    let spec = spec(&[a, b], &[11, 12]);
    for step in changes(&spec, None) {
        for method in ["POST", "PUT", "DELETE"] {
            bench
                .order(json!({"kind": "lost_answer", "status": 502, "method": method}))
                .await;
        }
        assert_eq!(bench.apply(&step).await.unwrap(), Applied::Now, "{step:?}");
    }
    assert_eq!(changes(&spec, bench.read().await.as_ref()), []);
    assert_eq!(
        bench
            .client
            .list(Some("kbz.stack=keybuzz"))
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn broken_slow_and_busy_are_waited_out() {
    let bench = Bench::new().await;
    let [a] = free_ports().await;
    let spec = spec(&[a], &[11]);
    bench
        .order(json!({"kind": "status", "status": 500, "count": 3, "method": "GET"}))
        .await;
    bench
        .order(json!({"kind": "status", "status": 503, "count": 2, "method": "POST"}))
        .await;
    bench
        .order(json!({"kind": "status", "status": 409, "count": 2, "method": "POST"}))
        .await;
    bench
        .order(json!({"kind": "delay", "milliseconds": 700, "method": "GET"}))
        .await;
    bench
        .order(json!({"kind": "slow_action", "milliseconds": 300}))
        .await;
    bench.up(&spec).await;
    assert_eq!(bench.ordered().await, 0);

    // two changes at once: one finds the balancer locked and waits
    bench
        .order(json!({"kind": "slow_action", "milliseconds": 200}))
        .await;
    let one = Change::AddTarget { ip: ip(12) };
    let other = Change::AddTarget { ip: ip(13) };
    let (one, other) = tokio::join!(bench.apply(&one), bench.apply(&other));
    assert_eq!((one.unwrap(), other.unwrap()), (Applied::Now, Applied::Now));
    assert_eq!(bench.read().await.unwrap().targets.len(), 3);
}

#[tokio::test]
async fn the_request_limit_is_respected() {
    let bench = Bench::new().await;
    bench
        .order(json!({"kind": "status", "status": 429, "count": 1, "reset_seconds": 2}))
        .await;
    let before = Instant::now();
    assert_eq!(bench.read().await, None);
    assert!(
        before.elapsed() >= Duration::from_secs(1),
        "{:?}",
        before.elapsed()
    );

    bench
        .order(json!({"kind": "status", "status": 429, "count": 1, "reset_seconds": 50}))
        .await;
    let error = bench.client.read(NAME).await.unwrap_err();
    assert!(matches!(error, HetznerError::TooLate { .. }), "{error}");
}

#[tokio::test]
async fn failures_say_what_failed() {
    let bench = Bench::new().await;
    let steps = changes(&spec(&[], &[11]), None);
    bench
        .order(json!({"kind": "action_error", "code": "action_failed", "message": "no"}))
        .await;
    match bench.apply(&steps[0]).await {
        Err(HetznerError::ActionFailed { code, .. }) => assert_eq!(code, "action_failed"),
        other => panic!("{other:?}"),
    }

    let short = Patience {
        overall: Duration::from_millis(200),
        ..patience()
    };
    let hurried = client(bench.running.api(), "token", short);
    bench
        .order(json!({"kind": "slow_action", "milliseconds": 2000}))
        .await;
    match hurried.apply(NAME, &steps[1]).await {
        Err(HetznerError::TooLate { cause }) => {
            assert!(matches!(*cause, HetznerError::Running { .. }), "{cause}");
        }
        other => panic!("{other:?}"),
    }
    // the same change, later, finds it running or done
    bench.apply(&steps[1]).await.unwrap();

    let stranger = client(bench.running.api(), "wrong", patience());
    let error = stranger.read(NAME).await.unwrap_err();
    assert!(matches!(error, HetznerError::Unauthorized), "{error}");

    let nowhere = NetworkSpec {
        name: "nowhere".to_owned(),
        ip: ip(10),
    };
    let leave = Change::DetachFromNetwork {
        id: 4711,
        network: "keybuzz".to_owned(),
        ip: ip(10),
    };
    bench.apply(&leave).await.unwrap();
    let error = bench
        .apply(&Change::AttachToNetwork(nowhere))
        .await
        .unwrap_err();
    assert!(matches!(error, HetznerError::NoNetwork { .. }), "{error}");
    let gateway = NetworkSpec {
        name: "keybuzz".to_owned(),
        ip: "192.0.2.1".parse().unwrap(),
    };
    match bench
        .apply(&Change::AttachToNetwork(gateway))
        .await
        .unwrap_err()
    {
        HetznerError::Refused { code, .. } => assert_eq!(code, "ip_not_available"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn others_work_is_seen() {
    let bench = Bench::new().await;
    let [a, b] = free_ports().await;
    let ours = spec(&[a], &[11]);
    bench.up(&ours).await;

    // someone adds a service, a target and a label
    bench
        .apply(&Change::AddService {
            service: Service::tcp(b, b),
        })
        .await
        .unwrap();
    bench
        .apply(&Change::AddTarget { ip: ip(30) })
        .await
        .unwrap();
    let from = bench.read().await.unwrap().labels;
    let mut to = from.clone();
    to.insert("team".to_owned(), "ops".to_owned());
    bench.apply(&Change::SetLabels { from, to }).await.unwrap();
    assert_eq!(bench.up(&ours).await, 2);
    assert_eq!(bench.read().await.unwrap().labels["team"], "ops");

    // a balancer of the same name that is not ours is left alone
    let mut theirs = ours.clone();
    theirs.labels = BTreeMap::from([(LABEL_STACK.to_owned(), "other".to_owned())]);
    let error = bench.apply(&changes(&theirs, None)[0]).await.unwrap_err();
    assert!(matches!(error, HetznerError::Unexpected { .. }), "{error}");
    // a protected one is not deleted
    let id = bench.read().await.unwrap().id;
    match bench.apply(&Change::Delete { id }).await.unwrap_err() {
        HetznerError::Refused { code, .. } => assert_eq!(code, "protected"),
        other => panic!("{other}"),
    }
    let error = bench.client.delete(NAME, "other").await.unwrap_err();
    assert!(matches!(error, HetznerError::Unexpected { .. }), "{error}");
    bench
        .order(json!({"kind": "lost_answer", "status": 500, "method": "DELETE"}))
        .await;
    let delete = async || bench.client.delete(NAME, "keybuzz").await.unwrap();
    assert_eq!(delete().await, Applied::Now);
    assert_eq!(delete().await, Applied::Already);
    assert_eq!(bench.read().await, None);
}
