//! The HTTP side: routes, authorisation, the request limit, ordered faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::answer::{ApiError, Page};
use super::catalog::{LOCATIONS, TYPES};
use super::faults::{Fault, Kind};
use super::lab::{Lab, unlocked};
use super::labels::Selector;
use super::limit::{Quota, epoch_seconds};
use super::requests::{Create, Update, parse};
use super::route::lock;
use super::world::{Action, Balancer, Change, World};
use super::{decide, view};

type Shared = State<Arc<Lab>>;
type Filters = Query<BTreeMap<String, String>>;
type Answer = Result<Response, ApiError>;

/// The whole API, with the lab's own part beside it.
pub(super) fn router(lab: Arc<Lab>) -> Router {
    let balancers = Router::new()
        .route("/load_balancers", get(list).post(create))
        .route("/load_balancers/actions", get(all_actions))
        .route("/load_balancers/actions/{action}", get(one_action))
        .route("/load_balancers/{id}", get(read).put(update).delete(remove))
        .route("/load_balancers/{id}/actions", get(actions_of))
        .route(
            "/load_balancers/{id}/actions/{action}",
            get(action_of).post(command),
        )
        .route("/actions", get(all_actions))
        .route("/actions/{action}", get(one_action))
        .route("/networks", get(networks))
        .route("/networks/{id}", get(network))
        .route("/servers", get(servers))
        .route("/servers/{id}", get(server))
        .route("/load_balancer_types", get(types))
        .route("/load_balancer_types/{id}", get(type_of))
        .route("/locations", get(locations))
        .route("/locations/{id}", get(location))
        .fallback(async || ApiError::not_found("path"))
        .layer(from_fn_with_state(Arc::clone(&lab), guard));
    Router::new()
        .nest("/v1", balancers)
        .route("/lab/health", get(async || "well\n"))
        .route(
            "/lab/faults",
            post(order_fault).get(ordered_faults).delete(forget_faults),
        )
        .with_state(lab)
}

/// What stands before every request of the API.
async fn guard(State(lab): Shared, request: Request, next: Next) -> Response {
    if !authorized(&lab, request.headers()) {
        let message = "unable to authenticate";
        return ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message).into_response();
    }
    let quota = lock(&lab.limit).take();
    let mut response = if quota.exceeded {
        ApiError::of_status(StatusCode::TOO_MANY_REQUESTS).into_response()
    } else {
        faulty(&lab, request, next).await
    };
    add_quota(response.headers_mut(), quota);
    response
}

fn authorized(lab: &Lab, headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| value.strip_prefix("Bearer "));
    token.is_some_and(|token| lab.options.tokens.iter().any(|known| known == token))
}

fn add_quota(headers: &mut HeaderMap, quota: Quota) {
    headers.insert("RateLimit-Limit", HeaderValue::from(quota.limit));
    headers
        .entry("RateLimit-Remaining")
        .or_insert(HeaderValue::from(quota.remaining));
    headers
        .entry("RateLimit-Reset")
        .or_insert(HeaderValue::from(quota.reset));
}

/// Handles a request as the ordered faults say.
async fn faulty(lab: &Lab, request: Request, next: Next) -> Response {
    let at_request = |kind: &Kind| {
        matches!(
            kind,
            Kind::Status { .. } | Kind::LostAnswer { .. } | Kind::Delay { .. }
        )
    };
    let fault = lock(&lab.faults).take(request.method().as_str(), request.uri().path(), at_request);
    match fault {
        Some(Kind::Status {
            status,
            reset_seconds,
        }) => broken(status, reset_seconds),
        Some(Kind::LostAnswer { status }) => {
            let _lost = next.run(request).await;
            broken(status, 1)
        }
        Some(Kind::Delay { milliseconds }) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            next.run(request).await
        }
        _ => next.run(request).await,
    }
}

fn broken(status: u16, reset_seconds: u32) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = ApiError::of_status(status).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        let reset = epoch_seconds(Duration::from_secs(u64::from(reset_seconds)));
        response
            .headers_mut()
            .insert("RateLimit-Remaining", HeaderValue::from(0));
        response
            .headers_mut()
            .insert("RateLimit-Reset", HeaderValue::from(reset));
    }
    response
}

