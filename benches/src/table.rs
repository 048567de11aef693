//! A table on the terminal.

/// Rows under a heading: the first column to the left, figures to the right.
pub fn draw(heading: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].chars().count()]).max()
    };
    let widths: Vec<usize> = (0..heading.len()).filter_map(width).collect();
    let line = |cells: &[String]| {
        let cells =
            cells
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let heading: Vec<String> = heading.iter().map(ToString::to_string).collect();
    let rows = rows.iter().map(|row| line(row));
    std::iter::once(line(&heading)).chain(rows).collect()
}

/// What was measured several times, in seconds: the least, the median and the most of each, in
/// milliseconds.
pub fn spans(heading: &str, rows: &[(&str, &[f64])]) -> String {
    let row = |(what, times): &(&str, &[f64])| {
        let mut sorted = times.to_vec();
        sorted.sort_by(f64::total_cmp);
        let shown = [
            sorted[0],
            crate::median(sorted.clone()),
            sorted[sorted.len() - 1],
        ];
        let cells = shown.map(|seconds| format!("{:.0}", seconds * 1000.0));
        [vec![(*what).to_owned()], cells.to_vec()].concat()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    draw(&[heading, "least", "median", "most"], &rows)
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_told_from_the_least_to_the_most() {
        let drawn = super::spans("two, ms", &[("up", &[0.3, 0.1, 0.2]), ("floor", &[0.1])]);
        let expected = "two, ms  least  median  most\nup         100     200   300\nfloor      100     100   100\n";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn figures_stand_below_each_other() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["plan", "1.5"]), row(["apply all", "20.0"])];
        let drawn = super::draw(&["phase", "ms"], &rows);
        assert_eq!(drawn, "phase        ms\nplan        1.5\napply all  20.0\n");
    }
}
