//! A payment in our own schema, `avro/transaction.avsc`: what the simulator sends, and what those can send who
//! have no schema yet. Not what the service works on: that is [`crate::payment::Payment`], whatever the schema.

use serde::{Deserialize, Serialize};

use crate::payment::{AmountMinor, Currency};
use crate::time::EventTime;

/// A payment in our own schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The payment's identity.
    pub transaction_id: String,
    /// When the card holder paid.
    pub event_time: EventTime,
    /// How much.
    #[serde(rename = "amount_minor")]
    pub amount: AmountMinor,
    /// In which currency.
    pub currency: Currency,
    /// Token of the card.
    pub card_id: String,
    /// The merchant's id.
    #[serde(default)]
    pub merchant_id: Option<String>,
    /// Id or fingerprint of the payer's device.
    #[serde(default)]
    pub device_id: Option<String>,
    /// ISO 18245 merchant category code.
    #[serde(default)]
    pub merchant_category: Option<String>,
    /// ISO 3166-1 alpha-2 code of the merchant's country.
    #[serde(default)]
    pub country: Option<String>,
    /// How the card was presented.
    #[serde(default)]
    pub channel: Option<String>,
}
