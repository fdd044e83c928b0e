//! Other objectives than ELECTRA through the binary: chosen by name, trained, stopped and gone on with, drawn, asked, handed on.

#[path = "common/metrics.rs"]
mod metrics;
#[path = "common/program.rs"]
mod program;

use metrics::metrics;
use program::leyden;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A masked language model small enough for tests, with more than one reason to draw random numbers.
const SMALL: [&str; 20] = [
    "--objective",
    "mlm",
    "--device",
    "cpu",
    "--batch",
    "4",
    "--set",
    "model.layers=1",
    "--set",
    "model.hidden=32",
    "--set",
    "model.embedding=24",
    "--set",
    "model.dropout=0.1",
    "--set",
    "model.vocabulary=300",
    "--set",
    "training.evaluation_examples=8",
    "--set",
    "training.log_every=1",
];

fn train(run: &Path, more: &[&str]) -> String {
    let mut command = leyden();
    command.arg("train").args(SMALL).arg("--run").arg(run).args(more);
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn says(arguments: &[&str], run: &Path) -> String {
    let output = leyden().arg(arguments[0]).arg(run).args(&arguments[1..]).assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

fn refuses(arguments: &[&str], expected: &str) {
    let output = leyden().args(arguments).assert().failure().code(2).get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(expected), "{arguments:?}: {error}");
}

#[test]
fn a_masked_language_model_is_trained_drawn_asked_and_handed_on() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let shown = train(&whole, &["--steps", "6"]);
    for part in [
        "masked LM tiny: ",
        "masked LM loss",
        "blind guessing",
        "of the masked words",
        "what the encoder guesses",
        "step-000006/encoder: transformers loads it",
        "--mask \"",
        "--objective mlm",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    let hint = shown.lines().find(|line| line.contains("--mask \"")).unwrap();
    assert!(hint.contains("[MASK]") && !hint.contains("##"), "{hint}");
    assert!(!shown.contains("generator") && !shown.contains("discriminator"), "{shown}");

    // Stopped and gone on with, it is the same run.
    train(&parts, &["--steps", "6", "--stop-after", "3"]);
    leyden().args(["train", "--device", "cpu", "--run"]).arg(&parts).assert().success();
    let weights = |run: &Path| fs::read(run.join("checkpoints/step-000006/encoder/model.safetensors")).unwrap();
    assert_eq!(metrics(&whole), metrics(&parts));
    assert!(weights(&whole) == weights(&parts));
    let config: Value =
        serde_json::from_str(&fs::read_to_string(whole.join("checkpoints/step-000006/encoder/config.json")).unwrap())
            .unwrap();
    assert_eq!(config["architectures"], serde_json::json!(["ElectraForMaskedLM"]));
    let sample = fs::read_to_string(whole.join("samples.jsonl")).unwrap();
    assert!(sample.contains("\"drawn\":") && !sample.contains("p_replaced"), "{sample}");

    // Drawn.
    let picture = folder.path().join("run.svg");
    says(&["plot", "--out", picture.to_str().unwrap()], &whole);
    let drawn = fs::read_to_string(&picture).unwrap();
    assert!(drawn.contains("Masked LM loss") && drawn.contains("Masked LM accuracy"));

    // Asked.
    let guesses = says(&["probe", "--mask", "the people of the [MASK]"], &whole);
    assert!(guesses.contains("encoder") && guesses.contains("[MASK]"), "{guesses}");
    let place = whole.to_str().unwrap();
    refuses(&["probe", place, "the people"], "holds no discriminator; ");
    refuses(&["probe", place, "the people"], "guesses masked words: --mask asks it");

    // Handed on: to another run like it, and as the generator of an ELECTRA.
    let on = folder.path().join("on");
    let shown = train(&on, &["--steps", "1", "--init-from", place]);
    assert!(shown.contains("from    encoder of"), "{shown}");
    let electra = folder.path().join("electra");
    let mut command = leyden();
    command.args([
        "train",
        "--device",
        "cpu",
        "--steps",
        "1",
        "--batch",
        "4",
        "--set",
        "model.layers=1",
        "--init-from",
    ]);
    let output = command.arg(place).arg("--run").arg(&electra).assert().success().get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("encoder begins as the generator; the discriminator"), "{said}");
    let config = fs::read_to_string(electra.join("config.toml")).unwrap();
    assert!(config.contains("name = \"electra\"") && config.contains("hidden = 32"), "{config}");
    // And the discriminator of an ELECTRA begins as an encoder.
    let back = folder.path().join("back");
    let mut command = leyden();
    command
        .arg("train")
        .args(SMALL)
        .args(["--steps", "1", "--init-from", electra.to_str().unwrap(), "--run"])
        .arg(&back);
    let said = String::from_utf8(command.assert().success().get_output().stderr.clone()).unwrap();
    for part in ["generator is left out: one network is trained", "the head that guesses words begins anew"] {
        assert!(said.contains(part), "{said}");
    }
    let config = fs::read_to_string(back.join("config.toml")).unwrap();
    assert!(config.contains("name = \"mlm\"") && config.contains("hidden = 128"), "{config}");
}

