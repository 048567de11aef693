//! Images from Debian packages: made once, however many ask, and not left half-made.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kbz_lab::rootfs::{Recipe, RecipeFile, ensure};
use kbz_lab::{Engine, Events, LabEvent};
use tokio::sync::Notify;

/// A small recipe that no other run has.
fn recipe(name: &str) -> Recipe {
    let mark = std::process::id().to_string();
    Recipe {
        name: name.to_owned(),
        suite: "trixie".to_owned(),
        packages: vec!["iproute2".to_owned()],
        files: vec![RecipeFile {
            path: "/etc/kbz-mark".to_owned(),
            mode: 0o640,
            content: mark.into_bytes(),
        }],
        customize: vec!["echo \"it's $(cat /etc/kbz-mark)\" > /etc/kbz-said".to_owned()],
        instructions: vec!["ENV SAID=yes".to_owned()],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_made_once_for_all_who_ask() {
    let engine = Engine::connect().unwrap();
    let built = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&built);
    let events = Events::new(move |event| {
        if matches!(event, LabEvent::ImageBuilding { .. }) {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let recipe = recipe("probe-once");
    let asked = [0, 1].map(|_| ensure(&engine, &recipe, &events));
    let images = futures::future::try_join_all(asked).await.unwrap();
    assert_eq!(images, [recipe.image(), recipe.image()]);
    assert_eq!(built.load(Ordering::SeqCst), 1);
    let image = engine
        .docker()
        .inspect_image(&recipe.image())
        .await
        .unwrap();
    assert!(
        image
            .config
            .unwrap()
            .env
            .unwrap()
            .contains(&"SAID=yes".to_owned())
    );
    remove(&engine, &recipe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_up_image_leaves_nothing() {
    let engine = Engine::connect().unwrap();
    let working = Arc::new(Notify::new());
    let folders = Arc::new(Mutex::new(BTreeSet::new()));
    let (started, seen) = (Arc::clone(&working), Arc::clone(&folders));
    let events = Events::new(move |event| {
        let LabEvent::ImageProgress { line, .. } = event else {
            return;
        };
        if let Some((_, folder)) = line
            .split_once("using ")
            .filter(|(_, to)| to.starts_with('/'))
        {
            let folder = folder.split_whitespace().next().unwrap_or_default();
            seen.lock().unwrap().insert(PathBuf::from(folder));
        }
        if line.contains("downloading packages") || line.contains("installing") {
            started.notify_one();
        }
    });
    let recipe = recipe("probe-given-up");
    tokio::select! {
        made = ensure(&engine, &recipe, &events) => panic!("made too soon: {made:?}"),
        () = working.notified() => {}
    }
    let folders = folders.lock().unwrap().clone();
    assert!(!folders.is_empty(), "the tool names its folder");
    let gone = async {
        while folders.iter().any(|folder| folder.exists()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), gone)
        .await
        .expect("its folder is removed");
    assert!(
        engine
            .docker()
            .inspect_image(&recipe.image())
            .await
            .is_err()
    );
}

async fn remove(engine: &Engine, recipe: &Recipe) {
    let options = None::<bollard::query_parameters::RemoveImageOptions>;
    engine
        .docker()
        .remove_image(&recipe.image(), options, None)
        .await
        .unwrap();
}
