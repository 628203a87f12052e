//! Every route of the gateway, in one table: the router dispatches from it, and what describes the
//! routes to others (`schemas/openapi/openapi.json`) is compared with it.
//!
//! A template holds at most two parameters: `{id}` is one segment, `{id*}` is all that is left, for names
//! with slashes in them. None is ever empty, and handlers get them percent-decoded, in their order.
//!
//! Invariant: no path fits two templates, so the order of rows decides nothing but how soon one is found
//! (what is asked most stands first); but for a template that says what another leaves open, which stands
//! before it and has its paths. A `HEAD` is a `GET` whose body the host leaves out.

use tidegate_durable::bindings::rental::RentalVerb;
use tidegate_wire_openai::Endpoint;

use crate::admin::instances::launch;
use crate::admin::{
    accounts, anonymous, audit, budgets, instances, keys, ledger, logs, offers, policies, profiles,
    providers, registration, routes as aliases, servers, stats,
};
use crate::api_error::ApiError;
use crate::assets;
use crate::auth::{self, Admin, Caller, Scope};
use crate::flow::Step;
use crate::gateway::Cx;
use crate::idempotency;
use crate::inference::Inference;
use crate::inference::stored::{self, Errand};
use crate::request::percent_decode;
use crate::{health, metrics, models, webhooks};

/// One operation: a method on a path.
pub struct Route {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// The template of its path.
    pub path: &'static str,
    /// Its `operationId` in the OpenAPI document.
    pub operation: &'static str,
    handler: Handler,
}

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// A client whose key has one of these scopes.
    Client(&'static [Scope]),
    /// An administrator; for reading, a key of scope `read` as well.
    Admin,
    /// A rented machine with its boot token.
    Machine,
    /// Whoever signs with an account's secret.
    Signed,
}