/// Small, of an objective with a generator.
const GENERATED: [&str; 20] = [
    "--device",
    "cpu",
    "--batch",
    "4",
    "--steps",
    "6",
    "--set",
    "model.layers=1",
    "--set",
    "model.hidden=32",
    "--set",
    "model.embedding=24",
    "--set",
    "model.dropout=0.1",
    "--set",
    "model.vocabulary=300",
    "--set",
    "training.evaluation_examples=8",
    "--set",
    "training.log_every=1",
];

/// An objective, further settings, what its summary says, its networks, and what its lines of samples.jsonl have.
type Generated =
    (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static str], &'static str);

#[test]
fn objectives_with_a_generator_are_trained_drawn_and_gone_on_with() {
    let cases: [Generated; 9] = [
        ("electra", &["objective.over='selected'"], &["ELECTRA tiny"], &["generator", "discriminator"], "p_replaced"),
        (
            "electra",
            &["objective.tying='all'", "objective.generator=1"],
            &["ELECTRA tiny"],
            &["generator", "discriminator"],
            "p_replaced",
        ),
        (
            "electra",
            &["objective.replaced_by='frozen'", "data.whole_words=true"],
            &["ELECTRA tiny"],
            &["generator", "discriminator"],
            "p_replaced",
        ),
        (
            "replace-mlm",
            &[],
            &["Replace MLM tiny", "encoder loss", "takes the word to have been", "/generator --mask"],
            &["generator", "encoder"],
            "restored",
        ),
        (
            "all-tokens",
            &[],
            &["All-Tokens MLM tiny", "the encoder copies", "the encoder's percentage", "/generator --mask"],
            &["generator", "encoder"],
            "p_replaced",
        ),
        ("two-stage", &[], &["two-stage ELECTRA tiny"], &["generator", "discriminator"], "p_replaced"),
        ("adversarial", &[], &["adversarial ELECTRA tiny"], &["generator", "discriminator"], "p_replaced"),
        (
            "mc-bert",
            &["objective.candidates=4"],
            &["MC-BERT tiny", "of all tokens for unchanged", "the words it chose from", "/generator --mask"],
            &["generator", "encoder"],
            "\"candidates\":",
        ),
        (
            "teams",
            &["model.layers=2"],
            &["TEAMS tiny", "chooses the right one of 5 words", "transformers loads all of them"],
            &["generator", "discriminator", "encoder"],
            "\"candidates\":",
        ),
    ];
    for (objective, settings, says_so, networks, sampled) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        let begin = |run: &Path, more: &[&str]| {
            let mut command = leyden();
            command.args(["train", "--objective", objective]).args(GENERATED).arg("--run").arg(run).args(more);
            command.args(settings.iter().flat_map(|setting| ["--set", setting]));
            String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
        };
        let shown = begin(&whole, &[]);
        for part in says_so {
            assert!(shown.contains(part), "{objective}: no {part:?} in\n{shown}");
        }
        // Stopped and gone on with, at a stage's end too, it is the same run.
        begin(&parts, &["--stop-after", "2"]);
        let mut command = leyden();
        command.args(["train", "--device", "cpu", "--stop-after", "3", "--run"]).arg(&parts).assert().success();
        leyden().args(["train", "--device", "cpu", "--run"]).arg(&parts).assert().success();
        assert_eq!(metrics(&whole), metrics(&parts), "{objective}");
        for name in networks {
            let file = format!("checkpoints/step-000006/{name}/model.safetensors");
            assert!(fs::read(whole.join(&file)).unwrap() == fs::read(parts.join(&file)).unwrap(), "{objective} {name}");
        }
        let rest = whole.join("checkpoints/step-000006/rest.safetensors");
        assert_eq!(rest.is_file(), ["all-tokens", "adversarial", "mc-bert"].contains(&objective));
        let lines = fs::read_to_string(whole.join("samples.jsonl")).unwrap();
        assert!(lines.contains(sampled), "{objective}: {lines}");
        let picture = folder.path().join("run.svg");
        says(&["plot", "--out", picture.to_str().unwrap()], &whole);
        assert!(fs::read_to_string(&picture).unwrap().contains("Generator loss"));
        // Asked for a word, the generator answers: an encoder beside it has never met a mask.
        let guesses = says(&["probe", "--mask", "the people of the [MASK]"], &whole);
        assert!(guesses.contains("generator"), "{objective}: {guesses}");
    }
}

