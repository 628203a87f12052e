//! The gateway's admin API, as far as it says who owns what.
//!
//! Invariant: whatever is not a clear answer is an error, and names neither the admin key nor the body: a page
//! may be anybody's. A list of owners is as long as it says that it is, or it is read again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidegate_provider_api::{HttpCall, HttpReply, Method};
use tidegate_provider_send::Sender;
use tidegate_vault::Secret;
use url::Url;

const TIMEOUT: Duration = Duration::from_secs(30);
/// The most that a page may hold.
const PAGE: u32 = 200;
/// Lists that changed while they were read are read again, so often.
const TRIES: u32 = 5;
/// More instances than any organisation has.
const MOST: u32 = 1_000_000;

/// The gateway.
pub struct Gateway {
    /// Its root.
    pub url: Url,
    /// Its admin key.
    pub admin_key: Secret,
    /// The organisation.
    pub org: String,
    /// Sends.
    pub sender: Sender,
}

/// Why the gateway cannot say who owns what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered(String);

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An account, as the gateway knows it.
#[derive(Debug, Deserialize)]
pub struct Account {
    /// Whose.
    pub vendor: String,
    /// Where and how it rents.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Its mark; releases before November 2026 do not show it.
    #[serde(default)]
    pub fingerprint: Option<String>,
}

/// An instance that is not over.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Attempts to rent so far.
    pub attempt: u32,
    /// The machine of the last of them.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// Where it is in its life.
    pub status: String,
    /// The account of the last attempt.
    #[serde(default)]
    pub account_id: String,
}

/// One instance, asked for by itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Detail {
    /// Where it is in its life.
    pub status: String,
    /// Attempts to rent so far.
    pub attempt: u32,
    /// The machine of the last of them.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// What its own object knows of them; nothing when that did not answer.
    #[serde(default)]
    pub attempts: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Row>,
    total: u32,
}

impl Gateway {
    /// The account.
    ///
    /// # Errors
    /// Also when there is none: then this gateway is not the one that rents with it.
    pub fn account(&self, vendor: &str, account: &str) -> Result<Account, Unanswered> {
        let path = ["admin", "providers", vendor, "accounts", account];
        let found: Account = self.get(&path, &[])?.ok_or_else(|| {
            Unanswered(format!(
                "it knows no account {account} at {vendor}, so it cannot know who owns its machines: is it the right \
                 gateway, and the right organisation?"
            ))
        })?;
        if found.vendor != vendor {
            let other = found.vendor;
            return Err(Unanswered(format!("{account} is an account at {other}")));
        }
        Ok(found)
    }

    /// Every instance that is not over.
    ///
    /// # Errors
    /// When one page is missing, or the list does not hold still.
    pub fn owners(&self) -> Result<Vec<Row>, Unanswered> {
        for _ in 0..TRIES {
            if let Some(rows) = self.all_pages()? {
                return Ok(rows);
            }
        }
        Err(Unanswered(
            "its list of instances changed each time that it was read; try again".to_owned(),
        ))
    }

    /// Nothing when the list has changed meanwhile.
    fn all_pages(&self) -> Result<Option<Vec<Row>>, Unanswered> {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        let (mut read, mut total) = (0, None);
        while total.is_none_or(|total| read < total) {
            let query = [
                ("over", "false".to_owned()),
                ("limit", PAGE.to_string()),
                ("offset", read.to_string()),
            ];
            let page: Option<Page> = self.get(&["admin", "instances"], &query)?;
            let page = page.ok_or_else(|| Unanswered("it has no instances API".to_owned()))?;
            if page.total > MOST {
                return Err(Unanswered(
                    "it counts more instances than there can be".to_owned(),
                ));
            }
            let has_changed = total.is_some_and(|total| total != page.total);
            let length = u32::try_from(page.data.len()).unwrap_or(u32::MAX);
            if has_changed || (length == 0 && read < page.total) {
                return Ok(None);
            }
            total = Some(page.total);
            read = read.saturating_add(length);
            rows.extend(page.data.into_iter().map(|row| (row.id.clone(), row)));
        }
        let is_whole = u32::try_from(rows.len()).ok() == total;
        Ok(is_whole.then(|| rows.into_values().collect()))
    }

    /// One instance; nothing when there is none of that id.
    ///
    /// # Errors
    /// When there is no clear answer.
    pub fn instance(&self, id: &str) -> Result<Option<Detail>, Unanswered> {
        self.get(&["admin", "instances", id], &[])
    }

    /// Nothing for "there is no such thing", in the gateway's own words.
    fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Option<T>, Unanswered> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let key = self.admin_key.expose_str().unwrap_or_default();
        let call = HttpCall {
            method: Method::Get,
            url: url.into(),
            headers: vec![
                ("accept".to_owned(), "application/json".to_owned()),
                ("x-api-key".to_owned(), key.to_owned()),
                ("x-tidegate-org".to_owned(), self.org.clone()),
            ],
            body: None,
        };
        let reply = self.sender.send(&call, TIMEOUT);
        let reply = reply.map_err(|why| Unanswered(format!("it did not answer: {why}")))?;
        match reply.status {
            200 => serde_json::from_str(&reply.body)
                .map(Some)
                .map_err(|_| Unanswered("its answer is not of the form of its API".to_owned())),
            404 if code(&reply).as_deref() == Some("not_found") => Ok(None),
            403 => Err(Unanswered(
                "it does not take the admin key (403)".to_owned(),
            )),
            status => Err(Unanswered(match code(&reply) {
                Some(code) => format!("it answered {status}, {code}"),
                None => format!("it answered {status}"),
            })),
        }
    }
}

/// The code of a refusal of the gateway's; nothing for what is not its own.
fn code(reply: &HttpReply) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Reason,
    }
    #[derive(Deserialize)]
    struct Reason {
        code: String,
    }
    let refusal: Refusal = serde_json::from_str(&reply.body).ok()?;
    let code = refusal.error.code;
    let is_code = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (code.len() <= 64 && code.bytes().all(is_code)).then_some(code)
}
