//! The manual pages and the cookbook.

use ipcbox::applets::APPLETS;

use crate::generated::{Block, prose};

fn run(page: &str) {
    for block in prose(page) {
        if let Block::Example(example) = block {
            example.run();
        }
    }
}

/// A test for each page, so that they run beside each other.
macro_rules! pages {
    ($($test:ident $page:literal)*) => {
        $(#[test]
        fn $test() {
            run($page);
        })*

        #[test]
        fn every_page_is_run() {
            let run = [$($page),*];
            for page in APPLETS.iter().map(|applet| applet.name).chain(["ipcbox", "cookbook"]) {
                assert!(run.contains(&page), "{page}");
            }
        }
    };
}

pages! {
    the_box "ipcbox"
    cookbook "cookbook"
    fifo "fifo"
    ipcrm_lite "ipcrm-lite"
    ipcs_lite "ipcs-lite"
    msgq "msgq"
    pipe "pipe"
    sem "sem"
    shm "shm"
    signal "signal"
}
