//! `bench features`: the feature store alone. Simulated payments and labels through the demo's features, and the memory
//! of entities with 30 features and 16 events.

use std::sync::Arc;

use anyhow::Context;
use feature_store::definition::{Definitions, Vocabulary};
use feature_store::enricher::{Enricher, Limits};
use feature_store::files::{FileOptions, JournalSync};
use schemas::mapping::PaymentMapping;
use schemas::payment::{AmountMinor, ContentHash, Currency, FieldValue, Payment};
use schemas::time::{DAY_MS, DurationMs, EventTime, HOUR_MS};
use schemas::value::FeatureValue;

use super::{Figure, figure};
use crate::config::load;
use crate::demo::unpack;
use crate::simulate::{SimulatedEvent, Simulation, World, feed};
use crate::telemetry::process_figures;

/// Payments timed, after as many that only fill the state.
const PAYMENTS: usize = 500_000;
/// Features of the demo, and of the smaller set.
const MANY: usize = 26;
const FEW: usize = 15;
const ENTITIES: usize = 100_000;
const EVENTS: i64 = 16;

/// Runs it.
///
/// # Errors
/// When the store's folder cannot be made.
pub fn run() -> anyhow::Result<Vec<Figure>> {
    let mut figures = vec![figure("entities", "entities of a payment", 3.0)];
    for (count, name, text) in [
        (MANY, "payments_per_cpu_second_26", "26 features: payments a CPU second, with their labels"),
        (FEW, "payments_per_cpu_second_15", "15 features: payments a CPU second, with their labels"),
    ] {
        figures.push(figure(name, text, rate(count)?));
    }
    figures.push(figure(
        "bytes_per_entity",
        "resident bytes an entity, 30 features and 16 events",
        memory()?,
    ));
    Ok(figures)
}

fn enricher(folder: &std::path::Path, definitions: Arc<Definitions>) -> anyhow::Result<Enricher> {
    let limits = Limits {
        allowed_lateness: DurationMs(DAY_MS),
        remember: DurationMs(40 * DAY_MS),
        max_events: 4_096,
        tile: DurationMs(HOUR_MS),
        waiting_labels: 100_000,
    };
    let options = FileOptions { journal_sync: JournalSync::Never, ..FileOptions::default() };
    Ok(Enricher::open(folder, options, definitions, limits, usize::MAX / 4)?.0)
}

/// The demo's features, or the first so many of them that stand for all three entities.
fn rate(count: usize) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let config = unpack(folder.path())?;
    if count < MANY {
        let file = folder.path().join("features.toml");
        let text = std::fs::read_to_string(&file)?;
        // Every second one of the twenty-six, and two more; norms name features that may be gone.
        let chosen = text.split("[[feature]]").skip(1).enumerate();
        let chosen = chosen.filter(|(place, _)| place % 2 == 0 || *place >= 23).map(|(_, block)| block);
        let chosen: String = chosen.map(|block| format!("[[feature]]{block}")).collect();
        let lines = chosen.lines().filter(|line| !line.starts_with("norm")).collect::<Vec<_>>();
        std::fs::write(&file, lines.join("\n"))?;
    }
    let setup = load(&config, &[], Vec::new())?;
    anyhow::ensure!(
        setup.definitions.features.len() == count,
        "{} features",
        setup.definitions.features.len()
    );
    let mut events = Vec::with_capacity(2 * PAYMENTS);
    for event in Simulation::new(World::default()).take(2 * PAYMENTS) {
        events.push(match &event {
            SimulatedEvent::Payment(simulated) => Ok(payment(simulated, &setup.config.mapping)?),
            SimulatedEvent::Label(label) => Err(feed::label(label).context("a label")?),
        });
    }
    let mut enricher = enricher(&folder.path().join("store"), Arc::clone(&setup.definitions))?;
    let mut vector = vec![FeatureValue::Null; setup.definitions.features.len()];
    let (mut before, mut payments) = (0.0, 0_u64);
    for (place, event) in events.iter().enumerate() {
        if place == PAYMENTS {
            (before, payments) = (cpu()?, 0);
        }
        match event {
            Ok(payment) => {
                enricher.payment(0, payment, &mut vector)?;
                payments += 1;
            }
            Err(label) => _ = enricher.label(label)?,
        }
    }
    Ok(payments as f64 / (cpu()? - before))
}

fn cpu() -> anyhow::Result<f64> {
    Ok(process_figures().context("what the process used")?.cpu_seconds)
}

/// A simulated payment by the demo's mapping: card, merchant, device; card, channel, device, merchant.
fn payment(
    simulated: &crate::simulate::SimulatedPayment,
    mapping: &PaymentMapping,
) -> anyhow::Result<Payment> {
    let word = |name: &str| match name {
        "card" => simulated.card_id.as_str(),
        "merchant" => simulated.merchant_id.as_str(),
        "device" => simulated.device_id.as_str(),
        _ => simulated.channel,
    };
    Ok(Payment {
        transaction_id: simulated.transaction_id.as_str().into(),
        event_time: EventTime::from_ms(simulated.event_time_ms).context("a time")?,
        amount: AmountMinor::new(simulated.amount_minor).context("an amount")?,
        currency: Currency::parse(simulated.currency).context("a currency")?,
        entities: mapping.entities.iter().map(|entity| Some(word(&entity.name).into())).collect(),
        fields: mapping.fields.iter().map(|field| FieldValue::Text(word(&field.name).into())).collect(),
        content: ContentHash(0),
    })
}

/// Thirty features over one entity: counts, sums, means and extremes over ten windows.
fn memory() -> anyhow::Result<f64> {
    let mut text = String::new();
    for (place, window) in ["1h", "2h", "6h", "12h", "1d", "2d", "7d", "14d", "21d", "30d"].iter().enumerate()
    {
        let extreme = if place % 2 == 0 { "max" } else { "min" };
        for (word, of) in [("count", ""), ("sum", "of = \"amount\"\n"), (extreme, "of = \"amount\"\n")] {
            text += &format!(
                "[[feature]]\nname = \"{word}_{window}\"\nentity = \"card\"\naggregate = \"{word}\"\n{of}window = \"{window}\"\n"
            );
        }
    }
    let vocabulary = Vocabulary { entities: vec!["card".to_owned()], fields: Vec::new() };
    let definitions = Arc::new(Definitions::parse("the bench's features", &text, &vocabulary)?);
    let folder = tempfile::tempdir()?;
    let mut enricher = enricher(folder.path(), definitions)?;
    let mut vector = vec![FeatureValue::Null; 30];
    for event in 0..EVENTS {
        for entity in 0..ENTITIES {
            let payment = Payment {
                transaction_id: format!("{entity}-{event}").into(),
                event_time: EventTime::from_ms(event * DAY_MS + entity as i64).context("a time")?,
                amount: AmountMinor::new(100 + event).context("an amount")?,
                currency: Currency::parse("EUR").context("a currency")?,
                entities: std::iter::once(Some(format!("card_{entity:08}").into())).collect(),
                fields: std::iter::empty().collect(),
                content: ContentHash(0),
            };
            enricher.payment(0, &payment, &mut vector)?;
        }
    }
    Ok(enricher.store().resident_bytes() as f64 / ENTITIES as f64)
}
