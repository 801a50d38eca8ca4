//! HTML text and the elements that the page consists of. Text from files is escaped here and
//! nowhere else.

/// Escapes a text for an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            // HTML does not allow this character.
            '\0' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Escapes a text and allows line breaks in long names: between the words of `CamelCase` and after
/// `_`.
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

/// Returns JSON of the same value that can stand in a `script` element, because it has no `<`.
pub fn embedded_json(json: &str) -> String {
    json.replace('<', "\\u003c")
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words, aligned to the left.
    Text(String),
    /// A number, aligned to the right.
    Number(String),
    /// The best number of its column, aligned to the right.
    Best(String),
}

impl Cell {
    /// Returns a percentage with two decimals, or a dash for an unknown one.
    pub fn percent(value: Option<f64>) -> Self {
        Self::Number(value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}")))
    }

    /// Returns a text, or a dash for an unknown one.
    pub fn text(text: Option<impl Into<String>>) -> Self {
        Self::Text(text.map_or_else(|| "–".to_owned(), Into::into))
    }
}

/// Returns a table that scrolls sideways where the page is narrow. `name` describes it to screen
/// readers.
pub fn table(name: &str, head: &[&str], rows: &[Vec<Cell>]) -> String {
    let is_number = |column: usize| rows.iter().all(|row| !matches!(row.get(column), Some(Cell::Text(_))));
    let head_cell = |(column, name): (usize, &&str)| {
        let class = if is_number(column) { " class=\"number\"" } else { "" };
        format!("<th scope=\"col\"{class}>{}</th>", escape(name))
    };
    let cell = |cell: &Cell| match cell {
        Cell::Text(text) => format!("<td>{}</td>", breakable(text)),
        Cell::Number(text) => format!("<td class=\"number\">{}</td>", escape(text)),
        Cell::Best(text) => format!("<td class=\"number best\">{}</td>", escape(text)),
    };
    let head = concat(head.iter().enumerate().map(head_cell));
    let rows = concat(rows.iter().map(|row| format!("<tr>{}</tr>", concat(row.iter().map(cell)))));
    let table = format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>");
    scrolled("scroll", name, &table)
}

/// Returns an element that scrolls, also by keyboard. `name` describes it to screen readers;
/// `inside` is HTML.
pub fn scrolled(class: &str, name: &str, inside: &str) -> String {
    format!("<div class=\"{class}\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">{inside}</div>", escape(name))
}

/// Joins pieces of HTML.
pub fn concat(pieces: impl Iterator<Item = String>) -> String {
    pieces.collect::<Vec<_>>().concat()
}

/// Returns a list of sentences, or nothing without sentences.
pub fn list(class: &str, sentences: impl Iterator<Item = String>) -> String {
    let items = concat(sentences.map(|sentence| format!("<li>{}</li>", escape(&sentence))));
    if items.is_empty() { items } else { format!("<ul class=\"{class}\">{items}</ul>") }
}

/// Returns a paragraph that explains the element next to it.
pub fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>", escape(text))
}

/// Returns a section of the page; `inside` is HTML.
pub fn section(heading: &str, inside: &str) -> String {
    format!("<section><h2>{}</h2>{inside}</section>", escape(heading))
}

/// Returns a box with a heading; `inside` is HTML.
pub fn panel(heading: &str, inside: &str) -> String {
    format!("<div class=\"panel\"><h3>{}</h3>{inside}</div>", escape(heading))
}

/// Returns a box with a chart: its heading, `chart` as HTML, and a caption that says what to look
/// for.
pub fn figure(heading: &str, chart: &str, caption: &str) -> String {
    let (heading, caption) = (escape(heading), escape(caption));
    format!(
        "<figure class=\"panel\"><h3>{heading}</h3>{chart}<figcaption class=\"note\">{caption}</figcaption></figure>"
    )
}

/// Returns boxes that stand next to each other where the page is wide.
pub fn columns(panels: &[String]) -> String {
    format!("<div class=\"columns\">{}</div>", panels.concat())
}

/// Returns a duration in its two largest units.
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
            table(hostile, &[hostile], &[vec![Cell::Text(hostile.into())], vec![Cell::Best(hostile.into())]]),
            note(hostile),
            section(hostile, ""),
            panel(hostile, ""),
            figure(hostile, "", hostile),
            list("starts", [hostile.to_owned()].into_iter()),
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
    fn columns_of_numbers_are_aligned_to_the_right() {
        let rows = [
            vec![Cell::Text("a".into()), Cell::percent(Some(12.346))],
            vec![Cell::text(None::<String>), Cell::percent(None)],
        ];
        let html = table("Runs", &["Run", "Accuracy (%)"], &rows);
        assert!(
            html.contains("<th scope=\"col\">Run</th><th scope=\"col\" class=\"number\">Accuracy (%)</th>"),
            "{html}"
        );
        assert!(html.contains("<td>a</td><td class=\"number\">12.35</td>"), "{html}");
        assert!(html.contains("<td>–</td><td class=\"number\">–</td>"), "{html}");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let durations = [0.04, 59.4, 59.6, 3599.0, 7323.0].map(duration);
        assert_eq!(durations, ["0.0 s", "59.4 s", "1 min 0 s", "59 min 59 s", "2 h 2 min"]);
    }
}
