//! Reads in a world that answers what the test says.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::effect::{Effect, EffectError, RunContext};
use crate::effect::{Line, Record, Removal};
use crate::ident::{Digest, HostName};
use crate::probe::{
    Entry, FileReading, Ownership, Path, PathReading, Registry, RegistryReading, Swap, SwapReading,
};
use crate::secret::Vault;

#[derive(Default)]
struct World {
    asked: Mutex<Vec<(Site, Vec<Probe>)>>,
    answers: BTreeMap<Site, SiteReadings>,
}

#[async_trait]
impl Interpreter for World {
    async fn read(&self, site: &Site, probes: &[Probe]) -> SiteReadings {
        let mut asked = self.asked.lock().unwrap();
        asked.push((site.clone(), probes.to_vec()));
        drop(asked);
        assert_ne!(site, &Site::Operator, "broken on purpose");
        self.answers[site].clone()
    }

    async fn run(&self, _: &Effect, _: &RunContext) -> Result<(), EffectError> {
        Err(EffectError::Cancelled)
    }
}

fn site(name: &str) -> Site {
    Site::Host(HostName::new(name).unwrap())
}

fn path(at: &Site, content: bool) -> Probe {
    let path = "/etc/x".to_owned();
    Probe::at(at, Path { path, content })
}

fn file(content: Option<&str>) -> Reading {
    let ownership = Ownership {
        mode: 0o600,
        uid: 0,
        gid: 0,
        owner: "root".to_owned(),
        group: "root".to_owned(),
    };
    Reading::Path(PathReading::File(FileReading {
        digest: Digest::of("x"),
        size: 1,
        ownership,
        immutable: false,
        content: content.map(str::to_owned),
    }))
}

async fn observed(
    world: World,
    probes: &[Probe],
) -> (Observation, Vec<(Site, Vec<Probe>)>, Vec<ObserveEvent>) {
    let world = Arc::new(world);
    let interpreter: Arc<dyn Interpreter> = Arc::clone(&world) as _;
    let events = Mutex::new(Vec::new());
    let tell = |event| events.lock().unwrap().push(event);
    let observation = observe(&interpreter, probes.iter().cloned().collect(), &tell).await;
    let asked = world.asked.lock().unwrap().clone();
    (observation, asked, events.into_inner().unwrap())
}

/// One that ends so many connections before it is asked anything.
struct Door(Mutex<u32>);

#[async_trait]
impl Interpreter for Door {
    async fn read(&self, site: &Site, _: &[Probe]) -> SiteReadings {
        let mut closed = self.0.lock().unwrap();
        if *closed == 0 {
            return Ok(vec![SwapReading(Vec::new()).into()]);
        }
        *closed -= 1;
        Err(Outage::new(site, "connection closed").unasked())
    }

    async fn run(&self, _: &Effect, _: &RunContext) -> Result<(), EffectError> {
        Err(EffectError::Cancelled)
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_not_even_asked_is_asked_again_for_a_moment() {
    for (closed, answers) in [(5, true), (50, false)] {
        let door: Arc<dyn Interpreter> = Arc::new(Door(Mutex::new(closed)));
        let probe = Probe::at(&site("db"), Swap {});
        let seen = observe(&door, BTreeSet::from([probe.clone()]), &|_| {}).await;
        let answered = matches!(seen.get(&probe), Some(Seen::Read(_)));
        assert_eq!(answered, answers, "{closed}");
    }
}

#[tokio::test]
async fn a_site_is_asked_once_and_a_path_once() {
    let db = site("db-1");
    let world = World {
        answers: BTreeMap::from([(
            db.clone(),
            Ok(vec![
                file(Some("x")),
                Reading::Swap(SwapReading(Vec::new())),
            ]),
        )]),
        ..World::default()
    };
    let probes = [path(&db, false), path(&db, true), Probe::at(&db, Swap {})];
    let (observation, asked, events) = observed(world, &probes).await;
    assert_eq!(asked, [(db, vec![probes[1].clone(), probes[2].clone()])]);
    assert_eq!(observation.get(&probes[0]), Some(&Seen::Read(file(None))));
    assert_eq!(
        observation.get(&probes[1]),
        Some(&Seen::Read(file(Some("x"))))
    );
    assert_eq!(events.len(), 2);
}

#[tokio::test]
async fn silence_is_unreachable_for_every_probe_and_never_absence() {
    let (db, lb) = (site("db-1"), site("lb-1"));
    let outage = Outage::new(&db, "connection timed out after 10 s");
    let world = World {
        answers: BTreeMap::from([
            (db.clone(), Err(outage.clone())),
            (lb.clone(), Ok(Vec::new())),
        ]),
        ..World::default()
    };
    let probes = [
        path(&db, false),
        path(&db, true),
        Probe::at(&lb, Swap {}),
        Probe::at(&Site::Operator, Swap {}),
    ];
    let (observation, _, events) = observed(world, &probes).await;
    for probe in &probes[..2] {
        assert_eq!(
            observation.get(probe),
            Some(&Seen::Unreachable(outage.clone()))
        );
    }
    let outages = observation.outages();
    assert_eq!(outages[&lb].why, "it gave 0 answers to 1 questions");
    assert!(outages[&Site::Operator].why.contains("broke off"));
    assert_eq!(events.len(), 6);
}

#[tokio::test]
async fn what_only_a_registry_knows_is_asked_in_a_second_round() {
    let (db, gone) = (site("db-1"), site("db-2"));
    let entry = |name: &str, probe: Probe| {
        Entry::from(&Record {
            urn: Urn::global("thing", name),
            goal: Vault::new().keyed(&Digest::of(name)),
            removal: Arc::new(Removal {
                probes: vec![probe],
                ..Removal::default()
            }),
            depends_on: BTreeSet::new(),
            protect: false,
            retain: false,
            line: Line::default(),
        })
    };
    let registry = Probe::at(&db, Registry {});
    let silent = Outage::new(&gone, "no route");
    let first: Observation = [
        (
            registry,
            Seen::Read(Reading::Registry(RegistryReading(vec![
                entry("declared", Probe::at(&db, Swap {})),
                entry("orphan", path(&db, false)),
                entry("far", path(&gone, false)),
            ]))),
        ),
        (Probe::at(&gone, Swap {}), Seen::Unreachable(silent.clone())),
    ]
    .into_iter()
    .collect();
    let world = Arc::new(World {
        answers: BTreeMap::from([(db.clone(), Ok(vec![Reading::Path(PathReading::Absent)]))]),
        ..World::default()
    });
    let interpreter: Arc<dyn Interpreter> = Arc::clone(&world) as _;
    let known = |urn: &Urn| urn.name() == "declared";
    let second = follow_up(&interpreter, first, &known, &|_| {}).await;
    assert_eq!(
        *world.asked.lock().unwrap(),
        [(db.clone(), vec![path(&db, false)])]
    );
    assert_eq!(
        second.get(&path(&db, false)),
        Some(&Seen::Read(Reading::Path(PathReading::Absent)))
    );
    assert_eq!(
        second.get(&path(&gone, false)),
        Some(&Seen::Unreachable(silent))
    );
    assert_eq!(second.len(), 4);
}
