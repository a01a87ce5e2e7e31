#[test]
fn any_line_is_read_or_refused() {
    crate::sys::sysv::try_lines::<super::Msg>();
}
