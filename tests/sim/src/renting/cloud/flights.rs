//! Calls on their way to a vendor and back: late, lost, answered when nobody waits any more.

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::turn::{Outcome, VendorCall};
use tidegate_provider_api::{ErrorKind, ProviderError, Reply, Request};

use super::super::scenario::Mood;
use super::super::situations::Situation;
use super::super::{Event, World};
use super::Flight;

/// What became of a call at its vendor.
pub struct Served {
    /// What it says.
    pub said: Result<Reply, ProviderError>,
    /// Whether its answer gets lost.
    pub is_lost: bool,
}

impl World {
    /// An account calls its vendor.
    pub fn vendor_called(&mut self, object: &ObjectName, life: u64, call: VendorCall) {
        let VendorCall {
            id,
            credential,
            request,
            timeout_ms,
            ..
        } = call;
        let Some(tenant) = self.around.operator.tenant_of(object) else {
            return self.violate(
                "vendors are called for accounts that are connected",
                format!("{object} calls with {request:?}"),
            );
        };
        let flight = self.number();
        self.note(|| format!("{object} calls its vendor, {flight}: {}", short(&request)));
        let wait = i64::try_from(timeout_ms).unwrap_or(60_000);
        self.check_call(object, life, tenant, &request);
        self.around.cloud.flights.insert(
            flight,
            Flight {
                object: object.clone(),
                life,
                id,
                tenant,
                key: credential.sealed,
                request,
                deadline: self.now + wait,
            },
        );
        self.after(wait, Event::CallTimesOut { flight });
        let (mood, tricks) = (self.mood(tenant), self.tricks(tenant));
        let is_create = self.is_create(flight);
        let lost = match mood {
            Some(Mood::Out) => 900,
            Some(Mood::Sick) => 50,
            _ => 0,
        };
        if is_create && self.rng.chance(tricks.create_late) {
            // It arrives when its caller has given it up.
            let ms = wait + self.rng.range(1_000, 90_000);
            self.met(Situation::CreateArrivedLate);
            return self.after(ms, Event::CallArrives { flight });
        }
        let lost = lost + tricks.call_lost + if is_create { tricks.create_lost } else { 0 };
        if self.rng.chance(lost) {
            if is_create {
                self.met(Situation::CreateLost);
            }
            self.note(|| format!("call {flight} never arrives"));
            return;
        }
        let ms = self.travel(mood);
        self.after(ms, Event::CallArrives { flight });
    }

    fn is_create(&self, flight: u64) -> bool {
        let found = self.around.cloud.flights.get(&flight);
        found.is_some_and(|flight| matches!(flight.request, Request::Create(_)))
    }

    fn travel(&mut self, mood: Option<Mood>) -> i64 {
        match mood {
            Some(Mood::Sick) => self.rng.range(500, 15_000),
            _ => self.rng.range(20, 700),
        }
    }

    /// A call arrives at its vendor.
    pub fn call_arrives(&mut self, flight: u64) {
        let Some(found) = self.around.cloud.flights.get_mut(&flight) else {
            return;
        };
        let tenant = found.tenant;
        let served = self.serve(flight);
        let tricks = self.tricks(tenant);
        let mood = self.mood(tenant);
        let lost = match mood {
            Some(Mood::Out) => 1_000,
            Some(Mood::Sick) => 200,
            _ => tricks.answer_lost,
        };
        let is_lost = served.is_lost || self.rng.chance(lost);
        self.note(|| {
            let said = match &served.said {
                Ok(reply) => format!("{reply:?}"),
                Err(error) => error.to_string(),
            };
            let lost = if is_lost { ", which is lost" } else { "" };
            format!("the vendor answers {flight}{lost}: {said}")
        });
        if is_lost {
            if self.is_create(flight) && served.said.is_ok() {
                self.met(Situation::CreateAnswerLost);
            }
            return;
        }
        let ms = self.travel(mood);
        let outcome = outcome(served.said, ms);
        let outcome = Box::new(outcome);
        self.after(ms, Event::CallAnswered { flight, outcome });
    }

    /// An answer reaches its account, if that still waits.
    pub fn call_answered(&mut self, flight: u64, outcome: Outcome) {
        if self
            .around
            .cloud
            .flights
            .get(&flight)
            .is_some_and(|flight| flight.deadline <= self.now)
        {
            return;
        }
        let Some(flight) = self.around.cloud.flights.remove(&flight) else {
            return;
        };
        let Flight {
            object, life, id, ..
        } = flight;
        self.effect_done(&object, life, id, outcome);
    }

    /// Nobody waits for an answer any more.
    pub fn call_times_out(&mut self, number: u64) {
        let Some(flight) = self.around.cloud.flights.get(&number) else {
            return;
        };
        let (object, life, id) = (flight.object.clone(), flight.life, flight.id);
        let operation = flight.request.operation();
        if !self.is_create(number) {
            self.around.cloud.flights.remove(&number);
        }
        let error = ProviderError::no_answer(operation, "no answer in time");
        self.effect_done(&object, life, id, outcome(Err(error), 0));
    }

    /// Calls that this life of an account waits for.
    pub fn calls_of(&self, object: &ObjectName, life: u64) -> usize {
        let flights = self.around.cloud.flights.values();
        flights
            .filter(|flight| {
                flight.object == *object && flight.life == life && self.now < flight.deadline
            })
            .count()
    }
}

fn outcome(said: Result<Reply, ProviderError>, ms: i64) -> Outcome {
    let (reply, error) = match said {
        Ok(reply) => (Some(reply), None),
        Err(error) => (None, Some(error)),
    };
    Outcome::Vendor {
        reply,
        error,
        latency_ms: u64::try_from(ms).unwrap_or(0),
    }
}

/// A call in a line.
fn short(request: &Request) -> String {
    match request {
        Request::Create(spec) => format!("create {} as {}", spec.marker, spec.machine_type),
        other => format!("{other:?}"),
    }
}

/// A failure that says nothing of what was done.
pub fn broken(request: &Request) -> ProviderError {
    let error = ProviderError::new(
        ErrorKind::Network,
        request.operation(),
        "it is out of order",
    );
    let error = error.status(500);
    if request.is_change() {
        error.unclear()
    } else {
        error
    }
}
