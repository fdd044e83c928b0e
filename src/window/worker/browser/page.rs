//! The page's end: its Worker, which is begun when it is first needed.

use super::{FromWorker, ToWorker, from_bytes, to_bytes};
use crate::web;
use crate::window::state::{FoundRun, Track};
use crate::window::worker::{Command, Gone, Job, News, PANICKED};
use crate::window::{Stir, Wake};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use wasm_bindgen_futures::spawn_local;
use web_sys::MessageEvent;
use web_time::Duration;

/// The Worker, as the page holds it.
pub struct Worker {
    /// None where the browser has no Workers.
    page: Option<Rc<RefCell<Page>>>,
    number: u32,
}

/// Takes a run that was asked for, or why there is none, in words.
type Reader = Box<dyn FnOnce(Result<Track, String>)>;

/// What a fault is called before which the Worker ran out of memory.
const NO_ROOM: &str = "this tab has no more memory, of which a page can have 4 GB: take a smaller model, a smaller batch or less text; \
                       a run that was saved goes on from its last checkpoint";
/// What there is in place of a Worker.
const NO_WORKERS: &str = "this browser starts no Worker, in which leyden trains: open the page in another";

/// What the page knows of its Worker.
struct Page {
    worker: web_sys::Worker,
    /// Of the newest job.
    number: u32,
    news: VecDeque<News>,
    over: Option<Gone>,
    /// What a fault of it is by all that is known.
    fault: &'static str,
    runs: Option<Vec<FoundRun>>,
    /// Who has asked for runs, the first first.
    readers: VecDeque<Reader>,
    /// What could not be done beside a job, in words.
    complaints: Vec<String>,
    wake: Wake,
    /// Called by the browser as long as they are kept.
    _listeners: Vec<Closure<dyn FnMut(MessageEvent)>>,
}

thread_local! {
    /// The page's Worker, once there is one.
    static PAGE: RefCell<Option<Rc<RefCell<Page>>>> = const { RefCell::new(None) };
}

/// The page's Worker, which is begun where there is none; none where the browser has no Workers.
fn page(wake: &Wake) -> Option<Rc<RefCell<Page>>> {
    PAGE.with_borrow_mut(|slot| {
        if slot.is_none() {
            let options = web_sys::WorkerOptions::new();
            options.set_type(web_sys::WorkerType::Module);
            let worker = web_sys::Worker::new_with_options("./worker.js", &options).ok()?;
            let page = Rc::new(RefCell::new(Page {
                worker: worker.clone(),
                number: 0,
                news: VecDeque::new(),
                over: None,
                fault: PANICKED,
                runs: None,
                readers: VecDeque::new(),
                complaints: Vec::new(),
                wake: wake.clone(),
                _listeners: Vec::new(),
            }));
            let hears = page.clone();
            let message = Closure::new(move |event: MessageEvent| {
                if event.data().as_string().as_deref() == Some(web::NO_MEMORY) {
                    hears.borrow_mut().fault = NO_ROOM;
                }
                let Some(said) = from_bytes(&event.data()) else { return };
                if let FromWorker::Run(run) = said {
                    let reader = hears.borrow_mut().readers.pop_front();
                    if let Some(reader) = reader {
                        reader(*run);
                    }
                    return;
                }
                let wake = hears.borrow().wake.clone();
                let stir = hears.borrow_mut().hear(said);
                wake(stir);
            });
            worker.set_onmessage(Some(message.as_ref().unchecked_ref()));
            let hears = page.clone();
            let error = Closure::new(move |_: MessageEvent| {
                // What has gone wrong once is not to be asked again.
                PAGE.with_borrow_mut(|slot| *slot = None);
                let hears = hears.clone();
                spawn_local(async move {
                    // What it has said before may come behind the news of its end.
                    web::sleep(Duration::from_millis(100)).await;
                    let (wake, fault) = (hears.borrow().wake.clone(), hears.borrow().fault);
                    // Else it would hold its run.
                    hears.borrow().worker.terminate();
                    hears.borrow_mut().over = Some(Gone { fault: Some(fault) });
                    let readers = std::mem::take(&mut hears.borrow_mut().readers);
                    readers.into_iter().for_each(|reader| reader(Err(fault.into())));
                    wake(Stir::Now);
                });
            });
            worker.set_onerror(Some(error.as_ref().unchecked_ref()));
            page.borrow_mut()._listeners = vec![message, error];
            *slot = Some(page);
        }
        slot.clone()
    })
}

