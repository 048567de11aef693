//! A host that answers whatever it likes.
//!
//! The whole interpreter of real hosts is asked, through a way to a host that gives back other
//! bytes than a shell, Docker, Patroni or PostgreSQL would. Some answers are those of a real
//! shell, bent.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kbz_infra::effect::Interpreter as _;
use kbz_infra::host::pool::Hosts;
use kbz_infra::host::transport::{
    Exec, Input, Lane, Output, Status, Stream, Transport, TransportError,
};
use kbz_infra::host::{HostInterpreter, local_docker};
use kbz_infra::ident::{HostName, StackName};
use kbz_infra::probe::{
    Claims, Cluster, Container, Contexts, Database, Dcs, Drain, Entries, Extension, Facts,
    Filesystem, Firewall, ImageTag, ImageUser, Module, Path, PatroniAccess, PgAccess, Probe, Query,
    RaftAccess, Registry, Role, Site, Stamp, Swap, SysctlValue, Unit,
};
use kbz_infra::secret::{SecretRef, Vault};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bend::{Bend, bend, bent};
use crate::json;

/// What systemd 252 said of `ssh.service` on its own socket.
const SYSTEMD: &[u8] = include_bytes!("systemd.bin");

/// How long an answer may keep a reader.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a host answers.
#[derive(Debug, Clone)]
struct Hostile {
    name: HostName,
    /// What a command prints; `None` for what a shell here prints.
    printed: Option<Vec<u8>>,
    bends: Vec<Bend>,
    code: u32,
    /// What a service says.
    said: Vec<u8>,
    /// Whether a service says it as HTTP.
    http: bool,
}

impl Hostile {
    fn answer(&self, script: &str) -> Output {
        let printed = match &self.printed {
            Some(printed) => printed.clone(),
            None => {
                Command::new("sh")
                    .args(["-c", script])
                    .output()
                    .unwrap()
                    .stdout
            }
        };
        let stdout = bent(printed, &self.bends);
        Output {
            status: Status::Exited(self.code),
            stderr: stdout.clone(),
            stdout,
        }
    }

    /// A service that hears something, answers, and hangs up.
    fn service(&self) -> Stream {
        let mut answer = Vec::new();
        if self.http {
            let length = self.said.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            answer.extend(head.into_bytes());
        }
        answer.extend(&self.said);
        saying(answer)
    }

    /// systemd, bent like what a command prints. It says no more then, and listens on.
    fn systemd(&self) -> Stream {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let answer = bent(SYSTEMD.to_vec(), &self.bends);
        tokio::spawn(async move {
            let _ = far.write_all(&answer).await;
            let _ = far.shutdown().await;
            let _ = tokio::io::copy(&mut far, &mut tokio::io::sink()).await;
        });
        Box::new(near)
    }
}

/// What hears something, says this, and hangs up.
fn saying(answer: Vec<u8>) -> Stream {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let mut heard = [0; 4096];
        let _ = far.read(&mut heard).await;
        let _ = far.write_all(&answer).await;
    });
    Box::new(near)
}

#[async_trait]
impl Transport for Hostile {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn exec(&self, command: Exec) -> Result<Output, TransportError> {
        Ok(self.answer(&command.script))
    }

    async fn exec_stream(&self, command: Exec, _stdin: Input) -> Result<Output, TransportError> {
        Ok(self.answer(&command.script))
    }

