use super::*;

#[test]
fn request_is_parsed_piece_by_piece() {
    for message in [None, Some(&b""[..]), Some(b"hello"), Some(&vec![7; LONGEST])] {
        let whole = request(message);
        for end in (0..whole.len()).step_by((whole.len() / 20).max(1)) {
            assert_eq!(parse(&whole[..end]), Begun::Part, "{end}");
        }
        assert_eq!(parse(&whole), Begun::Whole(message.map(<[u8]>::to_vec)));
        assert_eq!(parse(&[&whole[..], b"x"].concat()), Begun::Wrong);
    }
    assert_eq!(parse(b"x"), Begun::Wrong);
    // 4 MiB.
    assert_eq!(parse(b"M\0\0\x40\0"), Begun::Wrong);
}

#[test]
fn answers_are_read_in_order() {
    let mut answers = Answers { bytes: b"RAS".to_vec(), is_over: false };
    assert_eq!([answers.next(), answers.next()], [Some(Answer::Ready), Some(Answer::Accepted)]);
    assert_eq!(answers.next(), None);
    answers.bytes.extend([7, b'x']);
    assert_eq!([answers.next(), answers.next()], [Some(Answer::Ended(7)), Some(Answer::Strange)]);
    assert_eq!(Answers { bytes: b"S".to_vec(), is_over: true }.next(), Some(Answer::Gone));
}
