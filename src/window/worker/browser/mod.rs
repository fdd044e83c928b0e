//! The trainer in a Worker of a browser: the page's end, and the Worker's.
//!
//! A page has one Worker, which does one job after another. What they say to each other is [`ToWorker`] and [`FromWorker`] as
//! bytes.

mod page;
mod serve;

pub use page::{Worker, complaints, kept_runs, put_files, read_run, save_now, take_run_away};
pub use serve::serve;

use super::{Command, Job, News, message};
use crate::web;
use crate::window::state::{FoundRun, Track};
use js_sys::Uint8Array;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::PathBuf;
use wasm_bindgen::{JsCast as _, JsValue};

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
    /// Give what the run in this folder has recorded.
    Run(PathBuf),
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
    /// A run that was asked for, or why there is none, in words. Answers come in the order of the questions.
    Run(Box<Result<Track, String>>),
    /// A run to be taken away.
    Zip { name: String, bytes: Vec<u8> },
    /// Something could not be done, in words.
    Complaint(String),
}

fn to_bytes(said: &impl Serialize) -> Uint8Array {
    Uint8Array::from(message::to_bytes(said).as_slice())
}

fn from_bytes<T: DeserializeOwned>(data: &JsValue) -> Option<T> {
    let bytes = data.dyn_ref::<Uint8Array>()?.to_vec();
    message::from_bytes(&bytes).inspect_err(|error| web::complain(error)).ok()
}
