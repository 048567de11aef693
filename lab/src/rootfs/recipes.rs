//! The two images that a lab needs.

use super::{Recipe, RecipeFile};

const HOST_PACKAGES: [&str; 16] = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "docker.io",
    "iptables",
    "nftables",
    "iproute2",
    "ufw",
    "xfsprogs",
    "procps",
    "curl",
    "kmod",
    "sudo",
    "ca-certificates",
    "iputils-ping",
];

/// A host: a bare production-like machine with systemd, sshd, UFW and Docker.
pub fn host() -> Recipe {
    Recipe {
        name: "host".to_owned(),
        suite: "bookworm".to_owned(),
        packages: HOST_PACKAGES.map(str::to_owned).to_vec(),
        files: vec![
            script("runc", include_str!("files/runc.sh")),
            script("init", include_str!("files/init.sh")),
            script("volume", include_str!("files/volume.sh")),
            script("ready", include_str!("files/ready.sh")),
            script("reach", include_str!("files/reach.sh")),
            script("release-loops", include_str!("files/release-loops.sh")),
            text(
                "/etc/systemd/system/kbz-lab-volume.service",
                include_str!("files/kbz-lab-volume.service"),
            ),
            text(
                "/etc/ssh/sshd_config.d/kbz-lab.conf",
                include_str!("files/sshd.conf"),
            ),
        ],
        customize: vec![include_str!("files/customize-host.sh").to_owned()],
        instructions: vec![
            "ENV container=docker".to_owned(),
            "CMD [\"/usr/lib/kbz-lab/init\"]".to_owned(),
        ],
    }
}

/// A minimal Debian for service images and the load balancer.
///
/// `ca_bundle` is the machine's own bundle of certificates, so that package managers work
/// behind whatever inspects the machine's connections.
pub fn debian_base(ca_bundle: Option<Vec<u8>>) -> Recipe {
    let bundle = ca_bundle.map(|content| RecipeFile {
        path: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
        mode: 0o644,
        content,
    });
    Recipe {
        name: "debian".to_owned(),
        suite: "trixie".to_owned(),
        packages: vec!["ca-certificates".to_owned(), "iproute2".to_owned()],
        files: bundle.into_iter().collect(),
        customize: Vec::new(),
        instructions: vec!["CMD [\"/bin/bash\"]".to_owned()],
    }
}

fn script(name: &str, content: &str) -> RecipeFile {
    file(&format!("/usr/lib/kbz-lab/{name}"), 0o755, content)
}

fn text(path: &str, content: &str) -> RecipeFile {
    file(path, 0o644, content)
}

fn file(path: &str, mode: u32, content: &str) -> RecipeFile {
    RecipeFile {
        path: path.to_owned(),
        mode,
        content: content.as_bytes().to_vec(),
    }
}
