//! `drift`: shown, put right, kept as it is found.

use serde_json::Value;

use crate::folder::{Folder, run};
use crate::saved::tune;

const SYSCTL: &str = "sysctl@db-master-01:vm.swappiness";
const WORLD: &str = ".kbz/sim/keybuzz/world.json";

/// A hand in the modelled world.
pub(crate) fn by_hand(folder: &Folder, hand: impl FnOnce(&mut Value)) {
    let mut world: Value = serde_json::from_str(&folder.read(WORLD)).expect("a world");
    hand(&mut world["world"]["world"]);
    folder.write(WORLD, world.to_string());
}

/// A hand sets a kernel parameter of the modelled host.
fn set_swappiness(folder: &Folder, value: &str) {
    by_hand(folder, |world| {
        let host = &mut world["hosts"]["db-master-01"];
        let found = &mut host["kernel"]["set"]["vm.swappiness"];
        assert!(found.is_string(), "{found}");
        *found = value.into();
    });
}

fn made() -> Folder {
    let folder = Folder::new();
    run(&folder, &["up"], 0);
    folder
}

#[test]
fn drift_is_shown_apart_from_the_program_and_put_right_alone() {
    let folder = made();
    let none = run(&folder, &["drift", "--detailed-exitcode"], 0);
    assert!(none.contains("✓ no drift"), "{none}");
    set_swappiness(&folder, "77");
    tune(&folder, "8MB");
    let shown = run(&folder, &["drift", "--detailed-exitcode"], 2);
    assert!(shown.contains("value  77 → 1"), "{shown}");
    assert!(shown.contains("1 object has drifted"), "{shown}");
    assert!(shown.contains("of the program to carry out"), "{shown}");
    assert!(!shown.contains("work_mem"), "{shown}");

    let reverted = run(&folder, &["drift", "--revert"], 0);
    assert!(reverted.contains("1 step in"), "{reverted}");
    let none = run(&folder, &["drift", "--detailed-exitcode"], 0);
    assert!(none.contains("✓ no drift"), "{none}");
    let pending = run(&folder, &["preview", "--detailed-exitcode"], 2);
    assert!(pending.contains("work_mem"), "{pending}");
    let nothing = run(&folder, &["drift", "--revert"], 0);
    assert!(nothing.contains("✓ no drift"), "{nothing}");
}

#[test]
fn drift_that_is_adopted_stays_until_it_is_found_otherwise() {
    let folder = made();
    set_swappiness(&folder, "77");
    let printed = run(&folder, &["drift", "--adopt", "--print"], 0);
    assert!(printed.contains("value  1 → 77"), "{printed}");
    assert!(printed.contains("stacks/keybuzz.rs:"), "{printed}");
    assert!(!folder.path("overrides.toml").exists());

    let adopted = run(&folder, &["drift", "--adopt", "--target", SYSCTL], 0);
    assert!(adopted.contains("1 object adopted"), "{adopted}");
    let written = folder.read("overrides.toml");
    assert!(
        written.ends_with(&format!("[\"sim\".\"{SYSCTL}\"]\n\"value\" = \"77\"\n")),
        "{written}"
    );
    run(&folder, &["preview", "--detailed-exitcode"], 0);
    assert!(run(&folder, &["up"], 0).contains("✓ no changes"));

    set_swappiness(&folder, "78");
    let again = run(&folder, &["drift", "--detailed-exitcode"], 2);
    assert!(again.contains("value  78 → 1"), "{again}");
    run(&folder, &["drift", "--revert"], 0);
    run(&folder, &["preview", "--detailed-exitcode"], 0);
}

#[test]
fn what_cannot_stay_as_it_is_found_is_told_and_not_written() {
    let folder = made();
    by_hand(&folder, |world| {
        let containers = &mut world["hosts"]["haproxy-01"]["docker"]["containers"];
        let removed = containers
            .as_object_mut()
            .and_then(|containers| containers.remove("pgbouncer"));
        assert!(removed.is_some());
    });
    let refused = run(&folder, &["drift", "--adopt"], 1);
    assert!(
        refused.contains("cannot stay so: is not there"),
        "{refused}"
    );
    assert!(refused.contains("not adopted"), "{refused}");
    let words: Vec<&str> = refused.split_whitespace().collect();
    let cure = "to keep it so, take out the declaration of pgbouncer on haproxy-01, which it is part \
                of, at stacks/keybuzz.rs:";
    assert!(words.join(" ").contains(cure), "{refused}");
    let forget = "then `state rm 'container@haproxy-01:pgbouncer'`";
    assert!(refused.contains(forget), "{refused}");
    assert!(!folder.path("overrides.toml").exists());
}

