//! JSON that looks as if it meant something.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Names that the readers look for.
const NAMES: [&str; 40] = [
    "members",
    "name",
    "role",
    "state",
    "lag",
    "timeline",
    "tags",
    "host",
    "port",
    "pause",
    "scope",
    "Id",
    "Config",
    "Labels",
    "State",
    "Running",
    "Mounts",
    "HostConfig",
    "Env",
    "Image",
    "kbz.stack",
    "kbz.spec",
    "RepoTags",
    "load_balancers",
    "meta",
    "pagination",
    "next_page",
    "id",
    "targets",
    "type",
    "ip",
    "server",
    "services",
    "listen_port",
    "health_check",
    "networks",
    "private_net",
    "servers",
    "message",
    "error",
];

/// Texts that the readers look for, and texts that a terminal would obey.
const TEXTS: [&str; 14] = [
    "leader",
    "replica",
    "running",
    "streaming",
    "db-1",
    "shop",
    "lb",
    "tcp",
    "ip",
    "10.0.0.1",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "\u{202e}",
    "",
    "99999999999999999999",
];

/// Any value, of names and texts that count somewhere.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(TEXTS.to_vec()).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let name = prop::sample::select(NAMES.to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..8).prop_map(|fields| {
                let fields = fields.into_iter();
                fields
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

/// Answers as the real services give them.
pub(crate) fn samples() -> Vec<Value> {
    vec![
        json!({"members": [{"name": "db-1", "role": "leader", "state": "running", "timeline": 1,
            "host": "10.0.0.1", "port": 5432, "api_url": "http://10.0.0.1:8008/patroni"}],
            "scope": "pg", "pause": false}),
        json!({"ttl": 30, "loop_wait": 10, "postgresql": {"parameters": {"max_connections": 100}}}),
        json!({"Id": "sha256:0123", "Config": {"Image": "kbz/app:1", "Env": ["A=1"],
            "Labels": {"kbz.stack": "shop"}}, "State": {"Running": true, "Status": "running"},
            "HostConfig": {"NetworkMode": "host", "Binds": ["/a:/b"]}, "Mounts": []}),
        json!({"load_balancers": [{"id": 1, "name": "lb", "public_net": {"enabled": false},
            "private_net": [{"network": 2, "ip": "10.0.0.10"}], "labels": {"kbz.stack": "shop"},
            "load_balancer_type": {"name": "lb11"}, "location": {"name": "fsn1"},
            "algorithm": {"type": "round_robin"}, "protection": {"delete": false},
            "services": [], "targets": [{"type": "ip", "ip": {"ip": "10.0.0.11"}}]}],
            "meta": {"pagination": {"page": 1, "next_page": null}}}),
        json!({"networks": [{"id": 2, "name": "private"}],
            "meta": {"pagination": {"page": 1, "next_page": null}}}),
    ]
}
