//! Rented GPUs: launched, listed, and put into rotation while they serve.
//!
//! Invariant: a rental is a row here before its object hears of it, and stays one until its life has been over
//! for long; its server entry exists exactly while its object says that it is in rotation. The entry's
//! generation grows over all the times that it comes and goes, since the object remembers the last one.

use super::{Fleet, checks};
use crate::bindings::ObjectName;
use crate::bindings::fleet::{FleetAnswer, RentalQuery, ServerEntry, ServerState, ServerStatus};
use crate::bindings::instance::{CheckReport, InstanceCommand};
use crate::bindings::ledger::LedgerCommand;
use crate::bindings::rental::{Launch, RentalStatus};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::fleet::ServerRecord;
use crate::records::rented::RentalRecord;
use crate::records::renting::load_profile;
use tidegate_domain::time::Span;

/// Each is looked at every five minutes and has timers of its own; more than this at once is a mistake.
const MAX_LIVE: usize = 1_000;
/// Offers that one launch may try.
const MAX_CANDIDATES: usize = 5;
const MAX_SEALED: usize = 32 * 1024;
/// Every rental is nudged this often, so that a lost alarm is set again.
const NUDGE_MINUTES: i64 = 5;
/// And so often for an hour after its life is over: its last words may be on their way.
const LAST_WORDS: Span = Span::from_secs(3_600);
/// Then once an hour for as long as it may ask its vendor what it has cost: three days, and one more.
const BILLS_COME: Span = Span::from_secs(4 * 86_400);
const NUDGE_OVER_MINUTES: i64 = 60;

impl Fleet {
    pub(super) fn launch(
        &mut self,
        cx: &mut Cx<'_>,
        id: String,
        launch: Launch,
        sealed_ssh_key: Option<String>,
    ) -> Result<FleetAnswer, StoreError> {
        if let Some(existing) = RentalRecord::load(cx.sql, &id)? {
            // The same again is the same launch, whose answer was lost.
            return Ok(if existing.launch == launch {
                shown(existing)
            } else {
                FleetAnswer::Duplicate { existing: id }
            });
        }
        if let Some(refused) = self.refuses(cx, &id, &launch, sealed_ssh_key.as_deref())? {
            return Ok(refused);
        }
        let now = cx.now.as_ms();
        let record = RentalRecord {
            id: id.clone(),
            launch: launch.clone(),
            status: RentalStatus {
                since_ms: now,
                ..RentalStatus::default()
            },
            sealed_ssh_key,
            sequence: 0,
            server_generation: 0,
            created_at_ms: now,
            updated_at_ms: now,
        };
        record.put(cx.sql)?;
        self.enroll(cx)?;
        let reason = format!(
            "{} of profile {}, {} offers to try",
            launch.name,
            launch.runtime.profile,
            launch.candidates.len()
        );
        self.note(cx, "instance.launched", &id, reason);
        self.tell(cx, &id, &InstanceCommand::Launch(Box::new(launch)))?;
        Ok(shown(record))
    }

    /// Why it cannot be launched, if it cannot.
    fn refuses(
        &self,
        cx: &Cx<'_>,
        id: &str,
        launch: &Launch,
        sealed_ssh_key: Option<&str>,
    ) -> Result<Option<FleetAnswer>, StoreError> {
        let invalid = |param: &str, reason: String| {
            Ok(Some(FleetAnswer::Invalid {
                param: param.to_owned(),
                reason,
            }))
        };
        if let Err(refused) =
            checks::server_id(id).and_then(|()| checks::name("name", &launch.name))
        {
            return Ok(Some(refused.into()));
        }
        if sealed_ssh_key.is_some_and(|sealed| sealed.len() > MAX_SEALED) {
            return invalid("ssh", "the sealed key is too long".to_owned());
        }
        if launch.candidates.is_empty() || launch.candidates.len() > MAX_CANDIDATES {
            return invalid(
                "offer_id",
                format!("a launch tries 1 to {MAX_CANDIDATES} offers"),
            );
        }
        if launch.ends.max_lifetime_ms <= 0 {
            return invalid(
                "max_lifetime_seconds",
                "must be more than zero: a GPU that nothing ends is not rented".to_owned(),
            );
        }
        let profile = &launch.runtime.profile;
        let Some(stored) = load_profile(cx.sql, profile)? else {
            return invalid("profile", format!("there is no profile `{profile}`"));
        };
        let live = RentalRecord::load_all(cx.sql, Some(false))?;
        if live.len() >= MAX_LIVE {
            return invalid(
                "profile",
                format!("{MAX_LIVE} GPUs are rented already; terminate some first"),
            );
        }
        let of_profile = live
            .iter()
            .filter(|it| it.launch.runtime.profile == *profile)
            .count();
        if of_profile >= usize::try_from(stored.max_instances).unwrap_or(usize::MAX) {
            return invalid(
                "profile",
                format!(
                    "{of_profile} GPUs of profile `{profile}` are rented already, and its max_instances is \
                     {}; raise that or terminate one",
                    stored.max_instances
                ),
            );
        }
        Ok(None)
    }

