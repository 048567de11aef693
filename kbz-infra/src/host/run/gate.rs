//! Gates: reads again and again until a condition holds.

use std::time::Duration;

use tokio::time::Instant;

use crate::effect::{EffectError, Gate, Interpreter, RunContext};

/// How often a gate looks.
const EVERY: Duration = Duration::from_secs(1);

/// Waits for the gate to open.
pub(in crate::host) async fn run(
    interpreter: &dyn Interpreter,
    gate: &Gate,
    run: &RunContext,
) -> Result<(), EffectError> {
    if gate.settle > 0 {
        run.progress
            .say("waits for what has just been done to show");
        tokio::time::sleep(Duration::from_secs(gate.settle)).await;
    }
    let deadline = Instant::now() + Duration::from_secs(gate.deadline);
    let mut told = String::new();
    loop {
        let next = Instant::now() + EVERY;
        let waiting = match look(interpreter, gate, deadline).await {
            Ok(()) => return Ok(()),
            Err(waiting) => waiting,
        };
        if Instant::now() >= deadline {
            // A look that the deadline cut short says less than the one before.
            let known = Some(told).filter(|told| !told.is_empty());
            return Err(gate.closed(known.unwrap_or(waiting)));
        }
        if waiting != told {
            run.progress.say(&waiting);
            told = waiting;
        }
        tokio::time::sleep_until(next.min(deadline)).await;
    }
}

/// What the gate still waits for. A site that does not answer keeps it closed.
async fn look(interpreter: &dyn Interpreter, gate: &Gate, deadline: Instant) -> Result<(), String> {
    let probes = std::slice::from_ref(&gate.probe);
    let read = interpreter.read(&gate.probe.site, probes);
    match tokio::time::timeout_at(deadline, read).await {
        Ok(Ok(readings)) => match readings.first() {
            Some(reading) => gate.check(reading).map_err(|waiting| waiting.to_string()),
            None => Err("waits for an answer".to_owned()),
        },
        Ok(Err(outage)) => Err(outage.to_string()),
        Err(_) => Err(format!("waits for an answer of {}", gate.probe.site)),
    }
}
