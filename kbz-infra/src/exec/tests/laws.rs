//! What holds for every plan.

use proptest::prelude::*;

use super::*;

/// Up to 24 steps on up to 3 sites, each waiting for some of those before it.
fn shorts() -> impl Strategy<Value = Vec<Short>> {
    let one = (
        proptest::collection::vec(0..3_usize, 0..4),
        proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
    );
    proptest::collection::vec(one, 1..24).prop_map(|steps| {
        let steps = (0_u32..).zip(steps);
        let short = steps.map(|(id, (sites, after))| Short {
            sites,
            after: match id {
                0 => BTreeSet::new(),
                _ => after
                    .iter()
                    .map(|index| u32::try_from(index.index(id as usize)).unwrap())
                    .collect(),
            },
        });
        short.collect()
    })
}

/// What a failure of `failing` must skip, worked out the slow way.
fn descendants(shorts: &[Short], failing: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut lost = failing.clone();
    for (id, short) in (0_u32..).zip(shorts) {
        if short.after.iter().any(|earlier| lost.contains(earlier)) {
            lost.insert(id);
        }
    }
    lost.difference(failing).copied().collect()
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::Before), Just(Fault::After), Just(Fault::Panic)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn order_failures_limits_and_memory(
        shorts in shorts(),
        failing in proptest::collection::btree_map(0..24_u32, faults(), 0..4),
        parallel in 1..6_usize,
        per_site in 1..3_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        // A step without effects has none that could fail, and what waits for a failing step
        // is never tried.
        let has_effects = |id: u32| shorts.get(id as usize).is_some_and(|s| !s.sites.is_empty());
        let faults: BTreeMap<u32, Fault> =
            failing.into_iter().filter(|(id, _)| has_effects(*id)).collect();
        let may_fail: BTreeSet<u32> = faults.keys().copied().collect();
        let unreached = descendants(&shorts, &may_fail);
        let failing: BTreeSet<u32> = may_fail
            .iter()
            .copied()
            .filter(|id| {
                let others: BTreeSet<u32> = may_fail.iter().copied().filter(|o| o != id).collect();
                !descendants(&shorts, &others).contains(id)
            })
            .collect();
        let world = World {
            faults: faults.iter().map(|(id, fault)| (format!("s{id}e0"), *fault)).collect(),
            pace: Duration::from_millis(10),
            ..World::default()
        };
        let limits = Limits { parallel, per_site, ..Limits::default() };
        let base = tempfile::tempdir().unwrap();
        let (outcome, world, _) =
            runtime.block_on(carried_out(plan(&shorts), world, base.path(), limits));

        // A failure skips exactly its descendants; everything else is done.
        let failed: BTreeSet<u32> = outcome.failed.keys().map(|step| step.0).collect();
        let skipped: BTreeSet<u32> = outcome.skipped.keys().map(|step| step.0).collect();
        prop_assert_eq!(&failed, &failing);
        let expected: BTreeSet<u32> = descendants(&shorts, &failing);
        prop_assert_eq!(&skipped, &expected);
        prop_assert!(unreached.is_subset(&(&skipped | &failing)));
        prop_assert_eq!(outcome.done.len() + failed.len() + skipped.len(), shorts.len());

        // What happened, happened once and in order.
        let happened = world.happened();
        let place: BTreeMap<&str, usize> =
            happened.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
        prop_assert_eq!(place.len(), happened.len());
        for (id, short) in (0_u32..).zip(&shorts) {
            let name = format!("s{id}e0");
            let Some(first) = place.get(name.as_str()) else { continue };
            for earlier in &short.after {
                let last = shorts[*earlier as usize].sites.len();
                for number in 0..last {
                    let name = format!("s{earlier}e{number}");
                    prop_assert!(place[name.as_str()] < *first);
                }
            }
        }

        // No limit was exceeded.
        let (on_one, together) = world.most();
        prop_assert!(on_one <= per_site && together <= parallel, "{} {}", on_one, together);

        // What is remembered is read again, and holds all that was begun.
        let begun: BTreeSet<Urn> = (0..u32::try_from(shorts.len()).unwrap())
            .filter(|id| !skipped.contains(id))
            .map(urn)
            .collect();
        prop_assert_eq!(&outcome.records.keys().cloned().collect::<BTreeSet<_>>(), &begun);
        let records = outcome.records.clone();
        drop(outcome);
        let read = Store::open(base.path(), stack()).read().unwrap();
        prop_assert_eq!(read.records, records);
        prop_assert!(read.unfinished.is_none());
    }
}