    pub(super) fn rental(cx: &Cx<'_>, id: &str) -> Result<FleetAnswer, StoreError> {
        Ok(RentalRecord::load(cx.sql, id)?.map_or(FleetAnswer::NotFound, shown))
    }

    pub(super) fn rentals(cx: &Cx<'_>, query: &RentalQuery) -> Result<FleetAnswer, StoreError> {
        let records = RentalRecord::load_all(cx.sql, query.over)?;
        let matches = |record: &RentalRecord| {
            let account = record.candidate().map(|candidate| &candidate.account);
            query.state.is_none_or(|state| record.status.state == state)
                && query.account.as_ref().is_none_or(|it| account == Some(it))
                && query
                    .profile
                    .as_ref()
                    .is_none_or(|it| record.launch.runtime.profile == *it)
        };
        let matching: Vec<&RentalRecord> = records.iter().filter(|it| matches(it)).collect();
        let skip = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(query.limit.clamp(1, 200)).unwrap_or(200);
        Ok(FleetAnswer::Rentals {
            rentals: matching
                .iter()
                .skip(skip)
                .take(take)
                .map(|it| it.row())
                .collect(),
            total: u32::try_from(matching.len()).unwrap_or(u32::MAX),
        })
    }

    /// A rental's object says what it now is.
    pub(super) fn hear_rental(
        &mut self,
        cx: &mut Cx<'_>,
        instance: &str,
        status: RentalStatus,
        sequence: u64,
    ) -> Result<FleetAnswer, StoreError> {
        let Some(mut record) = RentalRecord::load(cx.sql, instance)? else {
            // Pruned long ago, or a row that got lost: its own object looks after it either way.
            return Ok(FleetAnswer::Done);
        };
        if sequence <= record.sequence {
            return Ok(FleetAnswer::Done);
        }
        record.sequence = sequence;
        record.status = status;
        record.updated_at_ms = cx.now.as_ms();
        self.rotate(cx, &mut record)?;
        record.put(cx.sql)?;
        Ok(FleetAnswer::Done)
    }

    /// Puts it into rotation or takes it out.
    fn rotate(&mut self, cx: &mut Cx<'_>, record: &mut RentalRecord) -> Result<(), StoreError> {
        let is_in = self.servers.contains_key(&record.id);
        match (&record.status.endpoint, is_in) {
            (Some(endpoint), false) => {
                let entry = entry(record, endpoint);
                self.put_into_rotation(cx, record, entry)
            }
            (Some(endpoint), true) => {
                let entry = entry(record, endpoint);
                self.keep_in_rotation(cx, record, entry)
            }
            (None, true) => self.take_out_of_rotation(cx, record),
            (None, false) => Ok(()),
        }
    }

    fn put_into_rotation(
        &mut self,
        cx: &mut Cx<'_>,
        record: &mut RentalRecord,
        entry: ServerEntry,
    ) -> Result<(), StoreError> {
        let now = cx.now.as_ms();
        record.server_generation += 1;
        let server = ServerRecord {
            id: record.id.clone(),
            entry,
            announced: ServerStatus {
                state: ServerState::Healthy,
                since_ms: now,
                checked_at_ms: now,
                ..ServerStatus::default()
            },
            draining_since_ms: record.status.draining.then_some(now),
            generation: record.server_generation,
            sequence: None,
            created_at_ms: now,
            updated_at_ms: now,
        };
        server.put(cx.sql)?;
        // It has just made a token.
        let check = CheckReport {
            at_ms: now,
            ok: true,
            latency_ms: 0,
            reason: None,
        };
        self.configure(cx, &server, Some(check))?;
        self.note_rotation(cx, record, "server.registered");
        self.bump();
        self.servers.insert(record.id.clone(), server);
        Ok(())
    }

