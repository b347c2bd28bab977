use std::path::Path;

use super::*;
use crate::Error;

fn refused(text: &str) -> String {
    let location = Location::from(text);
    assert_eq!(location.local_path(), None);
    assert!(!location.is_cloud());
    let error = location.check(crate::Setting::Output).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }));
    error.to_string()
}

#[test]
fn text_is_a_path_or_a_url() {
    for path in [
        "runs", "./s3://x", "/a b/ü", "", "s3:/x", "C:\\runs", "1s3://x", "a/b://c",
    ] {
        let location = Location::from(path);
        assert_eq!(location.local_path(), Some(Path::new(path)));
        assert_eq!(location.to_string(), path);
    }
    assert_eq!(
        Location::from("file:///tmp/a%20b").local_path(),
        Some(Path::new("/tmp/a b"))
    );
    for (given, kept) in [
        ("s3://bucket", "s3://bucket"),
        ("S3://bucket/", "s3://bucket"),
        ("gs://b.u-c/a b/ü%20#x/", "gs://b.u-c/a b/ü%20#x"),
        ("az://box/a@b/c:d", "az://box/a@b/c:d"),
    ] {
        let location = Location::from(Path::new(given));
        assert!(location.is_cloud());
        assert_eq!(location.to_string(), kept);
        if cfg!(feature = "cloud") {
            location.check(crate::Setting::Output).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_used_is_refused_without_its_secrets() {
    for (text, accepted) in [
        ("ftp://host/x", "s3://bucket/prefix"),
        ("https://host/x", "s3://bucket/prefix"),
        ("s3://", "names a bucket"),
        ("s3:///x", "names a bucket"),
        ("gs://b//x", "single slashes"),
        ("gs://b/../x", "none of them . or .."),
        ("file://elsewhere/x", "of this machine"),
    ] {
        let said = refused(text);
        assert!(said.contains(text) && said.contains(accepted), "{said}");
        assert!(said.starts_with("output "), "{said}");
    }
    for text in [
        "s3://me:hidden@bucket/x",
        "s3://me:hid/den@bucket/x",
        "s3://hidden:@bucket",
        "s3://me:hidden/x",
        "az://box/x?sig=hidden",
        "ftp://me:hidden@host/x?hidden",
        "https://hidden@host",
    ] {
        let said = refused(text);
        assert!(!said.contains("hid") && !said.contains("den@"), "{said}");
        assert!(!format!("{:?}", Location::from(text)).contains("hid"));
    }
}

#[test]
fn names_are_joined_and_found_again() {
    for (base, joined) in [
        ("runs", "runs/a b/c"),
        ("s3://bucket", "s3://bucket/a b/c"),
        ("s3://bucket/x/", "s3://bucket/x/a b/c"),
    ] {
        let location = Location::from(base).join("a b").join("c");
        assert_eq!(location.to_string(), joined);
        assert_eq!(location.file_name().as_deref(), Some("c"));
        let above = location.parent().and_then(|folder| folder.parent());
        assert_eq!(above, Some(base.into()));
    }
    assert_eq!(Location::from("s3://bucket").parent(), None);
    assert_eq!(Location::from("s3://bucket").file_name(), None);
    assert!(
        Location::from("s3://bucket")
            .join("..")
            .check(crate::Setting::Output)
            .is_err()
    );
}

#[test]
fn json_has_the_text() {
    for text in ["runs/it", "s3://bucket/a b/it"] {
        let location = Location::from(text);
        let json = serde_json::to_value(&location).unwrap();
        assert_eq!(json, text);
        let read: Location = serde_json::from_value(json).unwrap();
        assert_eq!(read, location);
    }
}

#[test]
fn files_here_are_written_read_listed_and_deleted() {
    let base = tempfile::tempdir().unwrap();
    let folder = Location::from(base.path()).join("new/folder");
    let (a, b) = (folder.join("a"), folder.join("b"));
    b.write_blocking("b").unwrap();
    a.write_blocking("first").unwrap();
    a.write_blocking(*b"second").unwrap();
    assert_eq!(a.read_blocking().unwrap(), b"second");
    assert_eq!(folder.list_blocking().unwrap(), ["a", "b"]);
    a.delete_blocking().unwrap();
    a.delete_blocking().unwrap();
    assert_eq!(folder.list_blocking().unwrap(), ["b"]);
    let error = a.read_blocking().unwrap_err().to_string();
    assert!(error.contains("new/folder/a"), "{error}");
    assert!(a.list_blocking().is_err());
    // A file is no folder.
    let error = b.join("c").write_blocking("x").unwrap_err().to_string();
    assert!(error.contains("new/folder/b"), "{error}");
}

#[test]
fn callers_may_be_in_a_runtime_or_not() {
    let base = tempfile::tempdir().unwrap();
    let file = Location::from(base.path()).join("f");
    let bare = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    bare.block_on(async {
        file.write("1").await.unwrap();
        file.write_blocking("2").unwrap();
        assert_eq!(file.read().await.unwrap(), b"2");
        assert_eq!(file.read_blocking().unwrap(), b"2");
    });
}
