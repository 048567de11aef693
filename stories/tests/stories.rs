//! Some hundred stories, and those that engines are known to get wrong.

use stories::invent::story;
use stories::items::Item;
use stories::many::{many, report};
use stories::story::{Act, Death, Moment, Run, Story};
use stories::tell::tell;

/// How many seeds are told here; `cargo run --release -p stories` tells more.
const SEEDS: u64 = 200;

#[test]
fn every_story_keeps_the_laws() {
    let broken = many(0..SEEDS, 3, &|| {});
    let reports: Vec<String> = broken.iter().map(report).collect();
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

#[test]
fn a_seed_tells_one_story() {
    for seed in 0..50 {
        assert_eq!(story(seed), story(seed));
    }
    assert_ne!(story(1), story(2));
}

fn keeps_the_laws(story: &Story) {
    if let Err(breach) = tell(story) {
        panic!("{story}breaks: {breach}");
    }
}

fn item(kind: u8, slot: usize, waits: &[usize]) -> Item {
    Item {
        kind,
        host: 0,
        slot,
        variant: 0,
        waits: waits.to_vec(),
        protect: false,
    }
}

/// Every way to die in a run of so many effects and writes.
fn deaths(effects: usize, writes: usize) -> impl Iterator<Item = Death> {
    let at_effect = (1..=effects).flat_map(|number| {
        [false, true].map(|happened| Death::AtEffect {
            number,
            happened,
            power: None,
        })
    });
    let moments = [Moment::Before, Moment::Within(40), Moment::After];
    let at_write = (1..=writes).flat_map(move |number| {
        moments.into_iter().flat_map(move |moment| {
            [None, Some(100)].map(|power| Death::AtWrite {
                number,
                moment,
                power,
            })
        })
    });
    at_effect.chain(at_write)
}

fn dying(program: Vec<Item>, death: Death) -> Act {
    Act::Up(Run {
        program,
        death: Some(death),
        again: true,
        ..Run::default()
    })
}

/// pulumi#11599: killed while it makes something, the next run made it a second time.
#[test]
fn what_was_made_by_a_killed_run_is_not_made_again() {
    for death in deaths(8, 12) {
        keeps_the_laws(&Story::of(vec![dying(vec![item(8, 0, &[])], death)]));
    }
}

/// pulumi#15959: with the order of two objects turned round and one of them gone, the state named
/// a dependency that came after what depends on it, and nothing could read it any more.
#[test]
fn an_order_that_turns_round_while_something_goes_is_read_again() {
    let first = vec![item(0, 0, &[]), item(0, 1, &[0]), item(0, 2, &[1])];
    let second = vec![item(0, 1, &[]), item(0, 0, &[0])];
    for death in deaths(4, 8) {
        keeps_the_laws(&Story::of(vec![
            Act::Up(Run::of(first.clone())),
            dying(second.clone(), death),
            Act::Destroy(Run::of(second.clone())),
        ]));
    }
}

/// What pulumi's fuzzer finds again and again (pulumi#20905 among others): what others depend on
/// is deleted, the others stay, and what is remembered of them names what is gone.
#[test]
fn what_others_were_recorded_to_need_goes_and_they_stay() {
    let first = vec![item(1, 0, &[]), item(0, 1, &[0]), item(5, 2, &[0, 1])];
    let second = vec![item(0, 1, &[]), item(5, 2, &[])];
    for death in deaths(4, 8) {
        keeps_the_laws(&Story::of(vec![
            Act::Up(Run::of(first.clone())),
            dying(second.clone(), death),
            dying(Vec::new(), death),
        ]));
    }
}

/// Protected since the program says so, also where no run has noted it yet.
#[test]
fn what_is_newly_protected_is_not_destroyed() {
    let free = vec![item(0, 0, &[])];
    let mut protected = free.clone();
    protected[0].protect = true;
    keeps_the_laws(&Story::of(vec![
        Act::Up(Run::of(free)),
        Act::Destroy(Run::of(protected)),
    ]));
}

/// The memory is lost, and only the owner of a database is declared again: when it goes,
/// PostgreSQL says that it cannot, and once somebody has dropped the database it does.
#[test]
fn an_owner_of_a_database_that_nobody_knows_goes_after_it() {
    for kind in [14, 15] {
        let role = item(13, 0, &[]);
        keeps_the_laws(&Story::of(vec![
            Act::Up(Run::of(vec![item(kind, 0, &[]), item(kind, 1, &[])])),
            Act::Forget,
            Act::Up(Run::of(vec![role])),
            Act::Up(Run::default()),
        ]));
    }
}
