//! The columns of a list for people.

use comfy_table::{Cell, Color};

use crate::holder_view::HolderView;
use crate::plain::plain;
use crate::span::short;
use crate::table::{self, known};

const HEADER: [&str; 8] = [
    "KEY", "MODE", "HOLDER", "FUNCTION", "TOKEN", "HELD", "TTL", "WAITERS",
];

pub(super) fn of(views: &[HolderView]) -> String {
    table::of(HEADER, views.iter().map(row), &[4, 5, 6, 7])
}

fn row(view: &HolderView) -> [Cell; 8] {
    let mut mode = view.mode_description.clone();
    if view.finished {
        mode += ", finished";
    }
    let waiters = Cell::new(view.waiters);
    [
        Cell::new(plain(&view.key)),
        Cell::new(mode),
        Cell::new(plain(&view.who.process())),
        Cell::new(plain(&known(view.who.function.clone()))),
        Cell::new(known(view.token.map(|token| token.to_string()))),
        Cell::new(known(view.held_for().map(short))),
        Cell::new(known(view.ends_in().map(short))),
        if view.waiters > 0 {
            waiters.fg(Color::Yellow)
        } else {
            waiters
        },
    ]
}