    fn keep_in_rotation(
        &mut self,
        cx: &mut Cx<'_>,
        record: &mut RentalRecord,
        entry: ServerEntry,
    ) -> Result<(), StoreError> {
        let Some(server) = self.servers.get(&record.id) else {
            return Ok(());
        };
        let now = cx.now.as_ms();
        let draining_since_ms = record
            .status
            .draining
            .then_some(server.draining_since_ms.unwrap_or(now));
        if server.entry == entry && server.draining_since_ms == draining_since_ms {
            return Ok(());
        }
        let is_moved = server.entry != entry;
        if is_moved {
            record.server_generation += 1;
        }
        let server = ServerRecord {
            entry,
            draining_since_ms,
            generation: record.server_generation,
            updated_at_ms: now,
            ..server.clone()
        };
        server.put(cx.sql)?;
        if is_moved {
            self.configure(cx, &server, None)?;
        }
        self.bump();
        self.servers.insert(record.id.clone(), server);
        Ok(())
    }

    fn take_out_of_rotation(
        &mut self,
        cx: &mut Cx<'_>,
        record: &mut RentalRecord,
    ) -> Result<(), StoreError> {
        self.servers.remove(&record.id);
        ServerRecord::delete(cx.sql, &record.id)?;
        record.server_generation += 1;
        let generation = record.server_generation;
        self.tell(cx, &record.id, &InstanceCommand::Remove { generation })?;
        self.note_rotation(cx, record, "server.deregistered");
        self.bump();
        Ok(())
    }

    fn note_rotation(&mut self, cx: &Cx<'_>, record: &RentalRecord, action: &str) {
        let actor = format!("instance/{}", record.id);
        let reason = format!("{}, rented", record.launch.runtime.model_name);
        self.note_of(cx, &actor, action, &record.id, reason);
    }

    /// Whether this server is rented: then its life says whether it is registered, and nobody else.
    pub(super) fn is_rented(cx: &Cx<'_>, id: &str) -> Result<bool, StoreError> {
        Ok(RentalRecord::load(cx.sql, id)?.is_some())
    }

    /// Every rental is nudged every few minutes, each in a minute of its own; one whose life is over for as long as
    /// it may still have something to say. So is the ledger, once there was something to pay.
    pub(super) fn nudge_rentals(&self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        let minute = cx.now.as_ms().div_euclid(60_000);
        let live = RentalRecord::live(cx.sql)?.into_iter();
        let live = live.map(|id| (id, NUDGE_MINUTES));
        let over = RentalRecord::over_since(cx.sql, cx.now - BILLS_COME)?.into_iter();
        let over = over.map(|(id, since)| {
            let is_fresh = cx.now.since(since) < LAST_WORDS;
            (
                id,
                if is_fresh {
                    NUDGE_MINUTES
                } else {
                    NUDGE_OVER_MINUTES
                },
            )
        });
        for (id, every) in live.chain(over).collect::<Vec<_>>() {
            let own = id.bytes().map(i64::from).sum::<i64>();
            if (minute + own).rem_euclid(every) == 0 {
                cx.poke(ObjectName::instance(&self.org, &id), &InstanceCommand::Tick)?;
            }
        }
        if minute.rem_euclid(NUDGE_MINUTES) == 0 && RentalRecord::is_any(cx.sql)? {
            cx.poke(ObjectName::ledger(&self.org), &LedgerCommand::Tick)?;
        }
        if minute.rem_euclid(24 * 60) == 0 {
            RentalRecord::prune(cx.sql, cx.now)?;
        }
        Ok(())
    }
}

fn shown(record: RentalRecord) -> FleetAnswer {
    FleetAnswer::Rental {
        rental: Box::new(record.entry()),
    }
}

/// A rental as a server.
fn entry(record: &RentalRecord, endpoint: &str) -> ServerEntry {
    let runtime = &record.launch.runtime;
    let candidate = record.candidate();
    let cap = candidate
        .and_then(|candidate| tidegate_providers::by_name(&candidate.vendor))
        .and_then(|provider| provider.capability().first_token_cap_ms);
    ServerEntry {
        model_name: runtime.model_name.clone(),
        endpoint_url: format!("{}/v1", endpoint.trim_end_matches('/')),
        sealed_api_key: runtime.sealed_api_key.clone(),
        owner: record.launch.project.clone(),
        max_concurrency: runtime.max_concurrency,
        queue_depth: runtime.queue_depth,
        weight: 1,
        priority: 0,
        price_microusd_per_hour: record.status.microusd_per_hour,
        metadata: std::collections::BTreeMap::from([(
            "instance".to_owned(),
            serde_json::Value::String(record.launch.name.clone()),
        )]),
        upstream_model: runtime.upstream_model.clone(),
        first_token_cap_ms: cap,
    }
}
