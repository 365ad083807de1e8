//! How the view looks.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table};

use super::history::WINDOW;
use super::order::Order;
use super::refresh::{Refresh, Row};
use super::view::View;
use crate::plain::plain;
use crate::span::{date, short};
use crate::table::known;

const COLUMNS: usize = 8;
const HEADER: [&str; COLUMNS] = [
    "KEY",
    "MODE",
    "HOLDER",
    "FUNCTION",
    "≥GRANTS/s",
    "WAITERS",
    "HELD",
    "TTL",
];
/// The columns that become narrower where the terminal is.
const TEXTS: [usize; 3] = [0, 2, 3];
/// The first column of numbers and times.
const RIGHT: usize = 4;
const BETWEEN: u16 = 2;
/// What is wider leaves more to the others.
const WIDEST: u16 = 40;
const HELP: &str = "q quit   g w h t k order   / filter   space pause   arrows scroll";

pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View, is_colored: bool) {
    let paint = Paint(is_colored);
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ]);
    let [title, state, list, legend, help] = areas.areas(frame.area());
    frame.render_widget(title_line(view), title);
    frame.render_widget(state_line(view, paint), state);
    let cells: Vec<[String; COLUMNS]> = view.rows().into_iter().map(cells).collect();
    let table = Table::new(
        cells.iter().map(|it| row(it, paint)),
        widths(&cells, list.width),
    )
    .header(header(view.order))
    .column_spacing(BETWEEN)
    .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_stateful_widget(table, list, &mut view.place);
    let dim = Style::new().add_modifier(Modifier::DIM);
    let measured = format!(
        "≥GRANTS/s: new fencing tokens from one refresh to the next, over {}; there may be more grants",
        short(WINDOW)
    );
    frame.render_widget(Paragraph::new(measured).style(dim), legend);
    frame.render_widget(Paragraph::new(HELP).style(dim), help);
}

/// Colours where they are wanted.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, color: Color) -> Style {
        if self.0 {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }
}

fn title_line(view: &View) -> Paragraph<'_> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut line = Line::from(Span::styled("lockattr watch ", bold));
    line.push_span(Span::raw(plain(&view.beginning)));
    if !view.beginning.is_empty() {
        line.push_span(Span::raw(" "));
    }
    line.push_span(Span::raw(match &view.refresh {
        Some(refresh) => summary(refresh),
        None => "asks for all locks …".to_owned(),
    }));
    Paragraph::new(line)
}

fn summary(refresh: &Refresh) -> String {
    let at = date(refresh.at).unwrap_or_default();
    // Without the day and the milliseconds.
    let time = at.split(['T', '.']).nth(1).unwrap_or_default();
    format!(
        "  {}  {}  {} waiting   {time} UTC, took {}",
        counted(refresh.rows.len(), "key"),
        counted(refresh.holders(), "holder"),
        refresh.waiters(),
        short(refresh.took.max(Duration::from_millis(1))),
    )
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn state_line(view: &View, paint: Paint) -> Paragraph<'_> {
    if let Some(trouble) = &view.trouble {
        let style = paint.with(Color::Red).add_modifier(Modifier::BOLD);
        return Paragraph::new(Span::styled(plain(trouble), style));
    }
    let mut parts = vec![format!("by {}", view.order.name())];
    if view.is_typing || !view.filter.is_empty() {
        let cursor = if view.is_typing { "_" } else { "" };
        parts.push(format!("with `{}{cursor}`", plain(&view.filter)));
    }
    if view.is_paused {
        parts.push("paused".to_owned());
    }
    Paragraph::new(parts.join(", "))
}

fn header(order: Order) -> TableRow<'static> {
    let sorted = match order {
        Order::Key => 0,
        Order::Grants => 4,
        Order::Waiters => 5,
        Order::Held => 6,
        Order::Ttl => 7,
    };
    let cell = |(index, name): (usize, &'static str)| {
        let style = if index == sorted {
            Style::new().add_modifier(Modifier::UNDERLINED)
        } else {
            Style::new()
        };
        Cell::from(aligned(index, name).style(style))
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    TableRow::new(HEADER.into_iter().enumerate().map(cell)).style(bold)
}

fn aligned(index: usize, text: &str) -> Line<'_> {
    Line::from(text).alignment(if index < RIGHT {
        Alignment::Left
    } else {
        Alignment::Right
    })
}

fn row(cells: &[String; COLUMNS], paint: Paint) -> TableRow<'_> {
    let mut line = Vec::with_capacity(COLUMNS);
    for (index, text) in cells.iter().enumerate() {
        let is_waited = HEADER[index] == "WAITERS" && text != "0";
        let style = if is_waited {
            paint.with(Color::Yellow)
        } else {
            Style::new()
        };
        line.push(Cell::from(aligned(index, text).style(style)));
    }
    TableRow::new(line)
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let holder = &row.holder;
    let mut process = plain(&holder.who.process()).into_owned();
    if row.holders > 1 {
        process += &format!(" +{}", row.holders - 1);
    }
    let mut mode = row.mode.clone();
    if holder.finished {
        mode += ", finished";
    }
    let time = |span: Option<Duration>| known(span.map(short));
    [
        plain(&holder.key).into_owned(),
        mode,
        process,
        plain(&known(holder.who.function.clone())).into_owned(),
        known(row.grants.map(|rate| format!("{rate:.1}"))),
        holder.waiters.to_string(),
        time(holder.held_for()),
        time(holder.ends_in()),
    ]
}

