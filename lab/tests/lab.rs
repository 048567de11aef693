//! A whole lab, from nothing to nothing.
//!
//! One test, because a machine has the subnet once and a lab takes its time: an interrupted
//! start, the lab that `up` makes of it, the ways in, the missing ways out, faults, repair,
//! and the end. It takes the subnet's lock, so that two runs on one machine wait for each
//! other, and a subnet of its own, so that a lab with production's addresses may run beside.

#![allow(clippy::disallowed_methods, reason = "a test prepares its own world")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use kbz_lab::cli::LabProgram;
use kbz_lab::{Engine, Events, Fault, Lab, LabAccess, LabEvent, LabName, LabSpec, lock_subnet};

const NAME: &str = "t1";
const SUBNET: &str = "10.0.1.0/24";
const PROGRAM: &str = env!("CARGO_BIN_EXE_kbz-lab");
/// An address of the documentation range: whatever leads there leads out of the lab.
const OUTSIDE: &str = "198.51.100.1";

fn name() -> LabName {
    NAME.parse().unwrap()
}

fn spec(state: &Path) -> LabSpec {
    let program = LabProgram {
        executable: PathBuf::from(PROGRAM),
        balancer_command: vec!["balancer".to_owned()],
    };
    let mut spec = program.keybuzz(name()).in_subnet(SUBNET.parse().unwrap());
    state.clone_into(&mut spec.state);
    spec
}

/// Runs `up` and says whether it had anything to do.
async fn up(state: &Path) -> (LabAccess, bool) {
    let changed = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&changed);
    let events = Events::new(move |event| {
        if let LabEvent::Up { changed, .. } = event {
            *seen.lock().unwrap() = Some(changed);
        }
    });
    let access = Lab::up(&spec(state), &events).await.unwrap();
    let changed = changed.lock().unwrap().take().unwrap();
    (access, changed)
}

async fn down(state: &Path) {
    Lab::down(&name(), state, false, &Events::silent())
        .await
        .unwrap();
}

async fn fault(host: &str, fault: Fault) {
    Lab::fault(&name(), host, &fault).await.unwrap();
}

/// A command on a host by plain OpenSSH; `None` if it failed.
fn ssh(access: &LabAccess, host: &str, script: &str) -> Option<String> {
    let output = Lab::ssh(access, host, &[script.to_owned()])
        .unwrap()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_lives_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let _lock = lock_subnet(SUBNET.parse().unwrap(), &Events::silent())
        .await
        .unwrap();
    let engine = Engine::connect().unwrap();
    down(state).await;

    interrupted_up(state);
    let (access, changed) = up(state).await;
    assert!(changed);
    hosts_are_like_production(&access);
    the_load_balancer_answers(&access);
    nothing_leads_out(&engine, &access).await;
    the_machine_has_no_way_in();

    assert!(!up(state).await.1, "a healthy lab needs nothing");
    cables_can_be_pulled(&engine, &access).await;
    power_can_be_cut(state, &access).await;
    disks_can_be_filled(&access).await;
    packets_can_be_dropped(state, &access).await;
    another_folder_gets_the_keys().await;

    down(state).await;
    let left = Lab::status(&name()).await.unwrap();
    assert!(left.is_gone(), "{left:?}");
    assert!(!spec(state).directory().exists());
}

