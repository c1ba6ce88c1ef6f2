//! The embedded store as a member of the contract suite, and what only it promises.

use std::sync::Arc;

use feature_store::files::{FileOptions, JournalSync};
use tempfile::TempDir;

use super::super::world::folder;
use super::*;

struct Folder(TempDir);

fn options() -> FileOptions {
    FileOptions { journal_sync: JournalSync::Never, ..FileOptions::default() }
}

impl Backend for Folder {
    type Store = Embedded;

    fn create() -> Self {
        Self(folder())
    }

    fn open(&self, definitions: &Arc<Definitions>) -> Result<Embedded, StoreError> {
        Ok(Embedded::open(self.0.path(), options(), Arc::clone(definitions), 1)?.0)
    }

    fn checkpoint(store: &mut Embedded) {
        store.start_checkpoint(b"", Vec::new(), Vec::new()).unwrap();
        assert!(store.finish_checkpoint(true).unwrap());
    }

    fn recovering(store: &Embedded) -> Vec<Batch> {
        store.recovering().cloned().collect()
    }
}

#[test]
fn embedded_chain_of_one_source() {
    the_chain_of_one_source::<Folder>();
}

#[test]
fn embedded_sources_have_fences_of_their_own() {
    sources_have_fences_of_their_own::<Folder>();
}

#[test]
fn embedded_commit_out_of_order_is_an_error_and_changes_nothing() {
    a_commit_out_of_order_is_an_error_and_changes_nothing::<Folder>();
}

#[test]
fn embedded_refuses_what_a_bare_fence_loses() {
    what_a_bare_fence_loses_is_refused::<Folder>();
}

#[test]
fn i12_embedded_applies_every_record_once_whatever_is_delivered() {
    any_deliveries_apply_every_record_once::<Folder>("embedded_deliveries");
}

#[test]
fn embedded_states_come_back_with_a_checkpoint_and_without() {
    states_come_back_with_a_checkpoint_and_without::<Folder>();
}

#[test]
fn embedded_recovered_batches_go_first() {
    recovered_batches_go_first::<Folder>();
}

#[test]
fn a_second_owner_of_the_folder_is_refused() {
    let place = Folder::create();
    let definitions = definitions(FEATURES);
    let first = place.open(&definitions).unwrap();
    let second = place.open(&definitions);
    assert!(matches!(second, Err(StoreError::Files(FilesError::InUse { .. }))));
    drop(first);
    assert!(place.open(&definitions).is_ok());
}

#[test]
fn a_store_of_other_features_is_refused() {
    let place = Folder::create();
    let ours = definitions(FEATURES);
    let mut store = place.open(&ours).unwrap();
    deliver(&mut store, &ours.plans[0], &batch(None, 0, 9));
    Folder::checkpoint(&mut store);
    drop(store);
    let other = definitions(&FEATURES.replace("\"1d\"", "\"2d\""));
    assert!(matches!(place.open(&other), Err(StoreError::OtherLayout { .. })));
    assert_eq!(state(&mut place.open(&ours).unwrap()).version(), 10);
}
