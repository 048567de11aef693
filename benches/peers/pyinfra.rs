//! pyinfra: a deploy of its own operations.

use std::collections::BTreeMap;
use std::path::Path;

use benches::desk::Failure;
use kbz_infra::ident::HostName;
use serde_json::{Value, json};

use super::checks::Checks;
use super::peer::Peer;
use super::tools::{Tools, write};

const DEPLOY: &str = r#"from pyinfra import host
from pyinfra.operations import files, server, systemd

for item in host.data.directories:
    files.directory(
        path=item["path"], mode=item["mode"], user=item.get("user"), group=item.get("group")
    )
for item in host.data.files:
    files.put(
        src=item["src"],
        dest=item["dest"],
        mode=item["mode"],
        user=item.get("user"),
        group=item.get("group"),
    )
for item in host.data.units:
    systemd.service(
        service=item["name"], running=item["running"], enabled=item.get("enabled")
    )
for item in host.data.parameters:
    server.sysctl(key=item["key"], value=item["value"])
"#;

/// pyinfra.
pub(crate) fn peer(
    tools: &Tools,
    checks: &BTreeMap<HostName, Checks>,
    ssh_config: &Path,
    folder: &Path,
) -> Result<Peer, Failure> {
    let mut hosts = Vec::new();
    for (host, checks) in checks {
        let mut data = serde_json::to_value(checks)?;
        data["ssh_user"] = "root".into();
        data["ssh_config_file"] = ssh_config.display().to_string().into();
        hosts.push(json!([host.as_str(), data]));
    }
    let hosts = Value::from(hosts).to_string();
    write(folder, "hosts.json", &hosts)?;
    let inventory = "import json\n\nwith open(\"hosts.json\") as file:\n    \
                     hosts = [(name, data) for name, data in json.load(file)]\n";
    write(folder, "inventory.py", inventory)?;
    write(folder, "deploy.py", DEPLOY)?;
    Ok(Peer {
        name: "pyinfra",
        goal: 5.0,
        program: tools.python("pyinfra"),
        arguments: ["-y", "inventory.py", "deploy.py"]
            .map(str::to_owned)
            .to_vec(),
        folder: folder.to_owned(),
        environment: Vec::new(),
        unchanged,
    })
}

/// The last line of its table counts hosts of operations: all, changed, failed, unchanged.
fn unchanged(said: &str) -> bool {
    let total = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Grand total"));
    let counts: Vec<&str> = total.unwrap_or_default().split_whitespace().collect();
    matches!(counts[..], [all, "-", "-", unchanged] if all == unchanged)
}
