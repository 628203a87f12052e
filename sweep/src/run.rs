//! One run: look, ask, wait, look and ask again, give back, and say what was found.
//!
//! Invariant: between a look at the vendor and a question to the gateway the gateway comes second, so that a machine
//! that was made in between is known there: an intent is written before the vendor is called.

use std::collections::BTreeMap;
use std::io::{self, Write};

use tidegate_domain::time::Span;
use tidegate_domain::vendor::stray::{GRACE, Step, Stray, Why};
use tidegate_provider_api::{Fingerprint, Machine, MachineState, Settings};
use tidegate_provider_send::Sender;

use crate::clock::Clock;
use crate::ending::{Fate, Tracked, end};
use crate::gateway::{Gateway, Row};
use crate::options::{Asked, Options};
use crate::owners::{Judged, is_nobodys, judged};
use crate::table::{Line, age, render};
use crate::vendor::{Listing, Vendor};

/// How it ended, as the process tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// There is nothing that nobody owns.
    Clean,
    /// It could not be told.
    Unknown,
    /// There was something, and it is gone.
    Killed,
    /// Something is there that nobody owns.
    Left,
}

impl Exit {
    /// The process's code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Unknown => 1,
            Self::Killed => 2,
            Self::Left => 3,
        }
    }
}

/// Runs, and writes what it finds.
///
/// # Errors
/// When that cannot be written.
pub fn sweep(options: Options, clock: &dyn Clock, out: &mut dyn Write) -> io::Result<Exit> {
    let vendor = match Vendor::new(options.provider, &options.credential, options.origins) {
        Ok(vendor) => vendor,
        Err(why) => return unknown(out, &why),
    };
    let mut run = Run {
        vendor,
        clock,
        out,
        kill: options.kill,
    };
    match options.owners {
        Asked::Gateway {
            url,
            admin_key,
            org,
            account,
        } => {
            let gateway = Gateway {
                url,
                admin_key,
                org,
                sender: Sender::new(),
            };
            run.asking(
                &gateway,
                options.provider.vendor(),
                &account,
                options.settings,
                options.fingerprint,
            )
        }
        Asked::Nobody { older_than } => match options.fingerprint {
            Some(mark) => run.by_age(&mark, options.settings, older_than),
            None => unknown(run.out, "the account's mark is missing"),
        },
    }
}

fn unknown(out: &mut dyn Write, why: &str) -> io::Result<Exit> {
    writeln!(out, "could not tell: {why}")?;
    Ok(Exit::Unknown)
}

struct Run<'a> {
    vendor: Vendor,
    clock: &'a dyn Clock,
    out: &'a mut dyn Write,
    kill: bool,
}

