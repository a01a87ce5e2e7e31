#[test]
fn any_line_is_parsed_or_rejected() {
    crate::sys::sysv::try_lines::<super::Sem>();
}
