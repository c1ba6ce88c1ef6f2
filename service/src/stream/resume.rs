//! Where a partition goes on after a restart or a rebalance, and what of it is out already.
//!
//! The store's fence says where to read on. The output topics say what is out: per partition they are written in the
//! order of the input (an idempotent producer loses a suffix, never a middle), so the highest `src-offset` of each
//! source is enough. It is looked for from the end backwards, in steps that double.

use feature_store::store::Source;

use super::lane::Lane;
use super::{Output, Transport, TransportError};

/// Records read at first from the end of an output partition.
const FIRST_STEP: usize = 256;

/// Why a partition cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResumeError {
    /// The brokers did not answer, or the transport ended.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// Going on would lose payments or invent them: a person has to say what is right.
    #[error("{0}")]
    Refused(String),
}

/// Looks up what a lane needs before it is read: checks that the log still reaches back to the store's position, and
/// finds what is out. `fence` is the last offset that the store holds.
pub(super) fn open(
    lane: &mut Lane,
    transport: &mut impl Transport,
    output_partition: i32,
    fence: Option<i64>,
) -> Result<(), ResumeError> {
    let retained = transport.retained(lane.source)?;
    let name = crate::emit::source_name(lane.source);
    let next = match fence {
        None => retained.first,
        Some(fence) => fence + 1,
    };
    if next < retained.first {
        return Err(ResumeError::Refused(format!(
            "log_truncated: {name} begins at offset {} and the store needs {next}: its records are gone from the \
             topic. Point store.path at an empty folder \
             (with a copy of seal.key and unrecorded/) to rebuild the state from what is retained",
            retained.first
        )));
    }
    if next > retained.next {
        return Err(ResumeError::Refused(format!(
            "log_behind: {name} ends at offset {} and the store has read up to {next}: the topic was made anew or \
             lost its end. Point store.path at an empty folder (with a copy of seal.key and unrecorded/) to begin \
             anew",
            retained.next
        )));
    }
    // Without a fence the state is rebuilt from the beginning, and what was committed is out.
    let committed = transport.committed(lane.source)?.unwrap_or(0);
    let known_out = if fence.is_none() { committed - 1 } else { -1 };
    for output in Output::ALL {
        let found = out_through(transport, output, output_partition, lane.source)?;
        if let Some(through) = lane.out_through.get_mut(output as usize) {
            *through = found.max(known_out).max(*through);
        }
    }
    if fence.is_none() && retained.first > 0 && committed > 0 {
        tracing::warn!(source = %name, first = retained.first, "the state is rebuilt from what the topic retains");
    }
    lane.restart_at(next);
    (lane.log_next, lane.start_next) = (retained.next, retained.next);
    Ok(())
}

/// The highest offset of `source` that an output partition answers, -1 for none. Whatever stands nearest to the end
/// is the highest.
fn out_through(
    transport: &mut impl Transport,
    output: Output,
    partition: i32,
    source: Source,
) -> Result<i64, TransportError> {
    let mut step = FIRST_STEP;
    loop {
        let tail = transport.tail(output, partition, step)?;
        let of_source = tail.origins.iter().filter(|origin| origin.source == source);
        let highest = of_source.map(|origin| origin.offset).max();
        if highest.is_some() || tail.whole {
            return Ok(highest.unwrap_or(-1));
        }
        step *= 4;
    }
}
