//! A command in which everything happens once.

use super::*;
use crate::effect::Deed;
use crate::ident::{HostName, Urn};
use crate::probe::{Outage, Site};
use crate::resource::Op;

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

fn deed(object: &str, done: &str) -> Deed {
    Deed {
        object: object.to_owned(),
        done: done.to_owned(),
    }
}

/// A step that waits 50 ms, builds an image for 300 ms and marks it for 20 ms; another fails.
fn seen() -> Seen {
    let mut seen = Seen::default();
    let (first, second) = (StepId(0), StepId(1));
    let urn = |name: &str| Urn::global("image", name);
    let started = |step, urn| What::StepStarted {
        step,
        urn,
        op: Op::Create,
        effects: 2,
    };
    let effect = |step, effect, deed| What::EffectStarted {
        step,
        effect,
        site: "this machine".to_owned(),
        deed,
    };
    let done = |step, effect| What::EffectDone {
        step,
        effect,
        elapsed_ms: 0,
    };
    let waiting = What::StepWaiting {
        step: first,
        urn: urn("a<b>&c"),
        site: "this machine".to_owned(),
    };
    let events = [
        (100, waiting),
        (150, started(first, urn("a<b>&c"))),
        (150, effect(first, 0, deed("image kbz:1", "built"))),
        (450, done(first, 0)),
        (450, effect(first, 1, deed("mark", "noted"))),
        (470, done(first, 1)),
        (
            470,
            What::StepDone {
                step: first,
                urn: urn("a<b>&c"),
                elapsed_ms: 320,
            },
        ),
        (480, started(second, urn("b"))),
        (480, effect(second, 0, deed("image kbz:1", "shipped"))),
    ];
    for (at, what) in events {
        seen.hear(&what, ms(at));
    }
    seen.ended(second, ms(600), true);
    seen
}

#[test]
fn a_step_knows_when_it_waited_and_what_it_did() {
    let seen = seen();
    let [made, failed] = seen.spans.as_slice() else {
        panic!("{seen:?}")
    };
    assert_eq!(
        (made.waited, made.from, made.to),
        (Some(ms(100)), ms(150), ms(470))
    );
    let parts: Vec<_> = made.parts.iter().map(|part| (part.from, part.to)).collect();
    assert_eq!(parts, [(ms(150), ms(450)), (ms(450), ms(470))]);
    assert!(failed.failed && failed.parts[0].to == ms(600));
    assert_eq!(seen.built(), Some(ms(300)));
}

#[test]
fn a_line_names_the_phases_in_order() {
    let timings = Timings::new();
    timings.over(Phase::Program, timings.begun);
    timings.over(Phase::Observed, Instant::now());
    let line = timings.line();
    assert!(
        line.starts_with("program ") && line.contains(" · observed 0 ms"),
        "{line}"
    );
    assert!(!line.contains("images"), "{line}");
}

#[test]
fn a_picture_is_well_formed_and_names_everything() {
    let timings = Timings::new();
    let site = Site::Host(HostName::new("db-1").unwrap());
    timings.observed(&ObserveEvent::Silent {
        outage: Outage::new(&site, "no route"),
        site,
        elapsed: Duration::ZERO,
    });
    timings.seen().spans.extend(seen().spans);
    let picture = timings.picture("up · shop");
    for text in [
        "up · shop",
        "read db-1",
        "image:a&lt;b&gt;&amp;c",
        "image kbz:1 built on this machine: 0.3 s",
    ] {
        assert!(picture.contains(text), "{text}\n{picture}");
    }
    assert_eq!(picture.matches("class=\"failed\"").count(), 2);
    assert_eq!(
        picture.matches("<g>").count(),
        picture.matches("</g>").count()
    );
    assert!(!picture.contains("NaN"));
}
