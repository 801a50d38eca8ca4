//! HTML text and the few shapes that the page is made of. What comes from a file is escaped here and nowhere else.

/// A text in HTML, in an element or in a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            // What HTML does not allow.
            '\0' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The same, with places to break a line in long names: between the words of `CamelCase`, after `_`.
pub fn breakable(text: &str) -> String {
    let mut html = String::new();
    let mut before = ' ';
    for c in text.chars() {
        if before == '_' || (before.is_lowercase() && c.is_uppercase()) {
            html += "<wbr>";
        }
        html += &escape(c.encode_utf8(&mut [0; 4]));
        before = c;
    }
    html
}

/// JSON inside of a `script` element: the same value, without the sign that could end the element.
pub fn embedded_json(json: &str) -> String {
    json.replace('<', "\\u003c")
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words, to the left.
    Text(String),
    /// A number, to the right.
    Number(String),
    /// A number that is the best of its column.
    Best(String),
}

impl Cell {
    /// Percent with two decimals; a dash where it is not known.
    pub fn percent(value: Option<f64>) -> Self {
        Self::Number(value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}")))
    }

    /// Words; a dash where there are none.
    pub fn text(text: Option<impl Into<String>>) -> Self {
        Self::Text(text.map_or_else(|| "–".to_owned(), Into::into))
    }
}

/// A table that scrolls sideways where the page is narrow.
pub fn table(head: &[&str], rows: &[Vec<Cell>]) -> String {
    let is_number = |column: usize| rows.iter().all(|row| !matches!(row.get(column), Some(Cell::Text(_))));
    let head_cell = |(column, name): (usize, &&str)| {
        let class = if is_number(column) { " class=\"number\"" } else { "" };
        format!("<th{class}>{}</th>", escape(name))
    };
    let cell = |cell: &Cell| match cell {
        Cell::Text(text) => format!("<td>{}</td>", breakable(text)),
        Cell::Number(text) => format!("<td class=\"number\">{}</td>", escape(text)),
        Cell::Best(text) => format!("<td class=\"number best\">{}</td>", escape(text)),
    };
    let head = concat(head.iter().enumerate().map(head_cell));
    let rows = concat(rows.iter().map(|row| format!("<tr>{}</tr>", concat(row.iter().map(cell)))));
    format!("<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>")
}

/// Pieces of HTML, one after the other.
pub fn concat(pieces: impl Iterator<Item = String>) -> String {
    pieces.collect::<Vec<_>>().concat()
}

/// A list of sentences.
pub fn list(class: &str, sentences: impl Iterator<Item = String>) -> String {
    let items = concat(sentences.map(|sentence| format!("<li>{}</li>", escape(&sentence))));
    if items.is_empty() { items } else { format!("<ul class=\"{class}\">{items}</ul>") }
}

/// A paragraph below a heading or a chart.
pub fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>", escape(text))
}

/// A part of the page; `inside` is HTML.
pub fn section(heading: &str, inside: &str) -> String {
    format!("<section><h2>{}</h2>{inside}</section>", escape(heading))
}

/// One of several things that stand beside each other where the page is wide; `inside` is HTML.
pub fn panel(heading: &str, inside: &str) -> String {
    format!("<div class=\"panel\"><h3>{}</h3>{inside}</div>", escape(heading))
}

/// Things beside each other.
pub fn columns(panels: &[String]) -> String {
    format!("<div class=\"columns\">{}</div>", panels.concat())
}

/// Seconds for people.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let hostile = "<img src=x onerror=\"alert('1')\">&\0";
        assert_eq!(escape(hostile), "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;\u{fffd}");
        assert_eq!(breakable("<b>v_PlayingDhol"), "&lt;b&gt;v_<wbr>Playing<wbr>Dhol");
        for html in [
            breakable(hostile),
            table(&[hostile], &[vec![Cell::Text(hostile.into())], vec![Cell::Best(hostile.into())]]),
            note(hostile),
            section(hostile, ""),
            panel(hostile, ""),
        ] {
            assert!(!html.contains("<img") && !html.contains("\"alert"), "{html}");
        }
    }

    #[test]
    fn json_cannot_end_its_script_and_keeps_its_value() {
        let value = serde_json::json!({ "name": "</script><script>alert(1)</script><!--" });
        let embedded = embedded_json(&value.to_string());
        assert!(!embedded.contains('<'), "{embedded}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&embedded).unwrap(), value);
    }

    #[test]
    fn columns_of_numbers_stand_to_the_right() {
        let rows = [
            vec![Cell::Text("a".into()), Cell::percent(Some(12.346))],
            vec![Cell::text(None::<String>), Cell::percent(None)],
        ];
        let html = table(&["run", "top-1"], &rows);
        assert!(html.contains("<th>run</th><th class=\"number\">top-1</th>"), "{html}");
        assert!(html.contains("<td>a</td><td class=\"number\">12.35</td>"), "{html}");
        assert!(html.contains("<td>–</td><td class=\"number\">–</td>"), "{html}");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let durations = [0.04, 59.4, 59.6, 3599.0, 7323.0].map(duration);
        assert_eq!(durations, ["0.0 s", "59.4 s", "1 min 0 s", "59 min 59 s", "2 h 2 min"]);
    }
}
