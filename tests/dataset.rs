//! Datasets: the same as a text in memory, the same on any number of threads, and refused when anything in them is not as it was
//! written.

use leyden::corpus::{ExampleOptions, SAMPLE, VocabularyOptions, build, documents};
use leyden::dataset::{Check, Dataset, DatasetError, Manifest, Preparation, PreparedDataset, Vocabulary, prepare};
use leyden::text::Reading;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

const SHARD: &str = "training-00000.safetensors";
const HELD_OUT: &str = "held-out-00000.safetensors";

fn preparation(inputs: &[&Path], out: &Path) -> Preparation {
    Preparation {
        inputs: inputs.iter().map(|path| path.to_path_buf()).collect(),
        out: out.into(),
        vocabulary: Vocabulary::Train(VocabularyOptions { size: 300, ..VocabularyOptions::default() }),
        length: 32,
        held_out: 0.1,
        seed: 5,
        reading: Reading::default(),
    }
}

fn made(preparation: &Preparation) -> Result<PreparedDataset, DatasetError> {
    prepare(preparation, &mut |_| true)
}

/// A small text of several documents, and its dataset.
struct Small {
    folder: TempDir,
    text: String,
}

impl Small {
    fn dataset(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dataset().join(name)).unwrap()
    }

    /// A copy that may be damaged.
    fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(self.dataset()).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
        copy
    }
}

static SMALL: LazyLock<Small> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let text: String = documents(SAMPLE).iter().flat_map(|d| [&d[..d.floor_char_boundary(1_500)], "\n\n"]).collect();
    let file = folder.path().join("text.txt");
    fs::write(&file, &text).unwrap();
    made(&preparation(&[&file], &folder.path().join("data"))).unwrap();
    Small { folder, text }
});

fn refused(folder: &Path) -> String {
    Dataset::open(folder).unwrap_err().to_string()
}

#[test]
fn a_dataset_holds_what_the_text_makes_in_memory() {
    let dataset = Dataset::open(&SMALL.dataset()).unwrap();
    let options = ExampleOptions { length: 32, held_out: 0.1, seed: 5 };
    let corpus = build(&documents(&SMALL.text), &dataset.tokenizer, &options).unwrap();
    assert!(corpus.training.len() > 500 && corpus.held_out.len() > 30);
    assert_eq!(dataset.training, corpus.training);
    assert_eq!(dataset.held_out, corpus.held_out);
    assert_eq!(dataset.training.fingerprint(), corpus.training.fingerprint());
    assert_ne!(dataset.training.fingerprint(), corpus.held_out.fingerprint());
    assert_eq!(dataset.training.tokens(), corpus.training.tokens());
    let counts = dataset.manifest.counts();
    assert_eq!(counts.dropped, corpus.dropped);
    assert_eq!(dataset.manifest.training.counts.tokens, corpus.statistics.tokens);
    assert_eq!(dataset.manifest.statistics.unigram_entropy, corpus.statistics.unigram_entropy);
    assert_eq!(dataset.manifest.sources[0].documents, corpus.documents as u64);

    // Examples in files may be added to, in memory then.
    let mut more = dataset.held_out.clone();
    more.push(&[2, 9, 3], 3);
    assert_eq!(more.len(), dataset.held_out.len() + 1);
    assert_eq!(more.copy(more.len() - 1, &mut [0; 32]), (3, 3));
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let text = SMALL.folder.path().join("text.txt");
    let folder = tempfile::tempdir().unwrap();
    let manifest = |threads: usize| {
        let out = folder.path().join(threads.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| made(&preparation(&[&text], &out)).unwrap());
        Dataset::open(&out).unwrap();
        fs::read_to_string(out.join("manifest.json")).unwrap()
    };
    let expected = String::from_utf8(SMALL.read("manifest.json")).unwrap();
    assert_eq!([manifest(1), manifest(3)], [expected.clone(), expected]);
}

#[test]
fn equal_examples_have_an_equal_fingerprint_wherever_their_text_lay() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, text: &str, seed: u64| {
        let (file, out) = (folder.path().join(name), folder.path().join(name).with_extension("data"));
        fs::write(&file, text).unwrap();
        made(&Preparation { seed, ..preparation(&[&file], &out) }).unwrap();
        Dataset::open(&out).unwrap()
    };
    let small = Dataset::open(&SMALL.dataset()).unwrap();
    let again = of("elsewhere.md", &SMALL.text, 5);
    assert_eq!(again.fingerprint(), small.fingerprint());
    assert_ne!(again.former_fingerprint(), small.former_fingerprint());
    for other in [of("seed", &SMALL.text, 6), of("text", &SMALL.text.replace("government", "parliament"), 5)] {
        assert_ne!(other.fingerprint(), small.fingerprint());
    }
}

