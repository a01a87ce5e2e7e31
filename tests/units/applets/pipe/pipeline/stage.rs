use super::*;

#[test]
fn sigpipe_is_forgiven_if_the_reader_succeeds() {
    let end = |ended| End { ended, by_ipcbox: false, wall: Duration::ZERO, usage: Usage::default() };
    let (pipe, well, bad) = (end(Ended::Killed(Signal::PIPE)), end(Ended::Exited(0)), end(Ended::Exited(1)));
    let judge = |ends: &[Option<&End>], readers| judge(ends, 0, readers);
    assert_eq!(judge(&[Some(&pipe), Some(&well)], Readers::Next), Verdict::Forgiven);
    let shell = end(Ended::Exited(141));
    assert_eq!(judge(&[Some(&shell), Some(&well)], Readers::Next), Verdict::Forgiven);
    assert_eq!(judge(&[Some(&pipe), Some(&shell), Some(&well)], Readers::Next), Verdict::Forgiven);
    assert_eq!(judge(&[Some(&shell), Some(&bad)], Readers::Next), Verdict::Failed);
    assert_eq!(judge(&[Some(&pipe), Some(&pipe), Some(&well)], Readers::Next), Verdict::Forgiven);
    assert_eq!(judge(&[Some(&pipe), Some(&pipe), None], Readers::Next), Verdict::Open);
    assert_eq!(judge(&[Some(&pipe), Some(&bad)], Readers::Next), Verdict::Failed);
    assert_eq!(judge(&[Some(&pipe)], Readers::Next), Verdict::Failed);
    assert_eq!(judge(&[Some(&pipe), Some(&pipe)], Readers::Other), Verdict::Failed);
    assert_eq!(judge(&[Some(&pipe), Some(&well)], Readers::None), Verdict::Failed);
    assert_eq!(judge(&[None], Readers::Next), Verdict::Open);
}
