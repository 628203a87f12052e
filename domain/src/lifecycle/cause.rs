//! Why a rental is in its state, as a closed list with one code and one sentence each.

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $words:literal;)+) => {
        /// Why.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Cause {
            $($(#[$doc])* $name,)+
        }

        impl Cause {
            /// Every cause.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name in records and answers.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            const fn words(self) -> &'static str {
                match self {
                    $(Self::$name => $words,)+
                }
            }
        }
    };
}

causes! {
    /// Somebody asked for it.
    Asked = "asked", "somebody asked for it";
    /// Nobody asked it anything for as long as it may idle.
    Idle = "idle", "no request for as long as it may idle";
    /// It has lived as long as it may.
    MaxLifetime = "max_lifetime", "it has lived as long as it may";
    /// The reservation is over.
    ReservationEnd = "reservation_end", "its reservation is over";
    /// The clock is in one of its stop windows.
    StopWindow = "stop_window", "the clock is in one of its stop windows";
    /// A budget does not allow it.
    Budget = "budget", "a budget does not allow it to go on";
    /// The ledger did not say in time that it may go on.
    LedgerSilent = "ledger_silent", "the ledger did not say in time that it may go on";
    /// It did not come up in time.
    StartupTimeout = "startup_timeout", "it did not come up in time";
    /// It came up with fewer GPUs than were rented.
    GpuMissing = "gpu_missing", "it came up with fewer GPUs than were rented";
    /// The vendor takes it back.
    Preempted = "preempted", "the vendor takes its capacity back";
    /// Somebody stopped it, but not through here.
    StoppedOutside = "stopped_outside", "somebody stopped it, not through this gateway";
    /// Somebody started it, but not through here.
    StartedOutside = "started_outside", "somebody started it, not through this gateway";
    /// Somebody gave it back, but not through here.
    DeletedOutside = "deleted_outside", "somebody gave it back, not through this gateway";
    /// What ran on it ended by itself.
    Crashed = "crashed", "what ran on it ended by itself";
    /// The machine shut itself down.
    ShutItselfDown = "shut_itself_down", "the machine shut itself down";
    /// The vendor refuses to stop it, so it is given back.
    StopRefused = "stop_refused", "the vendor refuses to stop it";
    /// The vendor could not start it.
    StartRefused = "start_refused", "the vendor could not start it";
    /// No offer could be rented.
    NothingToRent = "nothing_to_rent", "every offer was refused";
    /// The vendor does not let the account in.
    CredentialRefused = "credential_refused", "the vendor refuses the account's credential";
    /// It showed up after its life was over.
    LateSighting = "late_sighting", "it showed up after it had been given up";
    /// What serves it is not reachable over public TLS.
    NoPublicTls = "no_public_tls", "its vendor gives it no address with public TLS: it serves once a node agent carries its traffic";
}

impl Cause {
    /// The cause with this code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.code() == code)
    }
}

impl core::fmt::Display for Cause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::Cause;

    #[test]
    fn every_cause_is_read_back_by_its_code() {
        for cause in Cause::ALL {
            assert_eq!(Cause::parse(cause.code()), Some(*cause));
        }
        assert_eq!(Cause::parse("nonsense"), None);
    }
}
