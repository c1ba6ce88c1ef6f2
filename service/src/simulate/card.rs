//! Card: who pays, and the habits that make a payment usual or strange for this card.

use super::country::COUNTRIES;
use super::draw::{Draw, Weighted};
use super::merchant::Market;
use super::rhythm::{DAY_MS, HOUR_MS};
use super::token::{Kind, token};
use super::world::World;

/// Standard deviation of the logarithm of the cards' daily rates.
const RATE_SPREAD: f64 = 0.7;
/// Standard deviation of the logarithm of the cards' spending levels.
const SPENDING_SPREAD: f64 = 0.45;
/// Favourite merchants of a card, least and most.
const FAVOURITES: (u32, u32) = (4, 12);
/// Fraction of favourites that sell online.
const ONLINE_FAVOURITES: f64 = 0.3;
/// Early and late people: standard deviation and limit of the shift of their day, hours.
const HABIT_SHIFT_HOURS: (f64, f64) = (1.5, 5.0);
/// Fraction of cards that share a computer with the card before them: a family.
const SHARED_DEVICES: f64 = 0.06;
/// Days between two new devices of a card, average.
pub(super) const DEVICE_DAYS: f64 = 250.0;
/// Days at home between two trips, average.
pub(super) const HOME_DAYS: f64 = 50.0;

/// Counts the devices of the world. They wrap after 2^32, centuries of simulated time at the default pace.
#[derive(Default)]
pub(super) struct Devices(u32);

impl Devices {
    /// A device that nobody has used before.
    pub(super) fn new_device(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// A stay in another country, from one event time (ms) until another.
pub(super) struct Trip {
    pub(super) country: u32,
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
}

/// One card and its habits.
pub(super) struct Card {
    pub(super) id: String,
    /// Index into `COUNTRIES`.
    pub(super) home: u32,
    /// Local time less UTC, together with the person's own hours.
    pub(super) shift_ms: i64,
    /// Average time between two payments.
    pub(super) mean_gap_ms: f64,
    /// Its amounts against those of an average card, 1 is average.
    pub(super) spending_level: f64,
    /// Typical amount over its favourites: the card's own norm, minor units.
    pub(super) norm_minor: f64,
    /// Numbers of merchants, the dearest first; not empty.
    pub(super) favourites: Vec<u32>,
    /// What pays at a terminal: the chip or the telephone.
    pub(super) terminal_device: u32,
    /// What pays online, the usual one first.
    pub(super) online_devices: [u32; 2],
    /// When the card's next new device comes, event time ms.
    pub(super) new_device_ms: i64,
    pub(super) trip: Trip,
}

impl Card {
    /// The place in `favourites` of the next payment; early places come more often. See `favourite_share`.
    pub(super) fn favourite(&self, draw: &mut Draw) -> u32 {
        let place = draw.unit().powi(2) * self.favourites.len() as f64;
        self.favourites[place as usize]
    }

    /// The fraction of the card's payments to favourites that goes to the one at this place.
    pub(super) fn favourite_share(&self, place: usize) -> f64 {
        let until = |places: usize| (places as f64 / self.favourites.len() as f64).sqrt();
        until(place + 1) - until(place)
    }
}

/// The cards of this world. Their daily rates add up to the payments that are not fraud.
pub(super) fn issue(world: &World, market: &Market, devices: &mut Devices, draw: &mut Draw) -> Vec<Card> {
    let rates: Vec<f64> = (0..world.cards).map(|_| draw.log_normal(1.0, RATE_SPREAD)).collect();
    let gap_of_rate_one_ms = DAY_MS * rates.iter().sum::<f64>() / world.habitual_per_day();
    let mut homes = Weighted::default();
    COUNTRIES.iter().zip(0..).for_each(|(country, number)| homes.add(number, country.cards));
    let mut cards: Vec<Card> = Vec::with_capacity(rates.len());
    for (number, rate) in (0..).zip(rates) {
        let home = homes.pick(draw).unwrap_or(0);
        let mut card = card(number, home, world, market, draw);
        card.mean_gap_ms = gap_of_rate_one_ms / rate;
        card.terminal_device = devices.new_device();
        let shared =
            cards.last().filter(|_| draw.chance(SHARED_DEVICES)).map(|before| before.online_devices[0]);
        card.online_devices = [shared.unwrap_or_else(|| devices.new_device()), card.terminal_device];
        cards.push(card);
    }
    cards
}

/// A card with its habits, but without its pace and its devices.
fn card(number: u32, home: u32, world: &World, market: &Market, draw: &mut Draw) -> Card {
    let (spread, limit) = HABIT_SHIFT_HOURS;
    let own_hours = (spread * draw.normal()).clamp(-limit, limit);
    let trip_ms = world.day_ms(draw.exponential(HOME_DAYS));
    let mut card = Card {
        id: token(Kind::Card, number, world.seed),
        home,
        shift_ms: ((COUNTRIES[home as usize].utc_offset_hours + own_hours) * HOUR_MS) as i64,
        mean_gap_ms: DAY_MS,
        spending_level: draw.log_normal(1.0, SPENDING_SPREAD),
        norm_minor: 0.0,
        favourites: favourites(home, market, draw),
        terminal_device: 0,
        online_devices: [0; 2],
        new_device_ms: world.day_ms(draw.exponential(DEVICE_DAYS)),
        trip: Trip { country: home, from_ms: trip_ms, until_ms: trip_ms },
    };
    let places = card.favourites.iter().enumerate();
    let median_minor: f64 =
        places.map(|(place, of)| market.merchant(*of).median_minor() * card.favourite_share(place)).sum();
    card.norm_minor = median_minor * card.spending_level;
    card
}

fn favourites(home: u32, market: &Market, draw: &mut Draw) -> Vec<u32> {
    let wanted = draw.whole(FAVOURITES.0, FAVOURITES.1);
    let mut chosen = Vec::with_capacity(wanted as usize);
    for _ in 0..wanted {
        let merchant =
            if draw.chance(ONLINE_FAVOURITES) { market.online(draw) } else { market.terminal_in(home, draw) };
        if !chosen.contains(&merchant) {
            chosen.push(merchant);
        }
    }
    chosen
}
