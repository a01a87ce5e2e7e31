use nix::unistd::{read, write};

use super::*;

#[test]
fn mover_reports_which_side_is_not_ready() {
    for is_copied in [false, true] {
        let (from, there) = pipe::new().unwrap();
        let (here, to) = pipe::new().unwrap();
        let mover = Mover::new(Outlet::plain(&to));
        let mut mover = if is_copied { mover.copying() } else { mover };
        let mut turn = |most| mover.turn(&from, most, Deadline::Now);
        assert_eq!(turn(ALL), Ok(Flow::Empty));
        write(&there, b"abc").unwrap();
        assert_eq!(turn(2), Ok(Flow::Moved(2)));
        while write(&to, &[0; 4096]).or_else(|_| write(&to, b"x")).is_ok() {}
        assert_eq!(turn(ALL), Ok(Flow::Full));
        let mut bytes = vec![0; pipe::capacity(&here).unwrap()];
        while read(&here, &mut bytes).is_ok() {}
        assert_eq!(turn(ALL), Ok(Flow::Moved(1)));
        drop(there);
        assert_eq!(turn(ALL), Ok(Flow::End));
        drop(here);
    }
}