#[test]
fn words_may_be_put_in_that_no_network_guesses() {
    for by in ["unigram", "uniform"] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        let begin = |run: &Path, more: &[&str]| {
            let mut command = leyden();
            command.args(["train", "--set", &format!("objective.replaced_by={by}")]).args(GENERATED);
            let output = command.arg("--run").arg(run).args(more).assert().success().get_output().clone();
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
        };
        let shown = begin(&whole, &[]);
        begin(&parts, &["--stop-after", "3"]);
        leyden().args(["train", "--device", "cpu", "--run"]).arg(&parts).assert().success();
        assert_eq!(metrics(&whole), metrics(&parts), "{by}");
        let checkpoint = |run: &Path| run.join("checkpoints/step-000006");
        let weights = |run: &Path| fs::read(checkpoint(run).join("discriminator/model.safetensors")).unwrap();
        assert!(weights(&whole) == weights(&parts), "{by}");
        assert!(!checkpoint(&whole).join("generator").exists());
        assert_eq!(checkpoint(&whole).join("rest.safetensors").is_file(), by == "unigram");
        let verdict = says(&["probe", "the people of the states"], &whole);
        assert!(verdict.contains("discriminator") || verdict.contains('%'), "{verdict}");
        for part in ["put in  ", "discriminator ", "the discriminator finds"] {
            assert!(shown.contains(part), "{by}: no {part:?} in\n{shown}");
        }
        assert!(!shown.contains("has learnt no more than how frequent"), "{shown}");
    }
    refuses(
        &["train", "--set", "objective.replaced_by=uniform", "--set", "objective.tying=none", "--run", "never"],
        "objective.tying is none",
    );
}

