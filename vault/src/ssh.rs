//! Key pairs by which people log in to machines that were rented for them: Ed25519 (RFC 8709), as OpenSSH
//! writes them.
//!
//! Invariant: the same 32 random bytes make the same pair, so a change that is repeated makes no second one;
//! the private half cannot be printed and is wiped when it is dropped.
use ssh_key::{
    LineEnding, PrivateKey,
    private::{Ed25519Keypair, KeypairData},
};

use crate::secret::Secret;

/// Random bytes that a pair takes.
pub const SSH_RANDOM: usize = 32;

/// A pair of keys.
#[derive(Debug)]
pub struct SshKeyPair {
    /// A line for `authorized_keys`: `ssh-ed25519 AAAA… comment`.
    pub public: String,
    /// A file for `ssh -i`, in OpenSSH's own format, not encrypted.
    pub private: Secret,
}

/// The pair could not be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key pair cannot be written down with this comment: use plain text on one line")]
pub struct SshRefused;

impl SshKeyPair {
    /// Makes a pair. `random` must come from a cryptographic source and be used for this pair only.
    ///
    /// # Errors
    /// When the comment is no line.
    pub fn from_random(random: &[u8; SSH_RANDOM], comment: &str) -> Result<Self, SshRefused> {
        if comment.chars().any(char::is_control) {
            return Err(SshRefused);
        }
        let pair = KeypairData::from(Ed25519Keypair::from_seed(random));
        let key = PrivateKey::new(pair, comment).map_err(|_| SshRefused)?;
        let private = key.to_openssh(LineEnding::LF).map_err(|_| SshRefused)?;
        Ok(Self {
            public: key.public_key().to_openssh().map_err(|_| SshRefused)?,
            private: Secret::from(private.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const COMMENT: &str = "srv_0bPELAU4eqF0bPErPOCgqv@default";

    fn pair(random: &[u8; 32]) -> SshKeyPair {
        SshKeyPair::from_random(random, COMMENT).unwrap()
    }

    /// RFC 8032 section 7.1, TEST 1.
    #[test]
    fn the_public_half_agrees_with_rfc_8032() {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
            .unwrap();
        let public =
            hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
                .unwrap();
        let line = pair(&seed.try_into().unwrap()).public;
        let mut parts = line.split(' ');
        assert_eq!(parts.next(), Some("ssh-ed25519"));
        let blob = <base64ct::Base64 as base64ct::Encoding>::decode_vec(parts.next().unwrap());
        // RFC 8709 section 4: the name and the 32 bytes, each with its length before it.
        let expected = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20".as_slice(), &public].concat();
        assert_eq!(blob.unwrap(), expected);
        assert_eq!(parts.next(), Some(COMMENT));
        assert_eq!(parts.next(), None);
    }

    #[test]
    fn a_pair_is_made_of_its_random_bytes_alone_and_prints_no_secret() {
        let (one, again, other) = (pair(&[7; 32]), pair(&[7; 32]), pair(&[8; 32]));
        assert_eq!(one.public, again.public);
        assert_eq!(one.private, again.private);
        assert_ne!(one.public, other.public);
        assert!(!format!("{one:?}").contains("PRIVATE"));
        let text = one.private.expose_str().unwrap();
        assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        assert!(text.ends_with("-----END OPENSSH PRIVATE KEY-----\n"));
    }

    #[test]
    fn a_comment_is_one_line() {
        for comment in ["a\nssh-ed25519 AAAA", "a\r", "a\0"] {
            assert_eq!(
                SshKeyPair::from_random(&[7; 32], comment).unwrap_err(),
                SshRefused
            );
        }
    }

    /// Where OpenSSH is installed, it reads what was written.
    #[test]
    fn openssh_reads_the_private_half_and_finds_the_public_one() {
        use std::fs;
        use std::os::unix::fs::OpenOptionsExt;
        if Command::new("ssh-keygen").arg("-?").output().is_err() {
            return;
        }
        let pair = pair(&[9; 32]);
        let path = std::env::temp_dir().join(format!("tidegate-ssh-{}", std::process::id()));
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        std::io::Write::write_all(&mut file.unwrap(), pair.private.expose()).unwrap();
        let read = Command::new("ssh-keygen")
            .arg("-y")
            .arg("-f")
            .arg(&path)
            .output();
        fs::remove_file(&path).unwrap();
        let read = read.unwrap();
        assert!(
            read.status.success(),
            "{}",
            String::from_utf8_lossy(&read.stderr)
        );
        assert_eq!(
            String::from_utf8(read.stdout).unwrap().trim_end(),
            pair.public
        );
    }
}
