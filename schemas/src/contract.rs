//! Our own Avro contracts: the texts that other teams read, and whether a registry holds the same.

use std::sync::LazyLock;

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

use crate::codec::{CheckedSchema, check_schema};
use crate::reject::Reject;

/// A contract: one file of `schemas/avro`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contract {
    /// [`crate::transaction::Transaction`].
    Transaction,
    /// [`crate::payment::Label`].
    Label,
    /// [`crate::decision::Decision`].
    Decision,
    /// [`crate::alert::Alert`].
    Alert,
    /// [`crate::dead_letter::DeadLetter`].
    DeadLetter,
    /// [`crate::correction::Correction`].
    Correction,
    /// [`crate::audit_head::AuditHead`].
    AuditHead,
}

/// The contracts, checked once: in the order of [`Contract::ALL`].
static SCHEMAS: LazyLock<[Result<CheckedSchema, Reject>; 7]> =
    LazyLock::new(|| Contract::ALL.map(|contract| check_schema(contract.text())));

impl Contract {
    /// Every contract.
    pub const ALL: [Contract; 7] = [
        Contract::Transaction,
        Contract::Label,
        Contract::Decision,
        Contract::Alert,
        Contract::DeadLetter,
        Contract::Correction,
        Contract::AuditHead,
    ];

    /// Its name, and its file's.
    pub fn name(self) -> &'static str {
        match self {
            Contract::Transaction => "transaction",
            Contract::Label => "label",
            Contract::Decision => "decision",
            Contract::Alert => "alert",
            Contract::DeadLetter => "dead_letter",
            Contract::Correction => "correction",
            Contract::AuditHead => "audit_head",
        }
    }

    /// Its text, as it is registered.
    pub fn text(self) -> &'static str {
        match self {
            Contract::Transaction => include_str!("../avro/transaction.avsc"),
            Contract::Label => include_str!("../avro/label.avsc"),
            Contract::Decision => include_str!("../avro/decision.avsc"),
            Contract::Alert => include_str!("../avro/alert.avsc"),
            Contract::DeadLetter => include_str!("../avro/dead_letter.avsc"),
            Contract::Correction => include_str!("../avro/correction.avsc"),
            Contract::AuditHead => include_str!("../avro/audit_head.avsc"),
        }
    }

    /// Its schema.
    ///
    /// # Errors
    /// None, as the tests show; a contract that is refused is a bug.
    pub fn schema(self) -> Result<&'static CheckedSchema, Reject> {
        SCHEMAS[self as usize].as_ref().map_err(Clone::clone)
    }

    /// Whether a registered schema can stand for this contract: the same canonical form, or each can read all that
    /// the other writes. Texts are not compared: registries minify them. Records under the registered id must be
    /// written in the registered schema: `Encoder::registered`.
    ///
    /// # Errors
    /// Why not, for the log and `/readyz`.
    pub fn compare(&self, registered: &str) -> Result<(), String> {
        // Bounds depth and recursion, on which apache-avro's parser relies.
        check_schema(registered).map_err(|reject| reject.to_string())?;
        let ours = parse(self.text()).map_err(|error| format!("the contract itself: {error}"))?;
        let theirs = parse(registered).map_err(|error| format!("the registered schema: {error}"))?;
        if ours.canonical_form() == theirs.canonical_form() {
            return Ok(());
        }
        match SchemaCompatibility::mutual_read(&ours, &theirs) {
            Ok(Compatibility::Full) => Ok(()),
            Ok(Compatibility::Partial) => {
                Err("the registered schema and the contract can read only some of each other's records"
                    .to_owned())
            }
            Err(error) => Err(format!("the registered schema and the contract do not fit: {error}")),
        }
    }
}

fn parse(text: &str) -> Result<Schema, String> {
    Schema::parse_str(text).map_err(|error| error.to_string())
}
