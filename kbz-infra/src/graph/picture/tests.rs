use super::*;
use crate::graph::testkit::Program;

/// Two nodes of a cluster, its gate, and a file that waits for it.
fn small() -> Program {
    let mut program = Program::new("cluster\nnode\nfile").component(
        "cluster",
        "patroni-cluster:keybuzz-pg",
        None,
    );
    for host in ["db-1", "db-2"] {
        let node = format!("patroni-node@{host}:{host}");
        let config = format!("file@{host}:/etc/patroni/patroni.yml");
        let container = format!("container@{host}:patroni");
        let unit = format!("systemd-unit@{host}:patroni-docker.service");
        program = program
            .component("node", &node, None)
            .resource("node", &config, Some(&node), &[], [])
            .resource("node", &container, Some(&node), &[&config], [])
            .resource("node", &unit, Some(&node), &[&config, &container], []);
    }
    program
        .resource(
            "cluster",
            "gate:\"whole\" <now>",
            Some("patroni-cluster:keybuzz-pg"),
            &["patroni-node@db-1:db-1", "patroni-node@db-2:db-2"],
            [],
        )
        .resource(
            "file",
            "file@lb-1:/etc/motd",
            None,
            &["patroni-cluster:keybuzz-pg"],
            [],
        )
}

#[test]
fn components_are_clusters_in_dot() {
    insta::assert_snapshot!(dot(&small().graph()));
}

#[test]
fn components_are_clusters_in_mermaid() {
    insta::assert_snapshot!(mermaid(&small().graph()));
}

#[test]
fn outer_components_are_boxes_in_svg() {
    let drawn = svg(&small().graph());
    // The two nodes are alike, and share a box.
    assert_eq!(drawn.matches("<rect").count(), 3, "{drawn}");
    assert_eq!(drawn.matches("marker-end").count(), 2, "{drawn}");
    assert!(drawn.contains("patroni-node × 2"), "{drawn}");
    assert!(drawn.contains("db-1, db-2"), "{drawn}");
    assert!(drawn.contains("gate &quot;whole&quot; &lt;now&gt;") || drawn.contains("&lt;now&gt;"));
    assert!(drawn.contains("file /etc/patroni/patroni.yml"));
}

#[test]
fn nothing_declared_is_drawn_too() {
    let empty = Program::new("").graph();
    assert!(svg(&empty).starts_with("<svg"));
    assert!(dot(&empty).starts_with("digraph"));
    assert!(mermaid(&empty).starts_with("flowchart"));
}
