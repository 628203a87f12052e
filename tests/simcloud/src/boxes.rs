//! The process that stands for what a rented machine runs.
//!
//! Invariant: each box is a process group of its own, and none outlives its machine or this program, however
//! that ends. No box can shut down the computer that it runs on: [`safe_path`] is checked before anything else.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::cloud::Cloud;
use crate::http;
use crate::machine::{Machine, Vendor};
use crate::{aws, runpod};

/// Programs that stand before the computer's own.
const FAKES: [(&str, &str); 12] = [
    ("docker", include_str!("../fakes/docker")),
    ("halt", include_str!("../fakes/poweroff")),
    ("init", include_str!("../fakes/refused")),
    ("loginctl", include_str!("../fakes/refused")),
    ("nvidia-smi", include_str!("../fakes/nvidia-smi")),
    ("poweroff", include_str!("../fakes/poweroff")),
    ("reboot", include_str!("../fakes/refused")),
    ("shutdown", include_str!("../fakes/shutdown")),
    ("sudo", include_str!("../fakes/sudo")),
    ("systemctl", include_str!("../fakes/systemctl")),
    ("systemd-run", include_str!("../fakes/refused")),
    ("telinit", include_str!("../fakes/refused")),
];

/// How often a port is tried, and a process group looked for.
const POLL: Duration = Duration::from_millis(20);

/// What to run.
#[derive(Debug)]
pub struct Launch {
    /// The program and its arguments; none = nothing runs, and that counts as up.
    pub words: Vec<String>,
    /// All of its environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// Where its port will open, when the machine counts as up only then.
    pub opens: Option<SocketAddr>,
}

/// Makes the folder and the fakes in it.
///
/// # Errors
/// When it cannot be written, or when a box could reach the computer's own `shutdown`.
pub fn prepare(folder: Option<&Path>) -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let own = || {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-simcloud-{}-{count}", std::process::id());
        std::env::temp_dir().join(name)
    };
    let folder = folder.map_or_else(own, Path::to_owned);
    let fakes = folder.join("fakes");
    fs::create_dir_all(&fakes)?;
    fs::create_dir_all(folder.join("boxes"))?;
    let folder = folder.canonicalize()?;
    for (name, text) in FAKES {
        let path = fakes.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    safe_path(&folder)?;
    Ok(folder)
}

/// Where boxes look for programs: the fakes first, then `/usr/bin` and `/bin`, and nowhere else.
///
/// # Errors
/// When a program that ends a computer would be found anywhere but among the fakes.
pub fn safe_path(folder: &Path) -> io::Result<String> {
    let fakes = folder.join("fakes");
    let folders = [fakes.as_path(), Path::new("/usr/bin"), Path::new("/bin")];
    let forbidden = ["/sbin", "/usr/sbin", "/usr/local/sbin"];
    let is_forbidden = |folder: &&Path| forbidden.iter().any(|sbin| folder.starts_with(sbin));
    if folders.iter().any(is_forbidden) || fakes.to_string_lossy().contains(':') {
        return Err(io::Error::other(format!(
            "boxes may not run from {}: choose another folder",
            folder.display()
        )));
    }
    for (name, _) in FAKES {
        let found = folders.iter().find(|folder| folder.join(name).exists());
        if found != Some(&fakes.as_path()) {
            return Err(io::Error::other(format!(
                "the stand-in for {name} is missing, and a box could reach the computer's own"
            )));
        }
    }
    Ok(folders.map(|folder| folder.to_string_lossy()).join(":"))
}

