//! What the measurements share: `cargo bench -p benches` runs them.
//!
//! - `scale`: how plan and apply grow with the number of resources, on modelled hosts;
//! - `terraform`: 2,000 trivial resources, applied and planned again, beside Terraform;
//! - `fleet`: an `up` with nothing to do on 200 SSH servers, beside the floor: one SSH handshake
//!   and one exec per host;
//! - `unchanged`: an `up` with nothing to do on the lab's hosts, beside the floor: one SSH
//!   handshake and one exec per host, measured in turn in the same run;
//! - `bootstrap`: the first `up` of the cluster, beside Patroni's own bootstrap of three nodes;
//! - `peers`: an `up` with nothing to do beside Ansible with pipelining and with Mitogen, pyinfra and forjar, which it
//!   installs.
//!
//! Every figure is a ratio or stands beside what it is to be compared with, because times alone
//! say more of the machine than of the program. Nothing is measured by `cargo test`.

pub mod desk;
pub mod fleet;
mod floor;
pub mod generated;
pub mod ours;
pub mod pairs;
pub mod table;

pub use floor::floor;

/// Whether `cargo bench` asks; `cargo test --all-targets` starts the same programs.
pub fn asked() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// The middle of some measurements, or the mean of the two in the middle.
///
/// # Panics
/// When nothing was measured.
pub fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_middle_of_an_odd_and_an_even_number() {
        let check = |values: &[f64], expected: f64| {
            assert!((median(values.to_vec()) - expected).abs() < f64::EPSILON);
        };
        check(&[9.0, 1.0, 2.0], 2.0);
        check(&[4.0, 1.0, 2.0, 9.0], 3.0);
    }
}
