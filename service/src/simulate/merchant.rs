//! Merchant: who is paid. A category, a country, a price level and a popularity with a heavy tail.
//!
//! The market holds all merchants and answers "a merchant of this kind, please", by popularity.

use super::country::COUNTRIES;
use super::draw::{Draw, Weighted};
use super::token::{Kind, token};
use super::world::World;

/// Popularity is Pareto with this shape: the first hundredth of merchants has about a fifth of all payments.
const POPULARITY_SHAPE: f64 = 1.2;
/// No merchant is this many times as popular as the least; a single one would else now and then be the world.
const MAX_POPULARITY: f64 = 150.0;

/// A merchant's trade.
pub(super) struct Category {
    /// Its word in the payment.
    pub(super) name: &'static str,
    /// Weight among merchants.
    share: f64,
    /// Fraction of its merchants that sell online.
    online: f64,
    /// Median amount for an average card at an average merchant, minor units.
    pub(super) median_minor: f64,
    /// Standard deviation of the logarithm of the amount.
    pub(super) spread: f64,
    /// How easily its goods turn into money: the weight with which thieves choose it.
    resale: f64,
}

const fn category(
    name: &'static str,
    share: f64,
    online: f64,
    median_minor: f64,
    spread: f64,
    resale: f64,
) -> Category {
    Category { name, share, online, median_minor, spread, resale }
}

/// All categories: name, share, online, median (minor units), spread, resale.
#[rustfmt::skip]
const CATEGORIES: [Category; 14] = [
    category("grocery",       18.0, 0.05,  2_400.0, 0.7, 0.1),
    category("restaurant",    17.0, 0.10,  2_200.0, 0.6, 0.0),
    category("fuel",           6.0, 0.00,  5_500.0, 0.4, 0.0),
    category("transport",      7.0, 0.40,  1_100.0, 0.7, 0.1),
    category("pharmacy",       6.0, 0.15,  1_700.0, 0.6, 0.1),
    category("fashion",       11.0, 0.45,  4_800.0, 0.7, 0.6),
    category("electronics",    6.0, 0.60,  9_000.0, 1.0, 2.0),
    category("home",           7.0, 0.35,  5_200.0, 0.9, 0.2),
    category("leisure",        8.0, 0.40,  2_500.0, 0.8, 0.2),
    category("travel",         3.0, 0.80, 21_000.0, 0.9, 0.8),
    category("jewelry",        2.0, 0.30, 14_000.0, 1.0, 1.0),
    category("digital_goods",  5.0, 1.00,  1_300.0, 0.7, 1.5),
    category("gift_cards",     2.0, 0.90,  4_000.0, 0.6, 3.0),
    category("services",       2.0, 0.50,  6_000.0, 0.9, 0.1),
];

/// Where a merchant takes payments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    Pos,
    Online,
}

impl Channel {
    /// Its word in the payment.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pos => "pos",
            Self::Online => "online",
        }
    }
}

/// One merchant.
pub(super) struct Merchant {
    pub(super) id: String,
    pub(super) category: &'static Category,
    /// Index into `COUNTRIES`.
    pub(super) country: u32,
    pub(super) channel: Channel,
    /// Its prices against its category's, 1 is average.
    price_level: f64,
}

impl Merchant {
    /// Median amount of an average card here, minor units.
    pub(super) fn median_minor(&self) -> f64 {
        self.category.median_minor * self.price_level
    }
}

/// All merchants, and the lists they are picked from.
pub(super) struct Market {
    merchants: Vec<Merchant>,
    terminals_by_country: Vec<Weighted>,
    online: Weighted,
    resale: Weighted,
    all: Weighted,
}

impl Market {
    /// The merchants of this world, at least one.
    pub(super) fn open(world: &World, draw: &mut Draw) -> Self {
        let mut categories = Weighted::default();
        CATEGORIES.iter().zip(0..).for_each(|(category, number)| categories.add(number, category.share));
        let mut countries = Weighted::default();
        COUNTRIES.iter().zip(0..).for_each(|(country, number)| countries.add(number, country.merchants));
        let mut market = Self {
            merchants: Vec::with_capacity(world.merchants as usize),
            terminals_by_country: COUNTRIES.iter().map(|_| Weighted::default()).collect(),
            online: Weighted::default(),
            resale: Weighted::default(),
            all: Weighted::default(),
        };
        for number in 0..world.merchants {
            let category = &CATEGORIES[categories.pick(draw).unwrap_or(0) as usize];
            let channel = if draw.chance(category.online) { Channel::Online } else { Channel::Pos };
            let id = token(Kind::Merchant, number, world.seed);
            let country = countries.pick(draw).unwrap_or(0);
            let price_level = draw.log_normal(1.0, 0.3);
            let popularity = draw.pareto(POPULARITY_SHAPE).min(MAX_POPULARITY);
            market.add(number, Merchant { id, category, country, channel, price_level }, popularity);
        }
        market
    }

    fn add(&mut self, number: u32, merchant: Merchant, popularity: f64) {
        match merchant.channel {
            Channel::Pos => self.terminals_by_country[merchant.country as usize].add(number, popularity),
            Channel::Online => {
                self.online.add(number, popularity);
                self.resale.add(number, popularity * merchant.category.resale);
            }
        }
        self.all.add(number, popularity);
        self.merchants.push(merchant);
    }

    /// The merchant of this number, one that this market gave out.
    pub(super) fn merchant(&self, number: u32) -> &Merchant {
        &self.merchants[number as usize]
    }

    /// How many merchants there are.
    pub(super) fn len(&self) -> usize {
        self.merchants.len()
    }

    /// A merchant with a terminal in this country; any merchant where there is none.
    pub(super) fn terminal_in(&self, country: u32, draw: &mut Draw) -> u32 {
        self.terminals_by_country[country as usize].pick(draw).unwrap_or_else(|| self.any(draw))
    }

    /// A merchant that sells online; any merchant where there is none.
    pub(super) fn online(&self, draw: &mut Draw) -> u32 {
        self.online.pick(draw).unwrap_or_else(|| self.any(draw))
    }

    /// A merchant that sells online what can be sold on; any merchant where there is none.
    pub(super) fn resale(&self, draw: &mut Draw) -> u32 {
        self.resale.pick(draw).unwrap_or_else(|| self.any(draw))
    }

    fn any(&self, draw: &mut Draw) -> u32 {
        self.all.pick(draw).unwrap_or(0)
    }
}
