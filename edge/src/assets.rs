//! The contract and its browsable form: `/openapi.json`, `/docs` and what that page loads.
//!
//! The files are the build's, and the host has them; which there are, and with which headers they leave,
//! is said here, so that Cloudflare and bare workerd answer alike. None holds a secret, so everybody may
//! read them.
//!
//! Invariant: no name from a path reaches the host, only one of this table.

use crate::api_error::ApiError;
use crate::flow::Step;
use crate::gateway::Cx;

/// A file of the build.
#[derive(Debug, PartialEq, Eq)]
pub struct Asset {
    /// Its name below `build/assets`.
    pub file: &'static str,
    content_type: &'static str,
}

const OPENAPI: Asset = Asset {
    file: "openapi.json",
    content_type: "application/json",
};

const PAGE: Asset = Asset {
    file: "docs.html",
    content_type: "text/html; charset=utf-8",
};

/// What the page loads, from `/docs/{file}`.
const PARTS: [Asset; 4] = [
    script("docs.js"),
    style("docs.css"),
    script("swagger-ui-bundle.js"),
    style("swagger-ui.css"),
];

/// What the page may do: run our scripts, show our styles, ask this gateway. Nothing from or to another
/// host, nothing inline, not inside a frame. The icons of the renderer are `data:` images.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A release replaces all files at once; until then a browser may keep them for this long.
const CACHE: &str = "public, max-age=300";

/// `GET /openapi.json`.
pub fn openapi(_: &mut Cx<'_>, _: String) -> Step {
    Step::Asset(&OPENAPI)
}

/// `GET /docs`.
pub fn page(_: &mut Cx<'_>, _: String) -> Step {
    Step::Asset(&PAGE)
}

/// `GET /docs/{file}`.
pub fn part(cx: &mut Cx<'_>, file: String) -> Step {
    match PARTS.iter().find(|asset| asset.file == file) {
        Some(asset) => Step::Asset(asset),
        None => ApiError::no_route(&cx.head.path).into(),
    }
}

impl Asset {
    /// The header lines it leaves with, besides the request's id.
    pub fn headers(&self) -> Vec<(String, String)> {
        [
            ("content-type", self.content_type),
            ("cache-control", CACHE),
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

const fn script(file: &'static str) -> Asset {
    Asset {
        file,
        content_type: "text/javascript; charset=utf-8",
    }
}

const fn style(file: &'static str) -> Asset {
    Asset {
        file,
        content_type: "text/css; charset=utf-8",
    }
}
