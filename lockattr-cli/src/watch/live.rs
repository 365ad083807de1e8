//! The view on a terminal: it is drawn after each refresh and each key.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anstream::AutoStream;
use crossterm::event::EventStream;
use futures_util::StreamExt as _;
use lockattr::LockPool;
use tokio::time::sleep;

use super::Watch;
use super::draw::draw;
use super::history::History;
use super::refresh::{Listed, list};
use super::screen::Screen;
use super::view::{Then, View};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::signals::Signals;

/// Shows the view until a person or a signal ends it.
pub(super) async fn show(pool: &LockPool, watch: &Watch) -> Result<Exit, Failure> {
    let is_colored = AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    // It is asked for by an option too.
    crossterm::style::force_color_output(is_colored);
    let mut signals = Signals::ending()?;
    let mut screen = Screen::enter()?;
    let mut events = EventStream::new();
    let mut view = View::new(watch.listing.beginning.clone(), watch.sort);
    let (mut history, mut pause) = (History::default(), watch.interval);
    let list_after = |pause| -> Option<Asking<'_>> {
        Some(Box::pin(async move {
            sleep(pause).await;
            list(pool, &watch.listing).await
        }))
    };
    let mut next = list_after(Duration::ZERO);
    loop {
        screen.draw(|frame| draw(frame, &mut view, is_colored))?;
        tokio::select! {
            biased;
            signal = signals.next() => return Ok(Exit::by_signal(signal as i32)),
            event = events.next() => {
                // The terminal is gone.
                let Some(event) = event else { return Ok(Exit::SUCCESS) };
                let event = event.map_err(|source| Failure::system("read the keyboard", source))?;
                match view.on(&event) {
                    Then::Nothing => {}
                    // Unless the last one is still under way.
                    Then::GoOn => next = next.or_else(|| list_after(Duration::ZERO)),
                    Then::Stop => screen.stop()?,
                    Then::Quit => return Ok(Exit::SUCCESS),
                }
            }
            listed = ended(&mut next) => {
                match listed {
                    Ok(listed) => {
                        pause = watch.pause_after(listed.took);
                        view.refresh = Some(history.note(Instant::now(), listed));
                        view.trouble = None;
                    }
                    Err(failure) if view.refresh.is_none() => return Err(failure),
                    Err(failure) => view.trouble = Some(failure.line()),
                }
                next = if view.is_paused { None } else { list_after(pause) };
            }
        }
    }
}

type Asking<'a> = Pin<Box<dyn Future<Output = Result<Listed, Failure>> + 'a>>;

/// Waits for the listing; for ever if there is none.
async fn ended(listing: &mut Option<Asking<'_>>) -> Result<Listed, Failure> {
    match listing {
        Some(listing) => listing.await,
        None => pending().await,
    }
}
