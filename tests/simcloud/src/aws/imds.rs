//! The instance's metadata service, on an address of its own: version 2 alone, and only what instances ask for
//! that may be taken away.

use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, Response};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::clock;
use crate::cloud::Cloud;
use crate::http::{self, Answer, Asked, Body, Outcome};

/// Where it listens on the instance's address.
pub const PORT: u16 = 8_775;
const TOKEN: &str = "AQAAASIMCLOUD==";

/// A metadata service that ends when this is dropped.
#[derive(Debug)]
pub struct Serving(JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves an instance; nothing for a pod, or where its address is not its own.
pub fn serve(cloud: &Arc<Cloud>, id: &str) -> Option<Serving> {
    let address = cloud.with(|world, _| {
        let machine = world.machines.get(id)?;
        machine.instance().map(|_| machine.address)
    });
    let listener = http::bind(address?, PORT).ok()?;
    let (cloud, id) = (cloud.clone(), id.to_owned());
    let serving = http::serve(listener, move |request| {
        answer(cloud.clone(), id.clone(), request)
    });
    Some(Serving(serving))
}

async fn answer(
    cloud: Arc<Cloud>,
    id: String,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let asked = http::read(request).await?;
    http::write(Outcome::Answered(tell(&cloud, &id, &asked))).await
}

fn tell(cloud: &Arc<Cloud>, id: &str, asked: &Asked) -> Answer {
    let text = |text: &str| Answer::text(200, "text/plain", text);
    if asked.path == "/latest/api/token" {
        let asks = asked.method == "PUT"
            && asked
                .header("x-aws-ec2-metadata-token-ttl-seconds")
                .is_some();
        return if asks {
            text(TOKEN)
        } else {
            Answer::empty(400)
        };
    }
    if asked.header("x-aws-ec2-metadata-token") != Some(TOKEN) {
        return Answer::empty(401);
    }
    cloud.with(|world, _| {
        let machine = world.machines.get(id);
        let instance = machine.and_then(|machine| machine.instance().map(|i| (machine, i)));
        let Some((machine, instance)) = instance else {
            return Answer::empty(404);
        };
        match (asked.path.as_str(), machine.notice_ms) {
            ("/latest/meta-data/instance-id", _) => text(&machine.id),
            ("/latest/meta-data/instance-type", _) => text(&machine.kind),
            ("/latest/meta-data/placement/region", _) => text(&machine.region),
            ("/latest/meta-data/placement/availability-zone", _) => text(&instance.zone),
            ("/latest/meta-data/spot/instance-action", Some(at)) if instance.spot => {
                let notice = json!({"action": "terminate", "time": clock::rfc3339(at)});
                Answer::json(200, &notice)
            }
            _ => Answer::empty(404),
        }
    })
}
