//! Text tables.

/// Formats a table. Columns are as wide as their longest cell, numbers are right-aligned, and a
/// line follows the heading.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width =
        |i: usize| rows.iter().map(|row| row[i].chars().count()).chain([head[i].chars().count()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let is_number = |i: usize| rows.iter().all(|row| row[i].parse::<f64>().is_ok());
    let line = |cells: Vec<&str>| {
        let cell = |(i, cell): (usize, &str)| {
            let width = widths[i];
            if is_number(i) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        };
        cells.into_iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(head.to_vec());
    text += &("-".repeat(widths.iter().sum::<usize>() + 2 * (head.len() - 1)) + "\n");
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_aligned() {
        let rows = vec![vec!["average".into(), "85.67".into()], vec!["max".into(), "7.5".into()]];
        let expected = "strategy  top-1\n---------------\naverage   85.67\nmax         7.5\n";
        assert_eq!(super::table(&["strategy", "top-1"], &rows), expected);
    }
}
