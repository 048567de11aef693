//! Answers of hosts, and of what listens on them, through the whole interpreter of real hosts.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use async_trait::async_trait;
use kbz_infra::effect::Interpreter as _;
use kbz_infra::host::pool::Hosts;
use kbz_infra::host::transport::{
    Exec, Input, Lane, Output, Status, Stream, Transport, TransportError,
};
use kbz_infra::host::{HostInterpreter, local_docker};
use kbz_infra::ident::{HostName, StackName};
use kbz_infra::probe::{
    Claims, Cluster, Container, Dcs, Drain, Entries, Facts, Filesystem, Firewall, ImageTag,
    ImageUser, Module, Path, PatroniAccess, Probe, RaftAccess, Registry, Site, Stamp, Swap,
    SysctlValue, Unit,
};
use kbz_infra::secret::{SecretRef, Vault};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;

use crate::{CANARY, LARGEST, settle};

/// What the script that reads a host prints; the first byte chooses the question, 0 all of them.
pub fn answers(bytes: &[u8]) {
    let Some((which, printed)) = bytes.split_first() else {
        return;
    };
    let which = usize::from(*which) % (QUESTIONS.len() + 1);
    let asked = match which.checked_sub(1) {
        Some(one) => &QUESTIONS[one..=one],
        None => &QUESTIONS[..],
    };
    ask(bytes, b"{}", 200, printed, asked);
}

/// What a Docker engine says.
pub fn docker(bytes: &[u8]) {
    ask(bytes, bytes, 200, b"@end 0\n\n", &ENGINE);
}

/// What systemd says.
pub fn systemd(bytes: &[u8]) {
    say(bytes, bytes.to_vec(), b"@end 0\n\n", &UNITS);
}

/// What an HAProxy says.
pub fn haproxy(bytes: &[u8]) {
    ask(bytes, bytes, 200, b"@end 0\n\n", &DRAINS);
}

/// What Patroni says; the first byte chooses how.
pub fn patroni(bytes: &[u8]) {
    let Some((how, said)) = bytes.split_first() else {
        return;
    };
    let status = [200, 404, 502, 503][usize::from(how % 4)];
    for probe in CLUSTER.iter() {
        ask(bytes, said, status, b"", std::slice::from_ref(probe));
    }
}

/// Asks a host that prints this, and whose services say that.
fn ask(bytes: &[u8], said: &[u8], status: u16, printed: &[u8], probes: &[Probe]) {
    say(bytes, http(said, status), printed, probes);
}

/// The same where what a service says is no HTTP.
fn say(bytes: &[u8], said: Vec<u8>, printed: &[u8], probes: &[Probe]) {
    if bytes.len() > LARGEST {
        return;
    }
    let Some(first) = probes.first() else { return };
    let answer = Answer {
        printed: printed.to_vec(),
        said,
    };
    *HOST.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    let read = RUNTIME.block_on(INTERPRETER.read(&first.site, probes));
    settle(bytes, &read);
    if let Err(outage) = read {
        let said = outage.to_string();
        let obeyed = said.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(obeyed, None, "a terminal obeys: {said:?}");
    }
}

fn http(said: &[u8], status: u16) -> Vec<u8> {
    let length = said.len();
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), said].concat()
}

/// What the host answers next.
#[derive(Debug, Default)]
struct Answer {
    printed: Vec<u8>,
    said: Vec<u8>,
}

/// A host that answers whatever it is told to.
#[derive(Debug)]
struct Hostile {
    name: HostName,
    answer: Mutex<Answer>,
}