#[test]
fn a_unit_and_a_balancer_stay_as_they_are_found() {
    let folder = made();
    by_hand(&folder, |world| {
        world["hosts"]["haproxy-01"]["units"]["haproxy-docker.service"]["enabled"] = false.into();
        let services = &mut world["balancers"]["lb-haproxy"]["services"];
        drop(services.as_array_mut().and_then(Vec::pop));
    });
    let adopted = run(&folder, &["drift", "--adopt"], 0);
    for line in [
        "enabled  enabled → disabled",
        "services.6432  tcp 6432 to 6432",
        "→ none",
        "2 objects adopted",
    ] {
        assert!(adopted.contains(line), "{adopted}");
    }
    let written = folder.read("overrides.toml");
    for line in ["\"enabled\" = \"disabled\"", "\"services.6432\" = \"none\""] {
        assert!(written.contains(line), "{written}");
    }
    assert!(run(&folder, &["up"], 0).contains("✓ no changes"));
}

/// Its group would never be whole again, and no `up` would come to its end.
#[test]
fn what_serves_in_a_group_cannot_stay_stopped() {
    let folder = made();
    by_hand(&folder, |world| {
        let host = &mut world["hosts"]["haproxy-01"];
        host["units"]["haproxy-docker.service"]["active"] = "Inactive".into();
        host["docker"]["containers"]["haproxy"]["running"] = Value::Null;
        let targets = &mut world["balancers"]["lb-haproxy"]["targets"];
        drop(targets.as_array_mut().and_then(Vec::pop));
    });
    let refused = run(&folder, &["drift", "--adopt"], 1);
    let words: Vec<&str> = refused.split_whitespace().collect();
    let refused = words.join(" ");
    for line in [
        "unit haproxy-docker.service on haproxy-01 cannot stay so: does not run (inactive), and \
         its group (the targets of lb-haproxy) needs it",
        "hetzner-lb lb-haproxy cannot stay so: targets.10.0.0.12 none → 10.0.0.12, and gate \
         lb-haproxy is healthy waits for it",
    ] {
        assert!(refused.contains(line), "{refused}");
    }
    assert!(!folder.path("overrides.toml").exists());
    run(&folder, &["drift", "--revert"], 0);
    run(&folder, &["preview", "--detailed-exitcode"], 0);
}

/// A balancer takes some seconds to notice that a target has gone: its gate is open until then.
#[test]
fn nor_while_nobody_has_noticed_yet() {
    let folder = made();
    by_hand(&folder, |world| {
        let units = &mut world["hosts"]["haproxy-01"]["units"];
        units["haproxy-docker.service"]["active"] = "Inactive".into();
    });
    let refused = run(&folder, &["drift", "--adopt", "--json"], 1);
    let refused: Value = serde_json::from_str(&refused).unwrap();
    let unit = "unit@haproxy-01:haproxy-docker.service";
    let group = &refused["needed"][unit]["group"];
    assert_eq!(group, "the targets of lb-haproxy", "{refused}");
    assert_eq!(refused["adopted"], serde_json::json!({}));
    assert!(!folder.path("overrides.toml").exists());
}

#[test]
fn a_wrong_override_or_address_is_one_clear_error() {
    let folder = made();
    let unknown = run(
        &folder,
        &["drift", "--target", "sysctl@db-master-01:vm.swapiness"],
        1,
    );
    assert!(
        unknown.contains(&format!("did you mean `{SYSCTL}`?")),
        "{unknown}"
    );
    folder.write("overrides.toml", "[sim.\"sysctl@db-9:x\"]\nvalue = \"1\"\n");
    let wrong = run(&folder, &["preview"], 1);
    assert!(wrong.contains("overrides.toml:1:6"), "{wrong}");
    assert!(
        wrong.contains("is overridden, and not declared in `sim`"),
        "{wrong}"
    );
}
