//! What EC2 has to rent.

use std::collections::BTreeSet;

/// An instance type.
#[derive(Debug, Clone)]
pub struct Type {
    /// Its name.
    pub name: &'static str,
    /// On demand, an hour.
    pub microusd: u64,
    /// Spot, an hour.
    pub spot_microusd: u64,
    /// Zones that have none.
    pub empty_zones: BTreeSet<String>,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// Instance types.
    pub types: Vec<Type>,
}

impl Catalogue {
    /// An instance type, to change it.
    pub fn find_mut(&mut self, name: &str) -> Option<&mut Type> {
        self.types.iter_mut().find(|kind| kind.name == name)
    }
}
