//! AWS: EC2's Query API, STS and the Price List, told apart by the service that a request is signed for.

pub mod catalogue;
pub mod guest;
pub mod imds;
pub mod instances;

use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};

use crate::cloud::Cloud;
use crate::http::{self, Answer, Body, Outcome};

/// Answers one request.
///
/// # Errors
/// When the client leaves.
pub async fn serve(_: Arc<Cloud>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let _asked = http::read(request).await?;
    http::write(Outcome::Answered(Answer::empty(503))).await
}
