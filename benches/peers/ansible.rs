//! Ansible: a playbook of its own modules, with pipelining, and the same with Mitogen.
//!
//! No facts are gathered, the interpreter is named, and OpenSSH keeps its connections between two runs
//! as Ansible sets it up (`ControlPersist`): all to its advantage. The hosts need Python; the lab's have
//! it, because UFW is written in it.

use std::collections::BTreeMap;
use std::path::Path;

use benches::desk::Failure;
use kbz_infra::ident::HostName;
use serde_json::json;

use super::checks::Checks;
use super::peer::Peer;
use super::tools::{Tools, write};

/// Where Mitogen has its strategies.
const STRATEGIES: &str = "ansible_mitogen/plugins/strategy";

/// Ansible with pipelining, and Ansible with Mitogen.
pub(crate) fn peers(
    tools: &Tools,
    checks: &BTreeMap<HostName, Checks>,
    ssh_config: &Path,
    folder: &Path,
) -> Result<[Peer; 2], Failure> {
    write(folder, "inventory.json", &inventory(checks, ssh_config)?)?;
    write(folder, "playbook.json", &playbook())?;
    write(folder, "ansible.cfg", &settings(folder, ""))?;
    let strategies = tools.package(STRATEGIES)?;
    let mitogen = format!(
        "strategy_plugins = {}\nstrategy = mitogen_linear\n",
        strategies.display()
    );
    write(folder, "mitogen.cfg", &settings(folder, &mitogen))?;
    let peer = |name, goal, settings: &str| Peer {
        name,
        goal,
        program: tools.python("ansible-playbook"),
        arguments: ["-i", "inventory.json", "playbook.json"]
            .map(str::to_owned)
            .to_vec(),
        folder: folder.to_owned(),
        environment: vec![(
            "ANSIBLE_CONFIG",
            folder.join(settings).display().to_string(),
        )],
        unchanged,
    };
    Ok([
        peer("Ansible, pipelining", 20.0, "ansible.cfg"),
        peer("Ansible, Mitogen", 8.0, "mitogen.cfg"),
    ])
}

/// What the recap says of each host.
fn unchanged(said: &str) -> bool {
    let recaps = said.lines().filter(|line| line.contains("unreachable="));
    let well = |line: &str| {
        ["changed=0 ", "unreachable=0 ", "failed=0 "]
            .iter()
            .all(|word| line.contains(word))
    };
    recaps.clone().count() > 0 && recaps.clone().all(well)
}

fn settings(folder: &Path, strategy: &str) -> String {
    format!(
        "[defaults]\n{strategy}local_tmp = {tmp}\nnocows = True\n\
         [ssh_connection]\npipelining = True\ncontrol_path_dir = {tmp}\n",
        tmp = folder.join("tmp").display()
    )
}

fn inventory(checks: &BTreeMap<HostName, Checks>, ssh_config: &Path) -> Result<String, Failure> {
    let hosts: BTreeMap<&str, &Checks> = checks
        .iter()
        .map(|(host, checks)| (host.as_str(), checks))
        .collect();
    let all = json!({"all": {
        "hosts": hosts,
        "vars": {
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_common_args": format!("-F {}", ssh_config.display()),
        },
    }});
    Ok(serde_json::to_string_pretty(&all)?)
}

fn playbook() -> String {
    let access = json!({
        "mode": "{{ item.mode }}",
        "owner": "{{ item.user | default(omit) }}",
        "group": "{{ item.group | default(omit) }}",
    });
    let with = |mut more: serde_json::Value| {
        if let (Some(more), Some(access)) = (more.as_object_mut(), access.as_object()) {
            more.extend(access.clone());
        }
        more
    };
    let directory = with(json!({"path": "{{ item.path }}", "state": "directory"}));
    let file = with(json!({"src": "{{ item.src }}", "dest": "{{ item.dest }}"}));
    let plays = json!([{
        "hosts": "all",
        "gather_facts": false,
        "tasks": [
            {"ansible.builtin.file": directory, "loop": "{{ directories }}"},
            {"ansible.builtin.copy": file, "loop": "{{ files }}"},
            {
                "ansible.builtin.systemd_service": {
                    "name": "{{ item.name }}",
                    "state": "{{ 'started' if item.running else 'stopped' }}",
                    "enabled": "{{ item.enabled | default(omit) }}",
                },
                "loop": "{{ units }}",
            },
            {
                "ansible.builtin.command": {"argv": ["sysctl", "-n", "--", "{{ item.key }}"]},
                "loop": "{{ parameters }}",
                "register": "found",
                "changed_when": "found.stdout | replace('\t', ' ') != item.value | replace('\t', ' ')",
            },
        ],
    }]);
    plays.to_string()
}
