//! Event: what the simulation gives out, a payment or a label on an earlier one.
//!
//! These are plain records with units in their names. They are not the wire's types: whoever sends them
//! encodes them in the schema of the topic, and leaves the ground truth (`fraud`) behind.

/// One thing that happens in the simulated world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimulatedEvent {
    /// A card is used.
    Payment(SimulatedPayment),
    /// Someone says whether an earlier payment was fraud.
    Label(SimulatedLabel),
}

impl SimulatedEvent {
    /// When it happens: the payment's event time or the label's time, milliseconds UTC. The stream is ordered
    /// by it.
    pub fn time_ms(&self) -> i64 {
        match self {
            Self::Payment(payment) => payment.event_time_ms,
            Self::Label(label) => label.label_time_ms,
        }
    }
}

/// A payment, with what the issuer would see of it and, apart from that, the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedPayment {
    /// Unique in the stream and different for every seed: `tx_<seed, hex>_<number>`.
    pub transaction_id: String,
    /// Event time, milliseconds UTC.
    pub event_time_ms: i64,
    /// Amount billed to the card, minor units of `currency`; at least 1.
    pub amount_minor: i64,
    /// ISO 4217. One issuer, one billing currency: sums over a card and over a merchant mean something.
    pub currency: &'static str,
    /// Token of the card, `card_…`; never a card number.
    pub card_id: String,
    /// Token of the merchant, `mrc_…`.
    pub merchant_id: String,
    /// Token of the chip, phone or computer that paid, `dev_…`.
    pub device_id: String,
    /// The merchant's trade in one word: `grocery`, `travel`.
    pub merchant_category: &'static str,
    /// Country of the merchant, ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// `pos` (at a terminal) or `online`.
    pub channel: &'static str,
    /// The truth: which fraud this payment belongs to, if any. Never sent.
    pub fraud: Option<FraudPattern>,
}

/// A later word on a payment. A second one on the same payment, from another source, may correct the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedLabel {
    /// The payment meant; it came earlier in the stream.
    pub transaction_id: String,
    /// What the source says; mostly, but not always, the truth.
    pub fraud: bool,
    /// When it becomes known, milliseconds UTC; always after the payment's event time.
    pub label_time_ms: i64,
    /// Who says so.
    pub source: LabelSource,
}

/// Who says whether a payment was fraud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LabelSource {
    /// The payment was disputed and charged back, days later.
    Chargeback,
    /// The cardholder reported or confirmed it, within hours.
    Customer,
    /// The issuer's own enquiry.
    Issuer,
}

impl LabelSource {
    /// Its word on the wire: `chargeback`, `customer`, `issuer`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chargeback => "chargeback",
            Self::Customer => "customer",
            Self::Issuer => "issuer",
        }
    }
}

/// The three ways in which cards are abused in the simulated world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FraudPattern {
    /// A stolen card makes 5 to 15 online payments of rising amount within about an hour, at unfamiliar
    /// merchants, from a device the card has never used.
    StolenCardBurst,
    /// For about 10 days the copied cards of a merchant's regulars are used at that merchant: a small test
    /// first, larger amounts after. Card and device look usual; the merchant's rate of fraud does not.
    CompromisedMerchant,
    /// A stranger with a new device pays online once or twice a day for 1 to 2 weeks; amounts grow slowly
    /// from below to far above the card's own norm.
    AccountTakeover,
}

impl FraudPattern {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::StolenCardBurst, Self::CompromisedMerchant, Self::AccountTakeover];

    /// Its word in reports: `stolen_card_burst`, `compromised_merchant`, `account_takeover`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StolenCardBurst => "stolen_card_burst",
            Self::CompromisedMerchant => "compromised_merchant",
            Self::AccountTakeover => "account_takeover",
        }
    }
}
