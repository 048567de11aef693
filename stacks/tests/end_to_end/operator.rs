//! The operator: the real program, with inputs and a state of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kbz_lab::{LabAccess, LabName, lab_directory};
use tempfile::TempDir;

/// All hosts of the stack.
pub(crate) const HOSTS: [&str; 5] = [
    "db-master-01",
    "db-slave-01",
    "db-slave-02",
    "haproxy-01",
    "haproxy-02",
];

/// The hosts of the database.
pub(crate) const DATABASES: [&str; 3] = ["db-master-01", "db-slave-01", "db-slave-02"];

/// A copy of the stack's inputs, with a state and credentials of its own.
pub(crate) struct Operator {
    folder: TempDir,
}

impl Drop for Operator {
    fn drop(&mut self) {
        // Also after a failure nothing stays behind.
        let _ = self.command(&["lab", "down"]).output();
    }
}

impl Operator {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::create_dir(folder.path().join("lab")).expect("a folder");
        for file in [
            "kbz.toml",
            "servers.tsv",
            "versions.yaml",
            "lab/versions.yaml",
        ] {
            std::fs::copy(source.join(file), folder.path().join(file)).expect(file);
        }
        Self { folder }
    }

    /// The folder of the program's inputs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keybuzz"));
        command
            .arg("--stack-dir")
            .arg(self.folder.path())
            .args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments)
            .output()
            .expect("the program starts")
    }

    /// Runs a command that must succeed; gives what it says on both streams.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = both(&output);
        assert!(output.status.success(), "{arguments:?} failed:\n{said}");
        said
    }

    /// Begins an `up` whose lines can be listened to.
    pub(crate) fn begin_up(&self) -> Under {
        let mut command = self.command(&["up"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("it was piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Under {
            child,
            lines,
            said: String::new(),
        }
    }

    pub(crate) fn on(&self, host: &str, script: &str) -> String {
        self.must(&["lab", "ssh", host, script])
    }

    /// One value of SQL through a port of the load balancer.
    pub(crate) fn sql(&self, port: u16, query: &str) -> String {
        let port = port.to_string();
        let said = self.must(&["lab", "psql", "--port", &port, "--", "-AtXqc", query]);
        said.trim().to_owned()
    }

    /// One value of SQL as the superuser, on a host of the database itself.
    pub(crate) fn superuser(&self, host: &str, query: &str) -> String {
        let psql = format!("docker exec patroni psql -U postgres -AtXqc \"{query}\"");
        self.on(host, &psql).trim().to_owned()
    }

    fn credentials(&self) -> String {
        let path = self.folder.path().join("lab/credentials/postgres.env");
        std::fs::read_to_string(path).expect("credentials were generated")
    }

    pub(crate) fn credential(&self, name: &str) -> String {
        let text = self.credentials();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")));
        value.expect(name).to_owned()
    }

    /// The way into the lab.
    pub(crate) fn access(&self) -> LabAccess {
        let name = LabName::default();
        let directory: PathBuf = lab_directory(&self.folder.path().join(".kbz"), &name);
        let access = LabAccess::read(&directory).expect("the lab's files");
        access.expect("a lab that runs")
    }

    /// Where a service of the load balancer is found on this machine.
    pub(crate) fn published(&self, port: u16) -> SocketAddrV4 {
        let services = self.access().services;
        let service = services.iter().find(|service| service.port == port);
        service.expect("a service of the stack").published
    }

    /// The host that leads the cluster.
    pub(crate) fn leader(&self) -> String {
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
    pub(crate) fn replicas(&self) -> Vec<&'static str> {
        let leader = self.leader();
        let all = DATABASES.into_iter();
        all.filter(|host| *host != leader).collect()
    }

    /// What `preview` says of changes that there must be.
    pub(crate) fn pending(&self) -> String {
        let preview = self.run(&["preview", "--detailed-exitcode"]);
        let said = both(&preview);
        assert_eq!(preview.status.code(), Some(2), "{said}");
        said
    }

    /// Nothing is to be done, says `up`, and says `preview`.
    pub(crate) fn unchanged(&self) {
        let said = self.must(&["up"]);
        assert!(said.contains("no changes"), "{said}");
        let preview = self.run(&["preview", "--detailed-exitcode"]);
        assert_eq!(preview.status.code(), Some(0), "{}", both(&preview));
    }

    /// The load balancer sees only after some rounds of checks what became of its targets.
    pub(crate) fn settled(&self) {
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

/// An `up` under way.
pub(crate) struct Under {
    child: Child,
    lines: mpsc::Receiver<String>,
    said: String,
}

impl Under {
    /// Listens until a line holds `words`.
    pub(crate) fn until(&mut self, words: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("`{words}` was not said:\n{}", self.said));
            self.hear(&line);
            if line.contains(words) {
                return;
            }
        }
    }

    /// Waits for the end; gives the exit code and all that was said.
    pub(crate) fn end(mut self, patience: Duration) -> (Option<i32>, String) {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.hear(&line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("it did not end in {} s:\n{}", patience.as_secs(), self.said);
                }
            }
        }
        let status = self.child.wait().expect("its end");
        (status.code(), self.said)
    }

    fn hear(&mut self, line: &str) {
        self.said.push_str(line);
        self.said.push('\n');
    }
}

/// What a command said on both streams.
pub(crate) fn both(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    format!("{stdout}{stderr}")
}
