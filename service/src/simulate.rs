//! Simulate: an endless stream of card payments and their labels, for the demo, for training and for load.
//!
//! Cards have habits, merchants have prices and regulars, and three kinds of thieves work among them; see
//! [`FraudPattern`]. The truth is known for every payment, and it reaches the stream only as labels do in life:
//! late, incomplete and now and then wrong.
//!
//! ```text
//! World ─► Scene: market, cards, devices ─┐
//!                                         ├─► Draft ─► payment ──► event
//! Underworld: plans of frauds ────────────┘              └─ label ─► event, days later
//!          everything that is to come waits in one Calendar
//! ```
//!
//! The same world gives the same events: nothing here reads a clock, a file or any other chance. (Logarithms
//! may differ in the last bit between platforms, so this holds for one build on one kind of machine.) It is
//! not a model of any real portfolio, and no figure measured on it is a promise about one.

mod calendar;
mod card;
mod country;
mod draw;
mod event;
pub mod feed;
pub mod file;
mod fraud;
mod habit;
mod label;
mod merchant;
mod rhythm;
mod scene;
mod token;
mod world;

pub use self::event::{FraudPattern, LabelSource, SimulatedEvent, SimulatedLabel, SimulatedPayment};
pub use self::world::World;

use self::calendar::{Calendar, Draft, Entry};
use self::country::COUNTRIES;
use self::fraud::Underworld;
use self::scene::Scene;
use self::token::{Kind, token, transaction_id, transaction_prefix};

/// ISO 4217 code of all amounts.
const CURRENCY: &str = "EUR";

/// The events of a world, without end, ascending by [`SimulatedEvent::time_ms`].
///
/// Payments flow at their full rate from the start on, and frauds are under way then; labels follow when
/// their time has come, so the first ten days have fewer of them. A caller that wants a settled stream runs
/// it that far.
pub struct Simulation {
    world: World,
    transaction_prefix: String,
    scene: Scene,
    underworld: Underworld,
    calendar: Calendar,
    payments: u64,
}

impl Simulation {
    /// The simulation of this world, at its start. Numbers outside the limits of `World` are moved to the
    /// limit.
    pub fn new(world: World) -> Self {
        let world = world.within_limits();
        let mut scene = Scene::set(&world);
        let underworld = Underworld::new(&world, &scene);
        let mut calendar = Calendar::default();
        for (card, number) in scene.cards.iter().zip(0..) {
            calendar.add(habit::next_ms(card, world.start, &mut scene.draw), Entry::Habit(number));
        }
        for pattern in FraudPattern::ALL {
            if let Some(opening_ms) = underworld.opening_ms(pattern, &world, &mut scene.draw) {
                calendar.add(opening_ms, Entry::Plan(pattern));
            }
        }
        let transaction_prefix = transaction_prefix(world.seed);
        Self { world, transaction_prefix, scene, underworld, calendar, payments: 0 }
    }

    /// Puts a new campaign into the calendar, less what lies before the world's start, and the planning of
    /// the next.
    fn plan(&mut self, pattern: FraudPattern, now_ms: i64) {
        for (time_ms, draft) in self.underworld.plan(pattern, now_ms, &mut self.scene) {
            if time_ms >= self.world.start {
                self.calendar.add(time_ms, Entry::Fraud(draft));
            }
        }
        let next_ms = self.underworld.next_ms(pattern, now_ms, &mut self.scene.draw);
        self.calendar.add(next_ms, Entry::Plan(pattern));
    }

    /// The payment that a card makes by habit, and its next one into the calendar.
    fn habit(&mut self, number: u32, now_ms: i64) -> SimulatedEvent {
        let draft = habit::payment(number, now_ms, &mut self.scene);
        let Scene { cards, draw, .. } = &mut self.scene;
        let next_ms = habit::next_ms(&cards[number as usize], now_ms, draw);
        self.calendar.add(next_ms, Entry::Habit(number));
        self.pay(draft, now_ms)
    }

    /// Gives a payment its name, and puts what will be said of it into the calendar.
    fn pay(&mut self, draft: Draft, now_ms: i64) -> SimulatedEvent {
        self.payments += 1;
        let draw = &mut self.scene.draw;
        let words = if draft.fraud.is_some() { label::of_fraud(draw) } else { label::of_honest(draw) };
        for word in words {
            let entry = Entry::Label { payment: self.payments, fraud: word.fraud, source: word.source };
            self.calendar.add(now_ms.saturating_add(word.delay_ms), entry);
        }
        let merchant = self.scene.market.merchant(draft.merchant);
        SimulatedEvent::Payment(SimulatedPayment {
            transaction_id: transaction_id(&self.transaction_prefix, self.payments),
            event_time_ms: now_ms,
            amount_minor: draft.amount_minor,
            currency: CURRENCY,
            card_id: self.scene.card(draft.card).id.clone(),
            merchant_id: merchant.id.clone(),
            device_id: token(Kind::Device, draft.device, self.world.seed),
            merchant_category: merchant.category.name,
            country: COUNTRIES[merchant.country as usize].code,
            channel: merchant.channel.as_str(),
            fraud: draft.fraud,
        })
    }
}

impl Iterator for Simulation {
    type Item = SimulatedEvent;

    /// The next event; always one, since every card's payment puts its next into the calendar.
    fn next(&mut self) -> Option<SimulatedEvent> {
        loop {
            let (now_ms, entry) = self.calendar.next()?;
            return Some(match entry {
                Entry::Habit(card) => self.habit(card, now_ms),
                Entry::Fraud(draft) => self.pay(draft, now_ms),
                Entry::Label { payment, fraud, source } => SimulatedEvent::Label(SimulatedLabel {
                    transaction_id: transaction_id(&self.transaction_prefix, payment),
                    fraud,
                    label_time_ms: now_ms,
                    source,
                }),
                Entry::Plan(pattern) => {
                    self.plan(pattern, now_ms);
                    continue;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
