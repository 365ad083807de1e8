//! Tables for people.

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, TableStyle};

/// Returns a table, as wide as the terminal, or as needed where there is none. `right` are the columns of numbers
/// and times.
pub(crate) fn of<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl Iterator<Item = [Cell; COLUMNS]>,
    right: &[usize],
) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        // The output removes them where they are not wanted.
        .enforce_styling()
        .set_header(header.map(|name| Cell::new(name).add_attribute(Attribute::Bold)))
        .add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        let left = if index > 0 { 2 } else { 0 };
        column.set_padding((left, 0));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Returns the text, or `-` for what is not known.
pub(crate) fn known(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
