//! The outbox: records made and not sent yet, and how many are sent and not acknowledged yet.
//!
//! Both are bounded: while either is over its bound no new batch is begun, and so a broker that stands still pauses
//! the input and memory stays flat.

use std::collections::VecDeque;

use super::{Outgoing, Transport, TransportError};

/// Bounds of what is on its way.
#[derive(Debug, Clone, Copy)]
pub struct OutboxLimits {
    /// Most records sent and not acknowledged.
    pub messages: usize,
    /// Most bytes of them.
    pub bytes: usize,
}

/// Records on their way out.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: OutboxLimits,
    unsent: VecDeque<Outgoing>,
    /// Size and arrival of what was sent, oldest first.
    sent: VecDeque<(usize, u64)>,
    sent_bytes: usize,
}

impl Outbox {
    pub fn new(limits: OutboxLimits) -> Self {
        Self { limits, unsent: VecDeque::new(), sent: VecDeque::new(), sent_bytes: 0 }
    }

    pub fn push(&mut self, outgoing: Outgoing) {
        self.unsent.push_back(outgoing);
    }

    /// Hands over what the transport takes.
    pub fn send(&mut self, transport: &mut impl Transport) -> Result<(), TransportError> {
        while let Some(outgoing) = self.unsent.pop_front() {
            let size = (outgoing.bytes(), outgoing.arrived_us);
            if let Some(outgoing) = transport.send(outgoing)? {
                self.unsent.push_front(outgoing);
                break;
            }
            self.sent_bytes += size.0;
            self.sent.push_back(size);
        }
        Ok(())
    }

    /// Takes note of acknowledgements; `each` gets the arrival time of each input.
    pub fn acknowledged(&mut self, count: usize, mut each: impl FnMut(u64)) {
        for (bytes, arrived_us) in self.sent.drain(..count.min(self.sent.len())) {
            self.sent_bytes -= bytes;
            each(arrived_us);
        }
    }

    /// Whether a new batch may be begun.
    pub fn has_room(&self) -> bool {
        self.unsent.is_empty()
            && self.sent.len() < self.limits.messages
            && self.sent_bytes < self.limits.bytes
    }

    /// Whether everything made is acknowledged.
    pub fn is_empty(&self) -> bool {
        self.unsent.is_empty() && self.sent.is_empty()
    }

    /// Records made and not acknowledged.
    pub fn len(&self) -> usize {
        self.unsent.len() + self.sent.len()
    }
}
