//! The stand-in for `https://{pod}-{port}.proxy.runpod.net`: here `http://…/{machine}-{port}/…`.
//!
//! As documented for RunPod's HTTP proxy: public and unauthenticated; 404 for what is not there, 502 until the
//! port is open, 524 after 100 s without an answer (Cloudflare's limit). Bodies pass both ways as they come.
//!
//! In scope: instances of EC2 too, which have no such proxy in truth, so that a test can reach their boxes.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::cloud::Cloud;
use crate::http::{Body, whole};
use crate::machine::Phase;

/// Headers that are about one connection (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Answers one request.
///
/// # Errors
/// Never; what fails is an answer too.
pub async fn serve(cloud: Arc<Cloud>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |all| all.as_str());
    let (target, rest) = split(path);
    let to = match find(&cloud, &target) {
        Ok(to) => to,
        Err(status) => return page(status),
    };
    let cap = Duration::from_millis(u64::from(
        cloud.with(|world, _| world.settings.proxy.cap_ms),
    ));
    match tokio::time::timeout(cap, forward(request, to, rest)).await {
        Ok(Ok(answer)) => Ok(answer.map(|body| Capped::new(body, cap).boxed_unsync())),
        Ok(Err(_)) => page(502),
        Err(_) => page(524),
    }
}

/// `/{machine}-{port}/rest` in its two parts; the rest has its slash.
fn split(path: &str) -> (String, String) {
    let path = path.trim_start_matches('/');
    let end = path.find(['/', '?']).unwrap_or(path.len());
    let (target, rest) = path.split_at(end);
    let rest = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    (target.to_owned(), rest)
}

fn find(cloud: &Arc<Cloud>, target: &str) -> Result<SocketAddr, u16> {
    let (id, port) = target.rsplit_once('-').ok_or(404_u16)?;
    let port: u16 = port.parse().map_err(|_| 404_u16)?;
    cloud.with(|world, _| {
        let machine = world.machines.get(id);
        // A ghost runs on, and its address with it.
        let there = machine.filter(|machine| !machine.is_over() || machine.ghost);
        let machine = there.ok_or(404_u16)?;
        if machine.pod().is_some_and(|pod| !pod.serves_http_on(port)) {
            return Err(404);
        }
        if machine.unhealthy {
            return Err(500);
        }
        let is_up = matches!(machine.phase, Phase::Starting | Phase::Running) || machine.ghost;
        is_up.then(|| machine.socket(port)).ok_or(502)
    })
}

async fn forward(
    request: Request<Incoming>,
    to: SocketAddr,
    rest: String,
) -> io::Result<Response<Incoming>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // Ends with the answer's body, or when nobody wants that any more.
    tokio::spawn(connection);
    let (mut head, body) = request.into_parts();
    head.uri = Uri::try_from(rest).map_err(io::Error::other)?;
    for name in &HOP_BY_HOP {
        head.headers.remove(name);
    }
    head.headers
        .insert(HOST, to.to_string().parse().map_err(io::Error::other)?);
    let answer = sender.send_request(Request::from_parts(head, body)).await;
    let mut answer = answer.map_err(io::Error::other)?;
    for name in &HOP_BY_HOP {
        answer.headers_mut().remove(name);
    }
    Ok(answer)
}

fn page(status: u16) -> io::Result<Response<Body>> {
    let title = match status {
        404 => "404: not found",
        500 => "500: internal server error",
        502 => "502: bad gateway",
        _ => "524: a timeout occurred",
    };
    let body = format!(
        "<!DOCTYPE html>\n<html><head><title>proxy | {title}</title></head><body><h1>{title}</h1></body></html>\n"
    );
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY))
        .header("Content-Type", "text/html; charset=UTF-8")
        .body(whole(body))
        .map_err(io::Error::other)
}

/// A body that is cut when it has been silent for too long.
struct Capped {
    body: Incoming,
    cap: Duration,
    silence: Pin<Box<Sleep>>,
}

impl Capped {
    fn new(body: Incoming, cap: Duration) -> Self {
        Self {
            body,
            cap,
            silence: Box::pin(tokio::time::sleep(cap)),
        }
    }
}

impl hyper::body::Body for Capped {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let until = Instant::now() + self.cap;
            self.silence.as_mut().reset(until);
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        match self.silence.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(io::Error::other("silent for too long")))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_machine_a_port_and_what_is_asked_of_it() {
        let parts = |path| {
            let (target, rest) = split(path);
            format!("{target} {rest}")
        };
        assert_eq!(parts("/abc-8000/v1/models?x=1"), "abc-8000 /v1/models?x=1");
        assert_eq!(parts("/i-0abc-8000"), "i-0abc-8000 /");
        assert_eq!(parts("/abc-8000?x"), "abc-8000 /?x");
    }
}