/// A loopback address of its own for each machine, so that each may use the port that it was told to.
/// 127.0.0.0/8 is loopback as a whole on Linux; elsewhere all machines share one address.
pub fn fresh_address() -> IpAddr {
    static COUNT: AtomicU32 = AtomicU32::new(2);
    if cfg!(not(target_os = "linux")) {
        return IpAddr::V4(Ipv4Addr::LOCALHOST);
    }
    // 12 bits by process, so that clouds side by side do not meet, and 12 by machine. Never 127.0.0.x.
    let of_process = std::process::id() % 4095 + 1;
    let of_machine = COUNT.fetch_add(1, Ordering::Relaxed) % 4096;
    IpAddr::V4(Ipv4Addr::from_bits(
        127 << 24 | of_process << 12 | of_machine,
    ))
}

/// The words of the box's command for a machine.
pub fn command(words: &[String], address: IpAddr, port: u16) -> Vec<String> {
    let (host, port) = (address.to_string(), port.to_string());
    let fill = |word: &String| word.replace("{host}", &host).replace("{port}", &port);
    words.iter().map(fill).collect()
}

/// Runs a box to its end, and tells the world what becomes of it.
pub async fn run(cloud: Arc<Cloud>, id: String, boot: u64) {
    let plan = |machine: &Machine| match machine.vendor {
        Vendor::Runpod => Ok(runpod::pods::launch(&cloud, machine)),
        Vendor::Aws => aws::guest::launch(&cloud, machine),
    };
    let launch = cloud.with(|world, _| world.machines.get(&id).map(plan));
    let ended = match launch {
        None => return,
        Some(Err(problem)) => format!("it could not be prepared: {problem}"),
        Some(Ok(launch)) => {
            let _metadata = aws::imds::serve(&cloud, &id);
            live(&cloud, &id, boot, launch).await
        }
    };
    cloud.with(|world, now| world.box_ended(&id, boot, now, ended));
    cloud.changed.notify_waiters();
}

async fn live(cloud: &Arc<Cloud>, id: &str, boot: u64, launch: Launch) -> String {
    if launch.words.is_empty() {
        cloud.with(|world, now| world.box_listens(id, boot, now));
        cloud.changed.notify_waiters();
        return std::future::pending().await;
    }
    if let Some(address) = launch.opens {
        until_free(address).await;
    }
    let (mut child, group) = match spawn(cloud, id, &launch) {
        Ok(spawned) => spawned,
        Err(problem) => return format!("it did not start: {problem}"),
    };
    // Waiting for the child would close the pipe.
    let _lifeline = child.stdin.take();
    cloud.mind(group, true);
    if !cloud.with(|world, _| world.box_started(id, boot, group)) {
        kill(Some(group));
    }
    let opened = async {
        match launch.opens {
            Some(address) => until_open(address).await,
            None => std::future::pending().await,
        }
    };
    let mut opened = std::pin::pin!(opened);
    let mut is_open = false;
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended,
            () = &mut opened, if !is_open => {
                is_open = true;
                cloud.with(|world, now| world.box_listens(id, boot, now));
                cloud.changed.notify_waiters();
            }
        }
    };
    let ended = ended.map_or_else(|problem| problem.to_string(), |status| status.to_string());
    if launch.opens.is_some() {
        // A container ends with its first process.
        kill(Some(group));
    } else {
        cloud.with(|world, now| world.box_ended(id, boot, now, ended.clone()));
        until_empty(cloud, id, boot, group).await;
    }
    cloud.mind(group, false);
    ended
}

fn spawn(cloud: &Cloud, id: &str, launch: &Launch) -> io::Result<(Child, i32)> {
    let log = log_path(&cloud.folder, id);
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let (program, arguments) = launch
        .words
        .split_first()
        .ok_or_else(|| io::Error::other("there is no command"))?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.folder)
        // A pipe that is never written to: its end tells the box that this program is gone.
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let group = group.ok_or_else(|| io::Error::other("it ended at once"))?;
    Ok((child, group))
}

/// What a box has said.
pub fn log_path(folder: &Path, id: &str) -> PathBuf {
    folder.join("boxes").join(format!("{id}.log"))
}

/// Adds a line to what a box has said.
pub fn note(folder: &Path, id: &str, line: &str) {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(log_path(folder, id));
    let _noted = log.and_then(|mut log: File| writeln!(log, "simcloud: {line}"));
}

