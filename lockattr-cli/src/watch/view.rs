//! What the view shows, and what keys change of it.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;

use super::order::Order;
use super::refresh::{Refresh, Row};

/// How many rows there are at most; who looks for more can filter.
const MOST: usize = 1000;
/// How many rows a page up or down has.
const PAGE: u16 = 10;

pub(super) struct View {
    /// What the keys begin with that are listed.
    pub(super) beginning: String,
    pub(super) order: Order,
    /// Only rows with this text in them are shown.
    pub(super) filter: String,
    /// Whether the filter is being typed.
    pub(super) is_typing: bool,
    pub(super) is_paused: bool,
    pub(super) refresh: Option<Refresh>,
    /// Why there is no newer refresh.
    pub(super) trouble: Option<String>,
    /// Which row is marked, and which is the first.
    pub(super) place: TableState,
}

/// What is to be done after a key, besides drawing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    /// Refreshes go on.
    GoOn,
    /// The program stops, as any does at Ctrl-Z.
    Stop,
    Quit,
}

impl View {
    pub(super) fn new(beginning: String, order: Order) -> Self {
        Self {
            beginning,
            order,
            filter: String::new(),
            is_typing: false,
            is_paused: false,
            refresh: None,
            trouble: None,
            place: TableState::default(),
        }
    }

    /// Returns the rows that are shown, in their order.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let filter = self.filter.to_lowercase();
        let fits = |row: &&Row| {
            let who = &row.holder.who;
            let function = who.function.as_deref().unwrap_or_default();
            let texts = [&row.holder.key, function, &row.mode, &who.process()];
            texts
                .iter()
                .any(|text| text.to_lowercase().contains(&filter))
        };
        let all = self.refresh.iter().flat_map(|refresh| &refresh.rows);
        let mut rows: Vec<&Row> = all.filter(fits).collect();
        self.order.sort(&mut rows);
        rows.truncate(MOST);
        rows
    }

    pub(super) fn on(&mut self, event: &Event) -> Then {
        let Event::Key(KeyEvent {
            code, modifiers, ..
        }) = event
        else {
            return Then::Nothing;
        };
        let has_control = modifiers.contains(KeyModifiers::CONTROL);
        match code {
            KeyCode::Char('c') if has_control => return Then::Quit,
            KeyCode::Char('z') if has_control => return Then::Stop,
            KeyCode::Char(_) if has_control => {}
            _ if self.is_typing => self.on_typed(*code),
            KeyCode::Char('q') => return Then::Quit,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char(' ') => {
                self.is_paused = !self.is_paused;
                if !self.is_paused {
                    return Then::GoOn;
                }
            }
            KeyCode::Char(letter) => self.order = Order::of_letter(*letter).unwrap_or(self.order),
            KeyCode::Down => self.place.select_next(),
            KeyCode::Up => self.place.select_previous(),
            KeyCode::PageDown => self.place.scroll_down_by(PAGE),
            KeyCode::PageUp => self.place.scroll_up_by(PAGE),
            KeyCode::Home => self.place.select_first(),
            KeyCode::End => self.place.select_last(),
            _ => {}
        }
        Then::Nothing
    }

    fn on_typed(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(letter) => self.filter.push(letter),
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.is_typing = false;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use lockattr::Holder;

    use super::*;
    use crate::holder_view::HolderView;

    fn view() -> View {
        let mut view = View::new(String::new(), Order::Grants);
        let row = |(key, who, waiters)| {
            let mut holder = Holder::new(key, who, Duration::from_secs(9));
            holder.waiters = waiters;
            Row::new(&[HolderView::from(&holder)], None)
        };
        let rows = [
            ("cart:1", "web-1/7 shop::pay", 0),
            ("order:1", "web-2/8 shop::refund", 3),
        ];
        view.refresh = Some(Refresh {
            at: SystemTime::now(),
            took: Duration::ZERO,
            rows: rows.map(row).into(),
        });
        view
    }

    fn press(view: &mut View, code: KeyCode) -> Then {
        view.on(&Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn shown(view: &View) -> Vec<String> {
        let rows = view.rows().into_iter();
        rows.map(|row| row.holder.key.clone()).collect()
    }

    #[test]
    fn a_letter_chooses_the_order() {
        let mut view = view();
        assert_eq!(shown(&view), ["cart:1", "order:1"]);
        assert_eq!(press(&mut view, KeyCode::Char('w')), Then::Nothing);
        assert_eq!(shown(&view), ["order:1", "cart:1"]);
        press(&mut view, KeyCode::Char('x'));
        assert_eq!(view.order, Order::Waiters);
    }

    #[test]
    fn what_is_typed_leaves_out_other_rows() {
        let mut view = view();
        press(&mut view, KeyCode::Char('/'));
        for letter in "REFUndq".chars() {
            assert_eq!(press(&mut view, KeyCode::Char(letter)), Then::Nothing);
        }
        assert_eq!(shown(&view), [""; 0]);
        press(&mut view, KeyCode::Backspace);
        assert_eq!(shown(&view), ["order:1"]);
        press(&mut view, KeyCode::Enter);
        press(&mut view, KeyCode::Char('k'));
        assert_eq!((view.order, shown(&view).len()), (Order::Key, 1));
        press(&mut view, KeyCode::Esc);
        assert_eq!(shown(&view).len(), 2);
        for text in ["web-1", "cart"] {
            view.filter = text.to_owned();
            assert_eq!(shown(&view), ["cart:1"], "{text}");
        }
    }

    #[test]
    fn keys_end_pause_and_stop_it() {
        let mut view = view();
        assert_eq!(press(&mut view, KeyCode::Char(' ')), Then::Nothing);
        assert!(view.is_paused);
        assert_eq!(press(&mut view, KeyCode::Char(' ')), Then::GoOn);
        for is_typing in [false, true] {
            view.is_typing = is_typing;
            for (letter, then) in [('c', Then::Quit), ('z', Then::Stop), ('q', Then::Nothing)] {
                let event = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
                assert_eq!(view.on(&Event::Key(event)), then);
            }
        }
        view.is_typing = false;
        assert_eq!(press(&mut view, KeyCode::Char('q')), Then::Quit);
    }
}
