//! Expected loss: score times amount in whole minor units.
//!
//! A score is a binary fraction, so the product with an integer is exact in 103 bits and is rounded once. The
//! float product would be rounded twice and could fall on a tie that is none. Not a cost model: what a declined
//! honest payment costs is not in it.

use schemas::payment::AmountMinor;

/// Bits of a float's significand, the hidden one included.
const SIGNIFICAND_BITS: u32 = f64::MANTISSA_DIGITS;

/// The exact `score x amount`, rounded half to even. The score must be within 0 to 1.
pub(super) fn expected_loss_minor(score: f64, amount: AmountMinor) -> i64 {
    let (significand, shift) = binary_fraction(score);
    let product = u128::from(significand) * u128::from(amount.minor().unsigned_abs());
    if shift > 2 * SIGNIFICAND_BITS {
        return 0;
    }
    let whole = product >> shift;
    let rest = product - (whole << shift);
    let half = (1_u128 << shift) >> 1;
    let up = shift > 0 && (rest > half || (rest == half && whole & 1 == 1));
    i64::try_from(whole + u128::from(up)).unwrap_or(i64::MAX)
}

/// `(m, s)` with `score == m / 2^s`.
fn binary_fraction(score: f64) -> (u64, u32) {
    let bits = score.to_bits();
    let fraction = bits & ((1 << (SIGNIFICAND_BITS - 1)) - 1);
    let exponent = (bits >> (SIGNIFICAND_BITS - 1)) as u32 & 0x7ff;
    match exponent {
        0 => (fraction, 1_074),
        _ => (fraction | 1 << (SIGNIFICAND_BITS - 1), 1_075_u32.saturating_sub(exponent)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(score: f64, minor: i64) -> i64 {
        expected_loss_minor(score, AmountMinor::new(minor).unwrap())
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        assert_eq!([1, 3, 5, 7].map(|minor| loss(0.5, minor)), [0, 2, 2, 4]);
        assert_eq!([2, 6, 10].map(|minor| loss(0.25, minor)), [0, 2, 2]);
        assert_eq!(loss(0.25, 3), 1);
        assert_eq!(loss(0.75, 1), 1);
    }

    #[test]
    fn the_product_is_rounded_once() {
        // The exact product is a hair above 20.5; as floats it falls onto the tie, and from there to 20.
        let score = 0.759_259_259_259_259_3;
        assert_eq!((score * 27.0_f64).round_ties_even(), 20.0);
        assert_eq!(loss(score, 27), 21);
        // And here a hair below.
        let score = 0.120_144_453_317_606_88;
        assert_eq!((score * 468_576_729_323_894.0_f64).round_ties_even(), 56_296_894_981_972.0);
        assert_eq!(loss(score, 468_576_729_323_894), 56_296_894_981_971);
    }

    #[test]
    fn ends_of_the_range() {
        let most = schemas::payment::MAX_AMOUNT_MINOR;
        assert_eq!(loss(1.0, most), most);
        assert_eq!(loss(0.0, most), 0);
        assert_eq!(loss(-0.0, most), 0);
        assert_eq!(loss(1.0, 0), 0);
        for tiny in [f64::MIN_POSITIVE, f64::from_bits(1), 1e-30, 1e-16] {
            assert_eq!(loss(tiny, most), 0, "{tiny}");
        }
        assert_eq!(loss(1e-15, most), 1);
    }
}
