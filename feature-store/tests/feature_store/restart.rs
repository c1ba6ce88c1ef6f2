//! Whatever ends the process, and whenever: what is applied again gives the same bits, versions and outcomes, and
//! the end is the same as if nothing had happened (I4, I12).

use feature_store::files::FileStep;
use feature_store::store::{Begin, Store};
use proptest::prelude::*;
use proptest::sample::select;

use super::scenario::{Scenario, Shape, scenario};
use super::world::{Reply, Tally, World, check, oracle, random};

/// What happens before a batch.
#[derive(Debug, Clone)]
enum Upset {
    Nothing,
    /// A checkpoint, waited for or finished later.
    Checkpoint {
        wait: bool,
    },
    /// The process ends, perhaps within the batch and within a checkpoint.
    Ending(Ending, Return),
}

#[derive(Debug, Clone)]
enum Ending {
    /// The files are closed; a checkpoint under way is written to its end and nobody hears of it.
    Closed,
    /// Kill -9 after so many records of the next batch, which was not committed.
    Killed { within: usize },
    /// Kill -9 while the last journal row was being written: so many bytes of it are missing.
    Torn { bytes: u64 },
    /// Kill -9 at this step of a checkpoint.
    InCheckpoint(FileStep),
    /// Closed right behind the start of a checkpoint, which nobody waited for.
    BesideCheckpoint,
}

/// What follows an ending.
#[derive(Debug, Clone)]
struct Return {
    /// It is killed again after so many of the batches to recover.
    again: Option<usize>,
    /// Everything is sent again from this batch on.
    from: usize,
}

const STEPS: [FileStep; 6] = [
    FileStep::JournalSwitched,
    FileStep::StreamsAppended,
    FileStep::BlobsWritten,
    FileStep::HeadWritten,
    FileStep::JournalsDropped,
    FileStep::Done,
];

fn upset() -> impl Strategy<Value = Upset> {
    let ending = prop_oneof![
        Just(Ending::Closed),
        (0..6_usize).prop_map(|within| Ending::Killed { within }),
        (1..30_u64).prop_map(|bytes| Ending::Torn { bytes }),
        select(STEPS.to_vec()).prop_map(Ending::InCheckpoint),
        Just(Ending::BesideCheckpoint),
    ];
    let back = (prop::option::weighted(0.3, 0..4_usize), 0..24_usize)
        .prop_map(|(again, from)| Return { again, from });
    prop_oneof![
        3 => Just(Upset::Nothing),
        1 => any::<bool>().prop_map(|wait| Upset::Checkpoint { wait }),
        2 => (ending, back).prop_map(|(ending, back)| Upset::Ending(ending, back)),
    ]
}

/// A run with upsets beside what an undisturbed run answered.
struct Run<'a> {
    scenario: &'a Scenario,
    expected: &'a [Vec<Reply>],
    world: Option<World>,
    /// Batches applied.
    done: usize,
    /// The batch before which the last durable checkpoint was started, for the owner's bytes.
    checkpoint: Vec<u8>,
    /// A checkpoint that was started and not waited for.
    beside: Option<Vec<u8>>,
    tally: Tally,
}

