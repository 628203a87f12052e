//! Changes that may be repeated: which was carried out under which idempotency key, and what was answered.
//!
//! Invariant: a change and the note that it was made are one write, so a repetition never carries it out
//! again, whatever was lost in between. What is kept is bounded in number, size and time; whatever a secret
//! could be read or made from goes after ten minutes.
//!
//! In scope: the rows. Out of scope: who may go on (`tidegate_domain::idempotency`), and what names a request
//! (the edge: organisation, actor, method, path and key; a MAC of the body).

use tidegate_domain::idempotency::{Ageing, Entry, Verdict};
use tidegate_domain::time::{Span, Timestamp};

use super::Fleet;
use crate::bindings::fleet::{FleetAnswer, FleetCommand};
use crate::bindings::once::{Once, OnceAnswer, OnceReply};
use crate::driver::{Cx, encode};
use crate::ports::StoreError;
use crate::records::once::{OnceRecord, census};

/// Keys remembered at once: one change every 17 s, all day. At a few hundred bytes to 64 KiB each they are
/// far inside an object's storage.
const MOST: i64 = 5_000;
/// Longest answer that is kept. A registration that lists a thousand models is about half of it.
const MOST_BYTES: usize = 64 * 1024;
/// Records looked at in one alarm; the next one follows at once.
const AT_ONCE: i64 = 200;
/// Without a free place: how soon one may come free. An entry that nobody answered goes after ten minutes.
const FULL: Span = Span::from_secs(600);

/// What is known of the rows without reading them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Remembered {
    count: i64,
    due: Option<Timestamp>,
}

impl Remembered {
    pub(super) fn load(cx: &Cx<'_>) -> Result<Self, StoreError> {
        let (count, due) = census(cx.sql)?;
        Ok(Self { count, due })
    }

    pub(super) const fn due(&self) -> Option<Timestamp> {
        self.due
    }
}

impl Fleet {
    pub(super) fn reserve(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
        fingerprint: String,
    ) -> Result<String, StoreError> {
        let known = OnceRecord::load(cx.sql, id)?;
        let over = |known: &OnceRecord| known.entry().is_over(cx.now);
        let answer = match known {
            Some(known) if !over(&known) && known.fingerprint != fingerprint => OnceAnswer::Reused,
            Some(known) => match known.entry().judge(cx.now) {
                Verdict::Begin(entry) => self.begin(cx, id, fingerprint, entry)?,
                Verdict::Resume(entry) => self.resume(cx, id, known, entry)?,
                Verdict::Wait(pause) => OnceAnswer::Running {
                    retry_after_ms: pause.as_ms().unsigned_abs(),
                },
                Verdict::Replay => match known.reply {
                    Some(reply) => OnceAnswer::Replay { reply },
                    None => OnceAnswer::Erased,
                },
                Verdict::Erased => OnceAnswer::Erased,
            },
            None if self.remembered.count >= MOST => OnceAnswer::Full {
                retry_after_ms: FULL.as_ms().unsigned_abs(),
            },
            None => {
                let answer = self.begin(cx, id, fingerprint, Entry::begin(cx.now))?;
                self.remembered.count += 1;
                answer
            }
        };
        encode("answer to a key", &answer)
    }

    fn begin(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
        fingerprint: String,
        entry: Entry,
    ) -> Result<OnceAnswer, StoreError> {
        let (token, seed) = (random_text(cx), random_text(cx));
        let mut record = OnceRecord {
            first_at_ms: 0,
            lease_until_ms: 0,
            token: token.clone(),
            fingerprint,
            seed: Some(seed.clone()),
            made: None,
            note: None,
            answered: false,
            secret: false,
            reply: None,
        };
        record.follow(entry);
        self.remember(cx, id, &record)?;
        Ok(OnceAnswer::Go {
            token,
            seed,
            made: false,
            note: None,
        })
    }

