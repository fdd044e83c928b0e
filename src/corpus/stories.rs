//! A second sample, made for showing: short stories that a grammar tells, in a few hundred words.
//!
//! In them it is plain what fits and what does not: who drinks and who is drunk, one or several, which colour the ball had, how many apples
//! are left when one is eaten, what comes first. So a replaced word is one that a child sees, and both networks learn in seconds
//! what in natural text takes hours.

use crate::random::Random;

/// Stories, one a document.
const COUNT: u64 = 6_000;
/// Decides all of them: they are the same in every version.
const SEED: u64 = 0x0005_70e1_e500;

/// All stories, a paragraph each.
pub fn stories() -> Vec<String> {
    (0..COUNT).map(|number| Teller::new(number).story()).collect()
}

/// Whoever a story is about: a name, and the words for it.
#[derive(Clone, Copy)]
struct Child {
    name: &'static str,
    he: &'static str,
    his: &'static str,
    him: &'static str,
}

const fn girl(name: &'static str) -> Child {
    Child { name, he: "she", his: "her", him: "her" }
}

const fn boy(name: &'static str) -> Child {
    Child { name, he: "he", his: "his", him: "him" }
}

const CHILDREN: [Child; 12] = [
    girl("anna"),
    girl("mia"),
    girl("lena"),
    girl("zoe"),
    girl("sara"),
    girl("ida"),
    boy("tom"),
    boy("ben"),
    boy("max"),
    boy("leo"),
    boy("sam"),
    boy("ali"),
];

