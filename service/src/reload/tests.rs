//! When a file that changed is taken, and when not yet.

use std::fs;

use super::*;

#[test]
fn what_changed_is_taken_once_and_only_when_it_holds_still() {
    let folder = tempfile::TempDir::new().unwrap();
    let files = [folder.path().join("a"), folder.path().join("b")];
    let write = |a: &str, b: &str| {
        fs::write(&files[0], a).unwrap();
        fs::write(&files[1], b).unwrap();
    };
    let texts = |a: &str, b: &str| Some(Ok(vec![a.to_owned(), b.to_owned()]));
    write("1", "1");
    let mut watched = Watched::new(files.to_vec(), &["1", "1"]);
    assert_eq!([watched.look(), watched.look()], [None, None]);
    write("2", "1");
    assert_eq!(watched.look(), None, "the other file may still be on its way");
    write("2", "2");
    assert_eq!(watched.look(), None);
    assert_eq!(watched.look(), texts("2", "2"));
    assert_eq!([watched.look(), watched.look()], [None, None]);
    // What moves from one file to the other is a change.
    write("22", "");
    assert_eq!([watched.look(), watched.look()], [None, texts("22", "")]);
    // Gone is said once; back as it was is taken again.
    fs::remove_file(&files[1]).unwrap();
    assert_eq!(watched.look(), None);
    let gone = watched.look().unwrap().unwrap_err();
    assert!(gone.contains("/b: no such file"), "{gone}");
    assert_eq!([watched.look(), watched.look()], [None, None]);
    write("22", "");
    assert_eq!([watched.look(), watched.look()], [None, texts("22", "")]);
    // A change that is taken back within a look was none.
    write("3", "3");
    assert_eq!(watched.look(), None);
    write("22", "");
    assert_eq!([watched.look(), watched.look(), watched.look()], [None, None, None]);
    assert!(!format!("{watched:?}").contains("22"));
}