/// As wide as what is in them; the texts share what the others leave.
fn widths(cells: &[[String; COLUMNS]], all: u16) -> [Constraint; COLUMNS] {
    let mut widths = HEADER.map(width);
    for cells in cells {
        for (most, text) in widths.iter_mut().zip(cells) {
            *most = width(text).max(*most);
        }
    }
    let between = BETWEEN * u16::try_from(COLUMNS - 1).unwrap_or_default();
    let wanted = widths.iter().copied().fold(between, u16::saturating_add);
    let mut constraints = widths.map(Constraint::Length);
    if wanted > all {
        for text in TEXTS {
            constraints[text] = Constraint::Fill(widths[text].min(WIDEST));
        }
    }
    constraints
}

fn width(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use lockattr::{Holder, Mode};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::buffer::Buffer;

    use super::*;
    use crate::holder_view::HolderView;

    fn view() -> View {
        let holder = |key: &str, mode, waiters| {
            let mut holder = Holder::new(key, "web-1/7 shop::pay", Duration::from_secs(9));
            holder.since = Some(SystemTime::now() - Duration::from_secs(3661));
            (holder.mode, holder.waiters) = (mode, waiters);
            HolderView::from(&holder)
        };
        let mut view = View::new("order:".to_owned(), Order::Grants);
        view.refresh = Some(Refresh {
            at: SystemTime::UNIX_EPOCH,
            took: Duration::from_millis(12),
            rows: vec![
                Row::new(&[holder("order:1\x1b[2J", Mode::Exclusive, 3)], Some(2.25)),
                Row::new(
                    &[1, 2].map(|weight| holder("order:2", Mode::permits(5, weight), 0)),
                    None,
                ),
            ],
        });
        view
    }

    fn drawn(view: &mut View, width: u16, is_colored: bool) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, 9)).unwrap();
        terminal
            .draw(|frame| draw(frame, view, is_colored))
            .unwrap();
        terminal.backend().buffer().clone()
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let width = usize::from(buffer.area.width);
        let lines = buffer.content.chunks(width);
        let text = lines.map(|line| {
            line.iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
        });
        text.map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn a_line_shows_a_key() {
        let lines = lines(&drawn(&mut view(), 110, true));
        for part in [
            "order:",
            "2 keys",
            "3 holders",
            "3 waiting",
            "00:00:00 UTC",
            "took 12ms",
        ] {
            assert!(lines[0].contains(part), "{part}: {}", lines[0]);
        }
        assert_eq!(lines[1], "by grants");
        let columns = |line: &str| -> Vec<String> {
            let parts = line.split("  ").map(str::trim);
            parts
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(columns(&lines[2]), HEADER);
        let first = [
            r"order:1\u{1b}[2J",
            "exclusive",
            "web-1/7",
            "shop::pay",
            "2.2",
            "3",
            "1h 1m 1s",
            "9s",
        ];
        assert_eq!(columns(&lines[3]), first);
        let second = [
            "order:2",
            "3 of 5 permits",
            "web-1/7 +1",
            "shop::pay",
            "-",
            "0",
        ];
        assert_eq!(columns(&lines[4])[..6], second);
        assert!(
            lines[7].contains("≥GRANTS/s: new fencing tokens"),
            "{lines:?}"
        );
        assert!(lines[8].contains("q quit"), "{lines:?}");
    }

    #[test]
    fn a_narrow_terminal_shows_all_columns() {
        let lines = lines(&drawn(&mut view(), 80, true));
        assert!(lines[2].ends_with("TTL"), "{lines:?}");
        assert!(
            lines[3].ends_with("9s") && lines[3].starts_with("orde"),
            "{lines:?}"
        );
        // Whatever is cut off, nothing fails.
        drawn(&mut view(), 5, true);
    }

    #[test]
    fn what_a_person_did_is_seen() {
        let mut view = view();
        view.is_typing = true;
        view.filter = "ord".to_owned();
        view.is_paused = true;
        view.order = Order::Waiters;
        let state = |view: &mut View| lines(&drawn(view, 80, true)).swap_remove(1);
        assert_eq!(state(&mut view), "by waiters, with `ord_`, paused");
        view.trouble = Some("no answer".to_owned());
        assert_eq!(state(&mut view), "no answer");
        view.refresh = None;
        assert!(lines(&drawn(&mut view, 80, true))[0].contains("asks for all locks"));
    }

    #[test]
    fn colours_are_for_those_who_want_them() {
        let colored = |is_colored| {
            let buffer = drawn(&mut view(), 110, is_colored);
            buffer.content.iter().any(|cell| cell.fg != Color::Reset)
        };
        assert!(colored(true) && !colored(false));
    }
}