/// What runs, and with it who may call.
#[derive(Clone, Copy)]
enum Handler {
    /// Goes to a model server.
    Inference(Endpoint),
    /// Answers a client.
    Client(&'static [Scope], fn(&mut Cx<'_>, Caller, String) -> Step),
    /// Answers everybody.
    Public(fn(&mut Cx<'_>, String) -> Step),
    /// Answers a rented machine, whose token it checks.
    Machine(fn(&mut Cx<'_>, String) -> Step),
    /// Answers a vendor, whose signature it checks; two parameters.
    Signed(fn(&mut Cx<'_>, String, String) -> Step),
    /// Answers an administrator.
    Admin(fn(&mut Cx<'_>, Admin, String) -> Step),
    /// The same on a path with two parameters.
    AdminOfTwo(fn(&mut Cx<'_>, Admin, String, String) -> Step),
}

use Handler::{Admin as ByAdmin, AdminOfTwo, Client as ByClient, Inference as Infer, Public};

const INFERENCE: &[Scope] = &[Scope::Inference];
const MODELS: &[Scope] = &[Scope::Inference, Scope::Read];

/// The table.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    post("/v1/chat/completions", "createChatCompletion", Infer(Endpoint::Chat)),
    post("/v1/completions", "createCompletion", Infer(Endpoint::Completions)),
    post("/v1/embeddings", "createEmbedding", Infer(Endpoint::Embeddings)),
    post("/v1/responses", "createResponse", Infer(Endpoint::Responses)),
    get("/v1/responses/{id}", "getResponse", ByClient(INFERENCE, |cx, caller, id| stored::accept(cx, caller, id, Errand::Show))),
    delete("/v1/responses/{id}", "deleteResponse", ByClient(INFERENCE, |cx, caller, id| stored::accept(cx, caller, id, Errand::Delete))),
    post("/v1/responses/{id}/cancel", "cancelResponse", ByClient(INFERENCE, |cx, caller, id| stored::accept(cx, caller, id, Errand::Cancel))),
    get("/v1/responses/{id}/input_items", "listInputItems", ByClient(INFERENCE, |cx, caller, id| stored::accept(cx, caller, id, Errand::Inputs))),
    post("/v1/messages", "createMessage", Infer(Endpoint::Messages)),
    post("/v1/messages/count_tokens", "countMessageTokens", Infer(Endpoint::CountTokens)),
    post("/v1/rerank", "createRerank", Infer(Endpoint::Rerank)),
    post("/rerank", "createRerankAtRoot", Infer(Endpoint::Rerank)),
    post("/v2/rerank", "createRerankV2", Infer(Endpoint::Rerank)),
    post("/v1/moderations", "createModeration", Infer(Endpoint::Moderations)),
    post("/v1/images/generations", "createImage", Infer(Endpoint::ImagesGenerations)),
    post("/tokenize", "tokenize", Infer(Endpoint::Tokenize)),
    post("/detokenize", "detokenize", Infer(Endpoint::Detokenize)),
    post("/v1/audio/transcriptions", "createTranscription", Infer(Endpoint::Transcriptions)),
    post("/v1/audio/translations", "createTranslation", Infer(Endpoint::Translations)),
    post("/v1/audio/speech", "createSpeech", Infer(Endpoint::Speech)),
    post("/v1/images/edits", "createImageEdit", Infer(Endpoint::ImagesEdits)),

    get("/openapi.json", "getOpenApi", Public(assets::openapi)),
    get("/docs", "getDocs", Public(assets::page)),
    get("/docs/{file}", "getDocsFile", Public(assets::part)),

    get("/v1/models", "listModels", ByClient(MODELS, |cx, caller, _| models::list(cx, caller))),
    get("/v1/models/{model*}", "getModel", ByClient(MODELS, models::show)),

    post("/admin/register", "registerServer", ByAdmin(|_, admin, _| registration::register(admin))),
    put("/admin/register/{id}", "updateServer", ByAdmin(registration::update)),
    delete("/admin/register/{id}", "deregisterServer", ByAdmin(registration::deregister)),

    get("/admin/servers", "listServers", ByAdmin(|cx, admin, _| servers::list(cx, admin))),
    get("/admin/servers/{id}", "getServer", ByAdmin(servers::show)),
    post("/admin/servers/{id}/health-check", "checkServer", ByAdmin(servers::check)),
    post("/admin/servers/{id}/drain", "drainServer", ByAdmin(servers::drain)),
    post("/admin/servers/{id}/resume", "resumeServer", ByAdmin(servers::resume)),

    get("/admin/routes", "listRoutes", ByAdmin(|_, admin, _| aliases::list(admin))),
    get("/admin/routes/{name*}", "getRoute", ByAdmin(|_, admin, name| aliases::show(admin, name))),
    put("/admin/routes/{name*}", "putRoute", ByAdmin(|_, admin, name| aliases::put(admin, name))),
    delete("/admin/routes/{name*}", "deleteRoute", ByAdmin(|_, admin, name| aliases::delete(admin, name))),

    get("/admin/policies/reliability", "getPolicy", ByAdmin(|_, admin, _| policies::show(admin))),
    put("/admin/policies/reliability", "putPolicy", ByAdmin(|_, admin, _| policies::put(admin))),
    get("/admin/policies/anonymous", "getAnonymous", ByAdmin(|_, admin, _| anonymous::show(admin))),
    put("/admin/policies/anonymous", "putAnonymous", ByAdmin(|_, admin, _| anonymous::put(admin))),

    get("/admin/keys", "listKeys", ByAdmin(|_, admin, _| keys::list(admin))),
    post("/admin/keys", "mintKey", ByAdmin(|_, admin, _| keys::mint(admin))),
    delete("/admin/keys/{id}", "revokeKey", ByAdmin(|_, admin, id| keys::revoke(admin, id))),
    post("/admin/keys/{id}/rotate", "rotateKey", ByAdmin(|_, admin, id| keys::rotate(admin, id))),

    get("/admin/providers", "listProviders", ByAdmin(|_, admin, _| providers::list(admin))),
    get("/admin/providers/{vendor}/accounts", "listAccounts", ByAdmin(|_, admin, vendor| accounts::list(admin, vendor))),
    post("/admin/providers/{vendor}/accounts", "connectAccount", ByAdmin(|_, admin, vendor| accounts::connect(admin, vendor))),
    get("/admin/providers/{vendor}/accounts/{id}", "getAccount", AdminOfTwo(accounts::show)),
    put("/admin/providers/{vendor}/accounts/{id}", "updateAccount", AdminOfTwo(accounts::update)),
    delete("/admin/providers/{vendor}/accounts/{id}", "removeAccount", AdminOfTwo(accounts::remove)),
    post("/admin/providers/{vendor}/accounts/{id}/test", "testAccount", AdminOfTwo(accounts::calls::test)),
    post("/admin/providers/{vendor}/accounts/{id}/rotate", "rotateCredential", AdminOfTwo(accounts::calls::rotate)),
    post("/admin/providers/{vendor}/accounts/{id}/webhook-secret", "showWebhookSecret", AdminOfTwo(accounts::webhook::secret)),
    get("/admin/providers/{vendor}/accounts/{id}/regions", "listRegions", AdminOfTwo(accounts::calls::regions)),
    get("/admin/providers/{vendor}/accounts/{id}/gpu-types", "listGpuTypes", AdminOfTwo(accounts::calls::gpu_types)),

    get("/admin/offers", "listOffers", ByAdmin(|cx, admin, _| offers::list(cx, admin))),

    get("/admin/profiles", "listProfiles", ByAdmin(|_, admin, _| profiles::list(admin))),
    get("/admin/profiles/{name}", "getProfile", ByAdmin(|_, admin, name| profiles::show(admin, name))),
    put("/admin/profiles/{name}", "putProfile", ByAdmin(|_, admin, name| profiles::put(admin, name))),
    delete("/admin/profiles/{name}", "deleteProfile", ByAdmin(|_, admin, name| profiles::delete(admin, name))),

    post("/admin/instances:estimate", "estimateInstance", ByAdmin(|_, admin, _| launch::estimate(admin))),
    get("/admin/instances", "listInstances", ByAdmin(|cx, admin, _| instances::list(cx, admin))),
    post("/admin/instances", "launchInstance", ByAdmin(|_, admin, _| launch::launch(admin))),
    get("/admin/instances/{id}", "getInstance", ByAdmin(instances::show)),
    post("/admin/instances/{id}/start", "startInstance", ByAdmin(|cx, admin, id| instances::tell(cx, admin, id, RentalVerb::Start))),
    post("/admin/instances/{id}/stop", "stopInstance", ByAdmin(|cx, admin, id| instances::tell(cx, admin, id, RentalVerb::Stop))),
    post("/admin/instances/{id}/drain", "drainInstance", ByAdmin(|cx, admin, id| instances::tell(cx, admin, id, RentalVerb::Drain))),
    post("/admin/instances/{id}/resume", "resumeInstance", ByAdmin(|cx, admin, id| instances::tell(cx, admin, id, RentalVerb::Resume))),
    post("/admin/instances/{id}/terminate", "terminateInstance", ByAdmin(|cx, admin, id| instances::tell(cx, admin, id, RentalVerb::Terminate))),
    get("/admin/instances/{id}/events", "listInstanceEvents", ByAdmin(instances::events)),
    post("/admin/instances/{id}/ssh-key", "showSshKey", ByAdmin(instances::ssh_key)),

    get("/admin/budgets", "listBudgets", ByAdmin(|_, admin, _| budgets::list(admin))),
    put("/admin/budgets/{scope*}", "putBudget", ByAdmin(|_, admin, scope| budgets::put(admin, scope))),
    delete("/admin/budgets/{scope*}", "deleteBudget", ByAdmin(|_, admin, scope| budgets::delete(admin, scope))),
    get("/admin/ledger", "getLedger", ByAdmin(|_, admin, _| ledger::books(admin))),
    get("/admin/ledger/entries", "listLedgerEntries", ByAdmin(|cx, admin, _| ledger::entries(cx, admin))),

    get("/admin/stats", "getStats", ByAdmin(|_, admin, _| stats::show(admin))),
    get("/admin/audit", "listAudit", ByAdmin(|cx, admin, _| audit::page(cx, admin))),
    get("/admin/logs", "listLogs", ByAdmin(|cx, admin, _| logs::page(cx, admin))),

    post("/webhooks/boot/{id}", "callHome", Handler::Machine(webhooks::boot)),
    post("/webhooks/{vendor}/{account}", "takeWebhook", Handler::Signed(webhooks::vendor)),

    get("/metrics", "getMetrics", ByAdmin(|cx, admin, _| metrics::show(cx, admin))),
    get("/healthz", "getHealth", Public(|_, _| health::is_alive())),
    get("/readyz", "getReadiness", Public(|cx, _| health::is_ready(cx))),
];

const fn get(path: &'static str, operation: &'static str, handler: Handler) -> Route {
    route("GET", path, operation, handler)
}

const fn post(path: &'static str, operation: &'static str, handler: Handler) -> Route {
    route("POST", path, operation, handler)
}

const fn put(path: &'static str, operation: &'static str, handler: Handler) -> Route {
    route("PUT", path, operation, handler)
}

const fn delete(path: &'static str, operation: &'static str, handler: Handler) -> Route {
    route("DELETE", path, operation, handler)
}

const fn route(
    method: &'static str,
    path: &'static str,
    operation: &'static str,
    handler: Handler,
) -> Route {
    Route {
        method,
        path,
        operation,
        handler,
    }
}

impl Route {
    /// Who may call it.
    pub const fn access(&self) -> Access {
        match self.handler {
            Handler::Inference(_) => Access::Client(&[Scope::Inference]),
            Handler::Client(scopes, _) => Access::Client(scopes),
            Handler::Admin(_) | Handler::AdminOfTwo(_) => Access::Admin,
            Handler::Public(_) => Access::Public,
            Handler::Machine(_) => Access::Machine,
            Handler::Signed(_) => Access::Signed,
        }
    }

    fn run(&self, cx: &mut Cx<'_>, parameters: Parameters<'_>) -> Step {
        let [first, second] = parameters.map(percent_decode);
        cx.notes.route = Some(self.path);
        cx.notes.is_inference = matches!(self.handler, Handler::Inference(_));
        match self.handler {
            Handler::Inference(endpoint) => Inference::accept(cx, endpoint),
            Handler::Public(handle) | Handler::Machine(handle) => handle(cx, first),
            Handler::Signed(handle) => handle(cx, first, second),
            Handler::Client(scopes, handle) => {
                auth::client(cx, scopes, move |cx, caller| handle(cx, caller, first))
            }
            Handler::Admin(handle) => by_admin(cx, move |cx, admin| handle(cx, admin, first)),
            Handler::AdminOfTwo(handle) => {
                by_admin(cx, move |cx, admin| handle(cx, admin, first, second))
            }
        }
    }
}

fn by_admin(cx: &mut Cx<'_>, handle: impl FnOnce(&mut Cx<'_>, Admin) -> Step + 'static) -> Step {
    auth::admin(cx, move |cx, admin| idempotency::guard(cx, admin, handle))
}

/// Sends a request to its handler.
pub(crate) fn dispatch(cx: &mut Cx<'_>) -> Step {
    let head = cx.head;
    let path = head.path.trim_end_matches('/');
    let refusal = match find(head.verb(), path) {
        Found::Route(route, parameters) => return route.run(cx, parameters),
        Found::Methods(methods) => ApiError::method(methods.join(", ")),
        Found::Nothing => ApiError::no_route(&head.path),
    };
    if path.starts_with("/admin/") {
        // What there is below /admin is no business of a stranger's.
        return auth::admin(cx, move |_, _| refusal.into());
    }
    refusal.into()
}

enum Found<'p> {
    Route(&'static Route, Parameters<'p>),
    /// The path exists, with these methods.
    Methods(Vec<&'static str>),
    Nothing,
}

fn find<'p>(method: &str, path: &'p str) -> Found<'p> {
    let mut methods = Vec::new();
    for route in ROUTES {
        match parameters(route.path, path) {
            Some(found) if route.method == method => return Found::Route(route, found),
            Some(_) if !methods.contains(&route.method) => methods.push(route.method),
            _ => {}
        }
    }
    if methods.is_empty() {
        Found::Nothing
    } else {
        Found::Methods(methods)
    }
}

/// What stands in the places of a template's parameters, still encoded; empty where it has none.
type Parameters<'p> = [&'p str; 2];

fn parameters<'p>(template: &str, path: &'p str) -> Option<Parameters<'p>> {
    let mut found = ["", ""];
    let (mut template, mut path) = (template, path);
    for value in &mut found {
        let Some((before, rest)) = template.split_once('{') else {
            break;
        };
        let (name, after) = rest.split_once('}')?;
        let left = path.strip_prefix(before)?;
        let end = if name.ends_with('*') {
            left.len()
        } else {
            left.find('/').unwrap_or(left.len())
        };
        (*value, path) = left.split_at_checked(end)?;
        if value.is_empty() {
            return None;
        }
        template = after;
    }
    (template == path).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Two templates fit one path if they are equal segment by segment, parameters apart.
    fn overlap(one: &str, other: &str) -> bool {
        let (mut one, mut other) = (one.split('/'), other.split('/'));
        loop {
            match (one.next(), other.next()) {
                (None, None) => return true,
                (Some(a), Some(_)) if a.ends_with("*}") => return true,
                (Some(_), Some(b)) if b.ends_with("*}") => return true,
                (Some(a), Some(b)) if a == b || a.starts_with('{') || b.starts_with('{') => {}
                _ => return false,
            }
        }
    }

    /// Whether the first says what the second leaves open, and leaves nothing open that the second says. The
    /// OpenAPI Specification has such a one found first as well (3.1, "Path Templating Matching").
    fn is_case_of(one: &str, other: &str) -> bool {
        let segments = || one.split('/').zip(other.split('/'));
        one.split('/').count() == other.split('/').count()
            && segments().all(|(a, b)| a == b || b.starts_with('{'))
            && !segments().any(|(a, b)| a.starts_with('{') && !b.starts_with('{'))
    }

    #[test]
    fn no_path_fits_two_templates_but_a_case_of_one_that_stands_before_it() {
        for (at, route) in ROUTES.iter().enumerate() {
            for other in ROUTES.iter().skip(at + 1) {
                let (one, two) = (route.path, other.path);
                if one == two {
                    assert_ne!(route.method, other.method, "{one} stands twice");
                } else if !is_case_of(one, two) {
                    assert!(!overlap(one, two), "{one} and {two}");
                }
            }
        }
        assert!(is_case_of("/a/b/{x}", "/a/{y}/{z}") && !is_case_of("/a/{y}/{z}", "/a/b/{x}"));
        assert!(!is_case_of("/a/{x}/c", "/a/b/{y}") && !is_case_of("/a/b", "/a/{x*}/c"));
        assert!(overlap("/a/{x}/c", "/a/b/{y}") && overlap("/a/{x*}", "/a/b/c"));
        assert!(!overlap("/a/{x}", "/a/b/c") && !overlap("/a", "/a/{x*}"));
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = ROUTES.iter().map(|route| route.operation).collect();
        assert_eq!(names.len(), ROUTES.len());
    }

    #[test]
    fn every_template_is_absolute_and_its_parameters_are_whole_segments_two_at_most() {
        for Route { path, .. } in ROUTES {
            assert!(path.starts_with('/') && !path.ends_with('/'), "{path}");
            let segments: Vec<&str> = path.split('/').collect();
            let is_one = |segment: &&str| segment.contains(['{', '}']);
            for (at, segment) in segments.iter().enumerate().filter(|(_, it)| is_one(it)) {
                let name = segment
                    .strip_prefix('{')
                    .and_then(|it| it.strip_suffix('}'));
                let name = name.unwrap_or_else(|| panic!("{path}"));
                let is_last = at + 1 == segments.len();
                let plain = name.strip_suffix('*').filter(|_| is_last).unwrap_or(name);
                assert!(plain.bytes().all(|it| it.is_ascii_lowercase()), "{path}");
            }
            assert!(
                segments.iter().filter(|it| is_one(it)).count() <= 2,
                "{path}"
            );
        }
    }

    #[test]
    fn a_handler_takes_as_many_parameters_as_its_template_has() {
        for route in ROUTES {
            let of_two = matches!(route.handler, Handler::Signed(_) | Handler::AdminOfTwo(_));
            let is_two = route.path.matches('{').count() == 2;
            assert_eq!(of_two, is_two, "{}", route.path);
        }
    }

    #[test]
    fn an_inference_route_stands_where_the_endpoint_says() {
        for route in ROUTES {
            if let Handler::Inference(endpoint) = route.handler {
                let is_alias = endpoint.aliases().contains(&route.path);
                assert!(is_alias || route.path == endpoint.path(), "{}", route.path);
                assert_eq!(route.method, "POST");
            }
        }
    }

    #[test]
    fn a_parameter_is_one_segment_or_all_that_is_left() {
        let one = |template, path| parameters(template, path).map(|[one, _]| one);
        assert_eq!(one("/a", "/a"), Some(""));
        assert_eq!(one("/a", "/a/"), None);
        assert_eq!(one("/a/{id}", "/a/b%2Fc"), Some("b%2Fc"));
        assert_eq!(one("/a/{id}", "/a/b/c"), None);
        assert_eq!(one("/a/{id}", "/a/"), None);
        assert_eq!(one("/a/{id}", "/a"), None);
        assert_eq!(one("/a/{id}/x", "/a/b/x"), Some("b"));
        assert_eq!(one("/a/{id}/x", "/a/b/y"), None);
        assert_eq!(one("/a/{id}/x", "/a/x"), None);
        assert_eq!(one("/a/{id}/x", "/a//x"), None);
        assert_eq!(one("/a/{name*}", "/a/b/c"), Some("b/c"));
        assert_eq!(one("/a/{name*}", "/a"), None);
    }

    #[test]
    fn two_parameters_are_two_segments() {
        let two = |path| parameters("/a/{vendor}/b/{id}/x", path);
        assert_eq!(two("/a/1/b/2/x"), Some(["1", "2"]));
        assert_eq!(two("/a/1/b//x"), None);
        assert_eq!(two("/a//b/2/x"), None);
        assert_eq!(two("/a/1/b/2"), None);
        assert_eq!(two("/a/1/b/2/3/x"), None);
        let side_by_side = |path| parameters("/a/{vendor}/{id}", path);
        assert_eq!(side_by_side("/a/1/2"), Some(["1", "2"]));
        assert_eq!(side_by_side("/a/1"), None);
        assert_eq!(side_by_side("/a/1/"), None);
        assert_eq!(side_by_side("/a/1/2/3"), None);
        assert_eq!(
            parameters("/a/{kind}/{name*}", "/a/1/2/3"),
            Some(["1", "2/3"])
        );
    }
}
