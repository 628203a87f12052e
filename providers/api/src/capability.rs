//! What a vendor can and cannot do, as plain data. What it cannot do, the product says to its user.

/// A vendor's abilities and numbers. Times are milliseconds, sums micro-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Rents machines that may be taken away.
    pub spot: bool,
    /// Stops and starts a machine and keeps its disk meanwhile.
    pub stop_start: bool,
    /// The same marker again is the same machine, so a "create" whose reply was lost is simply repeated.
    pub idempotent_create: bool,
    /// Machines carry tags. Without, their name is all that tells whose they are.
    pub tags: bool,
    /// What a machine serves is reachable over public TLS.
    pub public_tls: bool,
    /// The vendor can say what a machine has cost.
    pub bills: bool,
    /// The vendor, or the machine by itself, ends its life in time although all of us are gone.
    pub time_limit: Option<TimeLimit>,
    /// What a stopped machine costs.
    pub stopped_billing: StoppedBilling,
    /// A machine that was made is in every list after this long at the latest.
    pub list_lag_ms: i64,
    /// A "create" that has no reply by then has none.
    pub create_timeout_ms: u64,
    /// Any other call that has no reply by then has none.
    pub call_timeout_ms: u64,
    /// From "create" to a machine that serves, for up to four GPUs: image and weights included.
    pub startup_timeout_ms: i64,
    /// The same for more.
    pub large_startup_timeout_ms: i64,
    /// From the decision to end a machine until the vendor's meter has stopped.
    pub stop_lead_ms: i64,
    /// The shortest time that is billed.
    pub billing_minimum_ms: i64,
    /// Time is billed in steps of this.
    pub billing_step_ms: i64,
    /// Calls a minute that the vendor takes.
    pub calls_per_minute: u32,
    /// The vendor's own limit on silence before the first byte of what a machine serves.
    pub first_token_cap_ms: Option<u64>,
    /// How often a change of price or state may be missed because the vendor tells us nothing by itself.
    pub webhooks: bool,
}

/// Who ends a machine's life in time when all of us are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// The vendor itself.
    Vendor,
    /// The machine shuts itself down, which ends it.
    Guest,
}

/// What a stopped machine costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoppedBilling {
    /// As much as a running one.
    Full,
    /// Its disk.
    Disk,
    /// Nothing.
    None,
}

/// A dead-man's switch: what ends a machine that nobody looks after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// The instance's own alarm.
    Alarm,
    /// The sweep of the account, by cron and by its own alarm.
    Sweep,
    /// The vendor's own time limit.
    VendorLimit,
    /// The machine's own timer: it shuts itself down, and at this vendor that ends it.
    GuestTimer,
}

impl Switch {
    /// The name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Sweep => "sweep",
            Self::VendorLimit => "vendor_limit",
            Self::GuestTimer => "guest_timer",
        }
    }
}

impl Capability {
    /// The switches that a machine of this vendor will have.
    pub fn switches(&self) -> Vec<Switch> {
        let third = self.time_limit.map(|limit| match limit {
            TimeLimit::Vendor => Switch::VendorLimit,
            TimeLimit::Guest => Switch::GuestTimer,
        });
        [Some(Switch::Alarm), Some(Switch::Sweep), third]
            .into_iter()
            .flatten()
            .collect()
    }

    /// How long a machine with so many GPUs may take to come up.
    pub const fn startup_ms(&self, gpus: u32) -> i64 {
        if gpus > 4 {
            self.large_startup_timeout_ms
        } else {
            self.startup_timeout_ms
        }
    }
}
