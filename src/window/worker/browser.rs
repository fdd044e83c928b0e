//! The trainer in a Worker of a browser: the page's end, and the Worker's.
//!
//! A page has one Worker, which does one job after another. What they say to each other is [`ToWorker`] and [`FromWorker`] as
//! bytes.

use super::{Command, Gone, Inbox, Job, News, Outbox, job, message};
use crate::files::numbered;
use crate::fs;
use crate::run::RUNS;
use crate::web::{self, Held, Storage};
use crate::window::state::FoundRun;
use crate::window::{Stir, Wake};
use js_sys::Uint8Array;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::MessageEvent;
use web_time::Duration;

/// What the page says.
#[derive(Debug, Serialize, Deserialize)]
enum ToWorker {
    /// Begin this once what is being done is saved and over.
    Job { number: u32, job: Job },
    /// To the newest job.
    Command(Command),
    /// Put these files where a job may read them; a zip is a run.
    Files(Vec<(PathBuf, Vec<u8>)>),
    /// Give the run in this folder as a zip.
    Zip(PathBuf),
}

/// What the Worker says.
#[derive(Debug, Serialize, Deserialize)]
enum FromWorker {
    /// Of a job.
    News { number: u32, news: News },
    /// A job is over.
    Over { number: u32 },
    /// The runs that the browser keeps.
    Runs(Vec<FoundRun>),
    /// A run to be taken away.
    Zip { name: String, bytes: Vec<u8> },
    /// Something could not be done, in words.
    Complaint(String),
}

fn to_bytes(said: &impl Serialize) -> Uint8Array {
    Uint8Array::from(message::to_bytes(said).as_slice())
}

fn from_bytes<T: DeserializeOwned>(data: &wasm_bindgen::JsValue) -> Option<T> {
    let bytes = data.dyn_ref::<Uint8Array>()?.to_vec();
    message::from_bytes(&bytes).inspect_err(|error| web::complain(error)).ok()
}

/// The Worker, as the page holds it.
pub struct Worker {
    /// None where the browser has no Workers.
    page: Option<Rc<RefCell<Page>>>,
    number: u32,
}

