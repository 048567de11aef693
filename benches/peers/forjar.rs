//! forjar: files, directories and units of a configuration.
//!
//! It plans from its own lock file; what reads the hosts is `drift`, which is what is measured. For that
//! lock file it first has to `apply`, which writes the files of the stack once more with the content
//! that they have. It runs the program `ssh` without naming a configuration; one of that name stands
//! before it here and names the lab's.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use benches::desk::Failure;
use kbz_infra::ident::HostName;
use serde_json::{Map, Value, json};

use super::checks::{Access, Checks};
use super::peer::Peer;
use super::tools::{Tools, succeed, write};

const CONFIGURATION: &str = "forjar.yaml";

/// forjar, with its lock file made.
pub(crate) fn peer(
    tools: &Tools,
    checks: &BTreeMap<HostName, Checks>,
    ssh_config: &Path,
    folder: &Path,
) -> Result<Peer, Failure> {
    write(folder, CONFIGURATION, &configuration(checks)?)?;
    let path = path(ssh_config, folder)?;
    let common = ["-f", CONFIGURATION, "--state-dir", "state"].map(str::to_owned);
    let program = tools.cargo("forjar");
    let mut apply = Command::new(&program);
    apply.arg("apply").args(&common).arg("--yes");
    succeed(apply.current_dir(folder).env("PATH", &path))?;
    Ok(Peer {
        name: "forjar, drift",
        goal: 1.0,
        program,
        arguments: [vec!["drift".to_owned()], common.to_vec()].concat(),
        folder: folder.to_owned(),
        environment: vec![("PATH", path)],
        unchanged: |said| said.contains("No drift detected"),
    })
}

/// A path of programs with our own `ssh` before all others.
fn path(ssh_config: &Path, folder: &Path) -> Result<String, Failure> {
    let programs = folder.join("bin");
    std::fs::create_dir_all(&programs)?;
    let known = std::env::var("PATH")?;
    let script = format!(
        "#!/bin/sh\nPATH={known}\nexec ssh -F {} \"$@\"\n",
        ssh_config.display()
    );
    let ssh = write(&programs, "ssh", &script)?;
    std::fs::set_permissions(ssh, std::fs::Permissions::from_mode(0o755))?;
    Ok(format!("{}:{known}", programs.display()))
}

/// The configuration; YAML may be written as JSON.
fn configuration(checks: &BTreeMap<HostName, Checks>) -> Result<String, Failure> {
    let mut machines = Map::new();
    let mut resources = Map::new();
    for (host, checks) in checks {
        let name = host.as_str();
        let machine = json!({"hostname": name, "addr": name, "user": "root"});
        machines.insert(name.to_owned(), machine);
        let mut add = |resource: Value| {
            resources.insert(format!("r{}", resources.len()), resource);
        };
        for check in &checks.directories {
            let own =
                json!({"type": "file", "machine": name, "state": "directory", "path": check.path});
            add(with(own, &check.access));
        }
        for check in &checks.files {
            let own =
                json!({"type": "file", "machine": name, "path": check.dest, "source": check.src});
            add(with(own, &check.access));
        }
        for check in &checks.units {
            let state = if check.running { "running" } else { "stopped" };
            let enabled = check.enabled.unwrap_or(true);
            add(json!({
                "type": "service", "machine": name, "name": check.name,
                "state": state, "enabled": enabled,
            }));
        }
    }
    let all = json!({
        "version": "1.0",
        "name": "lab",
        "machines": machines,
        "resources": resources,
        "policy": {"tripwire": true, "lock_file": true},
    });
    Ok(serde_json::to_string_pretty(&all)?)
}

fn with(mut resource: Value, access: &Access) -> Value {
    resource["mode"] = access.mode.clone().into();
    // It takes both or none.
    if let (Some(user), Some(group)) = (&access.user, &access.group) {
        resource["owner"] = user.clone().into();
        resource["group"] = group.clone().into();
    }
    resource
}
