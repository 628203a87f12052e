//! Two vendors for tests: one whose "create" may be repeated, and one whose may not. The account sees of a vendor
//! only its numbers, its regions and its catalogue; what it answers is for each test to say.

use tidegate_provider_api::{
    Availability, Capability, CredentialForm, CredentialRefused, EncodeCx, Gpu, HttpCall,
    HttpReply, Offer, Part, Permission, Provider, ProviderError, Query, Reply, Request, Settings,
    StoppedBilling,
};

/// The same marker again is another machine.
pub const PLAIN: &str = "test_plain";
/// The same marker again is the same machine.
pub const IDEMPOTENT: &str = "test_idempotent";

pub fn by_name(vendor: &str) -> Option<&'static dyn Provider> {
    let scripted = [&PLAIN_VENDOR, &IDEMPOTENT_VENDOR];
    let known = scripted.into_iter().find(|known| known.name == vendor);
    known.map(|known| known as &dyn Provider)
}

static PLAIN_VENDOR: Scripted = Scripted {
    name: PLAIN,
    capability: &PLAIN_CAPABILITY,
};

static IDEMPOTENT_VENDOR: Scripted = Scripted {
    name: IDEMPOTENT,
    capability: &IDEMPOTENT_CAPABILITY,
};

struct Scripted {
    name: &'static str,
    capability: &'static Capability,
}

static PLAIN_CAPABILITY: Capability = Capability {
    spot: false,
    stop_start: true,
    idempotent_create: false,
    tags: false,
    public_tls: true,
    bills: true,
    time_limit: None,
    stopped_billing: StoppedBilling::Disk,
    list_lag_ms: 120_000,
    create_timeout_ms: 60_000,
    call_timeout_ms: 20_000,
    startup_timeout_ms: 600_000,
    large_startup_timeout_ms: 600_000,
    stop_lead_ms: 60_000,
    billing_minimum_ms: 1_000,
    billing_step_ms: 1_000,
    calls_per_minute: 600,
    first_token_cap_ms: None,
    webhooks: true,
};

static IDEMPOTENT_CAPABILITY: Capability = Capability {
    idempotent_create: true,
    tags: true,
    bills: false,
    ..PLAIN_CAPABILITY
};

static PERMISSIONS: [Permission; 2] = [
    Permission {
        name: "list",
        required: true,
        without: "nothing can be looked after",
    },
    Permission {
        name: "create",
        required: true,
        without: "nothing can be rented",
    },
];

static FORM: CredentialForm = CredentialForm {
    credential: &[],
    settings: &[],
    least_privilege: "",
    help: "",
};

impl Provider for Scripted {
    fn vendor(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.name
    }

    fn capability(&self) -> &'static Capability {
        self.capability
    }

    fn form(&self) -> &'static CredentialForm {
        &FORM
    }

    fn permissions(&self) -> &'static [Permission] {
        &PERMISSIONS
    }

    fn list_regions(&self, settings: &Settings) -> Vec<String> {
        let regions = settings.list("regions").into_iter();
        let regions: Vec<String> = regions.map(str::to_owned).collect();
        if regions.is_empty() {
            vec!["r1".to_owned()]
        } else {
            regions
        }
    }

    fn check_settings(&self, _: &Settings) -> Result<(), CredentialRefused> {
        Ok(())
    }

    fn encode(&self, _: &EncodeCx<'_>, _: &Request) -> Result<HttpCall, ProviderError> {
        panic!("an account encodes nothing")
    }

    fn decode(&self, _: &EncodeCx<'_>, _: &Request, _: &HttpReply) -> Result<Reply, ProviderError> {
        panic!("an account decodes nothing")
    }

    fn shop(&self, settings: &Settings) -> Vec<Query> {
        let regions = self.list_regions(settings).into_iter();
        regions.map(|region| query(&region, None)).collect()
    }

    fn offers(&self, _: &Settings, parts: &[Part]) -> Vec<Offer> {
        let types = parts.iter().filter_map(|part| part.body.as_str());
        let mut offers: Vec<Offer> = types.map(offer).collect();
        offers.sort_by(|a, b| a.machine_type.cmp(&b.machine_type));
        offers
    }
}

pub fn query(region: &str, page: Option<&str>) -> Query {
    Query {
        kind: "gpus".to_owned(),
        region: Some(region.to_owned()),
        page: page.map(str::to_owned),
    }
}

pub fn offer(machine_type: &str) -> Offer {
    Offer {
        region: "r1".to_owned(),
        zone: None,
        machine_type: machine_type.to_owned(),
        gpu: Gpu {
            model: "l4".to_owned(),
            name: "L4".to_owned(),
            count: 1,
            vram_gb: 24,
        },
        vcpus: None,
        memory_gb: None,
        spot: false,
        microusd_per_hour: Some(440_000),
        disk: None,
        address_microusd_per_hour: 0,
        availability: Availability::Unknown,
    }
}