/// A box that was killed a moment ago, for a restart, may still hold the port.
async fn until_free(address: SocketAddr) {
    while http::bind(address.ip(), address.port()).is_err() {
        tokio::time::sleep(POLL).await;
    }
}

async fn until_open(address: SocketAddr) {
    while TcpStream::connect(address).await.is_err() {
        tokio::time::sleep(POLL).await;
    }
}

/// Until nothing is left of the group, or the machine is done with it.
async fn until_empty(cloud: &Arc<Cloud>, id: &str, boot: u64, group: i32) {
    let is_current = || {
        cloud.with(|world, _| {
            let machine = world.machines.get(id);
            machine.is_some_and(|machine| machine.boot == boot)
        })
    };
    let is_there =
        || Pid::from_raw(group).is_some_and(|group| test_kill_process_group(group).is_ok());
    while is_current() && is_there() {
        tokio::time::sleep(POLL * 10).await;
    }
}

/// Asks a process group to end.
pub fn end(group: Option<i32>) {
    signal(group, Signal::TERM);
}

/// Ends a process group.
pub fn kill(group: Option<i32>) {
    signal(group, Signal::KILL);
}

fn signal(group: Option<i32>, signal: Signal) {
    // A group of 1 would be everybody's; one that is gone already is no trouble.
    if let Some(group) = group.filter(|group| *group > 1).and_then(Pid::from_raw) {
        let _gone = kill_process_group(group, signal);
    }
}

/// Ends boxes when this program has ended without doing so itself.
#[derive(Debug)]
pub struct Reaper {
    words: Mutex<Option<ChildStdin>>,
    child: Mutex<std::process::Child>,
}

const REAPER: &str = r#"
trap '' INT TERM HUP
declare -A groups
while read -r sign group; do
  if [ "$sign" = + ]; then groups[$group]=1; else unset "groups[$group]"; fi
done
for group in "${!groups[@]}"; do kill -KILL -- "-$group" 2>/dev/null; done
if [ -n "$1" ]; then rm -rf -- "$1"; fi
"#;

impl Reaper {
    /// Starts it; it removes the folder too, where one is given.
    ///
    /// # Errors
    /// When there is no bash.
    pub fn start(folder: Option<&Path>) -> io::Result<Self> {
        let mut child = std::process::Command::new("/bin/bash")
            .args(["-c", REAPER, "reaper"])
            .args(folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self {
            words: Mutex::new(child.stdin.take()),
            child: Mutex::new(child),
        })
    }

    /// Notes a group, or that it is gone.
    pub fn mind(&self, group: i32, lives: bool) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(words) = words.as_mut() {
            let sign = if lives { '+' } else { '-' };
            let _gone = writeln!(words, "{sign} {group}");
        }
    }

    /// Lets it do its work now, and waits for that.
    pub fn end(&self) {
        drop(
            self.words
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let _ended = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_box_finds_the_computers_own_shutdown() {
        let folder = prepare(None).unwrap();
        let path = safe_path(&folder).unwrap();
        assert!(path.ends_with("/fakes:/usr/bin:/bin"), "{path}");
        fs::remove_file(folder.join("fakes/systemctl")).unwrap();
        assert!(safe_path(&folder).is_err());
        assert!(safe_path(Path::new("/usr/sbin/x")).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn machines_have_addresses_of_their_own() {
        let (one, other) = (fresh_address(), fresh_address());
        assert!(one.is_loopback() && other.is_loopback());
        if cfg!(target_os = "linux") {
            assert_ne!(one, other);
        }
        let words = [String::from("--host={host}"), String::from("{port}")];
        let words = command(&words, IpAddr::V4(Ipv4Addr::new(127, 1, 2, 3)), 8000);
        assert_eq!(words, ["--host=127.1.2.3", "8000"]);
    }
}
