use super::ctime;

#[test]
fn time_beyond_calendar_is_a_number() {
    assert_eq!(ctime(i64::MAX), i64::MAX.to_string());
    assert_eq!(ctime(0).len(), 24);
}
