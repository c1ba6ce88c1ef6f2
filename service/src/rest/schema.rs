//! The schema in which callers write their payments: the newest one of the topic's subject, asked for again and again.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use schemas::codec::{Aliases, BodyReader, SchemaId, check_schema};
use schemas::mapping::PaymentMapping;

use crate::registry::client::RegistryClient;

/// How often the registry is asked for a newer schema.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// While there is none yet.
const ASK_FIRST: Duration = Duration::from_millis(500);

/// One schema's reader.
pub struct Bodies {
    /// Its id.
    pub id: SchemaId,
    /// Reads bodies.
    pub reader: BodyReader,
}

/// The reader of now.
#[derive(Clone, Default)]
pub struct BodySchema(Arc<ArcSwapOption<Bodies>>);

impl BodySchema {
    /// The reader, once the registry has given a schema.
    pub fn get(&self) -> Option<Arc<Bodies>> {
        self.0.load_full()
    }

    /// Asks the registry for ever. A schema that does not fit the mapping is refused, and the one before serves on.
    pub async fn follow(self, client: RegistryClient, subject: String, mapping: Arc<PaymentMapping>) {
        let mut said = String::new();
        loop {
            let why = match client.latest(&subject).await {
                Ok((id, text)) => self.learn(id, &text, &mapping).err(),
                Err(error) => Some(error.to_string()),
            };
            let why = why.unwrap_or_default();
            if !why.is_empty() && why != said {
                tracing::warn!(%why, "the schema of payments over REST is not to be had");
            }
            said = why;
            let wait = if self.get().is_some() { ASK_EVERY } else { ASK_FIRST };
            tokio::time::sleep(wait).await;
        }
    }

    fn learn(&self, id: SchemaId, text: &str, mapping: &Arc<PaymentMapping>) -> Result<(), String> {
        if self.get().is_some_and(|bodies| bodies.id == id) {
            return Ok(());
        }
        let schema = check_schema(text).map_err(|reject| reject.to_string())?;
        let mut aliases = Aliases::new();
        aliases.learn(&schema);
        let reader = BodyReader::new(Arc::clone(mapping), &schema, &aliases).map_err(|r| r.to_string())?;
        tracing::info!(schema = id.0, "payments over REST are read in this schema");
        self.0.store(Some(Arc::new(Bodies { id, reader })));
        Ok(())
    }
}
