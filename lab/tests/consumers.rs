//! Every generated file, read by the program that it is for.
//!
//! The programs run in the images that the library itself describes, built here from a Debian
//! base of the lab's own; nothing is pulled, and no container has a network.

mod images;
#[path = "../../kbz-infra/tests/sample/mod.rs"]
mod sample;

use std::process::Output;
use std::sync::LazyLock;

use images::{BASES, accepted, build, consume, run, shown};
use kbz_infra::component::haproxy::image as haproxy_image;
use kbz_infra::component::patroni::image::PatroniImageSpec;
use kbz_infra::component::pgbouncer::image as pgbouncer_image;
use kbz_infra::component::unit::Unit;
use kbz_infra::secret::Text;
use kbz_infra::secret::Vault;
use secrecy::SecretString;

/// Passwords that a careless writer of YAML or of `userlist.txt` would break.
const PASSWORDS: [(&str, &str); 5] = [
    ("POSTGRES_SUPERPASS", "s\"up'er: #x"),
    ("POSTGRES_REPL_PASS", "re\\pl $1 {{ x }}"),
    ("POSTGRES_APP_PASS", "app\"pa#ss;"),
    ("PATRONI_REST_PASS", "no"),
    ("PATRONI_RAFT_PASS", "0123"),
];

/// The images, built once for all tests of this file.
static IMAGES: LazyLock<Images> = LazyLock::new(Images::build);

struct Images {
    patroni: String,
    haproxy: String,
    pgbouncer: String,
}

impl Images {
    fn build() -> Self {
        let base = &BASES.debian;
        let patroni = PatroniImageSpec::debian(base).build_context().unwrap();
        Self {
            patroni: build(&patroni),
            haproxy: build(&haproxy_image::debian(base).unwrap()),
            pgbouncer: build(&pgbouncer_image::debian(base).unwrap()),
        }
    }
}

fn resolved(text: &Text) -> String {
    let mut vault = Vault::new();
    for (name, value) in PASSWORDS {
        vault.insert(name, SecretString::from(value.to_owned()));
    }
    text.resolve(&vault).unwrap().to_string()
}

#[test]
fn patroni_accepts_its_file() {
    let yml = resolved(&sample::node().render().unwrap());
    let output = consume(
        &IMAGES.patroni,
        &[("patroni.yml", &yml)],
        "patroni --validate-config patroni.yml 2>&1 | grep -v 'is not reachable$'; \
         patroni --version",
    );
    // That the partners do not answer a container without a network is all that it may say.
    let shown = accepted(&output);
    assert!(!shown.contains("didn't pass"), "{shown}");
    assert!(!shown.contains("Traceback"), "{shown}");
}

#[test]
fn pyyaml_reads_every_password_as_it_is() {
    let yml = resolved(&sample::node().render().unwrap());
    let script = r#"/opt/patroni/bin/python -c '
import yaml
f = yaml.safe_load(open("patroni.yml"))
a = f["postgresql"]["authentication"]
for password in (a["superuser"]["password"], a["replication"]["password"],
                 f["restapi"]["authentication"]["password"], f["raft"]["password"]):
    print(repr(password))
print(f["bootstrap"]["dcs"]["postgresql"]["parameters"]["archive_mode"])
'"#;
    let output = consume(&IMAGES.patroni, &[("patroni.yml", &yml)], script);
    accepted(&output);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "'s\"up\\'er: #x'\n're\\\\pl $1 {{ x }}'\n'no'\n'0123'\non\n"
    );
}

#[test]
fn haproxy_accepts_its_files() {
    let script = "mkdir -p /var/lib/haproxy/state && haproxy -c -f haproxy.cfg";
    for config in [sample::haproxy(), sample::other_haproxy()] {
        let cfg = config.render().unwrap().to_string();
        let shown = accepted(&consume(&IMAGES.haproxy, &[("haproxy.cfg", &cfg)], script));
        assert!(!shown.contains("WARNING"), "{shown}");
    }
}

#[test]
fn haproxy_hands_its_states_over_to_a_reload() {
    let cfg = sample::haproxy().render().unwrap().to_string();
    let save = kbz_infra::component::haproxy::config::SAVE_STATE;
    let script = r#"
        haproxy -W -db -f haproxy.cfg >log 2>&1 & master=$!
        until grep -q "Loading success" log; do sleep 0.1; done
        until grep -q "pg_write/db-master-01 is DOWN" log; do sleep 0.1; done
        bash save-state 8405 && grep -q " pg_write 1 db-master-01 " /var/lib/haproxy/state/servers
        kill -USR2 $master
        until test "$(grep -c "Loading success" log)" = 2; do sleep 0.1; done
        kill $master; wait $master
        grep "db-master-01 is DOWN, changed from server-state" log"#;
    let files = [("haproxy.cfg", cfg.as_str()), ("save-state", save)];
    let output = consume(&IMAGES.haproxy, &files, script);
    assert!(accepted(&output).contains("pg_write/db-master-01"));
}

