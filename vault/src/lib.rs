//! Keys, message authentication codes and sealed records.
//!
//! Owns every secret-dependent computation of the gateway: what an API key looks like and who may have
//! minted it, which identifiers are ours, and how a credential rests in storage. It decides nothing about
//! scopes, limits or expiry, and it stores nothing.
//!
//! Invariant: no function here reads a clock or a random source (random bytes are arguments), none panics
//! on any input, and nothing that holds a secret can be printed.
#![cfg_attr(
    test,
    allow(
        clippy::string_slice,
        clippy::unreachable,
        reason = "clippy has no switch for these two in tests"
    )
)]

mod api_key;
mod object_id;
mod seal;
mod tag;

mod account;
mod boot_token;
mod server_key;
mod ssh;

mod installation;
mod keyring;
mod organisation;
mod secret;

mod base62;
mod cipher;
mod compare;

pub use api_key::{
    API_KEY_CHARS, ApiKey, KEY_RANDOM, KEY_SECRET, KeyId, KeyIdRefused, KeyRefused, SecretHash,
    SecretHashRefused, VerifiedKey,
};
pub use compare::same_secret;
pub use installation::{Installation, WeakSecret};
pub use keyring::{Keyring, WrappingKey, WrappingKeyId};
pub use object_id::{
    ACCOUNT_RANDOM, INSTANCE_RANDOM, mint_account_id, mint_instance_id, verify_account_id,
    verify_instance_id,
};
pub use organisation::{Organisation, OrganisationRefused};
pub use seal::{
    Context, MAX_PLAINTEXT, OpenError, REWRAP_RANDOM, SEAL_RANDOM, SealError, Sealed,
    check_value_opens, needs_rewrap, open, rewrap, seal, seal_check_value,
};
pub use secret::Secret;
pub use server_key::{SERVER_KEY_RANDOM, server_key};
pub use ssh::{SSH_RANDOM, SshKeyPair, SshRefused};
pub use tag::Purpose;