#[test]
fn files_that_are_missing_cut_or_swapped_are_refused() {
    let names = [SHARD, HELD_OUT, "tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"];
    for name in names {
        let copy = SMALL.copy();
        let path = copy.path().join(name);
        let content = SMALL.read(name);
        fs::write(&path, &content[..content.len() - 1]).unwrap();
        assert!(refused(copy.path()).contains(name), "{name} cut");
        let mut flipped = content.clone();
        flipped[content.len() / 2] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert!(refused(copy.path()).contains(name), "{name} flipped");
        fs::remove_file(&path).unwrap();
        assert!(refused(copy.path()).contains(name), "{name} missing");
    }
    let copy = SMALL.copy();
    fs::write(copy.path().join(SHARD), SMALL.read(HELD_OUT)).unwrap();
    fs::write(copy.path().join(HELD_OUT), SMALL.read(SHARD)).unwrap();
    assert!(refused(copy.path()).contains(SHARD), "swapped");

    fs::remove_file(copy.path().join("manifest.json")).unwrap();
    assert!(matches!(Dataset::open(copy.path()), Err(DatasetError::NoDataset { .. })));
    assert!(matches!(Dataset::open(&copy.path().join("none")), Err(DatasetError::Missing { .. })));
}

#[test]
fn a_manifest_of_another_dataset_version_or_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    let text = SMALL.folder.path().join("text.txt");
    made(&Preparation { seed: 6, ..preparation(&[&text], &other) }).unwrap();
    let copy = SMALL.copy();
    fs::copy(other.join("manifest.json"), copy.path().join("manifest.json")).unwrap();
    assert!(refused(copy.path()).contains("safetensors"), "{}", refused(copy.path()));

    let content = String::from_utf8(SMALL.read("manifest.json")).unwrap();
    let read = |content: &str| Manifest::from_bytes(content.as_bytes(), Path::new("manifest.json")).unwrap_err();
    assert!(matches!(
        read(&content.replace("\"version\": 1", "\"version\": 7")),
        DatasetError::Version { found: 7, .. }
    ));
    for (from, to) in
        [("leyden dataset", "other"), ("\"seed\": 5", "\"seed\": 6"), ("\"strict\"", "\"stric\""), ("}\n", "}")]
    {
        assert!(matches!(read(&content.replace(from, to)), DatasetError::Damaged { .. }), "{from}");
    }
    for wrong in ["", "{}", "[]", "null", "\u{feff}{}"] {
        assert!(matches!(read(wrong), DatasetError::Damaged { .. }), "{wrong:?}");
    }
}

/// A change of a file: cut, lengthened, or bytes replaced.
fn change() -> impl Strategy<Value = (prop::sample::Index, u8, prop::sample::Index)> {
    (any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>())
}

fn changed(content: &[u8], (at, byte, kind): &(prop::sample::Index, u8, prop::sample::Index)) -> Vec<u8> {
    let mut changed = content.to_vec();
    let at = at.index(content.len());
    match kind.index(5) {
        0 => changed.truncate(at),
        1 => changed.insert(at, *byte),
        2 => {
            changed.remove(at);
        }
        // Headers are short: most changes should meet one.
        3 => changed[at % content.len().min(400)] = *byte,
        _ => changed[at] = *byte,
    }
    changed
}

