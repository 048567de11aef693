//! Makes a story that breaks a law as small as it gets while it still breaks that law.

use crate::breach::Breach;
use crate::story::{Act, Death, Moment, Story};
use crate::tell::tell;

/// The smallest story found that breaks the same law, and how it does.
pub fn shrink(story: Story, breach: Breach) -> (Story, Breach) {
    let (mut story, mut breach) = (story, breach);
    while let Some(smaller) = smaller(&story)
        .into_iter()
        .find_map(|smaller| still(smaller, &breach))
    {
        (story, breach) = smaller;
    }
    (story, breach)
}

fn still(story: Story, breach: &Breach) -> Option<(Story, Breach)> {
    let found = tell(&story).err()?;
    (found.law == breach.law).then_some((story, found))
}

/// All stories that are a little smaller, those with the least left first.
fn smaller(story: &Story) -> Vec<Story> {
    let mut all = Vec::new();
    let changed = |change: &dyn Fn(&mut Story)| {
        let mut other = story.clone();
        change(&mut other);
        other
    };
    for at in 0..story.acts.len() {
        all.push(changed(&|story| drop(story.acts.remove(at))));
    }
    for identity in identities(story) {
        all.push(changed(&|story| {
            for run in story.runs_mut() {
                run.program.retain(|item| item.identity() != identity);
            }
            let kept = |act: &Act| !matches!(act, Act::Hand(item) if item.identity() == identity);
            story.acts.retain(kept);
        }));
    }
    let runs = story.runs().count();
    for number in 0..runs {
        let with = |change: &dyn Fn(&mut crate::story::Run)| {
            changed(&|story| {
                if let Some(run) = story.runs_mut().nth(number) {
                    change(run);
                }
            })
        };
        all.push(with(&|run| run.death = None));
        all.push(with(&|run| run.disk_full = None));
        all.push(with(&|run| run.again = false));
        all.push(with(&|run| drop(run.mishaps.pop())));
        all.push(with(&|run| {
            run.mishaps = run.mishaps.split_off(run.mishaps.len().min(1));
        }));
        all.push(with(&|run| simpler(&mut run.death)));
        let items = story.runs().nth(number).map_or(0, |run| run.program.len());
        for place in 0..items {
            all.push(with(&|run| drop(run.program.remove(place))));
        }
    }
    for identity in identities(story) {
        let with = |change: &dyn Fn(&mut crate::items::Item)| {
            changed(&|story| {
                let items = story.runs_mut().flat_map(|run| &mut run.program);
                items
                    .filter(|item| item.identity() == identity)
                    .for_each(change);
            })
        };
        all.push(with(&|item| item.waits.clear()));
        all.push(with(&|item| {
            item.waits.pop();
        }));
        all.push(with(&|item| item.protect = false));
        all.push(with(&|item| item.variant = 0));
    }
    all.push(changed(&|story| story.parallel = 1));
    all.push(changed(&|story| story.per_site = 1));
    all.push(changed(&|story| story.schedule = 0));
    all.retain(|other| other != story);
    all
}

fn identities(story: &Story) -> std::collections::BTreeSet<(u8, usize, usize)> {
    let items = story.runs().flat_map(|run| &run.program);
    items.map(crate::items::Item::identity).collect()
}

/// A death at the same place that is easier to read.
fn simpler(death: &mut Option<Death>) {
    match death {
        Some(Death::AtWrite { power, moment, .. }) => {
            *power = None;
            if let Moment::Within(_) = moment {
                *moment = Moment::Before;
            }
        }
        Some(Death::AtEffect { power, .. }) => *power = None,
        None => {}
    }
}
