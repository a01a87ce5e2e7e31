use super::Message;

#[test]
fn message_holds_number_and_data() {
    let mut message = Message::new(-7);
    assert_eq!((message.number(), message.data()), (-7, &b""[..]));
    message.fill(b"abc");
    assert_eq!(message.data(), b"abc");
    message.space(10)[8..10].copy_from_slice(b"xy");
    message.has_numbered(2, 9);
    assert_eq!((message.number(), message.data()), (9, &b"xy"[..]));
    message.fill(b"");
    assert_eq!(message.whole().len(), 8);
}
