//! `/admin`: servers, routes, keys, policies and what happened to them.
//!
//! Path and file follow each other: `/admin/routes/…` is `routes.rs`. Every route reads strictly, asks an
//! object, renders; a refusal changes nothing and says what to do.
//!
//! Invariant: an id from a path addresses an object only after its MAC or its form has been checked; a
//! secret leaves in one place only, the answer that shows a fresh key.
//!
//! Out of scope: who is an administrator (`auth`), what is allowed (the fleet).

mod registration;
mod registration_body;
mod servers;

mod keys;
mod policies;
mod routes;

mod audit;
mod stats;

mod ask;
mod fields;
mod price;
mod probe;
mod rfc3339;
mod server_view;

use crate::api_error::ApiError;
use crate::auth::Admin;
use crate::flow::Step;
use crate::gateway::Cx;
use crate::request::percent_decode;

/// Largest body of an admin request: metadata is 4 KiB, a route's hundred targets are 25 KiB.
const BODY_LIMIT: usize = 1024 * 1024;

/// Routes below `/admin/`; `rest` is what follows, still percent-encoded.
pub fn route(cx: &mut Cx<'_>, admin: Admin, rest: String) -> Step {
    // A route's name may hold slashes (`meta-llama/Llama-3`), encoded or not.
    if let Some(name) = rest.strip_prefix("routes/") {
        return match method(cx) {
            "GET" => routes::show(admin, percent_decode(name)),
            "PUT" => routes::put(admin, percent_decode(name)),
            "DELETE" => routes::delete(admin, percent_decode(name)),
            _ => wrong_method("GET, PUT, DELETE"),
        };
    }
    let segments: Vec<&str> = rest.split('/').collect();
    match (segments.as_slice(), method(cx)) {
        (["register"], "POST") => registration::register(admin),
        (["register"], _) => wrong_method("POST"),
        (["register", id], "PUT") => registration::update(cx, admin, percent_decode(id)),
        (["register", id], "DELETE") => registration::deregister(cx, admin, percent_decode(id)),
        (["register", _], _) => wrong_method("PUT, DELETE"),
        (["servers"], "GET") => servers::list(cx, admin),
        (["servers", id], "GET") => servers::show(cx, admin, percent_decode(id)),
        (["servers"] | ["servers", _], _) => wrong_method("GET"),
        (["servers", id, "health-check"], "POST") => servers::check(cx, admin, percent_decode(id)),
        (["servers", id, "drain"], "POST") => {
            servers::set_draining(cx, admin, percent_decode(id), true)
        }
        (["servers", id, "resume"], "POST") => {
            servers::set_draining(cx, admin, percent_decode(id), false)
        }
        (["servers", _, "health-check" | "drain" | "resume"], _) => wrong_method("POST"),
        (["routes"], "GET") => routes::list(admin),
        (["policies", "reliability"], "GET") => policies::show(admin),
        (["policies", "reliability"], "PUT") => policies::put(admin),
        (["policies", "reliability"], _) => wrong_method("GET, PUT"),
        (["keys"], "GET") => keys::list(admin),
        (["keys"], "POST") => keys::mint(admin),
        (["keys"], _) => wrong_method("GET, POST"),
        (["keys", id], "DELETE") => keys::revoke(admin, percent_decode(id)),
        (["keys", _], _) => wrong_method("DELETE"),
        (["keys", id, "rotate"], "POST") => keys::rotate(admin, percent_decode(id)),
        (["keys", _, "rotate"], _) => wrong_method("POST"),
        (["stats"], "GET") => stats::show(admin),
        (["audit"], "GET") => audit::page(cx, admin),
        (["routes"] | ["stats"] | ["audit"], _) => wrong_method("GET"),
        _ => ApiError::no_route(&cx.head.path).into(),
    }
}

/// `HEAD` is a `GET` whose body the host leaves out.
fn method<'a>(cx: &Cx<'a>) -> &'a str {
    match cx.head.method.as_str() {
        "HEAD" => "GET",
        method => method,
    }
}

fn wrong_method(allowed: &'static str) -> Step {
    ApiError::method(allowed).into()
}
