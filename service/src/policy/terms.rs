//! Terms: the words that a policy may use beside the payment's own, with what stands behind each.
//!
//! An expression that names a feature which is not computed must be refused when the policy is loaded, not found
//! out when a payment comes. Not values: those are a decision's facts.

use feature_store::definition::Definitions;
use schemas::mapping::{FieldKind, PaymentMapping};
use schemas::name::Name;
use schemas::value::ValueKind;

/// Entities, fields and features by name, each in the order of its payment or vector.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    entities: Vec<Name>,
    fields: Vec<(Name, FieldKind)>,
    features: Vec<(Name, ValueKind)>,
}

impl Terms {
    /// What the mapping and the features file declare.
    pub fn of(mapping: &PaymentMapping, definitions: &Definitions) -> Self {
        let features = definitions.features.iter();
        Self {
            entities: mapping.entities.iter().map(|entity| entity.name.as_str().into()).collect(),
            fields: mapping.fields.iter().map(|field| (field.name.as_str().into(), field.kind)).collect(),
            features: features.map(|feature| (feature.name.as_str().into(), feature.value_kind())).collect(),
        }
    }

    /// The entities, in the order of a payment's keys.
    pub fn entities(&self) -> &[Name] {
        &self.entities
    }

    /// The mapped fields, in the order of a payment's values.
    pub(super) fn fields(&self) -> &[(Name, FieldKind)] {
        &self.fields
    }

    /// The features, in the order of a vector.
    pub(super) fn features(&self) -> &[(Name, ValueKind)] {
        &self.features
    }
}

#[cfg(test)]
impl Terms {
    /// Entities alone.
    pub(crate) fn with_entities(names: &[&str]) -> Self {
        Self { entities: names.iter().map(|name| Name::from(*name)).collect(), ..Self::default() }
    }
}