impl Run<'_> {
    fn world(&mut self) -> &mut World {
        self.world.as_mut().unwrap()
    }

    fn compare(&mut self, place: usize, replies: &[Reply]) -> Result<(), TestCaseError> {
        let expected = &self.expected[place];
        for (found, expected) in replies.iter().zip(expected) {
            prop_assert!(found.is_same(expected), "batch {}: {:?} was {:?}", place, found, expected);
        }
        self.tally.replayed += replies.len() as u64;
        Ok(())
    }

    fn before(&mut self, upset: &Upset) -> Result<(), TestCaseError> {
        let owner = format!("before {}", self.done).into_bytes();
        match upset {
            Upset::Nothing => {}
            Upset::Checkpoint { wait } => {
                self.settle();
                self.world().enricher.start_checkpoint(&owner).unwrap();
                self.beside = Some(owner);
                if *wait {
                    self.settle();
                }
            }
            Upset::Ending(ending, back) => {
                self.end(ending, owner)?;
                self.come_back(back)?;
            }
        }
        Ok(())
    }

    /// Waits for a checkpoint under way.
    fn settle(&mut self) {
        if self.world().finish_checkpoint(true) {
            self.checkpoint = self.beside.take().unwrap();
        }
    }

    fn end(&mut self, ending: &Ending, owner: Vec<u8>) -> Result<(), TestCaseError> {
        self.tally.endings += 1;
        match ending {
            Ending::Closed => self.checkpoint = self.beside.take().unwrap_or(self.checkpoint.clone()),
            _ => self.settle(),
        }
        let mut world = self.world.take().unwrap();
        let next = self.scenario.log.get(self.done);
        world = match ending {
            Ending::Closed => world.reopened(),
            Ending::Killed { within } => {
                if let Some(next) = next {
                    prop_assert_eq!(world.enricher.store().begin(&next.batch), Begin::Ready);
                    for place in 0..(*within).min(next.records.len()) {
                        let reply = world.record(next, place);
                        prop_assert!(reply.is_same(&self.expected[self.done][place]));
                    }
                }
                world.killed(|_| {})
            }
            Ending::Torn { bytes } => {
                let mut torn = false;
                let world = world.killed(|dir| torn = tear(dir, *bytes));
                // The row was not written whole, so its commit had not returned.
                self.done -= usize::from(torn);
                world
            }
            Ending::InCheckpoint(step) => {
                let durable =
                    matches!(step, FileStep::HeadWritten | FileStep::JournalsDropped | FileStep::Done);
                if durable {
                    self.checkpoint.clone_from(&owner);
                }
                world.killed_in_checkpoint(&owner, *step)
            }
            Ending::BesideCheckpoint => {
                world.enricher.start_checkpoint(&owner).unwrap();
                self.checkpoint = owner;
                world.reopened()
            }
        };
        self.world = Some(world);
        Ok(())
    }

    fn come_back(&mut self, back: &Return) -> Result<(), TestCaseError> {
        let owner = self.world().owner.clone();
        prop_assert_eq!(&owner, &self.checkpoint);
        if let Some(rows) = back.again {
            self.recover(rows)?;
            self.world = self.world.take().map(|world| world.killed(|_| {}));
        }
        self.recover(usize::MAX)?;
        for place in back.from..self.done {
            let batch = &self.scenario.log[place].batch;
            let begin = self.world().enricher.store().begin(batch);
            prop_assert_eq!(begin, Begin::Duplicate, "batch {} sent again", place);
        }
        Ok(())
    }

    /// Applies what the journal held, in its order, at most so many batches.
    fn recover(&mut self, most: usize) -> Result<(), TestCaseError> {
        let waiting: Vec<_> = self.world().enricher.store().recovering().cloned().collect();
        let first = self.done - waiting.len();
        let log = &self.scenario.log;
        for (place, batch) in (first..self.done).zip(&waiting).take(most) {
            prop_assert_eq!(self.world().enricher.store().next_recovering(), Some(batch));
            prop_assert_eq!(batch, &log[place].batch, "out of the journal's order");
            let replies = self.world().apply(&log[place]);
            self.compare(place, &replies)?;
        }
        Ok(())
    }

    /// Delivers what was not committed yet, up to this batch: a torn row sets the run back.
    fn deliver(&mut self, up_to: usize) -> Result<(), TestCaseError> {
        for place in self.done..=up_to {
            let logged = &self.scenario.log[place];
            let replies = self.world().apply(logged);
            self.compare(place, &replies)?;
            self.done = place + 1;
        }
        let wait = false;
        if self.world().finish_checkpoint(wait) {
            self.checkpoint = self.beside.take().unwrap();
        }
        Ok(())
    }
}

/// Cuts bytes off the newest journal, less than its last row has. Answers whether it has a row.
fn tear(dir: &std::path::Path, bytes: u64) -> bool {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let journals = names.filter(|path| path.to_str().unwrap().ends_with(".log"));
    let newest =
        journals.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("journal-")).max();
    let file = std::fs::OpenOptions::new().write(true).open(newest.unwrap()).unwrap();
    let len = file.metadata().unwrap().len();
    file.set_len(len.saturating_sub(bytes)).unwrap();
    len > 0
}

fn run(shape: Shape, name: &str, cases: u32) {
    let upsets = prop::collection::vec(upset(), shape.batches + 1);
    random(name, cases, &(scenario(shape), upsets), |(scenario, upsets), tally| {
        let (_, said) = oracle(&scenario);
        let mut undisturbed = World::of(&scenario);
        let expected: Vec<Vec<Reply>> = scenario.log.iter().map(|logged| undisturbed.apply(logged)).collect();
        if shape.max_events > 1_000 {
            for (said, reply) in said.iter().flatten().zip(expected.iter().flatten()) {
                check(said, reply, tally)?;
            }
        }
        let mut run = Run {
            scenario: &scenario,
            expected: &expected,
            world: Some(World::of(&scenario)),
            done: 0,
            checkpoint: Vec::new(),
            beside: None,
            tally: *tally,
        };
        for (place, upset) in upsets.iter().enumerate().take(scenario.log.len()) {
            run.before(upset)?;
            run.deliver(place)?;
        }
        run.before(&upsets[shape.batches])?;
        run.deliver(scenario.log.len() - 1)?;
        same_end(&mut undisturbed, run.world())?;
        run.settle();
        run.world().checkpoint(b"last");
        let mut world = run.world.take().unwrap().reopened();
        prop_assert!(world.enricher.store().next_recovering().is_none());
        same_end(&mut undisturbed, &mut world)?;
        *tally = run.tally;
        Ok(())
    });
}

fn same_end(undisturbed: &mut World, disturbed: &mut World) -> Result<(), TestCaseError> {
    prop_assert_eq!(undisturbed.states(), disturbed.states());
    let (a, b) = (&undisturbed.enricher, &disturbed.enricher);
    prop_assert_eq!(a.store().fences(), b.store().fences());
    prop_assert_eq!(a.remembered(), b.remembered());
    prop_assert_eq!(a.waiting(), b.waiting());
    Ok(())
}

#[test]
fn i4_i12_no_ending_changes_a_bit() {
    let shape = Shape { partitions: 3, batches: 24, max_events: 100_000, tile_units: 1 };
    run(shape, "restart", 1_500);
}

#[test]
fn i4_i12_no_ending_changes_a_bit_of_states_at_their_bound() {
    let shape = Shape { partitions: 2, batches: 24, max_events: 4, tile_units: 2 };
    run(shape, "restart at the bound", 700);
}