impl Hostile {
    fn answer<T>(&self, look: impl FnOnce(&Answer) -> T) -> T {
        look(&self.answer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn output(&self) -> Output {
        let stdout = self.answer(|answer| answer.printed.clone());
        Output {
            status: Status::Exited(0),
            stderr: stdout.clone(),
            stdout,
        }
    }

    /// A service that hears something, answers, and hangs up.
    fn service(&self) -> Stream {
        let (near, mut far) = tokio::io::duplex(2 * LARGEST);
        let said = self.answer(|answer| answer.said.clone());
        tokio::spawn(async move {
            let mut heard = [0; 4096];
            let _ = far.read(&mut heard).await;
            let _ = far.write_all(&said).await;
        });
        Box::new(near)
    }
}

#[async_trait]
impl Transport for Hostile {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn exec(&self, _command: Exec) -> Result<Output, TransportError> {
        Ok(self.output())
    }

    async fn exec_stream(&self, _command: Exec, _stdin: Input) -> Result<Output, TransportError> {
        Ok(self.output())
    }

    async fn unix(&self, _path: &str, _lane: Lane) -> Result<Stream, TransportError> {
        Ok(self.service())
    }

    async fn tcp(&self, _host: &str, _port: u16) -> Result<Stream, TransportError> {
        Ok(self.service())
    }

    async fn pipe(&self, _script: &str, _lane: Lane) -> Result<Stream, TransportError> {
        Ok(self.service())
    }

    fn logs_in_as_root(&self) -> bool {
        true
    }

    async fn close(&self) {}
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime can be made")
});

static HOST: LazyLock<Arc<Hostile>> = LazyLock::new(|| {
    Arc::new(Hostile {
        name: host(),
        answer: Mutex::default(),
    })
});

static INTERPRETER: LazyLock<HostInterpreter> = LazyLock::new(|| {
    let _runtime = RUNTIME.enter();
    let hosts = Hosts::from_transports([Arc::clone(&*HOST) as Arc<dyn Transport>]);
    let stack = StackName::new("shop").expect("it is a name");
    let docker = local_docker(None).expect("a client can be made");
    let mut vault = Vault::new();
    vault.insert("PATRONI", CANARY.to_owned().into());
    HostInterpreter::new(&stack, hosts.clone(), hosts, docker, Arc::new(vault))
});

/// What the script of a host answers.
static QUESTIONS: LazyLock<Vec<Probe>> = LazyLock::new(|| {
    let here = Site::Host(host());
    let text = str::to_owned;
    let path = Path {
        path: text("/etc/hostname"),
        content: true,
    };
    vec![
        Probe::at(&here, path),
        Probe::at(&here, Entries { path: text("/etc") }),
        Probe::at(
            &here,
            SysctlValue {
                key: text("vm.swappiness"),
            },
        ),
        Probe::at(&here, Swap {}),
        Probe::at(&here, Firewall {}),
        Probe::at(&here, Facts::PLAIN),
        Probe::at(&here, Filesystem { path: text("/etc") }),
        Probe::at(&here, Module { name: text("xfs") }),
        Probe::at(
            &here,
            Stamp {
                name: text("patroni"),
            },
        ),
        Probe::at(&here, Registry {}),
        Probe::at(&here, Claims {}),
    ]
});

/// What systemd answers.
static UNITS: LazyLock<Vec<Probe>> = LazyLock::new(|| {
    let name = "ssh.service".to_owned();
    vec![Probe::at(&Site::Host(host()), Unit { name })]
});

/// What an HAProxy answers.
static DRAINS: LazyLock<Vec<Probe>> =
    LazyLock::new(|| vec![Probe::at(&Site::Host(host()), Drain { port: 8406 })]);

/// What a Docker engine answers.
static ENGINE: LazyLock<Vec<Probe>> = LazyLock::new(|| {
    let here = Site::Host(host());
    let reference = || "kbz/app:1".to_owned();
    let user = "postgres".to_owned();
    let name = "patroni".to_owned();
    vec![
        Probe::at(
            &here,
            ImageTag {
                reference: reference(),
            },
        ),
        Probe::at(
            &here,
            ImageUser {
                reference: reference(),
                user,
            },
        ),
        Probe::at(&here, Container { name }),
    ]
});

/// What Patroni answers. Nobody knows the password of RAFT, so that is not asked.
static CLUSTER: LazyLock<Vec<Probe>> = LazyLock::new(|| {
    let site = Site::Patroni(Box::new(PatroniAccess {
        scope: "pg".to_owned(),
        members: vec![host()],
        port: 8008,
        user: "patroni".to_owned(),
        password: SecretRef::new("PATRONI"),
        raft: RaftAccess {
            addresses: vec![[10, 0, 0, 1].into()],
            port: 2380,
            password: SecretRef::new("RAFT"),
        },
    }));
    vec![Probe::at(&site, Cluster {}), Probe::at(&site, Dcs {})]
});

fn host() -> HostName {
    HostName::new("db-1").expect("it is a name")
}
