//! Label: what becomes known of a payment later, when, and from whom.
//!
//! Fraud: 81 % are charged back after 3 to 10 days; 10 % are reported by the customer within hours, half of
//! these charged back too; 3 % are found by the issuer; of the last 6 % nobody ever hears.
//!
//! Honest payments: 1 % are confirmed by the customer; 0.02 % are reported as fraud by mistake, which the
//! issuer corrects after days.

use super::draw::Draw;
use super::event::LabelSource;
use super::rhythm::{DAY_MS, HOUR_MS};

/// Fractions of all frauds.
const CHARGED_BACK: f64 = 0.81;
const REPORTED: f64 = 0.10;
const FOUND: f64 = 0.03;
/// Fraction of the reported frauds.
const ALSO_CHARGED_BACK: f64 = 0.5;
/// Fractions of all honest payments.
const CONFIRMED: f64 = 0.01;
const MISTAKEN: f64 = 0.000_2;

/// Delays after the payment, least and most.
const CHARGEBACK_MS: (f64, f64) = (3.0 * DAY_MS, 10.0 * DAY_MS);
const REPORT_MS: (f64, f64) = (0.25 * HOUR_MS, 12.0 * HOUR_MS);
const FINDING_MS: (f64, f64) = (6.0 * HOUR_MS, 48.0 * HOUR_MS);
const CONFIRMATION_MS: (f64, f64) = (0.1 * HOUR_MS, 24.0 * HOUR_MS);
const CORRECTION_MS: (f64, f64) = (1.0 * DAY_MS, 5.0 * DAY_MS);

/// What someone will say of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    /// After the payment; more than 0.
    pub(super) delay_ms: i64,
    pub(super) fraud: bool,
    pub(super) source: LabelSource,
}

/// What is said of a payment that truly is fraud; none, one or two words.
pub(super) fn of_fraud(draw: &mut Draw) -> Vec<Word> {
    let chargeback = |draw: &mut Draw| word(true, LabelSource::Chargeback, CHARGEBACK_MS, draw);
    let mark = draw.unit();
    if mark < CHARGED_BACK {
        vec![chargeback(draw)]
    } else if mark < CHARGED_BACK + REPORTED {
        let mut words = vec![word(true, LabelSource::Customer, REPORT_MS, draw)];
        if draw.chance(ALSO_CHARGED_BACK) {
            words.push(chargeback(draw));
        }
        words
    } else if mark < CHARGED_BACK + REPORTED + FOUND {
        vec![word(true, LabelSource::Issuer, FINDING_MS, draw)]
    } else {
        Vec::new()
    }
}

/// What is said of an honest payment; mostly nothing, and rarely a mistake with its correction.
pub(super) fn of_honest(draw: &mut Draw) -> Vec<Word> {
    let mark = draw.unit();
    if mark < CONFIRMED {
        vec![word(false, LabelSource::Customer, CONFIRMATION_MS, draw)]
    } else if mark < CONFIRMED + MISTAKEN {
        let mistake = word(true, LabelSource::Customer, REPORT_MS, draw);
        let mut correction = word(false, LabelSource::Issuer, CORRECTION_MS, draw);
        correction.delay_ms += mistake.delay_ms;
        vec![mistake, correction]
    } else {
        Vec::new()
    }
}

fn word(fraud: bool, source: LabelSource, delays_ms: (f64, f64), draw: &mut Draw) -> Word {
    Word { delay_ms: draw.between(delays_ms.0, delays_ms.1) as i64, fraud, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYMENTS: usize = 100_000;

    #[test]
    fn most_frauds_are_charged_back_after_days_and_some_are_never_heard_of() {
        let mut draw = Draw::seeded(4);
        let spoken: Vec<Vec<Word>> = (0..PAYMENTS).map(|_| of_fraud(&mut draw)).collect();
        let share = |with: &dyn Fn(&Vec<Word>) -> bool| {
            spoken.iter().filter(|words| with(words)).count() as f64 / PAYMENTS as f64
        };
        let from = |source| share(&|words| words.iter().any(|word| word.source == source));
        assert!((from(LabelSource::Chargeback) - 0.86).abs() < 0.01);
        assert!((from(LabelSource::Customer) - 0.10).abs() < 0.01);
        assert!((share(&|words| words.is_empty()) - 0.06).abs() < 0.01);
        let chargebacks = spoken.iter().flatten().filter(|word| word.source == LabelSource::Chargeback);
        for word in chargebacks {
            assert!((CHARGEBACK_MS.0..CHARGEBACK_MS.1).contains(&(word.delay_ms as f64)));
        }
        assert!(spoken.iter().flatten().all(|word| word.fraud && word.delay_ms > 0));
    }

    #[test]
    fn honest_payments_are_confirmed_and_a_mistake_is_corrected_by_someone_else() {
        let mut draw = Draw::seeded(5);
        let mut mistakes = 0;
        let mut confirmations = 0;
        for _ in 0..PAYMENTS {
            match of_honest(&mut draw).as_slice() {
                [] => {}
                [word] => {
                    assert!(!word.fraud);
                    confirmations += 1;
                }
                [mistake, correction, ..] => {
                    assert!(mistake.fraud && !correction.fraud);
                    assert!(correction.delay_ms > mistake.delay_ms && correction.source != mistake.source);
                    mistakes += 1;
                }
            }
        }
        assert!((800..1_200).contains(&confirmations), "{confirmations}");
        assert!((5..50).contains(&mistakes), "{mistakes}");
    }
}
