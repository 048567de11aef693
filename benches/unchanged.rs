//! An `up` with nothing to do, of the whole stack on the lab's hosts, beside the floor.
//!
//! The floor is what no program that asks these hosts can take less than: one handshake with the
//! bastion, one with each host through it, and one exec of `true` on each, all hosts at once, by
//! the same library. Both are measured in turn in the same run, so that whatever else the
//! machine does slows both. The program is the release build, started as an operator starts it;
//! the floor is measured inside this process, which is to its advantage.

#![expect(
    clippy::disallowed_macros,
    reason = "a measurement starts programs and says what it found"
)]

use std::process::ExitCode;

use benches::desk::Failure;
use benches::ours::Ours;
use benches::table;

const ROUNDS: usize = 15;
/// What is to be reached, in times of the floor.
const GOAL: f64 = 1.5;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    if !benches::asked() {
        return Ok(ExitCode::SUCCESS);
    }
    let ours = Ours::ready()?;
    let (mut ups, mut floors) = (Vec::new(), Vec::new());
    let mut said = String::new();
    for _ in 0..ROUNDS {
        let (elapsed, told) = ours.unchanged(&[])?;
        ups.push(elapsed.as_secs_f64());
        said = told;
        floors.push(ours.floor().await?.as_secs_f64());
    }
    let heading = format!("{ROUNDS} rounds in turn, ms");
    let rows = [
        ("up, nothing to do", ups.as_slice()),
        ("floor: handshake and exec on each host", &floors),
    ];
    let ratio = benches::median(ups.clone()) / benches::median(floors.clone());
    print!("{said}\n{}", table::spans(&heading, &rows));
    println!("ratio of the medians: {ratio:.2}, goal {GOAL}");
    Ok(ExitCode::SUCCESS)
}
