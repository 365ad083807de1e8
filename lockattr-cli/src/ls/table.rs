//! A list for people.

use std::time::Duration;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, TableStyle};

use crate::holder_view::HolderView;
use crate::plain::plain;
use crate::span::short;

const HEADER: [&str; 8] = [
    "KEY", "MODE", "HOLDER", "FUNCTION", "TOKEN", "HELD", "TTL", "WAITERS",
];
/// The columns of numbers and times.
const RIGHT: [usize; 4] = [4, 5, 6, 7];

/// Returns the table, as wide as the terminal, or as needed where there is none.
pub(super) fn of(views: &[HolderView]) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        // Whoever prints it removes them where they are not wanted.
        .enforce_styling()
        .set_header(HEADER.map(|name| Cell::new(name).add_attribute(Attribute::Bold)))
        .add_rows(views.iter().map(row));
    for (index, column) in table.column_iter_mut().enumerate() {
        let left = if index > 0 { 2 } else { 0 };
        column.set_padding((left, 0));
        if RIGHT.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn row(view: &HolderView) -> [Cell; 8] {
    let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mut mode = view.mode_description.clone();
    if view.finished {
        mode += ", finished";
    }
    let ttl = Some(view.ttl_left).filter(|ttl| *ttl < Duration::MAX);
    let waiters = Cell::new(view.waiters);
    [
        Cell::new(plain(&view.key)),
        Cell::new(mode),
        Cell::new(plain(&view.place())),
        Cell::new(plain(&known(view.function.clone()))),
        Cell::new(known(view.token.map(|token| token.to_string()))),
        Cell::new(known(view.held_for().map(short))),
        Cell::new(known(ttl.map(short))),
        if view.waiters > 0 {
            waiters.fg(Color::Yellow)
        } else {
            waiters
        },
    ]
}
