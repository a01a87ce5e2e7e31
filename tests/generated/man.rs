//! The manual pages.

use ipcbox::applets::{APPLETS, Applet};

use super::{Rendered, committed};

/// A page under another name.
fn link(applet: &Applet) -> String {
    format!(".so man1/ipcbox-{}.1\n", applet.name)
}

#[test]
fn pages_are_those_of_the_tables() {
    let links = APPLETS.iter().map(|applet| (format!("{}.1", applet.name), link(applet)));
    committed("man", &links.collect::<Rendered>());
}
