use super::*;

#[test]
fn written_line_is_read_back() {
    for kept in [Kept::Lock, Kept::Slots(1), Kept::Slots(4), Kept::Slots(256)] {
        assert_eq!(Kept::parse(kept.line().as_bytes()), Some(kept));
        assert!(kept.line().len() < LONGEST);
    }
}

#[test]
fn other_content_is_no_slots_and_no_lock() {
    for text in [
        "",
        "ipcbox ",
        "ipcbox slots 4",
        "ipcbox slots 04\n",
        "ipcbox slots +4\n",
        "ipcbox slots 0\n",
        "ipcbox slots 257\n",
        "ipcbox slots 4\n\n",
        "ipcbox lock\nx",
        "ipcbox lock \n",
        "Ipcbox lock\n",
        "ipcbox slots 4 5\n",
    ] {
        assert_eq!(Kept::parse(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(Kept::parse(b"ipcbox lock\n\xff"), None);
}
