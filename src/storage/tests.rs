//! What every store must do.

use std::fs;

use super::*;

/// Puts, gets, lists and deletes in `store`, which is empty before and after. `scratch` is a local folder on the same disk
/// as the store, if it has one.
pub fn conforms(store: &dyn Store, scratch: &Path) {
    let key = "0/c/1";
    assert_eq!(store.get(key, 10).unwrap(), None);
    assert_eq!(store.get_part(key, Part::Suffix(1)).unwrap(), None);
    assert_eq!((store.size(key).unwrap(), store.exists(key).unwrap()), (None, false));
    store.delete(key).unwrap();
    assert_eq!(listed(store, ""), []);

    store.put(key, b"old".to_vec()).unwrap();
    store.put(key, b"abcdef".to_vec()).unwrap();
    assert_eq!(store.get(key, 6).unwrap().unwrap(), b"abcdef");
    assert!(matches!(store.get(key, 5), Err(StoreError::TooLarge { bytes: 6, limit: 5 })));
    assert_eq!((store.size(key).unwrap(), store.exists(key).unwrap()), (Some(6), true));
    assert!(!store.put_new(key, b"newer".to_vec()).unwrap());
    assert_eq!(store.get(key, 6).unwrap().unwrap(), b"abcdef");
    assert!(store.put_new("lease", b"mine".to_vec()).unwrap() && !store.put_new("lease", b"yours".to_vec()).unwrap());
    assert_eq!(store.get("lease", 6).unwrap().unwrap(), b"mine");
    assert!(store.modified("lease").unwrap().is_some() && store.modified("nothing").unwrap().is_none());
    store.delete("lease").unwrap();
    parts(store, key);

    let file = scratch.join("local.part");
    fs::write(&file, b"from a file").unwrap();
    store.put_file("0/c/2", &file).unwrap();
    assert!(!file.exists());
    assert_eq!(store.get("0/c/2", 100).unwrap().unwrap(), b"from a file");
    store.put("zarr.json", b"{}".to_vec()).unwrap();
    store.put("01/c", Vec::new()).unwrap();
    assert_eq!(store.get("01/c", 0).unwrap().unwrap(), b"");
    lists(store);
    let mut top = Vec::new();
    let all = &mut |key: &str, _| {
        top.push(key.to_string());
        ControlFlow::Continue(())
    };
    store.list_top(all).unwrap();
    assert_eq!(top, ["zarr.json"]);

    let below = store.below("0/c");
    assert_eq!(below.get("1", 6).unwrap().unwrap(), b"abcdef");
    let (above, name) = below.above().unwrap();
    assert_eq!((above.get("c/1", 6).unwrap().unwrap(), name.as_str()), (b"abcdef".to_vec(), "c"));
    assert_eq!(below.describe("1"), store.describe(key));
    for climbing in ["../secret", "a/../../secret", "..", "a/./b", "a\\b", "", "/a", "a//b"] {
        assert!(matches!(store.get(climbing, 10), Err(StoreError::Key { .. })), "{climbing}");
        assert!(matches!(store.put(climbing, Vec::new()), Err(StoreError::Key { .. })), "{climbing}");
    }
    store.sync().unwrap();
    store.delete("zarr.json").unwrap();
    assert!(!store.exists("zarr.json").unwrap());
    store.clear("0").unwrap();
    assert_eq!(listed(store, ""), [("01/c".to_string(), 0)]);
    store.clear("").unwrap();
    store.clear("").unwrap();
    assert_eq!(listed(store, ""), []);
}

fn parts(store: &dyn Store, key: &str) {
    let piece = |bytes: &[u8]| Piece { bytes: bytes.to_vec(), total: 6 };
    assert_eq!(store.get_part(key, Part::Suffix(2)).unwrap().unwrap(), piece(b"ef"));
    assert_eq!(store.get_part(key, Part::Suffix(6)).unwrap().unwrap(), piece(b"abcdef"));
    assert_eq!(store.get_part(key, Part::Range { offset: 1, len: 3 }).unwrap().unwrap(), piece(b"bcd"));
    assert_eq!(store.get_part(key, Part::Range { offset: 0, len: 6 }).unwrap().unwrap(), piece(b"abcdef"));
    for (offset, len) in [(4, 3), (6, 1), (100, 1), (u64::MAX, 1), (u64::MAX, u64::MAX), (0, u64::MAX)] {
        let error = store.get_part(key, Part::Range { offset, len }).unwrap_err();
        assert!(matches!(error, StoreError::Outside { .. }), "{offset} {len}: {error:?}");
    }
    assert!(matches!(store.get_part(key, Part::Suffix(7)), Err(StoreError::Outside { total: 6, .. })));
}

fn lists(store: &dyn Store) {
    let all = [("0/c/1", 6), ("0/c/2", 11), ("01/c", 0), ("zarr.json", 2)];
    let owned = |keys: &[(&str, u64)]| keys.iter().map(|(key, n)| (key.to_string(), *n)).collect::<Vec<_>>();
    assert_eq!(listed(store, ""), owned(&all));
    assert_eq!(listed(store, "0"), owned(&all[..2]));
    assert_eq!(listed(store, "nothing"), []);
    assert_eq!((stored_size(store, "").unwrap(), stored_size(store, "0/c").unwrap()), (19, 17));
    let mut seen = 0;
    let visit = &mut |_: &str, _| {
        seen += 1;
        ControlFlow::Break(())
    };
    store.list("", visit).unwrap();
    assert_eq!(seen, 1);
}

fn listed(store: &dyn Store, prefix: &str) -> Vec<(String, u64)> {
    let mut keys = Vec::new();
    store
        .list(prefix, &mut |key, bytes| {
            keys.push((key.to_string(), bytes));
            ControlFlow::Continue(())
        })
        .unwrap();
    keys.sort();
    keys
}

#[test]
fn a_folder_conforms() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), "x").unwrap();
    conforms(&DirStore::new(dir.path().join("inside")), dir.path());
}

#[test]
fn a_write_that_ends_early_leaves_the_old_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirStore::new(dir.path());
    // A name that leaves no room for that of the unfinished file.
    let key = "a".repeat(250);
    fs::write(dir.path().join(&key), b"old").unwrap();
    assert!(store.put(&key, b"new".to_vec()).is_err());
    assert_eq!(store.get(&key, 3).unwrap().unwrap(), b"old");
}