impl Page {
    fn hear(&mut self, said: FromWorker) -> Stir {
        match said {
            FromWorker::News { number, news } if number == self.number => {
                let stir = news.stir();
                self.news.push_back(news);
                stir
            }
            FromWorker::Over { number } if number == self.number => {
                self.over = Some(Gone { fault: None });
                Stir::Now
            }
            // Of a job that nobody looks at any more.
            FromWorker::News { .. } | FromWorker::Over { .. } => Stir::Steps(0),
            FromWorker::Run(_) => Stir::Now,
            FromWorker::Zip { name, bytes } => {
                web::download(&name, &bytes);
                Stir::Steps(0)
            }
            FromWorker::Complaint(text) => {
                self.complaints.push(text);
                Stir::Now
            }
            FromWorker::Runs(runs) => {
                self.runs = Some(runs);
                Stir::Now
            }
        }
    }

    fn send(&self, message: &ToWorker) {
        let bytes = to_bytes(message);
        let _ = self.worker.post_message_with_transfer(&bytes, &js_sys::Array::of1(&bytes.buffer()));
    }
}

/// The runs that the browser keeps, where there is a new list of them.
pub fn kept_runs(wake: &Wake) -> Option<Vec<FoundRun>> {
    page(wake)?.borrow_mut().runs.take()
}

/// What could not be done since the last call, in words.
pub fn complaints() -> Vec<String> {
    PAGE.with_borrow(|page| page.as_ref().map_or(Vec::new(), |page| std::mem::take(&mut page.borrow_mut().complaints)))
}

/// Has what is trained saved now, as when the page is hidden: it may not come back.
pub fn save_now() {
    PAGE.with_borrow(|page| page.iter().for_each(|page| page.borrow().send(&ToWorker::Command(Command::Save))));
}

/// Puts files where a job may read them.
pub fn put_files(files: Vec<(PathBuf, Vec<u8>)>) {
    let quiet: Wake = Arc::new(|_| {});
    if let Some(page) = page(&quiet) {
        page.borrow().send(&ToWorker::Files(files));
    }
}

/// Asks for what the run in `folder` has recorded, and tells it, or why there is nothing, in words.
pub fn read_run(folder: PathBuf, wake: &Wake, tell: impl FnOnce(Result<Track, String>) + 'static) {
    let Some(page) = page(wake) else { return tell(Err(NO_WORKERS.into())) };
    page.borrow_mut().readers.push_back(Box::new(tell));
    page.borrow().send(&ToWorker::Run(folder));
}

/// Has the run in `folder` downloaded as a zip.
pub fn take_run_away(folder: PathBuf, wake: &Wake) {
    if let Some(page) = page(wake) {
        page.borrow().send(&ToWorker::Zip(folder));
    }
}

impl Worker {
    /// Starts the job once what is being done is saved and over. `wake` is called when there is news.
    pub fn spawn(job: Job, wake: Wake, _: Option<Self>) -> Self {
        let page = page(&wake);
        let number = page.as_ref().map_or(0, |page| {
            let mut page = page.borrow_mut();
            page.number += 1;
            (page.over, page.fault, page.wake) = (None, PANICKED, wake);
            page.news.clear();
            page.send(&ToWorker::Job { number: page.number, job });
            page.number
        });
        Self { page, number }
    }

    /// Sends a command; a job that is over does not hear it.
    pub fn send(&self, command: Command) {
        if let Some(page) = &self.page {
            page.borrow().send(&ToWorker::Command(command));
        }
    }

    /// The next news, if there is any; an error once the job is over and all was read.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn news(&mut self) -> Result<Option<News>, Gone> {
        let mut page = self.page.as_ref().ok_or(Gone { fault: Some(NO_WORKERS) })?.borrow_mut();
        match page.news.pop_front() {
            _ if page.number != self.number => Err(Gone { fault: None }),
            Some(news) => Ok(Some(news)),
            None => page.over.take().map_or(Ok(None), Err),
        }
    }

    /// Lets it be.
    pub fn abandon(self) {}

    /// Asks it to save and end.
    pub fn finish(self) {
        self.send(Command::Stop);
    }
}
