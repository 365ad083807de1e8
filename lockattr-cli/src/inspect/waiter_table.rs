//! The columns of a queue for people.

use comfy_table::Cell;

use crate::plain::plain;
use crate::table::{self, known};
use crate::waiter_view::WaiterView;

const HEADER: [&str; 4] = ["PLACE", "WAITER", "FUNCTION", "MODE"];

pub(super) fn of(views: &[WaiterView]) -> String {
    table::of(HEADER, (1..).zip(views).map(row), &[0])
}

fn row((place, view): (usize, &WaiterView)) -> [Cell; 4] {
    [
        Cell::new(place),
        Cell::new(plain(&view.who.process())),
        Cell::new(plain(&known(view.who.function.clone()))),
        Cell::new(known(view.mode_description.clone())),
    ]
}