/// Kills an `up` while its hosts boot.
fn interrupted_up(state: &Path) {
    let mut child = Command::new(PROGRAM)
        .args([
            "up", "--json", "--name", NAME, "--subnet", SUBNET, "--state",
        ])
        .arg(state)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let booting = lines
        .map(Result::unwrap)
        .find(|line| line.contains(r#""event":"starting""#));
    assert!(
        booting.is_some(),
        "the interrupted start ended before a host booted"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

fn hosts_are_like_production(access: &LabAccess) {
    assert_eq!(access.hosts.len(), 5);
    for host in &access.hosts {
        let ask = |script: &str| ssh(access, &host.name, script).unwrap_or_default();
        assert_eq!(ask("uname -n"), host.name);
        assert_eq!(ask("systemctl is-system-running"), "running");
        assert_eq!(ask("docker info -f {{.Driver}}"), "overlay2");
        let disk = if host.name.starts_with("db-") {
            "postgres"
        } else {
            "haproxy"
        };
        let disk = format!("findmnt -n -o FSTYPE /opt/keybuzz/{disk}/data");
        assert_eq!(ask(&disk), "xfs");
        assert_eq!(ask("ufw status"), "Status: inactive");
        assert_eq!(ask("swapon --show"), "");
        assert_eq!(
            ask("findmnt -n /etc/resolv.conf /etc/hosts /etc/hostname"),
            ""
        );
    }
    let by_address = access.hosts[0].address.to_string();
    assert_eq!(
        ssh(access, &by_address, "uname -n").unwrap(),
        access.hosts[0].name
    );
    assert_eq!(
        ssh(access, &access.bastion, "uname -n").unwrap(),
        access.bastion
    );
    let container = "tar -chf - /bin/true $(ldd /bin/true | grep -o '/lib[^ ]*') \
        | docker import - probe:1 >/dev/null && docker run --rm probe:1 /bin/true && echo ran";
    assert_eq!(
        ssh(access, &access.hosts[0].name, container).unwrap(),
        "ran"
    );
}

fn the_load_balancer_answers(access: &LabAccess) {
    let token = std::fs::read_to_string(&access.hetzner_token).unwrap();
    let answer = |token: &str| {
        let api = access.hetzner_api.as_ref().unwrap();
        let address = api.trim_start_matches("http://").trim_end_matches("/v1");
        let mut connection = TcpStream::connect(address.parse::<SocketAddr>().unwrap()).unwrap();
        write!(
            connection,
            "GET /v1/servers HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    };
    let servers = answer(token.trim());
    assert!(
        servers.starts_with("HTTP/1.1 200") && servers.contains("haproxy-01"),
        "{servers}"
    );
    assert!(answer("wrong").starts_with("HTTP/1.1 401"));
}

/// The way to the outside from every machine of the lab: none, or into the private network.
async fn nothing_leads_out(engine: &Engine, access: &LabAccess) {
    let balancer = access.balancer.as_ref().unwrap();
    let names = access
        .hosts
        .iter()
        .chain([balancer])
        .map(|host| host.name.as_str());
    for host in names.chain([access.bastion.as_str()]) {
        let container = Lab::container(&name(), host);
        let route = engine
            .exec_any(&container, &["ip", "route", "get", OUTSIDE])
            .await
            .unwrap();
        let inward = route.stdout.contains(" via 10.0.1.1 ");
        assert!(route.code != 0 || inward, "{host}: {}", route.stdout);
    }
}

/// The machine routes nothing to the private network: it would shadow a real one.
fn the_machine_has_no_way_in() {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap();
    let into = |line: &&str| {
        let destination = line.split_whitespace().nth(1).unwrap_or_default();
        // Addresses are hexadecimal and little-endian: 10.0.1.x.
        destination.len() == 8 && destination.ends_with("01000A")
    };
    assert_eq!(routes.lines().find(into), None);
}

async fn cables_can_be_pulled(engine: &Engine, access: &LabAccess) {
    let host = access.hosts[1].name.as_str();
    let balancer = access.balancer.as_ref().unwrap().name.as_str();
    for cut in [host, balancer, access.bastion.as_str()] {
        fault(cut, Fault::Disconnect).await;
        nothing_leads_out(engine, access).await;
        let container = Lab::container(&name(), cut);
        let peer = access.hosts[0].address.to_string();
        let route = engine
            .exec_any(&container, &["ip", "route", "get", &peer])
            .await
            .unwrap();
        assert_ne!(
            route.code, 0,
            "{cut} still has a way to {peer}: {}",
            route.stdout
        );
        let status = Lab::status(&name()).await.unwrap();
        assert!(
            status
                .machines
                .iter()
                .any(|one| one.host == cut && !one.connected)
        );
        fault(cut, Fault::Connect).await;
        nothing_leads_out(engine, access).await;
    }
    assert_eq!(ssh(access, host, "uname -n").unwrap(), host);
}

async fn power_can_be_cut(state: &Path, access: &LabAccess) {
    let [first, second, ..] = access.hosts.as_slice() else {
        panic!("too few hosts")
    };
    let mark = "/opt/keybuzz/postgres/data/mark";
    ssh(
        access,
        &first.name,
        &format!("echo kept > {mark} && sync {mark}"),
    )
    .unwrap();
    fault(&first.name, Fault::Kill).await;
    fault(&second.name, Fault::Pause).await;
    assert!(!Lab::status(&name()).await.unwrap().is_up());
    assert!(up(state).await.1);
    assert_eq!(
        ssh(access, &first.name, &format!("cat {mark}; rm {mark}")).unwrap(),
        "kept"
    );
    fault(&second.name, Fault::Restart).await;
    assert_eq!(
        ssh(access, &second.name, "systemctl is-system-running").unwrap(),
        "running"
    );
}

async fn disks_can_be_filled(access: &LabAccess) {
    let host = access.hosts.last().unwrap().name.as_str();
    let write = "cd /opt/keybuzz/haproxy/data && dd if=/dev/zero of=more bs=64k count=64 2>/dev/null && rm more";
    fault(host, Fault::FillDisk).await;
    assert_eq!(ssh(access, host, write), None);
    fault(host, Fault::FreeDisk).await;
    ssh(
        access,
        host,
        &format!("rm -f /opt/keybuzz/haproxy/data/more; {write}"),
    )
    .unwrap();
}

async fn packets_can_be_dropped(state: &Path, access: &LabAccess) {
    let [first, second, third, ..] = access.hosts.as_slice() else {
        panic!("too few hosts")
    };
    let ping = |to: &str| ssh(access, &first.name, &format!("ping -c 1 -W 1 {to}")).is_some();
    let (second_address, third_address) = (second.address.to_string(), third.address.to_string());
    fault(
        &first.name,
        Fault::Drop {
            peer: Some(second.name.clone()),
        },
    )
    .await;
    assert!(!ping(&second_address) && ping(&third_address));
    fault(&first.name, Fault::Undrop).await;
    assert!(ping(&second_address));
    fault(&first.name, Fault::Drop { peer: None }).await;
    assert_eq!(ssh(access, &first.name, "true"), None);
    assert!(up(state).await.1, "a host that does not answer is repaired");
    assert!(ping(&second_address));
}

/// The keys live in the lab too: any folder of the machine can use it.
async fn another_folder_gets_the_keys() {
    let other = tempfile::tempdir().unwrap();
    let (access, _) = up(other.path()).await;
    assert!(
        access
            .ssh_config
            .starts_with(other.path().canonicalize().unwrap())
    );
    assert_eq!(
        ssh(&access, &access.hosts[0].name, "uname -n").unwrap(),
        access.hosts[0].name
    );
}