    fn resume(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
        mut record: OnceRecord,
        entry: Entry,
    ) -> Result<OnceAnswer, StoreError> {
        record.token = random_text(cx);
        record.follow(entry);
        self.remember(cx, id, &record)?;
        Ok(OnceAnswer::Go {
            token: record.token,
            seed: record.seed.unwrap_or_default(),
            made: true,
            note: record.note,
        })
    }

    /// Carries a change out, unless it was before: then what it answered is the answer again.
    pub(super) fn change_once(
        &mut self,
        cx: &mut Cx<'_>,
        once: Once,
        command: FleetCommand,
    ) -> Result<String, StoreError> {
        let superseded = || encode("fleet answer", &FleetAnswer::Superseded);
        let Some(mut record) = OnceRecord::load(cx.sql, &once.id)? else {
            return superseded();
        };
        match record.made {
            Some(made) if !made.is_empty() => return Ok(made),
            Some(_) => return superseded(),
            None => {}
        }
        if record.answered || record.token != once.token {
            return superseded();
        }
        let answer = self.answer(cx, command)?;
        if is_made(&answer) {
            record.made = Some(answer.clone());
            record.note = once.note;
            self.remember(cx, &once.id, &record)?;
        }
        Ok(answer)
    }

    pub(super) fn conclude(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
        token: &str,
        reply: Option<OnceReply>,
    ) -> Result<FleetAnswer, StoreError> {
        let known = OnceRecord::load(cx.sql, id)?;
        let Some(mut record) = known.filter(|known| known.token == token && !known.answered) else {
            // Somebody else took over, and concludes.
            return Ok(FleetAnswer::Done);
        };
        let Some(reply) = reply else {
            match record.entry().let_go(cx.now) {
                Some(entry) => {
                    record.follow(entry);
                    self.remember(cx, id, &record)?;
                }
                None => {
                    OnceRecord::delete(cx.sql, id)?;
                    self.remembered.count -= 1;
                }
            }
            return Ok(FleetAnswer::Done);
        };
        record.follow(record.entry().answered(reply.secret));
        record.erase();
        record.made = None;
        record.reply = Some(reply).filter(|reply| reply.body.len() <= MOST_BYTES);
        self.remember(cx, id, &record)?;
        Ok(FleetAnswer::Done)
    }

    /// Forgets what is over and erases what was secret, when it is due.
    pub(super) fn forget_repeats(&mut self, cx: &Cx<'_>) -> Result<(), StoreError> {
        if self.remembered.due.is_none_or(|due| due > cx.now) {
            return Ok(());
        }
        for (id, mut record) in OnceRecord::load_due(cx.sql, cx.now, AT_ONCE)? {
            let entry = record.entry();
            match entry.age(cx.now) {
                Ageing::Drop => OnceRecord::delete(cx.sql, &id)?,
                Ageing::Erase => {
                    record.erase();
                    record.put(cx.sql, &id, entry.due_at(cx.now))?;
                }
                Ageing::Keep => record.put(cx.sql, &id, entry.due_at(cx.now))?,
            }
        }
        self.remembered = Remembered::load(cx)?;
        Ok(())
    }

    fn remember(&mut self, cx: &Cx<'_>, id: &str, record: &OnceRecord) -> Result<(), StoreError> {
        let due = record.entry().due_at(cx.now);
        record.put(cx.sql, id, due)?;
        let sooner = self.remembered.due.is_none_or(|set| due < set);
        if sooner {
            self.remembered.due = Some(due);
        }
        Ok(())
    }
}

/// Whether a command did what it was asked.
fn is_made(answer: &str) -> bool {
    serde_json::from_str(answer).is_ok_and(|answer| {
        !matches!(
            answer,
            FleetAnswer::NotFound | FleetAnswer::Duplicate { .. } | FleetAnswer::Invalid { .. }
        )
    })
}

fn random_text(cx: &Cx<'_>) -> String {
    let mut bytes = [0_u8; 16];
    cx.entropy.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
