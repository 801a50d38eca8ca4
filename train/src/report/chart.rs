//! Interactive charts as the page holds them: data and layout for plotly.js, which the crate `plotly`
//! contains.
//!
//! The legends are HTML, because plotly.js would shrink the plot for them where the page is narrow.

use super::html::{concat, embedded_json, escape};
use plotly::configuration::{DisplayModeBar, ModeBarButtonName};
use plotly::layout::{Axis, HoverMode, Margin};
use plotly::{Configuration, Layout, Plot, Trace};

/// Colours of runs and of parts of a chart. Each has a contrast of 3:1 to the page in light and
/// dark, and neighbours differ for readers who do not see red or green.
pub const PALETTE: [&str; 8] = ["#3d7fdb", "#d4691e", "#2a9d78", "#a566c8", "#a97c0c", "#d2527a", "#4690ab", "#8a7f76"];

/// Returns the colour with this number; they repeat after eight.
pub fn colour(number: usize) -> &'static str {
    PALETTE[number % PALETTE.len()]
}

/// Escapes a text for the labels of plotly.js, which read a few tags of HTML and decode entities.
pub fn label(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns plotly.js as a `script` element, without the other scripts that the crate would embed.
pub fn library() -> String {
    const END: &str = "</script>";
    let mut sources = Plot::offline_js_sources();
    // plotly.js comes first. MathJax follows, is as large again and sets formulas, which the page
    // does not have.
    sources.truncate(sources.find(END).map_or(sources.len(), |end| end + END.len()));
    sources
}

/// The mark of an entry of a legend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// A solid line.
    Line,
    /// A dotted line.
    Dotted,
    /// A filled square.
    Square,
    /// A filled square, half transparent.
    PaleSquare,
    /// A character, such as a star.
    Character(char),
}

/// A chart.
pub struct Chart {
    plot: Plot,
    layout: Layout,
    height: usize,
    attributes: String,
    legend: Vec<(Mark, &'static str, String)>,
    has_tools: bool,
}

impl Chart {
    /// Starts a chart that is `height` pixels high.
    pub fn new(height: usize) -> Self {
        let margin = Margin::new().left(40).right(12).top(8).bottom(44);
        let layout = Layout::new().show_legend(false).margin(margin).hover_mode(HoverMode::XUnified);
        let (attributes, legend) = (String::new(), Vec::new());
        Self { plot: Plot::new(), layout, height, attributes, legend, has_tools: false }
    }

    /// Adds a trace.
    #[must_use]
    pub fn trace(mut self, trace: Box<dyn Trace>) -> Self {
        self.plot.add_trace(trace);
        self
    }

    /// Sets the axes.
    #[must_use]
    pub fn axes(mut self, x: Axis, y: Axis) -> Self {
        self.layout = self.layout.x_axis(x).y_axis(y);
        self
    }

    /// Changes the layout.
    #[must_use]
    pub fn layout(mut self, change: impl FnOnce(Layout) -> Layout) -> Self {
        self.layout = change(self.layout);
        self
    }

    /// Adds an entry to the legend above the chart.
    #[must_use]
    pub fn legend(mut self, mark: Mark, colour: &'static str, text: impl Into<String>) -> Self {
        self.legend.push((mark, colour, text.into()));
        self
    }

    /// Shows buttons that zoom and save the picture.
    #[must_use]
    pub fn tools(mut self) -> Self {
        self.has_tools = true;
        self
    }

    /// Sets attributes for the page's own script, as HTML: ` data-x="..."`.
    #[must_use]
    pub fn attributes(mut self, attributes: String) -> Self {
        self.attributes = attributes;
        self
    }

    /// Returns the legend and the chart as HTML. `name` describes the chart to screen readers.
    pub fn html(mut self, name: &str) -> String {
        let removed = vec![
            ModeBarButtonName::Select2d,
            ModeBarButtonName::Lasso2d,
            ModeBarButtonName::AutoScale2d,
            ModeBarButtonName::ToggleSpikelines,
        ];
        self.plot.set_layout(self.layout);
        self.plot.set_configuration(
            Configuration::new()
                .responsive(true)
                .display_logo(false)
                .display_mode_bar(if self.has_tools { DisplayModeBar::True } else { DisplayModeBar::False })
                .mode_bar_buttons_to_remove(removed),
        );
        format!(
            "{}<div class=\"chart\" role=\"img\" aria-label=\"{}\" style=\"height:{}px\"{}>\
             <script type=\"application/json\">{}</script></div>",
            legend(&self.legend),
            escape(name),
            self.height,
            self.attributes,
            embedded_json(&self.plot.to_json())
        )
    }
}

/// Returns a legend as HTML: the mark, colour and text of each entry. Empty without entries.
pub fn legend(entries: &[(Mark, &'static str, String)]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let entry = |(mark, colour, text): &(Mark, &str, String)| {
        let (class, inside) = match mark {
            Mark::Line => ("line", String::new()),
            Mark::Dotted => ("line dotted", String::new()),
            Mark::Square => ("square", String::new()),
            Mark::PaleSquare => ("square pale", String::new()),
            Mark::Character(character) => ("character", character.to_string()),
        };
        let text = escape(text);
        format!("<li><i class=\"{class}\" style=\"color:{colour}\" aria-hidden=\"true\">{inside}</i>{text}</li>")
    };
    format!("<ul class=\"legend\">{}</ul>", concat(entries.iter().map(entry)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotly::Scatter;

    #[test]
    fn the_library_is_one_script_and_nothing_else() {
        let library = library();
        assert!(library.contains("plotly.js v") && !library.contains("MathJax=") && library.len() > 1_000_000);
        assert_eq!(library.matches("<script").count(), 1);
        assert!(library.starts_with("<script") && library.ends_with("</script>"));
    }

    #[test]
    fn names_in_charts_are_neither_tags_nor_ends_of_scripts() {
        let name = "</script><b>a&b</b>";
        let html = Chart::new(100)
            .trace(Scatter::new(vec![1], vec![2]).name(label(name)))
            .legend(Mark::Line, colour(0), name)
            .html(name);
        assert_eq!(html.matches("</script>").count(), 1);
        assert_eq!(html.matches("&lt;/script&gt;&lt;b&gt;a&amp;b&lt;/b&gt;").count(), 3, "trace, legend, name: {html}");
    }
}
