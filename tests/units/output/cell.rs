use super::{Cell, Duration};

fn json(cell: &Cell) -> String {
    let mut line = String::new();
    cell.json(&mut line);
    line
}

#[test]
fn json_has_typed_values() {
    let json = |cell: Cell| json(&cell);
    assert_eq!(json(Cell::Absent), "");
    assert_eq!(json(Cell::Unknown), "null");
    assert_eq!(json(Cell::from(7_u16)), "7");
    assert_eq!(json(Cell::key(-1)), "\"0xffffffff\"");
    assert_eq!(json(Cell::mode(0o600)), "\"0600\"");
    assert_eq!(json(Cell::Text("a\"\n".into())), "\"a\\\"\\n\"");
    assert_eq!(json(Cell::Flag(true)), "true");
    let time = Cell::Seconds(Duration::from_millis(1500));
    let list = Cell::List(vec![time, Cell::from(2)]);
    assert_eq!(list.text(false), "1.500000 2");
    assert_eq!(json(list), "[1.500000,2]");
    let one = vec![("pid", Cell::from(7)), ("slot", Cell::Absent), ("name", Cell::Unknown)];
    let two = vec![("pid", Cell::from(8))];
    let records = Cell::Records(vec![one, two]);
    assert_eq!(records.text(false), "7 -, 8");
    assert_eq!(json(records), r#"[{"pid":7,"name":null},{"pid":8}]"#);
}

#[test]
fn time_is_utc_and_zero_is_unknown() {
    assert_eq!(Cell::time(0), Cell::Unknown);
    assert_eq!(Cell::time(-1), Cell::Unknown);
    assert_eq!(Cell::time(i64::MAX), Cell::Unknown);
    assert_eq!(Cell::time(1), Cell::Text("1970-01-01T00:00:01Z".into()));
}

#[test]
fn cell_on_terminal_is_escaped() {
    let cell = Cell::Text("a\x1b[2J\n\u{9b}é".into());
    assert_eq!(cell.text(true), "a\\u{1b}[2J\\n\\u{9b}é");
    assert_eq!(cell.text(false), "a\x1b[2J\n\u{9b}é");
}