async fn order_fault(State(lab): Shared, body: Bytes) -> Answer {
    let fault: Fault = parse(&body)?;
    lock(&lab.faults).0.push(fault);
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn ordered_faults(State(lab): Shared) -> Json<Value> {
    Json(json!({"faults": lock(&lab.faults).0}))
}

async fn forget_faults(State(lab): Shared) -> StatusCode {
    lock(&lab.faults).0.clear();
    StatusCode::NO_CONTENT
}

fn paged(filters: &BTreeMap<String, String>, key: &str, all: Vec<Value>) -> Answer {
    let filter = |name: &str| filters.get(name).map(String::as_str);
    let page = Page::parse(filter("page"), filter("per_page"))?;
    Ok(Json(page.of(key, all)).into_response())
}

fn find(world: &World, id: u64) -> Result<&Balancer, ApiError> {
    world
        .balancers
        .get(&id)
        .ok_or_else(|| ApiError::not_found("load balancer"))
}

async fn list(State(lab): Shared, Query(filters): Filters) -> Answer {
    let name = filters.get("name");
    let selector = match filters
        .get("label_selector")
        .map(|text| Selector::parse(text))
    {
        Some(None) => return Err(ApiError::invalid("label_selector", "is no selector")),
        other => other.flatten(),
    };
    let found = lab.read(|world, routes| {
        let wanted = world
            .balancers
            .values()
            .filter(|b| name.is_none_or(|name| &b.name == name))
            .filter(|b| selector.as_ref().is_none_or(|s| s.matches(&b.labels)));
        wanted
            .map(|b| view::balancer(b, &lab.catalog, routes))
            .collect()
    });
    paged(&filters, "load_balancers", found)
}

async fn read(State(lab): Shared, Path(id): Path<u64>) -> Answer {
    shown(&lab, id).map(|shown| Json(json!({"load_balancer": shown})).into_response())
}

fn shown(lab: &Lab, id: u64) -> Result<Value, ApiError> {
    lab.read(|world, routes| {
        find(world, id).map(|balancer| view::balancer(balancer, &lab.catalog, routes))
    })
}

fn accepted(action: &Action) -> Response {
    (
        StatusCode::CREATED,
        Json(json!({"action": view::action(action)})),
    )
        .into_response()
}

async fn create(State(lab): Shared, body: Bytes) -> Answer {
    let body: Create = parse(&body)?;
    let (id, action) = lab.change(|world| {
        let id = world.new_id();
        let balancer = decide::create(world, &lab.catalog, id, body)?;
        world.balancers.insert(id, balancer);
        Ok((id, world.begin(id, "create_load_balancer", Change::Created)))
    })?;
    lab.end_later(&action);
    let answer = json!({"load_balancer": shown(&lab, id)?, "action": view::action(&action)});
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

async fn update(State(lab): Shared, Path(id): Path<u64>, body: Bytes) -> Answer {
    let body: Update = parse(&body)?;
    lab.change(|world| {
        find(world, id)?;
        if let Some(name) = &body.name {
            decide::name_may_be(world, name, Some(id))?;
        }
        if let Some(labels) = &body.labels {
            decide::labels_may_be(labels)?;
        }
        if let Some(balancer) = world.balancers.get_mut(&id) {
            balancer.name = body.name.unwrap_or_else(|| balancer.name.clone());
            balancer.labels = body.labels.unwrap_or_else(|| balancer.labels.clone());
        }
        Ok(())
    })?;
    shown(&lab, id).map(|shown| Json(json!({"load_balancer": shown})).into_response())
}

async fn remove(State(lab): Shared, Path(id): Path<u64>) -> Answer {
    lab.change(|world| {
        if find(world, id)?.delete_protected {
            return Err(ApiError::locked(
                "protected",
                "load balancer is protected from deletion",
            ));
        }
        unlocked(world, id)?;
        world.balancers.remove(&id);
        Ok(())
    })?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn command(State(lab): Shared, Path((id, name)): Path<(u64, String)>, body: Bytes) -> Answer {
    let action = lab.begin(id, &name, |world| {
        decide::command(world, &lab.catalog, find(world, id)?, &name, &body)
    })?;
    Ok(accepted(&action))
}

async fn actions_of(State(lab): Shared, Path(id): Path<u64>, Query(filters): Filters) -> Answer {
    let found = lab.read(|world, _| {
        find(world, id)?;
        Ok(world
            .actions
            .values()
            .filter(|a| a.balancer == id)
            .map(view::action)
            .collect())
    })?;
    paged(&filters, "actions", found)
}

async fn all_actions(State(lab): Shared, Query(filters): Filters) -> Answer {
    let id = filters.get("id");
    let found = lab.read(|world, _| {
        let all = world.actions.values();
        all.filter(|a| id.is_none_or(|id| *id == a.id.to_string()))
            .map(view::action)
            .collect()
    });
    paged(&filters, "actions", found)
}

async fn one_action(State(lab): Shared, Path(id): Path<u64>) -> Answer {
    lab.read(|world, _| action_answer(world.actions.get(&id)))
}

async fn action_of(State(lab): Shared, Path((balancer, id)): Path<(u64, u64)>) -> Answer {
    lab.read(|world, _| {
        action_answer(
            world
                .actions
                .get(&id)
                .filter(|action| action.balancer == balancer),
        )
    })
}

fn action_answer(action: Option<&Action>) -> Answer {
    let action = action.ok_or_else(|| ApiError::not_found("action"))?;
    Ok(Json(json!({"action": view::action(action)})).into_response())
}

/// The list without what the `name` filter excludes.
fn named(filters: &BTreeMap<String, String>, all: Vec<Value>) -> Vec<Value> {
    let Some(name) = filters.get("name") else {
        return all;
    };
    all.into_iter()
        .filter(|value| value["name"] == name.as_str())
        .collect()
}

fn one_of(key: &str, all: Vec<Value>, id: u64) -> Answer {
    let found = all.into_iter().find(|value| value["id"] == id);
    let found = found.ok_or_else(|| ApiError::not_found(key))?;
    Ok(Json(json!({key: found})).into_response())
}

fn network_views(lab: &Lab) -> Vec<Value> {
    let attached: Vec<u64> = lab.read(|world, _| {
        world
            .balancers
            .values()
            .filter(|b| b.private_net.is_some())
            .map(|b| b.id)
            .collect()
    });
    vec![lab.catalog.network.view(&lab.catalog.servers, &attached)]
}

async fn networks(State(lab): Shared, Query(filters): Filters) -> Answer {
    paged(&filters, "networks", named(&filters, network_views(&lab)))
}

async fn network(State(lab): Shared, Path(id): Path<u64>) -> Answer {
    one_of("network", network_views(&lab), id)
}

fn server_views(lab: &Lab) -> Vec<Value> {
    lab.read(|world, _| {
        let network = lab.catalog.network.id;
        let views = lab.catalog.servers.iter().map(|server| {
            let address = server.preset.address;
            let targets = |b: &&Balancer| {
                b.targets
                    .iter()
                    .any(|t| lab.catalog.addresses(b, t).contains(&address))
            };
            let balancers: Vec<u64> = world
                .balancers
                .values()
                .filter(targets)
                .map(|b| b.id)
                .collect();
            server.view(network, &balancers)
        });
        views.collect()
    })
}

async fn servers(State(lab): Shared, Query(filters): Filters) -> Answer {
    paged(&filters, "servers", named(&filters, server_views(&lab)))
}

async fn server(State(lab): Shared, Path(id): Path<u64>) -> Answer {
    one_of("server", server_views(&lab), id)
}

async fn types(Query(filters): Filters) -> Answer {
    let all = TYPES.iter().map(super::catalog::Type::view).collect();
    paged(&filters, "load_balancer_types", named(&filters, all))
}

async fn type_of(Path(id): Path<u64>) -> Answer {
    one_of(
        "load_balancer_type",
        TYPES.iter().map(super::catalog::Type::view).collect(),
        id,
    )
}

async fn locations(Query(filters): Filters) -> Answer {
    let all = LOCATIONS
        .iter()
        .map(super::catalog::Location::view)
        .collect();
    paged(&filters, "locations", named(&filters, all))
}

async fn location(Path(id): Path<u64>) -> Answer {
    one_of(
        "location",
        LOCATIONS
            .iter()
            .map(super::catalog::Location::view)
            .collect(),
        id,
    )
}
