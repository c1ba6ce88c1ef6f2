//! Country: where cards live and merchants trade.
//!
//! The issuer is a bank of the euro area, so cards live there; merchants are anywhere.

/// A country of the simulated world.
pub(super) struct Country {
    /// ISO 3166-1 alpha-2.
    pub(super) code: &'static str,
    /// Standard time against UTC, hours; summer time is left out.
    pub(super) utc_offset_hours: f64,
    /// Weight as a home of cards.
    pub(super) cards: f64,
    /// Weight as a home of merchants, and as a destination of trips.
    pub(super) merchants: f64,
}

const fn country(code: &'static str, utc_offset_hours: f64, cards: f64, merchants: f64) -> Country {
    Country { code, utc_offset_hours, cards, merchants }
}

/// All countries; the index is the country's number within the simulation.
pub(super) const COUNTRIES: [Country; 16] = [
    country("DE", 1.0, 30.0, 26.0),
    country("FR", 1.0, 20.0, 17.0),
    country("IT", 1.0, 14.0, 12.0),
    country("ES", 1.0, 12.0, 11.0),
    country("NL", 1.0, 9.0, 8.0),
    country("AT", 1.0, 6.0, 6.0),
    country("IE", 0.0, 5.0, 6.0),
    country("PT", 0.0, 4.0, 4.0),
    country("GB", 0.0, 0.0, 5.0),
    country("US", -5.0, 0.0, 5.0),
    country("CH", 1.0, 0.0, 2.0),
    country("PL", 1.0, 0.0, 2.0),
    country("SE", 1.0, 0.0, 1.0),
    country("TR", 3.0, 0.0, 2.0),
    country("CN", 8.0, 0.0, 2.0),
    country("BR", -3.0, 0.0, 1.0),
];