/// One, several, what it eats, what it drinks, how it moves, what it says and where it sleeps.
type Animal = [&'static str; 7];

const ANIMALS: [Animal; 10] = [
    ["cat", "cats", "fish", "milk", "climbs", "meow", "on the sofa"],
    ["dog", "dogs", "meat", "water", "runs", "woof", "in front of the door"],
    ["horse", "horses", "hay", "water", "gallops", "neigh", "in the stable"],
    ["cow", "cows", "grass", "water", "walks", "moo", "in the stable"],
    ["bird", "birds", "seeds", "water", "flies", "tweet", "in the nest"],
    ["duck", "ducks", "bread", "water", "swims", "quack", "in the reeds"],
    ["mouse", "mice", "cheese", "water", "hides", "squeak", "in a hole"],
    ["rabbit", "rabbits", "carrots", "water", "jumps", "nothing", "under the bush"],
    ["sheep", "sheep", "grass", "water", "walks", "baa", "in the meadow"],
    ["pig", "pigs", "potatoes", "water", "rolls in the mud", "oink", "in the straw"],
];

/// One and several.
const FRUIT: [[&str; 2]; 6] = [
    ["apple", "apples"],
    ["pear", "pears"],
    ["plum", "plums"],
    ["banana", "bananas"],
    ["cherry", "cherries"],
    ["lemon", "lemons"],
];
/// Its colours.
const FRUIT_COLOURS: [&[&str]; 6] =
    [&["red", "green"], &["green", "yellow"], &["blue"], &["yellow", "green"], &["red"], &["yellow"]];
/// A thing, and what is done with it.
const THINGS: [[&str; 2]; 8] = [
    ["ball", "throws"],
    ["kite", "flies"],
    ["book", "reads"],
    ["drum", "beats"],
    ["bike", "rides"],
    ["pencil", "draws with"],
    ["doll", "plays with"],
    ["hat", "wears"],
];
const COLOURS: [&str; 8] = ["red", "blue", "green", "yellow", "black", "white", "brown", "purple"];
const NUMBERS: [&str; 10] = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
/// Where things are looked for.
const PLACES: [&str; 8] = [
    "under the bed",
    "behind the tree",
    "in the kitchen",
    "on the chair",
    "in the garden",
    "under the table",
    "behind the door",
    "in the box",
];
/// Who works, and at what, with what and where.
const WORK: [[&str; 4]; 8] = [
    ["baker", "bakes bread", "oven", "bakery"],
    ["farmer", "feeds the cows", "hay", "stable"],
    ["doctor", "helps the sick", "medicine", "hospital"],
    ["teacher", "teaches the children", "chalk", "school"],
    ["painter", "paints the wall", "brush", "house"],
    ["cook", "cooks soup", "pot", "restaurant"],
    ["gardener", "waters the flowers", "can", "park"],
    ["singer", "sings a song", "microphone", "theatre"],
];
/// What the weather is, what is worn then, and what is done.
const WEATHER: [[&str; 3]; 5] = [
    ["it rains", "coat", "jumps into the puddles"],
    ["it snows", "scarf", "builds a snowman"],
    ["the sun shines", "cap", "swims in the lake"],
    ["the wind blows", "jacket", "flies a kite"],
    ["it is cold", "gloves", "drinks hot tea"],
];

/// Tells one story.
struct Teller {
    random: Random,
    said: Vec<String>,
}

impl Teller {
    fn new(number: u64) -> Self {
        Self { random: Random::new(SEED, 0, number), said: Vec::new() }
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.below(of.len() as u64) as usize]
    }

    /// Two that are not the same.
    fn two<T: Copy>(&mut self, of: &[T]) -> (T, T) {
        let (first, step) = (self.random.below(of.len() as u64), 1 + self.random.below(of.len() as u64 - 1));
        (of[first as usize], of[((first + step) % of.len() as u64) as usize])
    }

    fn number(&mut self, from: u64, to: u64) -> usize {
        (from + self.random.below(to + 1 - from)) as usize
    }

    /// Says a sentence; its first letter becomes a capital, as do names.
    fn say(&mut self, sentence: &str) {
        let end = if sentence.ends_with(['!', '?']) { "" } else { "." };
        let words = sentence.split(' ').enumerate().map(|(i, word)| {
            let name = CHILDREN.iter().any(|child| word.trim_end_matches(|c: char| !c.is_alphabetic()) == child.name);
            if i == 0 || name { capital(word) } else { word.to_string() }
        });
        self.said.push(words.collect::<Vec<_>>().join(" ") + end);
    }

    fn story(mut self) -> String {
        for _ in 0..2 {
            match self.random.below(8) {
                0 => self.eating(),
                1 => self.losing(),
                2 => self.animals(),
                3 => self.counting(),
                4 => self.giving(),
                5 => self.a_day(),
                6 => self.working(),
                _ => self.weather(),
            }
        }
        self.said.join(" ")
    }

    /// Of fruit, some are eaten.
    fn eating(&mut self) {
        let (child, kind) = (self.one(&CHILDREN), self.number(0, FRUIT.len() as u64 - 1));
        let Child { name, he, .. } = child;
        let colour = self.one(FRUIT_COLOURS[kind]);
        let (many, eaten) = (self.number(3, 9), self.number(1, 2));
        let fruit = |count: usize| format!("{} {}", NUMBERS[count], FRUIT[kind][usize::from(count != 1)]);
        let are = |count: usize| if count == 1 { "is" } else { "are" };
        self.say(&format!("{name} is hungry"));
        self.say(&format!("{he} goes to the kitchen"));
        self.say(&format!("there are {} {colour} {} on the table", NUMBERS[many], FRUIT[kind][1]));
        self.say(&format!("{he} eats {}", fruit(eaten)));
        self.say(&format!("now there {} {} left", are(many - eaten), fruit(many - eaten)));
        self.say(&format!("{name} is not hungry any more"));
    }

    /// A thing is lost and found again; it is still the same one.
    fn losing(&mut self) {
        let Child { name, he, his, .. } = self.one(&CHILDREN);
        let ([thing, does], colour) = (self.one(&THINGS), self.one(&COLOURS));
        let (wrong, right) = self.two(&PLACES);
        self.say(&format!("{name} has a {colour} {thing}"));
        self.say(&format!("every day {he} {does} the {thing}"));
        self.say(&format!("but today the {colour} {thing} is gone"));
        self.say(&format!("first {he} looks {wrong}"));
        self.say(&format!("the {thing} is not {wrong}"));
        self.say(&format!("then {he} looks {right}"));
        self.say(&format!("there is {his} {colour} {thing}!"));
        self.say(&format!("{name} is happy"));
    }

    /// What animals do; one or several.
    fn animals(&mut self) {
        let ([one, several, eats, drinks, moves, cry, sleeps], colour) = (self.one(&ANIMALS), self.one(&COLOURS[4..7]));
        match self.random.chance(0.5) {
            true => {
                self.say(&format!("the {colour} {one} is hungry"));
                self.say(&format!("it eats {eats}"));
                self.say(&format!("then it is thirsty and drinks {drinks}"));
                self.say(&format!("after that the {one} {moves}"));
                if cry != "nothing" {
                    self.say(&format!("the {one} says {cry}"));
                }
                self.say(&format!("at night the {one} sleeps {sleeps}"));
            }
            false => {
                let count = NUMBERS[self.number(2, 9)];
                self.say(&format!("there are {count} {colour} {several}"));
                self.say(&format!("the {several} are hungry"));
                self.say(&format!("they eat {eats}"));
                self.say(&format!("then they are thirsty and drink {drinks}"));
                if cry != "nothing" {
                    self.say(&format!("the {several} say {cry}"));
                }
                self.say(&format!("at night the {several} sleep {sleeps}"));
            }
        }
    }

    /// Some go away.
    fn counting(&mut self) {
        let ([one, several, .., _], many) = (self.one(&ANIMALS), self.number(3, 9));
        let place = self.one(&["in the meadow", "by the river", "behind the house", "near the wood"]);
        self.say(&format!("{} {several} are {place}", NUMBERS[many]));
        let mut left = many;
        for word in ["one", "another"] {
            left -= 1;
            self.say(&format!("{word} {one} goes home"));
            let (are, kind) = if left == 1 { ("is", one) } else { ("are", several) };
            self.say(&format!("now {} {kind} {are} {place}", NUMBERS[left]));
        }
    }

    /// One child gives another some of what it has bought.
    fn giving(&mut self) {
        let (giver, taker) = self.two(&CHILDREN);
        let (kind, bought) = (self.number(0, FRUIT.len() as u64 - 1), self.number(3, 9));
        let given = self.number(1, bought as u64 - 1);
        let fruit = |count: usize| format!("{} {}", NUMBERS[count], FRUIT[kind][usize::from(count != 1)]);
        self.say(&format!("{} goes to the market with {} friend {}", giver.name, giver.his, taker.name));
        self.say(&format!("{} buys {}", giver.he, fruit(bought)));
        self.say(&format!("{} gives {} to {}", giver.name, fruit(given), taker.name));
        self.say(&format!("{} thanks {}", taker.name, giver.him));
        self.say(&format!("now {} has {}", taker.name, fruit(given)));
        self.say(&format!("and {} has {} left", giver.name, fruit(bought - given)));
    }

    /// From morning to night.
    fn a_day(&mut self) {
        let Child { name, he, his, .. } = self.one(&CHILDREN);
        let [thing, does] = self.one(&THINGS);
        self.say(&format!("in the morning {name} wakes up"));
        self.say(&format!("first {he} washes {his} face"));
        self.say(&format!("then {he} eats bread and drinks milk"));
        self.say(&format!("after that {he} goes to school"));
        self.say(&format!("in the afternoon {name} {does} {his} {thing}"));
        self.say(&format!("in the evening {his} mother reads a story"));
        self.say(&format!("at night {name} sleeps in {his} bed"));
    }

    /// Who works at what.
    fn working(&mut self) {
        let (Child { name, his, .. }, [worker, does, with, place]) = (self.one(&CHILDREN), self.one(&WORK));
        let parent = self.one(&[["mother", "she"], ["father", "he"]]);
        self.say(&format!("the {} of {name} is a {worker}", parent[0]));
        self.say(&format!("every morning {} goes to the {place}", parent[1]));
        self.say(&format!("there {} {does}", parent[1]));
        self.say(&format!("{} needs the {with} for it", parent[1]));
        self.say(&format!("{name} wants to be a {worker} too, like {his} {}", parent[0]));
    }

    /// What is worn when.
    fn weather(&mut self) {
        let (Child { name, he, his, .. }, [weather, wears, does]) = (self.one(&CHILDREN), self.one(&WEATHER));
        let colour = self.one(&COLOURS);
        self.say(&format!("today {weather}"));
        self.say(&format!("{name} puts on {his} {colour} {wears}"));
        self.say(&format!("then {he} goes out and {does}"));
        self.say(&format!("when {he} comes home, {he} takes off the {colour} {wears}"));
    }
}

