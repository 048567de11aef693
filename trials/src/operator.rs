//! The operator: a program of the stack, with inputs and a state of its own.

use std::fmt::Write as _;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use kbz_lab::{LabAccess, LabName, lab_directory};
use serde_json::Value;
use tempfile::TempDir;

use crate::under::Under;

/// All hosts of the stack.
pub const HOSTS: [&str; 5] = [
    "db-master-01",
    "db-slave-01",
    "db-slave-02",
    "haproxy-01",
    "haproxy-02",
];

/// The hosts of the database.
pub const DATABASES: [&str; 3] = ["db-master-01", "db-slave-01", "db-slave-02"];

/// The hosts before it.
pub const PROXIES: [&str; 2] = ["haproxy-01", "haproxy-02"];

/// The environment of a colleague: the same lab, and another machine's memory of it.
pub const COLLEAGUE: &str = "colleague";

/// The environments that lead to the lab.
const ENVIRONMENTS: [&str; 2] = ["lab", COLLEAGUE];

/// The colleague's environment, which `kbz.toml` gets in addition.
const COLLEAGUES: &str = r#"
[environments.colleague]
kind = "lab"
inventory = "servers.tsv"
versions = "lab/versions.yaml"
credentials = "lab/credentials/postgres.env"
state = ".kbz/colleague"
image_base = "debian"
memory = "6GiB"
tolerate_other_filesystems = true
"#;

/// How the program of the stack is called.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    words: Vec<String>,
}

impl Program {
    /// An executable that is the program.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            words: Vec::new(),
        }
    }

    /// The same, which is the program after these words.
    pub fn with<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }
}

/// A copy of the stack's inputs, with a state and credentials of its own.
#[derive(Debug)]
pub struct Operator {
    folder: TempDir,
    program: Program,
    /// `kbz.toml` without any parameter of PostgreSQL.
    environments: String,
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Also after a failure nothing stays behind.
        let _ = self.command(&["lab", "down"]).output();
    }
}

