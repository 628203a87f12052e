mod audit;
mod part;
mod sums;
