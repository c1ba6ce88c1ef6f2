//! Token: the names of cards, merchants, devices and payments.
//!
//! A token must never pass as a card number: none holds 13 or more digits in a row, whatever the seed.

/// What a token names; its prefix says so.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Card,
    Merchant,
    Device,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Merchant => "mrc",
            Self::Device => "dev",
        }
    }
}

/// The token of the `number`th of its kind: a prefix and 8 hex digits. Different numbers give different
/// tokens, since every step below can be undone; another seed gives the same number another token.
pub(super) fn token(kind: Kind, number: u32, seed: u64) -> String {
    let salt = (seed ^ (seed >> 32)) as u32;
    let mut mixed = (number ^ salt).wrapping_mul(0x9e37_79b1);
    mixed ^= mixed >> 15;
    mixed = mixed.wrapping_mul(0x85eb_ca77);
    mixed ^= mixed >> 16;
    format!("{}_{mixed:08x}", kind.prefix())
}

/// What every transaction id of this seed starts with: `tx_` and the seed in hex, an `x` between its halves
/// when it has two, so that a seed of sixteen decimal digits does not look like a card number.
pub(super) fn transaction_prefix(seed: u64) -> String {
    let (high, low) = (seed >> 32, seed & 0xffff_ffff);
    if high == 0 { format!("tx_{low:x}") } else { format!("tx_{high:x}x{low:08x}") }
}

/// The id of the `number`th payment.
pub(super) fn transaction_id(prefix: &str, number: u64) -> String {
    format!("{prefix}_{number}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tokens_differ_by_number_and_by_seed() {
        let of = |seed| (0..50_000).map(move |number| token(Kind::Card, number, seed));
        let first: HashSet<String> = of(1).collect();
        assert_eq!(first.len(), 50_000);
        assert!(of(2).zip(of(1)).all(|(a, b)| a != b));
        assert!(first.iter().all(|id| id.len() == "card_12345678".len()));
    }

    #[test]
    fn transaction_ids_differ_between_seeds_and_hold_no_card_number() {
        let seeds = [0, 42, 0x1234_5678, 0x1234_5678_9012_3456, 0x9999_9999_9999_9999, u64::MAX];
        let prefixes: HashSet<String> = seeds.into_iter().map(transaction_prefix).collect();
        assert_eq!(prefixes.len(), seeds.len());
        for prefix in prefixes {
            let id = transaction_id(&prefix, 999_999_999_999);
            let longest = id.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
            assert!(longest < Some(13), "{id}");
        }
    }
}
