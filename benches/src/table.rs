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

#[cfg(test)]
mod tests {
    #[test]
    fn figures_stand_below_each_other() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["plan", "1.5"]), row(["apply all", "20.0"])];
        let drawn = super::draw(&["phase", "ms"], &rows);
        assert_eq!(drawn, "phase        ms\nplan        1.5\napply all  20.0\n");
    }
}
