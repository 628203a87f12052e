//! Ports that belong to something other than a model server.
//!
//! A request to one of these is an attempt to speak HTTP at a service that might take a line of it as a
//! command. Source of the first list: "port blocking" in the Fetch standard, which browsers and Node apply
//! too. The second holds control planes and stores that answer HTTP, or tolerate it, without credentials.
//!
//! High ports stay open on purpose: marketplaces map a rented GPU's port to any number above 10,000, which
//! is why the second list ends there.

const BAD: [u16; 84] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080, 445,
];

const CONTROL: [u16; 8] = [
    2375, 2376, // Docker
    2379, 2380, // etcd
    6379, // Redis
    9200, 9300, // Elasticsearch
    5984, // CouchDB
];

pub(crate) fn refused(port: u16) -> bool {
    BAD.contains(&port) || CONTROL.contains(&port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_refused_and_model_servers_are_not() {
        for port in [0, 22, 25, 53, 445, 2375, 6379, 6667, 10080] {
            assert!(refused(port), "{port}");
        }
        for port in [
            80, 443, 1234, 3000, 4000, 5000, 8000, 8080, 8443, 11434, 30000, 65535,
        ] {
            assert!(!refused(port), "{port}");
        }
    }
}
