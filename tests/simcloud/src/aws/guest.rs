//! What an instance does when it boots: cloud-init, as far as scripts go, in a folder that stands for its disk.
//!
//! As cloud-init documents it: the executables in `scripts/per-boot` at every boot, user data that begins with
//! `#!` once, at the first. Containers with a policy of `always` or `unless-stopped` come back as Docker's daemon
//! would bring them. User data of other kinds (`#cloud-config`) is not executed.
//!
//! Invariant: programs are found among the stand-ins first and then in `/usr/bin` and `/bin` alone; a script that
//! names `/sbin` is not executed at all.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::boxes::{self, Launch};
use crate::cloud::Cloud;
use crate::machine::Machine;

const BEGIN: &str = r#"
cd "$SIMCLOUD_FOLDER" || exit 1
rm -f containers/*/keeper containers/*/process
for policy in containers/*/policy; do
  case "$(cat "$policy" 2>/dev/null)" in
    always | unless-stopped) name=${policy%/policy} && docker start "${name##*/}" ;;
  esac
done
scripts=root/var/lib/cloud/scripts/per-boot
for script in "$scripts"/*; do
  [ ! -x "$script" ] || "$PWD/$script"
done
if [ ! -e booted ]; then
  : >booted
  script=root/var/lib/cloud/instance/scripts/part-001
  [ ! -e "$script" ] || "$PWD/$script"
fi
"#;

/// Lays the disk out and tells what boots from it.
///
/// # Errors
/// When the disk cannot be written, or the script could reach the computer that it would run on.
pub fn launch(cloud: &Cloud, machine: &Machine) -> io::Result<Launch> {
    let folder = cloud.folder.join("boxes").join(&machine.id);
    let root = folder.join("root");
    let scripts = root.join("var/lib/cloud/instance/scripts");
    for part in [
        scripts.clone(),
        root.join("var/lib/cloud/scripts/per-boot"),
        root.join("etc"),
    ] {
        fs::create_dir_all(part)?;
    }
    let data = machine.instance().map(|i| i.user_data.as_slice());
    let data = data.unwrap_or_default();
    if String::from_utf8_lossy(data).contains("/sbin") {
        return Err(io::Error::other(
            "its user data names /sbin, where the computer's own shutdown is",
        ));
    }
    if data.starts_with(b"#!") {
        let script = scripts.join("part-001");
        fs::write(&script, data)?;
        executable(&script)?;
    } else if !data.is_empty() {
        boxes::note(
            &cloud.folder,
            &machine.id,
            "user data that is no script is not executed",
        );
    }
    let words = &cloud.options.box_command;
    let idle = [String::from("/usr/bin/sleep"), String::from("infinity")];
    let words = if words.is_empty() {
        &idle
    } else {
        words.as_slice()
    };
    fs::write(folder.join("box-command"), words.join("\n") + "\n")?;
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let env = [
        ("PATH", boxes::safe_path(&cloud.folder)?),
        ("HOME", text(&root)),
        ("LANG", String::from("C.UTF-8")),
        ("SIMCLOUD_FOLDER", text(&folder)),
        (
            "SIMCLOUD_CONTROL",
            format!("http://{}", cloud.addresses.control),
        ),
        ("SIMCLOUD_MACHINE", machine.id.clone()),
        ("SIMCLOUD_ADDRESS", machine.address.to_string()),
        ("SIMCLOUD_GPUS", machine.gpus_present.to_string()),
        ("SIMCLOUD_GPU", String::from("NVIDIA GPU")),
        // Scripts that write to the disk of the machine may honour one of these; the usual paths are this
        // computer's own.
        ("TIDEGATE_ROOT", text(&root)),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            format!("http://{}:{}", machine.address, super::imds::PORT),
        ),
    ];
    let env: BTreeMap<_, _> = env
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(Launch {
        words: ["/bin/bash", "-c", BEGIN].map(str::to_owned).to_vec(),
        env,
        folder,
        opens: None,
    })
}

fn executable(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}
