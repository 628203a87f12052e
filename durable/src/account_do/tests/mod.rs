pub(super) mod vendor;
