//! One name for one GPU, whatever its vendor calls it.
//!
//! The name is what is left of the vendor's when maker, brand, form factor and memory are taken out of it:
//! `NVIDIA GeForce RTX 4090` and `RTX 4090` are `rtx4090`. Where one model is sold with different amounts of
//! memory, the amount is part of the name: `a100-80gb`.
//!
//! Invariant: never empty, only `a-z`, `0-9` and `-`; a model that is not in the table gets a name by the same
//! rules, so a new GPU can be rented on the day it appears.
//!
//! In scope: names. Out of scope: which GPU is faster (SXM and PCIe models share a name).

/// Says nothing of which model it is: makers, brands, form factors, editions.
const NOISE: [&str; 27] = [
    "ac",
    "amd",
    "blackwell",
    "core",
    "edition",
    "fhhl",
    "geforce",
    "generation",
    "gpu",
    "graphics",
    "hbm2",
    "hbm2e",
    "hbm3",
    "hbm3e",
    "instinct",
    "max",
    "nvidia",
    "nvl",
    "oam",
    "pcie",
    "q",
    "quadro",
    "server",
    "sxm",
    "tensor",
    "tesla",
    "workstation",
];

/// Models that are sold with different amounts of memory, in GB. Vendors round differently (the 80 GB of an
/// H100 are 81,559 MiB), so the nearest counts.
const SIZES: [(&str, &[u32]); 7] = [
    ("a100", &[40, 80]),
    ("gh200", &[96, 144]),
    ("h100", &[80, 94]),
    ("rtx3080", &[10, 12]),
    ("rtx4060ti", &[8, 16]),
    ("rtxa2000", &[6, 12]),
    ("v100", &[16, 32]),
];

/// The name of a GPU over all vendors.
///
/// `vendor_name` is the vendor's id or name of one GPU, `vram_gb` the memory of one, 0 when it is not known.
///
/// ```
/// use tidegate_provider_api::gpu_names::canonical;
/// assert_eq!(canonical("NVIDIA H100 80GB HBM3", 80), "h100-80gb");
/// assert_eq!(canonical("NVIDIA L4", 24), "l4");
/// ```
pub fn canonical(vendor_name: &str, vram_gb: u32) -> String {
    let lower = vendor_name.to_ascii_lowercase();
    let mut words: Vec<&str> = Vec::new();
    for word in lower
        .split(|each: char| !each.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        if matches!(word, "gb" | "gib") {
            // `80 GB`: the number before it is no part of the name either.
            words.pop_if(|last| is_number(last));
        } else if !is_noise(word) {
            words.push(word);
        }
    }
    let model = words.concat();
    let size = SIZES
        .iter()
        .find(|(name, _)| *name == model)
        .filter(|_| vram_gb > 0)
        .and_then(|(_, sizes)| sizes.iter().min_by_key(|size| size.abs_diff(vram_gb)));
    match size {
        Some(size) => format!("{model}-{size}gb"),
        None if model.is_empty() => "unknown".to_owned(),
        None => model,
    }
}

fn is_noise(word: &str) -> bool {
    let is_memory = word.strip_suffix("gb").is_some_and(is_number);
    let is_socket = word.strip_prefix("sxm").is_some_and(is_number);
    is_memory || is_socket || NOISE.contains(&word)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names from RunPod's catalogue (docs.runpod.io, "GPU types"), EC2's `DescribeInstanceTypes` and Lambda's
    /// instance types.
    #[test]
    fn one_gpu_has_one_name_at_every_vendor() {
        for (vendor_name, vram_gb, name) in [
            ("NVIDIA L4", 24, "l4"),
            ("L4", 22, "l4"),
            ("NVIDIA L40S", 48, "l40s"),
            ("L40", 48, "l40"),
            ("A10G", 24, "a10g"),
            ("A10 (24 GB PCIe)", 24, "a10"),
            ("T4", 16, "t4"),
            ("T4g", 16, "t4g"),
            ("M60", 8, "m60"),
            ("NVIDIA GeForce RTX 4090", 24, "rtx4090"),
            ("RTX 4090", 24, "rtx4090"),
            ("NVIDIA GeForce RTX 4080 SUPER", 16, "rtx4080super"),
            ("NVIDIA GeForce RTX 3090 Ti", 24, "rtx3090ti"),
            ("NVIDIA RTX A6000", 48, "rtxa6000"),
            ("NVIDIA RTX 6000 Ada Generation", 48, "rtx6000ada"),
            ("NVIDIA RTX 4000 SFF Ada Generation", 20, "rtx4000sffada"),
            (
                "NVIDIA RTX PRO 6000 Blackwell Server Edition",
                96,
                "rtxpro6000",
            ),
            (
                "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition",
                96,
                "rtxpro6000",
            ),
            ("RTX PRO Server 6000", 96, "rtxpro6000"),
            ("NVIDIA A100 80GB PCIe", 80, "a100-80gb"),
            ("NVIDIA A100-SXM4-80GB", 80, "a100-80gb"),
            ("A100 (40 GB SXM4)", 40, "a100-40gb"),
            ("A100", 40, "a100-40gb"),
            ("A100", 79, "a100-80gb"),
            ("NVIDIA H100 80GB HBM3", 80, "h100-80gb"),
            ("NVIDIA H100 PCIe", 80, "h100-80gb"),
            ("H100", 79, "h100-80gb"),
            ("NVIDIA H100 NVL", 94, "h100-94gb"),
            ("NVIDIA H200", 141, "h200"),
            ("NVIDIA H200 NVL", 143, "h200"),
            ("NVIDIA B200", 180, "b200"),
            ("NVIDIA B300 SXM6 AC", 288, "b300"),
            ("GH200 (96 GB)", 96, "gh200-96gb"),
            ("Tesla V100-SXM2-32GB", 32, "v100-32gb"),
            ("Tesla V100-FHHL-16GB", 16, "v100-16gb"),
            ("V100", 16, "v100-16gb"),
            ("AMD Instinct MI300X OAM", 192, "mi300x"),
            ("Radeon Pro V520", 8, "radeonprov520"),
        ] {
            assert_eq!(canonical(vendor_name, vram_gb), name, "{vendor_name}");
        }
    }

    #[test]
    fn what_is_not_known_has_a_name_all_the_same() {
        assert_eq!(canonical("NVIDIA X9000 512GB", 512), "x9000");
        assert_eq!(canonical("A100", 0), "a100");
        assert_eq!(canonical("NVIDIA", 1), "unknown");
        assert_eq!(canonical("", 0), "unknown");
    }

    #[test]
    fn the_tables_are_sorted() {
        assert!(NOISE.is_sorted());
        assert!(SIZES.is_sorted());
    }

    proptest! {
        #[test]
        fn every_name_is_plain_and_not_empty(vendor_name: String, vram_gb: u32) {
            let name = canonical(&vendor_name, vram_gb);
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            prop_assert!(!name.is_empty() && name.bytes().all(is_plain), "{name}");
        }
    }
}