/// The word with a capital letter.
fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::sha256;
    use std::collections::BTreeSet;

    #[test]
    fn they_are_told_in_few_words_and_always_the_same() {
        let stories = stories();
        let words: BTreeSet<String> =
            stories.iter().flat_map(|story| story.split(|c: char| !c.is_alphabetic())).map(str::to_lowercase).collect();
        assert!((200..=400).contains(&words.len()), "{} words: {words:?}", words.len());
        let all = stories.join("\n");
        assert!((1_200_000..2_500_000).contains(&all.len()), "{} bytes", all.len());
        let expected = "2749662e7441c0dd3aa4ef9d96bbc7b68ca9ded62cf4834caa6eac3605260a2f";
        assert_eq!(sha256(all.as_bytes()), expected, "{}", stories[..3].join("\n"));
    }

    #[test]
    fn what_is_counted_adds_up() {
        let number = |word: &str| NUMBERS.iter().position(|number| *number == word.to_lowercase());
        let mut checked = 0;
        for story in stories() {
            let sentences: Vec<Vec<&str>> =
                story.split(['.', '!']).map(|sentence| sentence.split_whitespace().collect()).collect();
            for (i, sentence) in sentences.iter().enumerate() {
                let [_, "eats", eaten, _] = sentence[..] else { continue };
                let Some(eaten) = number(eaten) else { continue };
                let (before, after) = (number(sentences[i - 1][2]).unwrap(), number(sentences[i + 1][3]).unwrap());
                assert_eq!(before - eaten, after, "{story}");
                assert_eq!(sentences[i + 1][2], if after == 1 { "is" } else { "are" }, "{story}");
                checked += 1;
            }
        }
        assert!(checked > 500, "{checked}");
    }
}
