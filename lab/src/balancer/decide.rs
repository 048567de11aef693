//! From a request to a change, or to the error that the API answers.
//!
//! Everything is checked here, against the world as it is; applying a change cannot fail.

use std::net::IpAddr;

use super::answer::ApiError;
use super::catalog::{Catalog, find_location, find_type};
use super::labels;
use super::requests::{self, Create, ServiceBody, parse};
use super::world::{Algorithm, Balancer, Change, PrivateNet, Service, Target, World, now};

/// What a command on a balancer does, if it may.
pub(super) fn command(
    world: &World,
    catalog: &Catalog,
    balancer: &Balancer,
    command: &str,
    body: &[u8],
) -> Result<Change, ApiError> {
    match command {
        "add_service" => add_service(balancer, parse(body)?),
        "update_service" => update_service(balancer, parse(body)?),
        "delete_service" => delete_service(balancer, &parse(body)?),
        "add_target" => add_target(catalog, balancer, parse(body)?),
        "remove_target" => remove_target(balancer, parse(body)?),
        "change_algorithm" => {
            let body: requests::AlgorithmBody = parse(body)?;
            Ok(Change::Algorithm(body.r#type))
        }
        "change_type" => change_type(balancer, &parse(body)?),
        "attach_to_network" => attach(world, catalog, balancer, &parse(body)?),
        "detach_from_network" => detach(balancer, &parse(body)?),
        "enable_public_interface" => Ok(Change::PublicInterface(true)),
        "disable_public_interface" => disable_public_interface(balancer),
        "change_protection" => {
            let body: requests::ProtectionBody = parse(body)?;
            Ok(Change::Protection(
                body.delete.unwrap_or(balancer.delete_protected),
            ))
        }
        _ => Err(ApiError::not_found("action")),
    }
}

fn add_service(balancer: &Balancer, body: ServiceBody) -> Result<Change, ApiError> {
    let service = body.over(None)?;
    room_for_service(balancer, &service)?;
    Ok(Change::AddService(service))
}

fn room_for_service(balancer: &Balancer, service: &Service) -> Result<(), ApiError> {
    if balancer.service(service.listen_port).is_some() {
        let message = format!("source port {} is already in use", service.listen_port);
        return Err(ApiError::conflict("source_port_already_used", message));
    }
    let limit = find_type(&balancer.load_balancer_type).map_or(0, |t| t.max_services);
    if balancer.services.len() >= limit {
        let message = format!("the load balancer type allows {limit} services");
        return Err(ApiError::unprocessable("resource_limit_exceeded", message));
    }
    Ok(())
}

fn update_service(balancer: &Balancer, body: ServiceBody) -> Result<Change, ApiError> {
    let port = body
        .listen_port
        .ok_or_else(|| ApiError::invalid("listen_port", "missing"))?;
    let old = balancer
        .service(port)
        .ok_or_else(|| ApiError::not_found("service"))?;
    Ok(Change::UpdateService(body.over(Some(old))?))
}

fn delete_service(balancer: &Balancer, body: &requests::PortBody) -> Result<Change, ApiError> {
    balancer
        .service(body.listen_port)
        .map(|service| Change::DeleteService(service.listen_port))
        .ok_or_else(|| ApiError::not_found("service"))
}

fn add_target(catalog: &Catalog, balancer: &Balancer, target: Target) -> Result<Change, ApiError> {
    if balancer.targets.iter().any(|have| have.is_same(&target)) {
        return Err(ApiError::conflict(
            "target_already_defined",
            "target is already defined",
        ));
    }
    let limit = find_type(&balancer.load_balancer_type).map_or(0, |t| t.max_targets);
    if balancer.targets.len() >= limit {
        let message = format!("the load balancer type allows {limit} targets");
        return Err(ApiError::unprocessable("resource_limit_exceeded", message));
    }
    target_may_be(catalog, balancer, &target)?;
    Ok(Change::AddTarget(target))
}

fn target_may_be(catalog: &Catalog, balancer: &Balancer, target: &Target) -> Result<(), ApiError> {
    match target {
        Target::Ip { ip } => ip_may_be(catalog, ip.ip),
        Target::Server {
            server,
            use_private_ip,
        } => {
            if catalog.server(server.id).is_none() {
                return Err(ApiError::invalid("server.id", "cloud target was not found"));
            }
            way_to_servers(balancer, *use_private_ip)
        }
        Target::LabelSelector {
            label_selector,
            use_private_ip,
        } => {
            if labels::Selector::parse(&label_selector.selector).is_none() {
                return Err(ApiError::invalid(
                    "label_selector.selector",
                    "is no selector",
                ));
            }
            way_to_servers(balancer, *use_private_ip)
        }
    }
}

/// `ip` is for dedicated servers: the address of a cloud server is refused, as by the real
/// API. Whether a dedicated server is owned cannot be known here; any other address is.
fn ip_may_be(catalog: &Catalog, ip: IpAddr) -> Result<(), ApiError> {
    if catalog
        .servers
        .iter()
        .any(|server| server.preset.address == ip)
    {
        let message = "the address belongs to a cloud resource: use a target of type server";
        return Err(ApiError::unprocessable(
            "cloud_resource_ip_not_allowed",
            message,
        ));
    }
    Ok(())
}

fn way_to_servers(balancer: &Balancer, use_private_ip: bool) -> Result<(), ApiError> {
    if !use_private_ip {
        let message = "the server has no public IPv4: set use_private_ip";
        return Err(ApiError::unprocessable("missing_ipv4", message));
    }
    if balancer.private_net.is_none() {
        let message = "the load balancer is not attached to a network";
        return Err(ApiError::unprocessable(
            "load_balancer_not_attached_to_network",
            message,
        ));
    }
    Ok(())
}

fn remove_target(balancer: &Balancer, target: Target) -> Result<Change, ApiError> {
    if balancer.targets.iter().any(|have| have.is_same(&target)) {
        return Ok(Change::RemoveTarget(target));
    }
    Err(ApiError::not_found("target"))
}

fn change_type(balancer: &Balancer, body: &requests::TypeBody) -> Result<Change, ApiError> {
    let named = body.load_balancer_type.text();
    let found = find_type(&named)
        .ok_or_else(|| ApiError::invalid("load_balancer_type", "is not a type"))?;
    if balancer.services.len() > found.max_services || balancer.targets.len() > found.max_targets {
        let message = "the load balancer has more services or targets than the type allows";
        return Err(ApiError::unprocessable(
            "invalid_load_balancer_type",
            message,
        ));
    }
    Ok(Change::Type(found.name.to_owned()))
}

fn attach(
    world: &World,
    catalog: &Catalog,
    balancer: &Balancer,
    body: &requests::AttachBody,
) -> Result<Change, ApiError> {
    if balancer.private_net.is_some() {
        let message = "the load balancer is already attached to a network";
        return Err(ApiError::conflict(
            "load_balancer_already_attached",
            message,
        ));
    }
    private_net(world, catalog, body.network, body.ip).map(Change::Attach)
}

/// A place in the network: the address asked for, or the first free one.
fn private_net(
    world: &World,
    catalog: &Catalog,
    network: u64,
    wanted: Option<IpAddr>,
) -> Result<PrivateNet, ApiError> {
    if network != catalog.network.id {
        return Err(ApiError::not_found("network"));
    }
    let taken = |ip: IpAddr| {
        catalog
            .servers
            .iter()
            .any(|server| server.preset.address == ip)
            || world
                .balancers
                .values()
                .any(|b| b.private_net.is_some_and(|net| net.ip == ip))
    };
    // the first address of the range is the gateway
    let mut usable = catalog.network.range.hosts().skip(1).map(IpAddr::from);
    let ip = match wanted {
        Some(ip) if taken(ip) || !in_range(catalog, ip) => {
            let message = format!("the address {ip} is not available");
            return Err(ApiError::conflict("ip_not_available", message));
        }
        Some(ip) => ip,
        None => usable.find(|ip| !taken(*ip)).ok_or_else(|| {
            ApiError::conflict("no_subnet_available", "the network has no free address")
        })?,
    };
    Ok(PrivateNet { network, ip })
}

fn in_range(catalog: &Catalog, ip: IpAddr) -> bool {
    let range = catalog.network.range;
    matches!(ip, IpAddr::V4(ip) if range.contains(&ip)
        && ip != range.network() && ip != range.broadcast())
}

fn detach(balancer: &Balancer, body: &requests::DetachBody) -> Result<Change, ApiError> {
    match balancer.private_net {
        Some(net) if net.network == body.network => Ok(Change::Detach),
        _ => Err(ApiError::unprocessable(
            "load_balancer_not_attached_to_network",
            "the load balancer is not attached to the network",
        )),
    }
}

fn disable_public_interface(balancer: &Balancer) -> Result<Change, ApiError> {
    if balancer.targets.iter().any(Target::is_public) {
        let message = "the load balancer has targets that use the public address";
        return Err(ApiError::conflict(
            "targets_without_use_private_ip",
            message,
        ));
    }
    Ok(Change::PublicInterface(false))
}

/// The balancer that a creation makes.
pub(super) fn create(
    world: &World,
    catalog: &Catalog,
    id: u64,
    body: Create,
) -> Result<Balancer, ApiError> {
    name_may_be(world, &body.name, None)?;
    labels_may_be(&body.labels)?;
    let found = find_type(&body.load_balancer_type.text())
        .ok_or_else(|| ApiError::invalid("load_balancer_type", "is not a type"))?;
    let mut balancer = Balancer {
        id,
        location: location(&body)?,
        name: body.name,
        labels: body.labels,
        load_balancer_type: found.name.to_owned(),
        created: now(),
        algorithm: body
            .algorithm
            .map_or(Algorithm::RoundRobin, |algorithm| algorithm.r#type),
        services: Vec::new(),
        targets: Vec::new(),
        private_net: None,
        public: body.public_interface.unwrap_or(true),
        delete_protected: false,
    };
    if let Some(network) = body.network {
        balancer.private_net = Some(private_net(world, catalog, network, None)?);
    }
    for service in body.services {
        let service = service.over(None)?;
        room_for_service(&balancer, &service)?;
        balancer.services.push(service);
    }
    for target in body.targets {
        if let Change::AddTarget(target) = add_target(catalog, &balancer, target)? {
            balancer.targets.push(target);
        }
    }
    Ok(balancer)
}

fn location(body: &Create) -> Result<String, ApiError> {
    match (&body.location, body.network_zone.as_deref()) {
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "location",
            "location and network_zone exclude each other",
        )),
        (Some(named), None) => find_location(&named.text())
            .map(|location| location.name.to_owned())
            .ok_or_else(|| ApiError::invalid("location", "is not a location")),
        (None, Some("eu-central")) => Ok("fsn1".to_owned()),
        (None, Some(_)) => Err(ApiError::invalid("network_zone", "is not a network zone")),
        (None, None) => Err(ApiError::invalid(
            "location",
            "location or network_zone is needed",
        )),
    }
}

/// Names are unique; a balancer may keep its own.
pub(super) fn name_may_be(world: &World, name: &str, own: Option<u64>) -> Result<(), ApiError> {
    if name.is_empty() || name.len() > 128 || name.contains(char::is_control) {
        return Err(ApiError::invalid(
            "name",
            "must have 1 to 128 printable characters",
        ));
    }
    if world
        .balancers
        .values()
        .any(|other| other.name == name && Some(other.id) != own)
    {
        return Err(ApiError::conflict(
            "uniqueness_error",
            "name is already used",
        ));
    }
    Ok(())
}

pub(super) fn labels_may_be(
    labels: &std::collections::BTreeMap<String, String>,
) -> Result<(), ApiError> {
    labels::fault(labels).map_or(Ok(()), |why| Err(ApiError::invalid("labels", why)))
}
