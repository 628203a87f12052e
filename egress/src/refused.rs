//! Why a URL may not be called.
use std::net::IpAddr;

use crate::{address::AddressClass, name::NameClass, spelling::MAX_BYTES};

/// Why the gate refuses. Messages name the host at most: never the path or query, where secrets hide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More than 2,048 bytes.
    #[error("the URL has {bytes} bytes and at most {MAX_BYTES} are read: give a shorter one")]
    TooLong {
        /// How many there were.
        bytes: usize,
    },
    /// Neither `http` nor `https`.
    #[error("the URL must start with http:// or https://")]
    Scheme,
    /// Readers disagree on what the text means.
    #[error(
        "the URL is ambiguous (spaces, control characters, backslashes or a missing '//'): \
         write it as http://host:port/path"
    )]
    Ambiguous,
    /// A user name or password before the host.
    #[error(
        "the URL holds credentials, which end up in logs: remove them and pass api_key instead"
    )]
    Credentials,
    /// Nothing where the host should be.
    #[error("the URL has no host: write it as http://host:port/path")]
    EmptyHost,
    /// The parser could not read it.
    #[error("the URL cannot be read: write it as http://host:port/path")]
    Unreadable(#[source] url::ParseError),
    /// The host is spelled in a form that stands for another.
    #[error("the host is an unusual spelling of '{host}': write that instead")]
    Spelling {
        /// What it stands for.
        host: String,
    },
    /// `example.com.`: the same host by another name, which slips past lists of names.
    #[error("the host ends in a dot: remove it")]
    TrailingDot,
    /// A port of some other service.
    #[error("port {port} belongs to another service: serve the model on another port")]
    Port {
        /// The port, given or implied.
        port: u16,
    },
    /// An address that is not public.
    #[error(
        "{address} is {class}: only public addresses are called; a private server of your own must be on \
         the list of allowed hosts"
    )]
    Address {
        /// The address.
        address: IpAddr,
        /// Which network it belongs to.
        class: AddressClass,
    },
    /// A name that is not public.
    #[error(
        "'{name}' {class}: only public names are called; a private server of your own must be on the \
         list of allowed hosts"
    )]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        class: NameClass,
    },
    /// Plain HTTP across the public internet while TLS is required.
    #[error(
        "plain http to a public host is switched off here: prompts and keys would travel in clear; use https"
    )]
    NotTls,
    /// A query in a base URL, which would end up in the middle of every request's URL.
    #[error("the base URL has a query: remove everything from '?'")]
    Query,
    /// The full URL of one route instead of the server's base.
    #[error("the URL is that of one route: give the server's base, such as http://host:port/v1")]
    RouteInBase,
    /// A redirect from https to http.
    #[error(
        "the redirect leads from https to http: it would show the request to everyone on the way"
    )]
    Downgrade,
    /// Not one of the few hosts that may be called with this credential.
    #[error("'{host}' is none of the hosts that are called here: nothing is sent to it")]
    NotPinned {
        /// Where it leads.
        host: String,
    },
}
