//! What all listeners share, and the beginning and end of it all.
//!
//! Invariant: the world is looked at only through [`Cloud::with`], which first lets happen what is due; its lock
//! is never held across an `.await`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::boxes::{self, Reaper};
use crate::clock::{Clock, Millis};
use crate::http;
use crate::keys::Keys;
use crate::options::Options;
use crate::world::World;
use crate::{aws, control, proxy, runpod};

/// Shared by all listeners.
#[derive(Debug)]
pub struct Cloud {
    /// As started.
    pub options: Options,
    /// The cloud's time.
    pub clock: Clock,
    /// Where everything listens.
    pub addresses: Addresses,
    /// Where boxes live and their logs are.
    pub folder: PathBuf,
    /// Wakes those who wait for something to change.
    pub changed: Notify,
    world: Mutex<World>,
    replan: Notify,
    reaper: Reaper,
}

/// Where everything listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// RunPod's API.
    pub runpod: SocketAddr,
    /// EC2, STS and the Price List.
    pub aws: SocketAddr,
    /// The stand-in for `proxy.runpod.net`.
    pub proxy: SocketAddr,
    /// Orders.
    pub control: SocketAddr,
}

/// A cloud that runs; it ends, with all its boxes, when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// What it is made of.
    pub cloud: Arc<Cloud>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// The line that tells where everything is and how to get in.
    pub fn hello(&self) -> Value {
        self.cloud.hello()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.cloud.world().kill_all();
        self.cloud.reaper.end();
        if self.cloud.options.folder.is_none() {
            let _gone = std::fs::remove_dir_all(&self.cloud.folder);
        }
    }
}

/// Listens on loopback and serves.
///
/// # Errors
/// When a port is taken or the folder cannot be written.
pub fn start(options: Options) -> io::Result<Running> {
    let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let listen = |port| http::bind(localhost, port);
    let [runpod, aws, proxy, control] = [
        listen(options.runpod_port)?,
        listen(options.aws_port)?,
        listen(options.proxy_port)?,
        listen(options.control_port)?,
    ];
    let folder = boxes::prepare(options.folder.as_deref())?;
    let reaper = Reaper::start(options.folder.is_none().then_some(folder.as_path()))?;
    let keys = Keys::new(options.keys.clone());
    let cloud = Arc::new(Cloud {
        clock: Clock::default(),
        addresses: Addresses {
            runpod: runpod.local_addr()?,
            aws: aws.local_addr()?,
            proxy: proxy.local_addr()?,
            control: control.local_addr()?,
        },
        folder,
        changed: Notify::new(),
        world: Mutex::new(World::new(options.settings.clone(), keys, options.seed)),
        replan: Notify::new(),
        reaper,
        options,
    });
    let for_each = [&cloud, &cloud, &cloud, &cloud].map(Arc::clone);
    let [for_runpod, for_aws, for_proxy, for_control] = for_each;
    let tasks = vec![
        http::serve(runpod, move |request| {
            runpod::serve(for_runpod.clone(), request)
        }),
        http::serve(aws, move |request| aws::serve(for_aws.clone(), request)),
        http::serve(proxy, move |request| {
            proxy::serve(for_proxy.clone(), request)
        }),
        http::serve(control, move |request| {
            control::serve(for_control.clone(), request)
        }),
        tokio::spawn(tick(cloud.clone())),
    ];
    Ok(Running { cloud, tasks })
}

/// Lets things happen in their time when nobody asks.
async fn tick(cloud: Arc<Cloud>) {
    loop {
        let mut replanned = std::pin::pin!(cloud.replan.notified());
        replanned.as_mut().enable();
        let next = cloud.with(|world, now| world.next_step().map(|at| at - now));
        let wait = async {
            match next {
                Some(ms) => {
                    let ms = u64::try_from(ms.max(1)).unwrap_or(1);
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {}
            () = replanned => {}
        }
    }
}

impl Cloud {
    /// Looks at the world, or changes it, after what is due has happened.
    pub fn with<T>(self: &Arc<Self>, look: impl FnOnce(&mut World, Millis) -> T) -> T {
        let (found, boots, plans) = {
            let mut world = self.world();
            let now = self.clock.now();
            let before = world.next_step();
            world.settle(now);
            let found = look(&mut world, now);
            world.settle(now);
            (found, world.take_boots(), world.next_step() != before)
        };
        for (machine, boot) in boots {
            tokio::spawn(boxes::run(self.clone(), machine, boot));
        }
        if plans {
            self.replan.notify_one();
            self.changed.notify_waiters();
        }
        found
    }

    /// Lets this much time pass at once.
    pub fn advance(self: &Arc<Self>, by_ms: u32) -> Millis {
        self.clock.advance(by_ms);
        self.replan.notify_one();
        let now = self.with(|_, now| now);
        self.changed.notify_waiters();
        now
    }

    /// Notes a process group that must not outlive this program, or that it has ended.
    pub fn mind(&self, group: i32, lives: bool) {
        self.reaper.mind(group, lives);
    }

    /// Where everything is and how to get in.
    pub fn hello(&self) -> Value {
        let url = |address: SocketAddr| format!("http://{address}");
        let world = self.world();
        let keys: Vec<Value> = self
            .options
            .keys
            .iter()
            .map(|key| json!({"vendor": key.vendor, "account": key.account, "id": key.id, "secret": key.secret, "denies": key.denies}))
            .collect();
        let Addresses {
            runpod,
            aws,
            proxy,
            control,
        } = self.addresses;
        json!({
            "runpod": url(runpod),
            "aws": url(aws),
            "proxy": url(proxy),
            "endpoint": format!("http://{proxy}/{{id}}-{{port}}"),
            "control": url(control),
            "keys": keys,
            "folder": self.folder,
            "pid": std::process::id(),
            "settings": world.settings,
        })
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
