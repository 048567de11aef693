//! What a change does to writes, as a person and a machine are told before it is made.

use serde_json::Value;

use crate::folder::{Folder, code, said, told};

/// A folder whose simulated cluster runs, and a change that restarts every member.
fn changed(parameter: &str) -> Folder {
    let folder = Folder::new();
    let up = folder.run(&["up", "--env", "sim"]);
    assert_eq!(code(&up), 0, "{}", said(&up));
    let settings = folder.read("kbz.toml");
    let table = format!("{settings}\n[environments.sim.postgresql]\n{parameter}\n");
    folder.write("kbz.toml", table);
    folder
}

/// Stop 0.2 to 1 s, promotion 0.1 to 2 s, found by HAProxy in 0.5 to 1.5 s, and by PgBouncer up
/// to 1 s later.
const SWITCHOVER: &str = "writes stop for about 2.3 s (0.8 to 5.5)";

/// A screen without its line breaks.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_roll_tells_how_long_writes_stop() {
    let folder = changed("max_connections = \"220\"");
    let preview = folder.run(&["preview", "--env", "sim"]);
    let text = told(&preview);
    let words = in_one_line(&text);
    assert!(
        words.contains(&format!("switchover · {SWITCHOVER}")),
        "{text}"
    );
    let last = words.rsplit("impact: ").next().unwrap_or_default();
    // Which replica commits wait for is decided by who was there first; where it is the first to
    // restart, they wait longer.
    let waits = ["5.0", "7.5"].map(|usual| {
        let wait = format!("commits wait for a standby for about {usual} s (0.0 to 15.0)");
        format!(
            "1 switchover · 3 restarts · 4 reloads · {SWITCHOVER} · {wait} · quorum kept at every \
             step"
        )
    });
    assert!(waits.iter().any(|wait| wait == last), "{text}");
    let json = told(&folder.run(&["preview", "--env", "sim", "--json"]));
    let value: Value = serde_json::from_str(json.trim()).expect("one value");
    let forecast = &value["forecast"];
    assert_eq!(forecast["switchovers"], 1, "{forecast}");
    assert_eq!(forecast["writes_stop"]["usual_ms"], 2300, "{forecast}");
    assert_eq!(forecast["pauses"].as_array().map(Vec::len), Some(4));
    let up = folder.run(&["up", "--env", "sim"]);
    assert!(
        said(&up).contains("quorum kept at every step"),
        "{}",
        said(&up)
    );
}

#[test]
fn a_reload_stops_nothing() {
    let folder = changed("work_mem = \"7MB\"");
    let text = told(&folder.run(&["preview", "--env", "sim"]));
    assert!(text.trim_end().ends_with("impact: 4 reloads"), "{text}");
    let doctor = in_one_line(&told(&folder.run(&["doctor", "--env", "sim"])));
    let loss = "without its leader's host, writes stop for about 22.5 s (15.5 to 29.5)";
    assert!(doctor.contains(loss), "{doctor}");
}