#[test]
fn pgbouncer_starts_with_its_files() {
    let config = sample::pgbouncer();
    let ini = config.render().unwrap().to_string();
    let ini = ini.replace("/etc/pgbouncer/", "/tmp/files/");
    let userlist = resolved(&config.render_userlist().unwrap());
    // `show users` lists those that PgBouncer read from the file.
    let script = r#"
        (ulimit -n 4096; exec pgbouncer pgbouncer.ini) >log 2>&1 & pooler=$!
        until grep -q "process up" log; do kill -0 $pooler || break; sleep 0.1; done
        kill -INT $pooler; wait $pooler; cat log; grep -q "process up" log"#;
    let files = [
        ("pgbouncer.ini", ini.as_str()),
        ("userlist.txt", userlist.as_str()),
    ];
    let shown = accepted(&consume(&IMAGES.pgbouncer, &files, script));
    for trouble in ["WARNING", "ERROR", "FATAL", "broken"] {
        assert!(!shown.contains(trouble), "{shown}");
    }
}

#[test]
fn systemd_accepts_the_units() {
    let units = [
        Unit::patroni("/opt/keybuzz/postgres/data"),
        Unit::haproxy("/opt/keybuzz/haproxy/data", 8405),
        Unit::pgbouncer(),
    ];
    let rendered: Vec<(String, String)> = units
        .iter()
        .map(|unit| (unit.name(), unit.render().unwrap().to_string()))
        .collect();
    let files: Vec<(&str, &str)> = rendered
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    let output = consume(
        &BASES.host,
        &files,
        "systemd-analyze verify --man=no ./*.service",
    );
    let shown = accepted(&output);
    assert!(!shown.contains("-docker.service:"), "{shown}");
}

/// A PostgreSQL that stops fast when asked to, as the supervisor sees it.
const FAKE_POSTGRES: &str = "#!/bin/bash
trap 'echo postgres stopped fast; exit 0' INT
trap 'echo postgres stopped at once; exit 0' QUIT
while :; do sleep 0.1; done
";

/// The supervisor as first process, over a Patroni made of `script`, which finds `start`,
/// `running` and its own `count` of starts.
fn supervise(script: &str) -> Output {
    let patroni = format!(
        "#!/bin/bash
start() {{ setsid --fork /tmp/postgres -D /tmp/data </dev/null; }}
running() {{ pgrep -x postgres >/dev/null; }}
count=$(($(cat /tmp/count 2>/dev/null) + 1)); echo $count >/tmp/count
{script}
"
    );
    // The files come first; then the supervisor takes the place of the shell as process 1.
    let begin = "cd /tmp && mkdir data && tar -x && \
                 exec python3 -u /opt/patroni/supervise.py /tmp/patroni";
    run(
        &IMAGES.patroni,
        &["--entrypoint", "bash"],
        &["-c", begin],
        &[("patroni", &patroni), ("postgres", FAKE_POSTGRES)],
    )
}

#[test]
fn postgresql_outlives_a_crash_of_patroni_and_stops_with_the_container() {
    let output = supervise(
        "if test $count = 1; then start; until running; do sleep 0.1; done; kill -9 $$; fi
         running && echo survived
         trap 'exit 0' TERM
         kill -TERM 1
         while :; do sleep 0.1; done",
    );
    let shown = accepted(&output);
    assert!(shown.contains("survived"), "{shown}");
    assert!(shown.contains("postgres stopped fast"), "{shown}");
}

#[test]
fn a_patroni_that_never_starts_ends_the_container_with_its_status() {
    let output = supervise("exit 3");
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
}

#[test]
fn a_postgresql_that_nobody_guards_is_stopped() {
    let output = supervise("running || start; until running; do sleep 0.1; done; exit 1");
    let shown = shown(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("cannot be kept alive"), "{shown}");
    assert!(shown.contains("postgres stopped fast"), "{shown}");
}

#[test]
fn in_maintenance_postgresql_is_left_alone() {
    let output = supervise(
        "echo '{\"pause\": true}' >/tmp/data/patroni.dynamic.json
         running || start
         until running; do sleep 0.1; done
         test $count -lt 16 || kill -TERM 1
         exit 1",
    );
    let shown = accepted(&output);
    assert!(!shown.contains("cannot be kept alive"), "{shown}");
    assert!(shown.contains("postgres stopped fast"), "{shown}");
}

#[test]
fn a_restart_of_patroni_leaves_postgresql_running() {
    let output = supervise(
        "trap 'exit 0' TERM
         if test $count = 1; then start; until running; do sleep 0.1; done; kill -USR1 1
         else running && echo survived; kill -TERM 1; fi
         while :; do sleep 0.1; done",
    );
    assert!(accepted(&output).contains("survived"));
}