impl Operator {
    /// An operator of the program whose inputs are in `source`.
    pub fn new(program: Program, source: &Path) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("lab")).expect("a folder");
        for file in ["servers.tsv", "versions.yaml", "lab/versions.yaml"] {
            std::fs::copy(source.join(file), folder.path().join(file)).expect(file);
        }
        let environments = std::fs::read_to_string(source.join("kbz.toml")).expect("kbz.toml");
        let operator = Self {
            folder,
            program,
            environments,
        };
        operator.set_parameters(&[]);
        operator
    }

    /// The folder of the program's inputs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets parameters of PostgreSQL for the lab, as an operator would: in `kbz.toml`. Those that
    /// were set before and are not named are as declared again.
    pub fn set_parameters(&self, parameters: &[(&str, &str)]) {
        let mut text = format!("{}{COLLEAGUES}", self.environments);
        for environment in ENVIRONMENTS {
            let _ = writeln!(text, "\n[environments.{environment}.postgresql]");
            for (name, value) in parameters {
                let _ = writeln!(text, "{name} = \"{value}\"");
            }
        }
        std::fs::write(self.folder().join("kbz.toml"), text).expect("kbz.toml");
    }

    /// Sets a version for the lab, as an operator would: in `lab/versions.yaml`.
    pub fn set_version(&self, name: &str, version: &str) {
        let file = self.folder().join("lab/versions.yaml");
        let text = std::fs::read_to_string(&file).expect("versions.yaml");
        let key = format!("{name}: ");
        let line = text.lines().find(|line| line.starts_with(&key));
        let text = text.replace(line.expect("a version to set"), &format!("{key}{version}"));
        std::fs::write(&file, text).expect("versions.yaml");
    }

    /// The command line of this operator's program.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(&self.program, arguments)
    }

    /// The command line of another program for the same inputs.
    pub fn command_of(&self, program: &Program, arguments: &[&str]) -> Command {
        let mut command = Command::new(&program.path);
        command
            .args(&program.words)
            .arg("--stack-dir")
            .arg(self.folder.path())
            .args(arguments);
        command
    }

    /// Runs a command to its end, whatever that is.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .output()
            .expect("the program starts")
    }

    /// Runs a command that must succeed; gives what it says on both streams.
    pub fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = both(&output);
        assert!(output.status.success(), "{arguments:?} failed:\n{said}");
        said
    }

    /// Begins a command whose lines can be listened to.
    pub fn begin(&self, arguments: &[&str]) -> Under {
        Under::begin(self.command(arguments))
    }

    /// The whole records of the journal.
    pub fn journal(&self) -> Vec<Value> {
        let lines = self.journal_text();
        let records = lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        records
            .map(|record: Value| record["entry"].clone())
            .collect()
    }

    fn journal_text(&self) -> String {
        let journal = self.folder().join(".kbz/lab/keybuzz/journal.jsonl");
        std::fs::read_to_string(journal).unwrap_or_default()
    }

    /// How many records the journal has.
    pub fn records(&self) -> usize {
        self.journal_text().matches('\n').count()
    }

    /// Begins an `up` and kills it once it has written so many records, as `kill -9` does. Whether
    /// it was under way until then; an `up` that ends before must succeed.
    pub fn up_killed_after(&self, records: usize) -> bool {
        let wanted = self.records() + records;
        let mut up = self.begin(&["up"]);
        while up.is_running() {
            if self.records() >= wanted {
                up.kill();
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let (code, said) = up.end(Duration::from_secs(10));
        assert_eq!(code, Some(0), "{said}");
        false
    }

    /// Runs a script on a host.
    pub fn on(&self, host: &str, script: &str) -> String {
        self.must(&["lab", "ssh", host, script])
    }

    /// Breaks or mends a machine of the lab.
    pub fn fault(&self, host: &str, fault: &[&str]) {
        self.must(&[&["lab", "fault", host][..], fault].concat());
    }

    /// One value of SQL through a port of the load balancer.
    pub fn sql(&self, port: u16, query: &str) -> String {
        let port = port.to_string();
        let said = self.must(&["lab", "psql", "--port", &port, "--", "-AtXqc", query]);
        said.trim().to_owned()
    }

    /// One value of SQL as the superuser, on a host of the database itself.
    pub fn superuser(&self, host: &str, query: &str) -> String {
        let psql = format!("docker exec patroni psql -U postgres -AtXqc \"{query}\"");
        self.on(host, &psql).trim().to_owned()
    }

    /// A value of the credentials file.
    pub fn credential(&self, name: &str) -> String {
        let path = self.folder().join("lab/credentials/postgres.env");
        let text = std::fs::read_to_string(path).expect("credentials were generated");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")));
        value.expect(name).to_owned()
    }

    /// The way into the lab.
    pub fn access(&self) -> LabAccess {
        let name = LabName::default();
        let directory: PathBuf = lab_directory(&self.folder().join(".kbz"), &name);
        let access = LabAccess::read(&directory).expect("the lab's files");
        access.expect("a lab that runs")
    }

    /// Where a service of the load balancer is found on this machine.
    pub fn published(&self, port: u16) -> SocketAddrV4 {
        let services = self.access().services;
        let service = services.iter().find(|service| service.port == port);
        service.expect("a service of the stack").published
    }

    /// The host that leads the cluster.
    pub fn leader(&self) -> String {
        let script = "for host in 10.0.0.120 10.0.0.121 10.0.0.122; do \
                      curl -s -o /dev/null -w \"%{http_code} $host\\n\" \
                      -m 3 http://$host:8008/primary; done";
        let said = self.on("haproxy-01", script);
        let leader = said.lines().find_map(|line| line.strip_prefix("200 "));
        match leader.expect("somebody leads").trim() {
            "10.0.0.120" => DATABASES[0],
            "10.0.0.121" => DATABASES[1],
            _ => DATABASES[2],
        }
        .to_owned()
    }

    /// The hosts of the database that follow.
    pub fn replicas(&self) -> Vec<&'static str> {
        let leader = self.leader();
        let all = DATABASES.into_iter();
        all.filter(|host| *host != leader).collect()
    }

    /// What `preview` says of changes that there must be.
    pub fn pending(&self) -> String {
        let preview = self.run(&["preview", "--detailed-exitcode"]);
        let said = both(&preview);
        assert_eq!(preview.status.code(), Some(2), "{said}");
        said
    }

    /// Nothing is to be done, says `up`, and says `preview`.
    pub fn unchanged(&self) {
        let said = self.must(&["up"]);
        assert!(said.contains("no changes"), "{said}");
        self.nothing_pending();
    }

    /// Nothing is to be done, says `preview`.
    pub fn nothing_pending(&self) {
        let preview = self.run(&["preview", "--detailed-exitcode"]);
        assert_eq!(preview.status.code(), Some(0), "{}", both(&preview));
    }

    /// The load balancer sees only after some rounds of checks what became of its targets.
    pub fn settled(&self) {
        let begun = Instant::now();
        loop {
            let checked = self.run(&["doctor"]);
            if checked.status.success() {
                return;
            }
            let said = both(&checked);
            assert!(
                begun.elapsed() < Duration::from_mins(2),
                "still not well:\n{said}"
            );
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// What a command said on both streams.
pub fn both(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{stdout}{stderr}")
}
