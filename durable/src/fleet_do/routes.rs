//! Routes: aliases, projects and fallbacks.
//!
//! Invariant: following targets from route to route ends. Fallbacks may point at each other (two models
//! that stand in for one another), so whoever follows those keeps the names it has tried.

use super::{Fleet, checks};
use crate::bindings::fleet::{FleetAnswer, Route};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::fleet::{delete_route, put_route};

/// Routes travel with every snapshot.
const MAX_ROUTES: usize = 1_000;

impl Fleet {
    pub(super) fn route(&self, name: &str) -> FleetAnswer {
        self.routes
            .get(name)
            .map_or(FleetAnswer::NotFound, |route| FleetAnswer::Route {
                route: route.clone(),
            })
    }

    pub(super) fn put_route(
        &mut self,
        cx: &mut Cx<'_>,
        name: String,
        route: Route,
    ) -> Result<FleetAnswer, StoreError> {
        if self.routes.get(&name) == Some(&route) {
            return Ok(FleetAnswer::Route { route });
        }
        let is_server = |name: &str| {
            let mut servers = self.servers.values();
            self.servers.contains_key(name) || servers.any(|server| server.entry.model_name == name)
        };
        if let Err(refused) = checks::route(&name, &route, &is_server, &self.routes) {
            return Ok(refused.into());
        }
        if !self.routes.contains_key(&name) && self.routes.len() >= MAX_ROUTES {
            return Ok(FleetAnswer::Invalid {
                param: "name".to_owned(),
                reason: format!("an organisation holds at most {MAX_ROUTES} routes"),
            });
        }
        put_route(cx.sql, &name, &route)?;
        let mut reason = format!("to {}", route.targets.join(", "));
        if !route.fallbacks.is_empty() {
            reason.push_str(&format!(", else {}", route.fallbacks.join(", ")));
        }
        self.note(cx, "route.put", &name, reason);
        self.bump();
        self.routes.insert(name, route.clone());
        Ok(FleetAnswer::Route { route })
    }

    pub(super) fn delete_route(
        &mut self,
        cx: &mut Cx<'_>,
        name: &str,
    ) -> Result<FleetAnswer, StoreError> {
        if self.routes.remove(name).is_none() {
            return Ok(FleetAnswer::NotFound);
        }
        delete_route(cx.sql, name)?;
        self.note(cx, "route.deleted", name, String::new());
        self.bump();
        Ok(FleetAnswer::Done)
    }
}