#[test]
fn three_networks_begin_as_far_as_one_that_was_trained_goes() {
    let folder = tempfile::tempdir().unwrap();
    let begin = |objective: &str, run: &Path, more: &[&str]| {
        let mut command = leyden();
        command.args(["train", "--objective", objective]).args(GENERATED).arg("--run").arg(run).args(more);
        let output = command.assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    };
    let still = ["--set", "optimizer.learning_rate=0", "--set", "optimizer.weight_decay=0"];
    let [electra, teams, back, unigram] = ["electra", "teams", "back", "unigram"].map(|name| folder.path().join(name));
    begin("electra", &electra, &["--set", "model.layers=2"]);
    let from = ["--init-from", electra.to_str().unwrap()];
    let said = begin("teams", &teams, &[&["--set", "model.layers=2"], &from[..], &still].concat());
    assert!(said.contains("generator is left out: what shares layers") && !said.contains("begins anew"), "{said}");
    let read = |run: &Path, network: &str, tensor: &str| {
        let bytes = fs::read(run.join("checkpoints/step-000006").join(network).join("model.safetensors")).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        tensors.tensor(tensor).unwrap().data().to_vec()
    };
    // The last layer is the encoder's own, and begins as the discriminator's.
    for (network, tensor) in [
        ("discriminator", "electra.encoder.layer.1.output.dense.weight"),
        ("encoder", "electra.encoder.layer.1.output.dense.weight"),
        ("discriminator", "discriminator_predictions.dense.weight"),
        ("encoder", "electra.embeddings.word_embeddings.weight"),
    ] {
        assert!(read(&teams, network, tensor) == read(&electra, "discriminator", tensor), "{network} {tensor}");
    }
    // Of three networks, the generator begins as one, not the encoder.
    begin("electra", &back, &[&["--init-from", teams.to_str().unwrap()], &still[..]].concat());
    let head = "generator_predictions.dense.weight";
    assert!(read(&back, "generator", head) == read(&teams, "generator", head));
    // And of an ELECTRA whose words no network guesses, the discriminator.
    let by = ["--set", "objective.replaced_by=unigram"];
    begin("electra", &unigram, &[&by, &["--init-from", electra.to_str().unwrap()], &still[..]].concat());
    let last = "electra.encoder.layer.1.output.dense.weight";
    assert!(read(&unigram, "discriminator", last) == read(&electra, "discriminator", last));

    // What is planned counts all that is trained, and what is embedded is what one keeps.
    for (run, objective, settings) in [
        (&teams, "teams", &["--set", "model.layers=2"][..]),
        (&unigram, "electra", &["--set", "objective.replaced_by=unigram"]),
    ] {
        let shown = begin(objective, &folder.path().join(format!("again-{objective}")), settings);
        let count = shown.split(" parameters").next().unwrap().rsplit(' ').next().unwrap().to_string();
        let mut command = leyden();
        command.args(["plan", "--device", "cpu", "--objective", objective, "--set", "model.layers=1"]).args(settings);
        for setting in ["model.hidden=32", "model.embedding=24", "model.vocabulary=300"] {
            command.args(["--set", setting]);
        }
        let planned = String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap();
        assert!(planned.contains(&count), "{run:?}: no {count} in\n{planned}");
    }
    let embedded = |place: &Path| {
        let mut command = leyden();
        command.arg("embed").arg(place).args(["--device", "cpu"]).write_stdin("war\n");
        command.assert().success().get_output().stdout.clone()
    };
    // Trained, so that the two are not the same.
    let trained = folder.path().join("again-teams");
    let network = |name: &str| trained.join("checkpoints/step-000006").join(name);
    assert_eq!(embedded(&trained), embedded(&network("encoder")));
    assert_ne!(embedded(&trained), embedded(&network("discriminator")));
}

#[test]
fn whole_words_need_pieces_that_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("letters.txt");
    fs::write(&text, "a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9\n\n".repeat(200))
        .unwrap();
    let run = folder.path().join("run");
    let place = [text.to_str().unwrap(), run.to_str().unwrap()];
    refuses(
        &["train", "--text", place[0], "--run", place[1], "--device", "cpu", "--set", "data.whole_words=true"],
        "begins with ##",
    );
    refuses(&["train", "--objective", "teams", "--set", "objective.candidates=65"], "objective.candidates is 65");
    refuses(&["train", "--objective", "mc-bert", "--set", "objective.candidates=1"], "expected 2 to 64");
}

