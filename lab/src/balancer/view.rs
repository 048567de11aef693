//! Balancers and actions as the API shows them.

use serde_json::{Value, json};

use super::catalog::{Catalog, find_location, find_type};
use super::routes::Routes;
use super::world::{Action, Balancer, Outcome, Service, Target};

pub(super) fn balancer(balancer: &Balancer, catalog: &Catalog, routes: &Routes) -> Value {
    let targets: Vec<Value> = balancer
        .targets
        .iter()
        .map(|t| target(balancer, t, catalog, routes))
        .collect();
    let private_net: Vec<Value> = balancer.private_net.iter().map(|net| json!(net)).collect();
    json!({
        "id": balancer.id, "name": balancer.name, "labels": balancer.labels,
        "created": balancer.created,
        "load_balancer_type": find_type(&balancer.load_balancer_type).map(super::catalog::Type::view),
        "location": find_location(&balancer.location).map(super::catalog::Location::view),
        "algorithm": {"type": balancer.algorithm},
        "services": balancer.services.iter().map(service).collect::<Vec<_>>(),
        "targets": targets,
        "private_net": private_net,
        "public_net": {
            "enabled": balancer.public,
            // from the documentation ranges: the lab has no public addresses
            "ipv4": {"ip": "192.0.2.1", "dns_ptr": "static.192.0.2.1.example.com"},
            "ipv6": {"ip": "2001:db8::1", "dns_ptr": ""},
        },
        "protection": {"delete": balancer.delete_protected},
        "included_traffic": 21_990_232_555_520_u64,
        "ingoing_traffic": null, "outgoing_traffic": null,
    })
}

fn service(service: &Service) -> Value {
    let mut view = json!(service);
    view["http"] = Value::Null;
    if service.health_check.http.is_none() {
        view["health_check"]["http"] = Value::Null;
    }
    view
}

fn target(balancer: &Balancer, target: &Target, catalog: &Catalog, routes: &Routes) -> Value {
    let mut view = json!(target);
    if let Target::LabelSelector {
        label_selector,
        use_private_ip,
    } = target
    {
        let servers = catalog.selected(&label_selector.selector);
        let resolved: Vec<Value> = servers
            .into_iter()
            .map(|server| {
                let server = super::world::ServerTarget { id: server.id };
                let each = Target::Server {
                    server,
                    use_private_ip: *use_private_ip,
                };
                self::target(balancer, &each, catalog, routes)
            })
            .collect();
        view["targets"] = json!(resolved);
        return view;
    }
    let address = catalog.addresses(balancer, target).first().copied();
    let statuses: Vec<Value> = balancer
        .services
        .iter()
        .map(|service| {
            let health = address.and_then(|ip| routes.health(balancer.id, service.listen_port, ip));
            json!({"listen_port": service.listen_port, "status": health.unwrap_or_default().name()})
        })
        .collect();
    view["health_status"] = json!(statuses);
    if matches!(target, Target::Ip { .. }) {
        view["use_private_ip"] = json!(false);
    }
    view
}

pub(super) fn action(action: &Action) -> Value {
    let (status, progress, finished, error) = match &action.outcome {
        Outcome::Running(_) => ("running", 50, None, Value::Null),
        Outcome::Success { finished } => ("success", 100, Some(finished), Value::Null),
        Outcome::Error {
            finished,
            code,
            message,
        } => (
            "error",
            100,
            Some(finished),
            json!({"code": code, "message": message}),
        ),
    };
    json!({
        "id": action.id, "command": action.command, "status": status, "progress": progress,
        "started": action.started, "finished": finished, "error": error,
        "resources": [{"id": action.balancer, "type": "load_balancer"}],
    })
}
