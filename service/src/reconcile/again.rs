//! Again: the models and policies that decisions name, to score and decide with them once more.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use batch::archive::ArchiveStore;
use feature_store::definition::Definitions;
use feature_store::enricher::Enriched;
use models::Model;
use schemas::decision::Decision;
use schemas::name::Name;
use schemas::payment::Payment;
use schemas::value::FeatureValue;
use smallvec::SmallVec;

use crate::archiver::policy_path;
use crate::config::Setup;
use crate::judge::{Case, Judge, Written};
use crate::made::Made;
use crate::pipeline::Deciders;
use crate::policy::{Digester, Lack, ListKind, Listing, Lists, Policy, SALT_BYTES, Terms};

/// Models and policies by what decisions call them.
pub(super) struct Again<'a> {
    judge: Judge,
    definitions: Arc<Definitions>,
    entities: Vec<Name>,
    terms: Arc<Terms>,
    store: &'a ArchiveStore,
    models_folder: Option<PathBuf>,
    models: HashMap<Name, Option<Arc<Model>>>,
    policies: HashMap<Name, Option<Arc<Policy>>>,
}

impl<'a> Again<'a> {
    pub fn new(setup: &Setup, store: &'a ArchiveStore) -> Self {
        let mapping = &setup.config.mapping;
        let live = (setup.policy.version().clone(), Some(Arc::clone(&setup.policy)));
        Self {
            judge: Judge::new(&setup.definitions, mapping),
            definitions: Arc::clone(&setup.definitions),
            entities: mapping.entities.iter().map(|entity| Name::from(entity.name.as_str())).collect(),
            terms: Arc::clone(&setup.terms),
            store,
            models_folder: setup.config.models.as_ref().map(|models| models.path.clone()),
            models: HashMap::new(),
            policies: HashMap::from([live]),
        }
    }

    /// The model of an id; `None` when its files are not there.
    pub fn model(&mut self, id: &Name) -> Option<Arc<Model>> {
        if let Some(known) = self.models.get(id) {
            return known.clone();
        }
        let loaded = self.load(id).map(Arc::new);
        self.models.insert(id.clone(), loaded.clone());
        loaded
    }

    fn load(&self, id: &str) -> Option<Model> {
        let (name, version) = id.split_once('/')?;
        let plain = |part: &&str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\\']);
        let folder =
            self.models_folder.as_ref()?.join(Some(name).filter(plain)?).join(Some(version).filter(plain)?);
        let names: Vec<&str> =
            self.definitions.features.iter().map(|feature| feature.name.as_str()).collect();
        Model::load(&folder, &names).ok()
    }

    /// The policy of a version, from the config or the archive; `None` when it is in neither.
    pub fn policy(&mut self, version: &Name) -> Option<Arc<Policy>> {
        if let Some(known) = self.policies.get(version) {
            return known.clone();
        }
        let text = self.store.get(&policy_path(version)).ok().flatten();
        let text = text.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
        let policy = text.and_then(|text| Policy::parse("policy.toml", &text, &self.terms).ok());
        let policy = policy.filter(|policy| policy.version() == version).map(Arc::new);
        self.policies.insert(version.clone(), policy.clone());
        policy
    }

    /// The decision made again over a vector and a score.
    pub fn decide(
        &self,
        policy: &Arc<Policy>,
        model: Option<&Arc<Model>>,
        recorded: &Decision,
        payment: &Payment,
        vector: &[FeatureValue],
        score: Option<f64>,
    ) -> Made {
        let lists = Arc::new(self.lists(recorded, payment));
        let deciders = Deciders { model: model.cloned(), policy: Arc::clone(policy), lists };
        let lack = recorded.fallback.as_deref();
        let lack = lack.and_then(|word| Lack::ALL.into_iter().find(|lack| lack.as_str() == word));
        let labels_until = recorded.labels_until.clone().into();
        let seen = Enriched { versions: SmallVec::new(), approximate: recorded.approximate, labels_until };
        let case = Case { payment, seen: &seen, vector, score, lack };
        let written = Written {
            door: recorded.door,
            source: (recorded.source_partition, recorded.source_offset),
            schema_id: recorded.schema_id,
            decided_at_ms: recorded.decided_at_ms,
            judged_ms: recorded.decided_at_ms,
            attempt: recorded.attempt,
            latency_us: recorded.latency_us,
        };
        self.judge.decide(&deciders, &case, &written)
    }

    /// The lists as far as the decision says that they matched: nothing else of them is recorded.
    fn lists(&self, recorded: &Decision, payment: &Payment) -> Lists {
        if recorded.lists.is_empty() {
            return Lists::empty();
        }
        let digester = Digester::new(&[0; SALT_BYTES]);
        let entries = recorded.lists.iter().filter_map(|matched| {
            let (list, entity) = matched.split_once('/')?;
            let at = self.entities.iter().position(|known| **known == *entity)?;
            let key = payment.entities.get(at)?.as_deref()?;
            let listing = Listing {
                list: ListKind::parse(list)?,
                entity: Name::from(entity),
                owner: Name::from(""),
                reason: Name::from(""),
                expires_ms: None,
            };
            Some((digester.digest(entity, key), listing))
        });
        Lists::of(digester.clone(), &self.entities, entries.collect::<Vec<_>>())
    }
}