impl Run<'_> {
    fn asking(
        &mut self,
        gateway: &Gateway,
        vendor: &str,
        account: &str,
        given: Settings,
        mark: Option<Fingerprint>,
    ) -> io::Result<Exit> {
        let known = match gateway.account(vendor, account) {
            Ok(known) => known,
            Err(why) => return self.only_report(&why.to_string(), given, mark),
        };
        let shown = known.fingerprint.as_deref().and_then(Fingerprint::parse);
        let mark = match (mark, shown) {
            (Some(given), Some(shown)) if given != shown => {
                let (given, shown) = (given.as_str(), shown.as_str());
                let why = format!("--fingerprint is {given}, and the gateway says {shown}");
                return unknown(self.out, &why);
            }
            (Some(mark), _) | (None, Some(mark)) => mark,
            (None, None) => {
                let why =
                    "the gateway does not show the account's mark: give it with --fingerprint";
                return unknown(self.out, why);
            }
        };
        let mut settings = Settings(known.settings);
        settings.0.extend(given.0);
        if let Err(why) = self.vendor.set(settings) {
            return unknown(self.out, &why);
        }
        let first = match self.look(&mark)? {
            Ok(listing) => listing,
            Err(exit) => return Ok(exit),
        };
        let rows = match gateway.owners() {
            Ok(rows) => rows,
            Err(why) => return self.ownerless(&first, &why.to_string()),
        };
        let found = self.judge(&first, account, &rows);
        let mut strays = BTreeMap::new();
        self.track(&first, &found, &mut strays);
        self.tell(&first, &strays, &found)?;
        if strays.is_empty() {
            return Ok(Exit::Clean);
        }
        if !self.kill {
            writeln!(self.out, "nothing was given back: that takes --kill")?;
            return Ok(Exit::Left);
        }
        self.second_look(gateway, account, &mark, strays)
    }

    /// What was there before is looked at again, when it has had its time.
    fn second_look(
        &mut self,
        gateway: &Gateway,
        account: &str,
        mark: &Fingerprint,
        mut strays: BTreeMap<String, Tracked>,
    ) -> io::Result<Exit> {
        let until = self.clock.now() + GRACE;
        writeln!(
            self.out,
            "looking again in {} minutes: what nobody owns then either is given back",
            GRACE.as_ms() / 60_000
        )?;
        self.clock.wait(self.clock.now().until(until));
        let second = match self.look(mark)? {
            Ok(listing) => listing,
            Err(exit) => return Ok(exit),
        };
        let rows = match gateway.owners() {
            Ok(rows) => rows,
            Err(why) => return self.ownerless(&second, &why.to_string()),
        };
        let found = self.judge(&second, account, &rows);
        // What has found its owner meanwhile is no stray; what is not shown any more is asked for.
        strays.retain(|id, _| {
            let place = second.ours.iter().position(|machine| machine.id == *id);
            place.is_none_or(|place| {
                let is_gone = second.ours.get(place).is_some_and(is_over);
                is_gone || found.strays.iter().any(|(stray, _)| *stray == place)
            })
        });
        let steps = self.track(&second, &found, &mut strays);
        let mut confirmed = Vec::new();
        let mut doubt = None;
        for (id, step) in steps {
            if !matches!(step, Step::Destroy { .. }) {
                confirmed.push((id, step));
                continue;
            }
            let Some(tracked) = strays.get_mut(&id) else {
                continue;
            };
            match self.owner_of(gateway, &tracked.machine) {
                Ok(Ok(())) => confirmed.push((id, step)),
                Ok(Err(why)) => tracked.fate = Fate::Spared(why.to_owned()),
                Err(why) => {
                    tracked.fate = Fate::Spared("the gateway did not say who owns it".to_owned());
                    doubt = Some(why);
                }
            }
        }
        end(&self.vendor, self.clock, &mut strays, confirmed);
        self.tell(&second, &strays, &found)?;
        match doubt {
            Some(why) => unknown(self.out, &why),
            None => Ok(verdict(&strays)),
        }
    }

    fn owner_of(
        &self,
        gateway: &Gateway,
        machine: &Machine,
    ) -> Result<Result<(), &'static str>, String> {
        let Some(marker) = &machine.marker else {
            return Ok(Err("it carries no mark"));
        };
        let instance = gateway.instance(&marker.instance);
        let instance = instance.map_err(|why| format!("the gateway: {why}"))?;
        Ok(is_nobodys(machine, marker, instance.as_ref()))
    }

    /// Nobody says who owns what: what is older than that is too old.
    fn by_age(
        &mut self,
        mark: &Fingerprint,
        given: Settings,
        older_than: Span,
    ) -> io::Result<Exit> {
        if let Err(why) = self.vendor.set(given) {
            return unknown(self.out, &why);
        }
        let listing = match self.look(mark)? {
            Ok(listing) => listing,
            Err(exit) => return Ok(exit),
        };
        let now = self.clock.now();
        let mut old = BTreeMap::new();
        for machine in listing.ours.iter().filter(|machine| !is_over(machine)) {
            let since = machine
                .billed_from_ms
                .map(tidegate_domain::time::Timestamp::from_ms);
            let fate = match since {
                Some(since) if since + older_than <= now => Fate::Noticed,
                Some(since) => Fate::Spared(format!("it is {} old", age(now, since))),
                None => Fate::Spared("the vendor does not say how old it is".to_owned()),
            };
            let stray = Stray::new(now, listing.begun_at, Why::Unwanted);
            let tracked = Tracked {
                machine: machine.clone(),
                stray,
                fate,
            };
            old.insert(machine.id.clone(), tracked);
        }
        let steps: Vec<(String, Step)> = old
            .iter_mut()
            .filter(|(_, tracked)| self.kill && tracked.fate == Fate::Noticed)
            .map(|(id, tracked)| (id.clone(), tracked.stray.decide(now)))
            .collect();
        end(&self.vendor, self.clock, &mut old, steps);
        self.tell(&listing, &old, &Judged::default())?;
        // What is too young is not what was looked for; what has no age may be.
        old.retain(|_, tracked| {
            let is_young =
                matches!(tracked.fate, Fate::Spared(_)) && tracked.machine.billed_from_ms.is_some();
            !is_young
        });
        if !self.kill && !old.is_empty() {
            writeln!(self.out, "nothing was given back: that takes --kill")?;
        }
        Ok(verdict(&old))
    }

    /// Everything, or why it is not known.
    fn look(&mut self, mark: &Fingerprint) -> io::Result<Result<Listing, Exit>> {
        let listing = match self.vendor.list(self.clock, mark) {
            Ok(listing) => listing,
            Err(error) => {
                let title = self.vendor.title();
                let why = format!("{title}'s list is not whole, and nothing was done: {error}");
                return unknown(self.out, &why).map(Err);
            }
        };
        let regions = listing.regions.join(", ");
        writeln!(
            self.out,
            "{} with the mark {} in {regions}",
            counted(
                listing
                    .ours
                    .iter()
                    .filter(|machine| !is_over(machine))
                    .count()
            ),
            mark.as_str(),
        )?;
        if !listing.others.is_empty() {
            let others: Vec<&str> = listing.others.iter().map(Fingerprint::as_str).collect();
            writeln!(
                self.out,
                "others have the marks {}, and are left alone",
                others.join(", ")
            )?;
        }
        Ok(Ok(listing))
    }

    fn judge(&self, listing: &Listing, account: &str, rows: &[Row]) -> Judged {
        let lag = self.vendor.list_lag();
        judged(listing.begun_at, lag, &listing.ours, account, rows)
    }

    /// Notes what a list says of strays, and what follows.
    fn track(
        &self,
        listing: &Listing,
        found: &Judged,
        strays: &mut BTreeMap<String, Tracked>,
    ) -> Vec<(String, Step)> {
        let now = self.clock.now();
        let mut steps = Vec::new();
        let mut shown = Vec::new();
        for (place, why) in &found.strays {
            let Some(machine) = listing.ours.get(*place) else {
                continue;
            };
            shown.push(machine.id.clone());
            match strays.get_mut(&machine.id) {
                Some(tracked) => {
                    tracked.machine = machine.clone();
                    let step = tracked.stray.listed(now, listing.begun_at, *why);
                    steps.push((machine.id.clone(), step));
                }
                None => {
                    let tracked = Tracked {
                        machine: machine.clone(),
                        stray: Stray::new(now, listing.begun_at, *why),
                        fate: Fate::Noticed,
                    };
                    strays.insert(machine.id.clone(), tracked);
                }
            }
        }
        for (id, tracked) in strays.iter_mut().filter(|(id, _)| !shown.contains(id)) {
            steps.push((id.clone(), tracked.stray.missed(listing.begun_at)));
        }
        steps
    }

    /// Without owners there is nothing to do but to say what is there.
    fn ownerless(&mut self, listing: &Listing, why: &str) -> io::Result<Exit> {
        let mut living = listing
            .ours
            .iter()
            .filter(|machine| !is_over(machine))
            .peekable();
        if living.peek().is_none() {
            writeln!(self.out, "the gateway: {why}; but there is nothing to own")?;
            return Ok(Exit::Clean);
        }
        let lines: Vec<Line<'_>> = living
            .map(|machine| Line {
                machine,
                verdict: "not known".to_owned(),
            })
            .collect();
        write!(self.out, "{}", render(self.clock.now(), &lines))?;
        unknown(
            self.out,
            &format!("the gateway: {why}; nothing was given back"),
        )
    }

    fn only_report(
        &mut self,
        why: &str,
        given: Settings,
        mark: Option<Fingerprint>,
    ) -> io::Result<Exit> {
        let Some(mark) = mark else {
            let why = format!(
                "the gateway: {why}; with --fingerprint the machines could be shown at least"
            );
            return unknown(self.out, &why);
        };
        if let Err(refused) = self.vendor.set(given) {
            return unknown(self.out, &format!("the gateway: {why}; and {refused}"));
        }
        match self.look(&mark)? {
            Ok(listing) => self.ownerless(&listing, why),
            Err(exit) => Ok(exit),
        }
    }

    fn tell(
        &mut self,
        listing: &Listing,
        strays: &BTreeMap<String, Tracked>,
        found: &Judged,
    ) -> io::Result<()> {
        let owned = listing.ours.iter().filter(|machine| !is_over(machine));
        let owned = owned.filter(|machine| !strays.contains_key(&machine.id));
        let mut lines: Vec<Line<'_>> = owned
            .map(|machine| Line {
                machine,
                verdict: "owned".to_owned(),
            })
            .collect();
        lines.extend(strays.values().map(|tracked| Line {
            machine: &tracked.machine,
            verdict: words(tracked),
        }));
        if !lines.is_empty() {
            write!(self.out, "{}", render(self.clock.now(), &lines))?;
        }
        for attempt in &found.missing {
            writeln!(
                self.out,
                "the gateway counts on attempt {} of {}, and {} shows no machine of it",
                attempt.number,
                attempt.instance,
                self.vendor.title()
            )?;
        }
        Ok(())
    }
}

fn is_over(machine: &Machine) -> bool {
    machine.state == MachineState::Terminated
}

fn counted(machines: usize) -> String {
    match machines {
        0 => "no machine".to_owned(),
        1 => "1 machine".to_owned(),
        more => format!("{more} machines"),
    }
}

fn words(Tracked { stray, fate, .. }: &Tracked) -> String {
    let why = match stray.why {
        Why::Orphan => "nobody's: no attempt to rent is known for it",
        Why::Twin => "nobody's: its attempt has another machine",
        // Only where nobody is asked.
        Why::Unwanted => "too old",
    };
    match fate {
        Fate::Noticed => why.to_owned(),
        Fate::Spared(reason) => format!("left alone: {reason}"),
        Fate::Gone => format!("{why}; gone"),
        Fate::Survives(reason) => format!("{why}; NOT GONE: {reason}"),
    }
}

fn verdict(strays: &BTreeMap<String, Tracked>) -> Exit {
    let is_gone = |tracked: &Tracked| tracked.fate == Fate::Gone;
    if strays.is_empty() {
        Exit::Clean
    } else if strays.values().all(is_gone) {
        Exit::Killed
    } else {
        Exit::Left
    }
}
