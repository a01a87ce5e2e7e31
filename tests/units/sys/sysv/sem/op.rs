use super::Op;

#[test]
fn operation_is_formatted_as_typed() {
    assert_eq!(Op::new(0, -1).to_string(), "0:-1");
    assert_eq!(Op::new(3, 2).undo().nowait().to_string(), "3:+2nu");
    assert_eq!(Op::new(1, 0).undo().to_string(), "1:+0u");
}
