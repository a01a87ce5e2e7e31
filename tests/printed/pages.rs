//! The manual pages and the cookbook.

use ipcbox::applets::APPLETS;

use super::Example;
use crate::generated::{Block, prose};
use crate::support::shellcheck;

fn examples(page: &str) -> impl Iterator<Item = Example> {
    prose(page).into_iter().filter_map(|block| match block {
        Block::Example(example) => Some(example),
        _ => None,
    })
}

fn run(page: &str) {
    for example in examples(page) {
        // A user repeats a recipe on the objects that the first use left.
        if page == "cookbook" { example.run_twice() } else { example.run() }
    }
}

/// One test per page, so that they run in parallel.
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

        #[test]
        fn examples_are_sound_shell() {
            shellcheck([$($page),*].into_iter().flat_map(examples).map(|example| example.script()));
        }
    };
}

pages! {
    main_page "ipcbox"
    cookbook "cookbook"
    fifo "fifo"
    ipcrm_lite "ipcrm-lite"
    ipcs_lite "ipcs-lite"
    msgq "msgq"
    pipe "pipe"
    sem "sem"
    shm "shm"
    signal "signal"
    sock "sock"
}
