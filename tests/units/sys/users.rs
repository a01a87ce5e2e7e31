use super::entries;

#[test]
fn entries_are_first_and_third_field() {
    let text = "root:x:0:0:root:/root:/bin/sh\n\n# comment\nbad:x:y:\nstaff:x:50:\n";
    let found: Vec<_> = entries(text).collect();
    assert_eq!(found, [("root", 0), ("staff", 50)]);
}
