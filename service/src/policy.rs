//! stub
#![allow(missing_docs)]
use feature_store::definition::Definitions;
use schemas::{
    decision::Verdict, name::Name, payment::AmountMinor, problem::Problems, reason::Reason,
    value::FeatureValue,
};
pub struct Policy(Name);
pub enum Missing {
    NoModel,
    ModelFailed,
}
pub struct Facts<'a> {
    pub score: Option<f64>,
    pub missing: Missing,
    pub amount: AmountMinor,
    pub vector: &'a [FeatureValue],
}
pub struct Outcome {
    pub verdict: Verdict,
    pub expected_loss_minor: i64,
    pub reasons: Vec<Reason>,
    pub alert_rule: Option<Name>,
    pub fallback: Option<Name>,
}
impl Policy {
    pub fn parse(_: &str, _: &str) -> Result<Policy, Problems> {
        Ok(Policy(Name::from("pol")))
    }
    pub fn version(&self) -> &Name {
        &self.0
    }
    pub fn decide(&self, _: &Definitions, f: &Facts<'_>) -> Outcome {
        let _ = (&f.vector, &f.missing, f.score, f.amount);
        Outcome {
            verdict: Verdict::Review,
            expected_loss_minor: 0,
            reasons: vec![],
            alert_rule: Some(Name::from("all")),
            fallback: None,
        }
    }
}