/// Opens without comparing SHA-256, and uses all of it.
fn use_all(folder: &Path) {
    if let Ok(dataset) = Dataset::open_with(folder, Check::Layout) {
        let mut row = [0; 32];
        for examples in [&dataset.training, &dataset.held_out] {
            for index in 0..examples.len() {
                let (length, boundary) = examples.copy(index, &mut row);
                assert!(boundary <= length && row[..length].iter().all(|&id| (id as usize) < dataset.tokenizer.size()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: proptest_cases(96), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_manifest_is_refused(changes in prop::collection::vec(change(), 1..4)) {
        let content = SMALL.read("manifest.json");
        let other = changes.iter().fold(content.clone(), |content, change| {
            if content.is_empty() { content } else { changed(&content, change) }
        });
        let read = Manifest::from_bytes(&other, Path::new("manifest.json"));
        prop_assert!(read.is_err() || other == content);
    }

    #[test]
    fn a_changed_shard_is_refused_and_never_ends_the_program(change in change()) {
        let content = SMALL.read(HELD_OUT);
        let other = changed(&content, &change);
        let copy = SMALL.copy();
        fs::write(copy.path().join(HELD_OUT), &other).unwrap();
        prop_assert!(Dataset::open(copy.path()).is_err() || other == content);
        use_all(copy.path());
    }

    #[test]
    fn a_changed_tokenizer_is_refused(change in change(), which in 0usize..4) {
        let name = ["tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"][which];
        let content = SMALL.read(name);
        let other = changed(&content, &change);
        let copy = SMALL.copy();
        fs::write(copy.path().join(name), &other).unwrap();
        prop_assert!(Dataset::open(copy.path()).is_err() || other == content);
    }

    #[test]
    fn a_changed_parquet_file_never_ends_the_program(change in change(), which in 0usize..4) {
        let name = ["snappy", "zstd", "gzip", "snappy_v2"][which];
        let folder = tempfile::tempdir().unwrap();
        let content = fs::read(format!("{}/tests/golden/parquet/{name}.parquet", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let file = folder.path().join("rows.parquet");
        fs::write(&file, changed(&content, &change)).unwrap();
        // Text that was changed is text still: there is no checksum in these files.
        let _ = made(&preparation(&[&file], &folder.path().join("data")));
    }
}

fn proptest_cases(cases: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases)
}

#[test]
fn an_interrupted_or_failed_preparation_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (text, out) = (SMALL.folder.path().join("text.txt"), folder.path().join("data"));
    let names = || fs::read_dir(folder.path()).unwrap().count();
    for calls in 0..4 {
        let mut left = calls;
        let result = prepare(&preparation(&[&text], &out), &mut |_| {
            left -= 1;
            left >= 0
        });
        assert!(matches!(result, Err(DatasetError::Interrupted)), "after {calls}: {result:?}");
        assert_eq!(names(), 0);
    }
    let blank = folder.path().join("blank.txt");
    fs::write(&blank, " \n\n").unwrap();
    assert!(matches!(made(&preparation(&[&blank], &out)), Err(DatasetError::Empty)));
    assert_eq!(names(), 1);
}

#[test]
fn only_what_leyden_left_over_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (text, out) = (SMALL.folder.path().join("text.txt"), folder.path().join("data"));
    let partial = folder.path().join("data.partial");
    fs::create_dir(&partial).unwrap();
    fs::write(partial.join("letters.txt"), "mine").unwrap();
    assert!(matches!(made(&preparation(&[&text], &out)), Err(DatasetError::Occupied { .. })));
    assert!(partial.join("letters.txt").is_file());
    // What a kill leaves.
    fs::write(partial.join("unfinished-dataset"), "").unwrap();
    fs::write(partial.join(SHARD), "torn").unwrap();
    fs::create_dir(&out).unwrap();
    made(&preparation(&[&text], &out)).unwrap();
    assert!(!partial.exists() && !out.join("unfinished-dataset").exists() && !out.join("letters.txt").exists());
    Dataset::open(&out).unwrap();
    assert!(matches!(made(&preparation(&[&text], &out)), Err(DatasetError::Occupied { .. })));
    // Somebody is at work.
    fs::create_dir(&partial).unwrap();
    let lock = fs::File::create(partial.join("unfinished-dataset")).unwrap();
    lock.lock().unwrap();
    let other = folder.path().join("data");
    fs::remove_dir_all(&other).unwrap();
    assert!(matches!(made(&preparation(&[&text], &out)), Err(DatasetError::Busy { .. })));
    assert!(partial.exists());
}

#[test]
fn a_huge_document_is_cut_and_some_of_it_held_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.txt");
    // One line, then lines without a blank one between them.
    let line = "peace and justice to all the nations of the world. ";
    fs::write(&file, line.repeat(30_000) + "\n" + &(line.to_owned() + "\n").repeat(30_000)).unwrap();
    let prepared = made(&preparation(&[&file], &folder.path().join("data"))).unwrap();
    let manifest = prepared.manifest;
    assert_eq!(manifest.sources[0].documents, 3);
    assert_eq!(manifest.sources[0].bytes, fs::metadata(&file).unwrap().len());
    let share = manifest.held_out.counts.bytes as f64 / manifest.counts().bytes as f64;
    assert!((0.05..0.2).contains(&share), "{share}");
}
