//! The two listening sockets. Invariant: the control port accepts always; the server's port does
//! what [`Accepting`] says, and comes back on the same number after it has refused.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connection;
use crate::script::{AcceptMode, Accepting};
use crate::state::{Settings, State};

/// A server that runs; it stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where the model server listens.
    pub address: SocketAddr,
    /// Where only control requests are wanted.
    pub control_address: SocketAddr,
    accepting: JoinHandle<()>,
    control: JoinHandle<()>,
}

impl Running {
    /// Waits for the end of the accept loop, which comes only when its port is lost.
    pub async fn ended(mut self) {
        let _ended = (&mut self.accepting).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accepting.abort();
        self.control.abort();
    }
}

/// Listens on loopback and serves.
pub async fn start(settings: Settings) -> io::Result<Running> {
    let listener = bind(settings.port)?;
    let control_listener = bind(0)?;
    let (address, control_address) = (listener.local_addr()?, control_listener.local_addr()?);
    let state = Arc::new(State::new(settings));
    state.set_addresses(address, control_address);
    let accepting = tokio::spawn(accept_as_ordered(listener, address.port(), state.clone()));
    let control = tokio::spawn(async move {
        while let Ok((stream, _)) = control_listener.accept().await {
            serve(stream, state.clone());
        }
    });
    Ok(Running {
        address,
        control_address,
        accepting,
        control,
    })
}

fn bind(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Connections of the former listener linger in TIME_WAIT; the port must come back regardless.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(1024)
}

fn serve(stream: TcpStream, state: Arc<State>) {
    // Without it Nagle and delayed ACK hold small chunks back for 40 ms.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let open = state.connection_opened();
    tokio::spawn(async move {
        connection::serve(stream, open.number, state).await;
        drop(open);
    });
}

async fn accept_as_ordered(listener: TcpListener, port: u16, state: Arc<State>) {
    let mut orders = state.accepting.subscribe();
    let mut listener = Some(listener);
    loop {
        let order = *orders.borrow_and_update();
        if order.mode == AcceptMode::Refuse {
            listener = None;
        } else if listener.is_none() {
            match bind(port) {
                Ok(bound) => listener = Some(bound),
                Err(problem) => {
                    eprintln!("port {port} could not be opened again: {problem}");
                    return;
                }
            }
        }
        tokio::select! {
            _changed = orders.changed() => {}
            () = over(order) => {
                state.accepting.send_if_modified(|current| {
                    let same = *current == order;
                    if same {
                        current.mode = AcceptMode::Normal;
                        current.for_ms = None;
                    }
                    same
                });
            }
            () = accept(listener.as_ref(), order.mode, &state) => {}
        }
    }
}

async fn over(order: Accepting) {
    match order.for_ms {
        Some(for_ms) => tokio::time::sleep(Duration::from_millis(for_ms)).await,
        None => std::future::pending().await,
    }
}

/// Accepts for ever.
async fn accept(listener: Option<&TcpListener>, mode: AcceptMode, state: &Arc<State>) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, most likely: the next one may fit again.
            tokio::task::yield_now().await;
            continue;
        };
        match mode {
            AcceptMode::Normal | AcceptMode::Refuse => serve(stream, state.clone()),
            AcceptMode::Reset => connection::reset(stream),
            AcceptMode::Ignore => {
                tokio::spawn(hold(stream, state.kill.subscribe()));
            }
        }
    }
}

/// Keeps a connection without reading it, until all connections are reset by order.
async fn hold(stream: TcpStream, mut kill: watch::Receiver<u64>) {
    let _changed = kill.changed().await;
    connection::reset(stream);
}