#[test]
fn words_are_predicted_in_a_random_order() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let begin = |run: &Path, more: &[&str]| {
        let mut command = leyden();
        command.args(["train", "--objective", "xlnet"]).args(GENERATED).arg("--run").arg(run).args(more);
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    let shown = begin(&whole, &[]);
    for part in
        ["XLNet tiny", "of the predicted words", "what the encoder guesses", "step-000006/encoder: transformers"]
    {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    begin(&parts, &["--stop-after", "3"]);
    leyden().args(["train", "--device", "cpu", "--run"]).arg(&parts).assert().success();
    assert_eq!(metrics(&whole), metrics(&parts));
    let weights = |run: &Path| fs::read(run.join("checkpoints/step-000006/encoder/model.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&parts));
    let picture = folder.path().join("run.svg");
    says(&["plot", "--out", picture.to_str().unwrap()], &whole);
    assert!(fs::read_to_string(&picture).unwrap().contains("Permutation LM loss"));
    let guesses = says(&["probe", "--mask", "the people of the [MASK]"], &whole);
    assert!(guesses.contains("encoder"), "{guesses}");

    // What its folder says of masks is read again, and refused where it says nothing.
    let encoder = whole.join("checkpoints/step-000006/encoder");
    let config = fs::read_to_string(encoder.join("config.json")).unwrap();
    assert!(config.contains("\"attends_to_masks\": false"), "{config}");
    let ask = ["probe", "--mask", "--json", "the people of the [MASK]"];
    let hidden = says(&ask, &encoder);
    fs::write(encoder.join("config.json"), config.replace("\"attends_to_masks\": false", "\"attends_to_masks\": true"))
        .unwrap();
    assert_ne!(hidden, says(&ask, &encoder));
    fs::write(encoder.join("config.json"), config.replace("\"attends_to_masks\": false", "\"attends_to_masks\": 3"))
        .unwrap();
    refuses(&["probe", encoder.to_str().unwrap(), "--mask", "[MASK]"], "attends_to_masks is 3, expected true or false");
}

#[test]
fn an_encoder_begins_as_the_encoder_of_another_objective() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    train(&first, &["--steps", "1"]);
    let mut command = leyden();
    command.args(["train", "--objective", "all-tokens"]).args(GENERATED).arg("--run").arg(&second);
    let said = command.arg("--init-from").arg(&first).assert().success().get_output().clone();
    assert!(String::from_utf8(said.stdout).unwrap().contains("from    encoder of"));
    let config = fs::read_to_string(second.join("config.toml")).unwrap();
    let objective = &config[config.find("[objective]").unwrap()..];
    // tiny's own generator, not one of the encoder's size.
    assert!(objective.contains("hidden = 8"), "{config}");
}

#[test]
fn patience_waits_until_there_is_something_to_measure() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let mut command = leyden();
    command.args(["train", "--objective", "two-stage"]).args(GENERATED).arg("--run").arg(&run);
    command.args(["--set", "training.patience=1", "--set", "training.evaluate_every=1"]).assert().success();
    let lines = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let held_out = |step: u64| lines.iter().find(|line| line["step"] == step && line["held_out"].is_object()).unwrap();
    assert!(held_out(2)["held_out"].get("discriminator_loss").is_none(), "{}", held_out(2));
    assert!(held_out(4)["held_out"]["discriminator_loss"].is_f64(), "{}", held_out(4));
}

#[test]
fn what_comes_in_stages_begins_with_its_first_network() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    train(&first, &["--steps", "1"]);
    let mut command = leyden();
    command
        .args(["train", "--objective", "two-stage"])
        .args(GENERATED)
        .args(["--stop-after", "1", "--run"])
        .arg(&second);
    command.arg("--init-from").arg(&first).assert().success();
    // The first step's learning rate is 0: the generator is as the encoder was.
    let weights = |run: &Path, file: &str| fs::read(run.join("checkpoints/step-000001").join(file)).unwrap();
    let expected = weights(&first, "encoder/model.safetensors");
    assert!(weights(&second, "generator/model.safetensors") == expected);
}