    async fn unix(&self, path: &str, _lane: Lane) -> Result<Stream, TransportError> {
        Ok(if path.contains("systemd") {
            self.systemd()
        } else {
            self.service()
        })
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

fn host() -> HostName {
    HostName::new("db-1").unwrap()
}

fn password() -> SecretRef {
    SecretRef::new("SUPER")
}

/// Every question that a host, or a service on it, can be asked.
fn questions() -> Vec<Probe> {
    let text = str::to_owned;
    let path = || text("/etc/hostname");
    let here = Site::Host(host());
    let postgres = Site::Postgres(Box::new(PgAccess {
        via: vec![host()],
        address: text("127.0.0.1"),
        port: 5432,
        user: text("postgres"),
        password: password(),
    }));
    let patroni = Site::Patroni(Box::new(PatroniAccess {
        scope: text("pg"),
        members: vec![host()],
        port: 8008,
        user: text("patroni"),
        password: password(),
        raft: RaftAccess {
            addresses: vec![[10, 0, 0, 1].into()],
            port: 2380,
            password: password(),
        },
    }));
    let reference = || text("kbz/app:1");
    let name = || text("patroni");
    vec![
        Probe::at(
            &here,
            Path {
                path: path(),
                content: true,
            },
        ),
        Probe::at(&here, Entries { path: text("/etc") }),
        Probe::at(
            &here,
            Unit {
                name: text("ssh.service"),
            },
        ),
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
        Probe::at(&here, Stamp { name: name() }),
        Probe::at(&here, Drain { port: 8406 }),
        Probe::at(&here, Registry {}),
        Probe::at(&here, Claims {}),
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
                user: text("postgres"),
            },
        ),
        Probe::at(&here, Container { name: name() }),
        Probe::at(&postgres, Role { name: name() }),
        Probe::at(&postgres, Database { name: name() }),
        Probe::at(
            &postgres,
            Extension {
                database: name(),
                name: text("vector"),
            },
        ),
        Probe::at(&postgres, Contexts {}),
        Probe::at(&patroni, Cluster {}),
        Probe::at(&patroni, Dcs {}),
    ]
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..400);
    let printed = prop_oneof![3 => Just(None), 1 => bytes().prop_map(Some)];
    let samples = prop::sample::select(json::samples());
    let json = prop_oneof![samples, json::value()];
    let json = (json, prop::collection::vec(bend(), 0..3));
    let json = json.prop_map(|(value, bends)| bent(value.to_string().into_bytes(), &bends));
    let said = prop_oneof![3 => json, 1 => bytes()];
    let bends = prop::collection::vec(bend(), 0..4);
    let code = prop_oneof![4 => Just(0), 1 => 1..256_u32];
    (printed, bends, code, said, any::<bool>()).prop_map(|(printed, bends, code, said, http)| {
        Hostile {
            name: host(),
            printed,
            bends,
            code,
            said,
            http,
        }
    })
}

/// What a hostile host makes of a question: how much is kept of its answer, or what is said of it.
fn asked(hostile: &Hostile, probe: &Probe) -> Result<usize, String> {
    let mut vault = Vault::new();
    vault.insert("SUPER", "canary".to_owned().into());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let hosts = Hosts::from_transports([Arc::new(hostile.clone()) as Arc<dyn Transport>]);
        let interpreter = HostInterpreter::new(
            &StackName::new("shop").unwrap(),
            hosts.clone(),
            hosts,
            local_docker(None).unwrap(),
            Arc::new(vault),
        );
        let read = interpreter.read(&probe.site, std::slice::from_ref(probe));
        let read = tokio::time::timeout(PATIENCE, read).await;
        match read.map_err(|_| "it keeps its reader for ever".to_owned())? {
            Ok(readings) => Ok(format!("{readings:?}").len()),
            Err(outage) => Err(outage.to_string()),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_of_a_host_makes_its_reader_panic_hang_or_print(hostile in hostile()) {
        for probe in questions() {
            match asked(&hostile, &probe) {
                // What is kept of an answer may be escaped once more when it is shown here.
                Ok(kept) => prop_assert!(kept < 4 << 20, "{probe}: {kept} bytes"),
                Err(said) => {
                    let obeyed = said.chars().find(|c| c.is_control() && *c != '\n');
                    prop_assert_eq!(obeyed, None, "{}: {:?}", probe, said);
                    prop_assert!(!said.contains("for ever"), "{}: {}", probe, said);
                    prop_assert!(!said.contains("canary"), "{}: {}", probe, said);
                }
            }
        }
    }
}

/// The question that systemd answers.
fn here_unit() -> Probe {
    let mut units = questions().into_iter();
    let unit = units.find(|probe| matches!(probe.query, Query::Unit(_)));
    unit.expect("a question about a unit")
}

#[test]
fn a_host_that_means_well_is_understood() {
    let honest = Hostile {
        name: host(),
        printed: None,
        bends: Vec::new(),
        code: 0,
        said: json::samples()[0].to_string().into_bytes(),
        http: true,
    };
    let here = questions();
    let here = here.iter().filter(|probe| probe.site.host().is_some());
    let understood = here.filter(|probe| asked(&honest, probe).is_ok()).count();
    assert!(understood >= 12, "{understood}");
    let unit = here_unit();
    assert!(asked(&honest, &unit).is_ok());
}

#[test]
fn a_configuration_that_is_none_is_an_outage_and_no_absence() {
    let mut questions = questions().into_iter();
    let config = questions.find(|probe| matches!(probe.query, Query::Dcs(_)));
    let config = config.expect("a question about a configuration");
    let said = |body: &str| {
        let patroni = Hostile {
            name: host(),
            printed: None,
            bends: Vec::new(),
            code: 0,
            said: body.as_bytes().to_vec(),
            http: true,
        };
        asked(&patroni, &config)
    };
    assert!(said(r#"{"ttl": 30}"#).is_ok());
    for body in ["<html>hello</html>", "", "null"] {
        let said = said(body);
        assert!(said.is_err(), "{body}: {said:?}");
    }
}