/// What the page knows of its Worker.
struct Page {
    worker: web_sys::Worker,
    /// Of the newest job.
    number: u32,
    news: VecDeque<News>,
    over: Option<Gone>,
    runs: Option<Vec<FoundRun>>,
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
                runs: None,
                complaints: Vec::new(),
                wake: wake.clone(),
                _listeners: Vec::new(),
            }));
            let hears = page.clone();
            let message = Closure::new(move |event: MessageEvent| {
                let Some(said) = from_bytes(&event.data()) else { return };
                let wake = hears.borrow().wake.clone();
                let stir = hears.borrow_mut().hear(said);
                wake(stir);
            });
            worker.set_onmessage(Some(message.as_ref().unchecked_ref()));
            let hears = page.clone();
            let error = Closure::new(move |_: MessageEvent| {
                let wake = hears.borrow().wake.clone();
                // Else it would hold its run.
                hears.borrow().worker.terminate();
                hears.borrow_mut().over = Some(Gone { panicked: true });
                // What has gone wrong once is not to be asked again.
                PAGE.with_borrow_mut(|slot| *slot = None);
                wake(Stir::Now);
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
                self.over = Some(Gone { panicked: false });
                Stir::Now
            }
            // Of a job that nobody looks at any more.
            FromWorker::News { .. } | FromWorker::Over { .. } => Stir::Steps(0),
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
            (page.over, page.wake) = (None, wake);
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
        let mut page = self.page.as_ref().ok_or(Gone { panicked: true })?.borrow_mut();
        match page.news.pop_front() {
            _ if page.number != self.number => Err(Gone { panicked: false }),
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

/// What the Worker has been told to do.
struct Jobs {
    tell: Rc<dyn Fn(FromWorker) -> bool>,
    waiting: VecDeque<(u32, Job, Inbox)>,
    /// To the newest.
    commands: Option<Sender<Command>>,
}

impl Jobs {
    fn hear(&mut self, said: ToWorker) {
        match said {
            ToWorker::Job { number, job } => {
                let (commands, inbox) = channel();
                // The job before hears that nobody speaks to it any more, saves and ends.
                self.commands = Some(commands);
                self.waiting.push_back((number, job, Inbox { commands: inbox }));
            }
            ToWorker::Command(command) => {
                if let Some(commands) = &self.commands {
                    let _ = commands.send(command);
                }
            }
            ToWorker::Zip(folder) => {
                let name = format!("{}.zip", folder.file_name().unwrap_or_default().to_string_lossy());
                (self.tell)(match crate::run::zip(&folder) {
                    Ok(bytes) => FromWorker::Zip { name, bytes },
                    Err(error) => FromWorker::Complaint(error.to_string()),
                });
            }
            ToWorker::Files(files) => {
                for (path, content) in files {
                    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip")) {
                        let unpacked = crate::run::unzip(&content, RUNS.as_ref());
                        (self.tell)(match unpacked {
                            Ok(_) => kept(),
                            Err(error) => FromWorker::Complaint(error.to_string()),
                        });
                        continue;
                    }
                    let folder = path.parent().map(fs::create_dir_all).unwrap_or(Ok(()));
                    if let Err(error) = folder.and_then(|()| fs::write(&path, &content)) {
                        (self.tell)(FromWorker::Complaint(error.to_string()));
                    }
                }
            }
        }
    }
}

/// The Worker: does what the page says, as long as there is one. `early` is what it has said already.
pub async fn serve(early: js_sys::Array) {
    let scope: web_sys::DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    // What is said meanwhile goes on being kept in `early`.
    let storage = Storage::open().await;
    let posts = scope.clone();
    let tell: Rc<dyn Fn(FromWorker) -> bool> = Rc::new(move |said| {
        let bytes = to_bytes(&said);
        posts.post_message_with_transfer(&bytes, &js_sys::Array::of1(&bytes.buffer())).is_ok()
    });
    let jobs = Rc::new(RefCell::new(Jobs { tell: tell.clone(), waiting: VecDeque::new(), commands: None }));
    let hears = jobs.clone();
    let listen = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        from_bytes(&event.data()).into_iter().for_each(|said| hears.borrow_mut().hear(said));
    });
    for data in early.iter() {
        from_bytes(&data).into_iter().for_each(|said| jobs.borrow_mut().hear(said));
    }
    scope.set_onmessage(Some(listen.as_ref().unchecked_ref()));
    tell(kept());
    loop {
        let next = jobs.borrow_mut().waiting.pop_front();
        let Some((number, mut job, inbox)) = next else {
            storage.write().await;
            storage.trouble().into_iter().for_each(|text| {
                tell(FromWorker::Complaint(text));
            });
            web::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (say, ended) = (tell.clone(), Rc::new(Cell::new(false)));
        let ends = ended.clone();
        let send = move |news: News| {
            ends.set(ends.get() || matches!(news, News::Ended(_)));
            say(FromWorker::News { number, news })
        };
        let outbox = Outbox { send: Box::new(send) };
        match hold(&mut job, &storage).await {
            Ok(mut held) => {
                let trouble = async {
                    loop {
                        complain_of(&storage, &outbox);
                        // It is only asked from here on, and may be gone on with anywhere.
                        if ended.get() && !storage.is_behind("".as_ref()) {
                            held = None;
                        }
                        web::sleep(Duration::from_secs(1)).await;
                    }
                };
                storage.while_it_runs(beside(job::run(job, &inbox, &outbox), trouble)).await;
            }
            Err(folder) => {
                let name = folder.display();
                let reason = format!("{name} is open in another tab; stop it there, or close that tab, then try again");
                outbox.tell(News::Failed(reason));
            }
        }
        complain_of(&storage, &outbox);
        tell(FromWorker::Over { number });
        tell(kept());
    }
}

/// The runs that the browser keeps.
fn kept() -> FromWorker {
    FromWorker::Runs(FoundRun::all_in(RUNS.as_ref()))
}

/// Says what went wrong with what is to be kept.
fn complain_of(storage: &Storage, outbox: &Outbox) {
    if let Some(trouble) = storage.trouble() {
        outbox.tell(News::Complaint(trouble));
    }
}

/// Does `work`, and `always` until that is over.
async fn beside<T>(work: impl Future<Output = T>, always: impl Future<Output = ()>) -> T {
    let (mut work, mut always) = (std::pin::pin!(work), std::pin::pin!(always));
    std::future::poll_fn(|context| {
        let _ = always.as_mut().poll(context);
        work.as_mut().poll(context)
    })
    .await
}

/// Holds the run that a job writes to for this tab, and takes what another has made of it meanwhile. A new run without a folder gets
/// one that is free. The folder, where another tab has it.
async fn hold(job: &mut Job, storage: &Storage) -> Result<Option<Held>, PathBuf> {
    let folder = match job {
        Job::Look { folder } => {
            storage.refresh(folder, false).await;
            return Ok(None);
        }
        Job::Start { folder: folder @ None, config, .. } => {
            storage.refresh(RUNS.as_ref(), false).await;
            for free in numbered(RUNS.as_ref(), &config.run_name()) {
                if fs::is_there(&free) {
                    continue;
                }
                if let Some(held) = storage.hold(&free).await {
                    // Another tab may have made it just now.
                    storage.refresh(&free, true).await;
                    if fs::is_there(&free) {
                        continue;
                    }
                    *folder = Some(free);
                    return Ok(Some(held));
                }
            }
            return Ok(None);
        }
        Job::Start { folder: Some(folder), .. } | Job::FineTune { folder, .. } | Job::GoOn { folder, .. } => {
            folder.clone()
        }
    };
    let held = storage.hold(&folder).await.ok_or_else(|| folder.clone())?;
    storage.refresh(&folder, true).await;
    storage.refresh("texts".as_ref(), false).await;
    Ok(Some(held))
}