#[test]
fn a_generator_is_the_presets_whatever_the_objective() {
    let generator = |objective: &str| {
        let plan =
            leyden().args(["plan", "--objective", objective, "--preset", "mini", "--device", "cpu", "--json"]).assert();
        let plan: Value = serde_json::from_slice(&plan.success().get_output().stdout).unwrap();
        plan["parameters"]["generator_own"].as_u64().unwrap()
    };
    let usual = generator("electra");
    assert_eq!([generator("replace-mlm"), generator("all-tokens")], [usual; 2]);
    assert!(generator("two-stage") > usual);
    refuses(
        &["train", "--set", "objective.tying='all'"],
        "objective.tying is all, expected none or embeddings, or objective.generator = 1",
    );
    refuses(&["train", "--set", "objective.over='some'"], "unknown variant `some`");
    refuses(&["train", "--objective", "two-stage", "--set", "objective.generator=1"], "unknown field `generator`");
}

#[test]
fn an_objective_brings_its_own_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    let path = file.to_str().unwrap();
    let run = folder.path().join("run");
    let masked = |more: &[&str]| {
        train(&run, &[&["--steps", "1"], more].concat());
        let config = fs::read_to_string(run.join("config.toml")).unwrap();
        fs::remove_dir_all(&run).unwrap();
        let start = config.find("[objective]").unwrap();
        config[start..].split("\n\n").next().unwrap().to_string()
    };
    let bert = "[objective]\nname = \"mlm\"\nmasked_fraction = 0.15\nmask_probability = 0.8\nrandom_probability = 0.1";
    assert_eq!(masked(&[]), bert);
    let all = ["--set", "objective.mask_probability=0.85", "--set", "objective.random_probability=0"];
    let expected = bert.replace("0.8", "0.85").replace("probability = 0.1", "probability = 0.0");
    assert_eq!(masked(&all), expected);
    // A file's objective without a name is that of the flag; another name gives way to it.
    fs::write(&file, "[objective]\nmask_probability = 0.7\n").unwrap();
    assert_eq!(masked(&["--config", path]), bert.replace("0.8", "0.7"));
    fs::write(&file, "[objective]\nname = 'electra'\ngenerator = 0.25\n").unwrap();
    assert_eq!(masked(&["--config", path]), bert);

    refuses(
        &["train", "--objective", "bert"],
        "possible values: electra, mlm, replace-mlm, all-tokens, two-stage, adversarial, mc-bert, teams, xlnet",
    );
    fs::write(&file, "[objective]\nname = 'bert'\n").unwrap();
    refuses(&["train", "--config", path], "no objective \"bert\"; there are electra, mlm, replace-mlm");
    refuses(&["train", "--objective", "mlm", "--set", "generator.layers=1"], "unknown field `generator`");
    refuses(&["train", "--set", "objective.name='mlm'"], "use --objective");
    refuses(
        &["train", "--objective", "mlm", "--set", "objective.random_probability=0.3"],
        "objective.random_probability is 0.3, expected 0 to what objective.mask_probability leaves, 0.200",
    );
    refuses(&["bench", "--objective", "mlm", "--against", "torch"], "the peer trains electra, not mlm");
    let selected = ["bench", "--set", "objective.over=selected", "--against", "torch"];
    refuses(&selected, "the peer's discriminator learns from all tokens");
    let plan = leyden().args(["plan", "--objective", "mlm", "--device", "cpu", "--json"]).assert().success();
    let plan: Value = serde_json::from_slice(&plan.get_output().stdout).unwrap();
    let parameters = &plan["parameters"];
    assert_eq!(parameters["encoder"], parameters["total"]);
    assert_eq!(parameters["tied"], 0);
}

#[test]
fn a_run_of_another_objective_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run, &["--steps", "2", "--stop-after", "1"]);
    let place = run.to_str().unwrap();
    refuses(&["train", "--run", place, "--objective", "electra"], "leave --objective out to go on");
    // Without a name, a run has its preset's and the objective's.
    let mut command = leyden();
    command.current_dir(folder.path()).arg("train").args(SMALL).args(["--steps", "1"]).assert().success();
    assert!(folder.path().join("runs/tiny-mlm/config.toml").is_file());
}
