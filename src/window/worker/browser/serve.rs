//! The Worker's end: one job after another, and files beside them.

use super::{FromWorker, ToWorker, from_bytes, to_bytes};
use crate::files::numbered;
use crate::fs;
use crate::run::RUNS;
use crate::web::{self, Held, Storage};
use crate::window::state::{FoundRun, Track};
use crate::window::worker::{Command, Inbox, Job, News, Outbox, job};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use wasm_bindgen::JsCast as _;
use wasm_bindgen::closure::Closure;
use web_sys::MessageEvent;
use web_time::Duration;

/// What the Worker has been told to do.
struct Jobs {
    tell: Rc<dyn Fn(FromWorker) -> bool>,
    storage: Rc<Storage>,
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
                if command == Command::Save {
                    self.storage.hurry();
                }
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
            ToWorker::Run(folder) => {
                let run = Track::read(&folder).map_err(|error| error.to_string());
                (self.tell)(FromWorker::Run(Box::new(run)));
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
    let storage = Rc::new(Storage::open().await);
    let posts = scope.clone();
    let tell: Rc<dyn Fn(FromWorker) -> bool> = Rc::new(move |said| {
        let bytes = to_bytes(&said);
        posts.post_message_with_transfer(&bytes, &js_sys::Array::of1(&bytes.buffer())).is_ok()
    });
    let jobs = Rc::new(RefCell::new(Jobs {
        tell: tell.clone(),
        storage: storage.clone(),
        waiting: VecDeque::new(),
        commands: None,
    }));
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
