//! The worker's dealings with files: pages and states go there when nothing else is to do, when they are
//! about to be lost, and at the end; and come back for requests that begin alike.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use super::{Command, Worker};
use crate::disk::{Answer, Disk, DiskCache, Kind};
use crate::engine::Shared;
use crate::prefix::Unsaved;
use crate::scheduler::Move;

/// How long the worker sleeps when nothing is to do; a command ends it.
const FOREVER: Duration = Duration::from_secs(3600);
/// How long it waits for room for another page to be written.
const ROOM: Duration = Duration::from_millis(10);
/// How long closing takes for saving what is not saved yet, at most.
const SAVING: Duration = Duration::from_secs(10);

/// The threads for the files; without them the engine works all the same.
pub(super) fn start_disk(
    config: &DiskCache,
    shared: &Shared,
    commands: Sender<Command>,
) -> Option<Disk> {
    let notices = Arc::clone(&shared.notices);
    // A worker that is gone needs no answer.
    let answer = move |answer| drop(commands.send(Command::Disk(answer)));
    Disk::start(config, Arc::clone(&notices), answer)
        .inspect_err(|error| notices.add(format!("prefix cache: no thread for its files: {error}")))
        .ok()
}

impl Worker {
    /// Does what must be done before pages and slots are written.
    pub(super) fn make_moves(&mut self) {
        for step in self.scheduler.take_moves() {
            match step {
                Move::Copy { from, to } => self.model.copy_page(from, to),
                Move::Save(unsaved) => {
                    // Requests do not wait for a slow disk.
                    if self.disk.as_ref().is_some_and(Disk::has_room) {
                        self.save(unsaved);
                    }
                }
            }
        }
    }

    /// Asks for what is to be read next; says whether that is the first question for a request.
    pub(super) fn load_more(&mut self) -> bool {
        let Some(disk) = &mut self.disk else {
            return false;
        };
        if disk.is_stuck() {
            self.scheduler.give_up_loading();
            return false;
        }
        self.scheduler.next_reads().into_iter().for_each(|ask| disk.ask(ask));
        self.scheduler.start_loading().map(|ask| disk.ask(ask)).is_some()
    }

    /// Takes what was found or read.
    pub(super) fn load(&mut self, answer: Answer) {
        self.disk.iter_mut().for_each(Disk::answered);
        match answer {
            Answer::Found { id, n_pages } => self.scheduler.found(id, n_pages),
            Answer::Content { id, kind, len, content } => {
                let place = self.scheduler.place_for(id, kind, len, content.is_some());
                self.make_moves();
                if let (Some(place), Some(content)) = (place, content) {
                    match kind {
                        Kind::Page => self.model.write_page(place, &content),
                        Kind::State => self.model.write_state(place, &content),
                    }
                }
            }
        }
    }

    /// Saves something, if there is something to be saved; says how long to wait for the next.
    pub(super) fn save_one(&mut self) -> Duration {
        self.make_moves();
        match &self.disk {
            Some(disk) if self.scheduler.has_unsaved() => {
                if !disk.has_room() {
                    return ROOM;
                }
                if let Some(unsaved) = self.scheduler.next_unsaved() {
                    self.save(unsaved);
                }
                Duration::ZERO
            }
            _ => FOREVER,
        }
    }

    /// Saves what is not saved yet, for some time.
    pub(super) fn save_all(&mut self) {
        let deadline = Instant::now() + SAVING;
        loop {
            match self.save_one() {
                FOREVER => return,
                wait if Instant::now() < deadline => thread::sleep(wait),
                _ => return,
            }
        }
    }

    fn save(&self, Unsaved { kind, tokens, number }: Unsaved) {
        let Some(disk) = &self.disk else {
            return;
        };
        let mut content = Vec::new();
        match kind {
            Kind::Page => {
                content.reserve_exact(self.model.page_bytes());
                self.model.read_page(number, &mut content);
            }
            Kind::State => {
                content.reserve_exact(self.model.state_bytes());
                self.model.read_state(number, &mut content);
            }
        }
        disk.save(kind, tokens, content);
    }
}
