//! Scene: everyone who acts in the simulated world, and the chance that moves them.

use super::card::{Card, Devices, issue};
use super::draw::Draw;
use super::merchant::Market;
use super::world::World;

/// The merchants, the cards, the devices and the draw. Its parts are open: who acts borrows those it needs.
pub(super) struct Scene {
    pub(super) market: Market,
    /// Not empty; a card's number is its place.
    pub(super) cards: Vec<Card>,
    pub(super) devices: Devices,
    pub(super) draw: Draw,
}

impl Scene {
    /// The scene of this world at its start.
    pub(super) fn set(world: &World) -> Self {
        let mut draw = Draw::seeded(world.seed);
        let mut devices = Devices::default();
        let market = Market::open(world, &mut draw);
        let cards = issue(world, &market, &mut devices, &mut draw);
        Self { market, cards, devices, draw }
    }

    /// The card of this number, one that this scene gave out.
    pub(super) fn card(&self, number: u32) -> &Card {
        &self.cards[number as usize]
    }

    /// Any card's number, each as likely.
    pub(super) fn any_card(&mut self) -> u32 {
        self.draw.below(self.cards.len() as u32)
    }
}
