//! A box that thinks nothing and tells what it was given: for tests of the cloud itself, which need no model.
//!
//! `GET /env` answers its environment, `POST /echo` its body, `GET /drip?chunks=3&every_ms=10` a slow stream,
//! `GET /silence` nothing, `GET /end` ends it. It ends as well when its standard input does.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a native program that ends when its premises do not hold"
)]

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileTypeExt as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response};
use lexopt::prelude::*;
use serde_json::json;
use tidegate_simcloud::http::{self, Answer, Asked, Body, Outcome};
use tokio::time::{Interval, interval};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port) = (IpAddr::from([127, 0, 0, 1]), 0);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("host") => host = parser.value()?.parse()?,
            Long("port") => port = parser.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let listener = http::bind(host, port)?;
    println!("listening http://{}", listener.local_addr()?);
    let serving = http::serve(listener, serve);
    std::thread::spawn(end_with_standard_input);
    serving.await?;
    Ok(())
}

/// A pipe is a lifeline; any other input (a container has `/dev/null`) says nothing about the caller.
fn end_with_standard_input() {
    let is_pipe = std::fs::metadata("/dev/stdin").is_ok_and(|input| input.file_type().is_fifo());
    if is_pipe {
        let _all = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    }
}

async fn serve(request: Request<Incoming>) -> io::Result<Response<Body>> {
    let asked = http::read(request).await?;
    let answer = match asked.path.as_str() {
        "/env" => {
            let env: BTreeMap<String, String> = std::env::vars().collect();
            Answer::json(200, &json!(env))
        }
        "/echo" => Answer::text(200, "application/octet-stream", asked.body),
        "/drip" => return Ok(Response::new(drip(&asked))),
        "/silence" => return http::write(Outcome::Silent).await,
        "/end" => std::process::exit(3),
        _ => Answer::text(200, "text/plain", "here"),
    };
    http::write(Outcome::Answered(answer)).await
}

fn drip(asked: &Asked) -> Body {
    let number = |name: &str| asked.query(name).and_then(|text| text.parse().ok());
    Drip {
        left: number("chunks").unwrap_or(3),
        pace: interval(Duration::from_millis(number("every_ms").unwrap_or(10))),
    }
    .boxed_unsync()
}

struct Drip {
    left: u64,
    pace: Interval,
}

impl hyper::body::Body for Drip {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        match self.pace.poll_tick(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => {
                self.left -= 1;
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"drip\n")))))
            }
        }
    }
}
