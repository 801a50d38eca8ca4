//! Charts as the page holds them: data and layout for plotly.js, which the crate `plotly` brings with it.

use super::html::embedded_json;
use plotly::common::{Anchor, Orientation};
use plotly::configuration::{DisplayModeBar, ModeBarButtonName};
use plotly::layout::{Axis, HoverMode, Legend, Margin, TraceOrder};
use plotly::{Configuration, Layout, Plot, Trace};

/// Colours of runs, and of what else is told apart by colour; legible on white and on black, also without red and green.
pub const PALETTE: [&str; 8] = ["#3d7fdb", "#e07f35", "#2a9d78", "#a566c8", "#c79a1b", "#d2527a", "#5b9db5", "#8a7f76"];

/// The colour with this number.
pub fn colour(number: usize) -> &'static str {
    PALETTE[number % PALETTE.len()]
}

/// A text as plotly.js shows it in labels, where it reads a few tags of HTML and decodes entities.
pub fn label(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// plotly.js as a `script` element, without what else the crate would embed.
pub fn library() -> String {
    const END: &str = "</script>";
    let mut sources = Plot::offline_js_sources();
    // plotly.js comes first; MathJax, as large again, would set formulas, of which there are none.
    sources.truncate(sources.find(END).map_or(sources.len(), |end| end + END.len()));
    sources
}

/// A chart.
pub struct Chart {
    plot: Plot,
    layout: Layout,
    height: usize,
    attributes: String,
    has_tools: bool,
}

impl Chart {
    /// An empty chart, `height` pixels high.
    pub fn new(height: usize) -> Self {
        let margin = Margin::new().left(52).right(12).top(8).bottom(40);
        let layout = Layout::new().legend(legend_at(1.02)).margin(margin).hover_mode(HoverMode::XUnified);
        Self { plot: Plot::new(), layout, height, attributes: String::new(), has_tools: false }
    }

    /// With one trace more.
    #[must_use]
    pub fn trace(mut self, trace: Box<dyn Trace>) -> Self {
        self.plot.add_trace(trace);
        self
    }

    /// With these axes.
    #[must_use]
    pub fn axes(mut self, x: Axis, y: Axis) -> Self {
        self.layout = self.layout.x_axis(x).y_axis(y);
        self
    }

    /// With another layout.
    #[must_use]
    pub fn layout(mut self, change: impl FnOnce(Layout) -> Layout) -> Self {
        self.layout = change(self.layout);
        self
    }

    /// With buttons to zoom and to save the picture.
    #[must_use]
    pub fn tools(mut self) -> Self {
        self.has_tools = true;
        self
    }

    /// With the legend at another height, in heights of the plot.
    #[must_use]
    pub fn legend_above(mut self, height: f64) -> Self {
        self.layout = self.layout.legend(legend_at(height));
        self
    }

    /// With attributes for the page's own script: HTML, ` data-x="..."`.
    #[must_use]
    pub fn attributes(mut self, attributes: String) -> Self {
        self.attributes = attributes;
        self
    }

    /// As HTML.
    pub fn html(mut self) -> String {
        let needless = vec![
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
                .mode_bar_buttons_to_remove(needless),
        );
        format!(
            "<div class=\"chart\" style=\"height:{}px\"{}><script type=\"application/json\">{}</script></div>",
            self.height,
            self.attributes,
            embedded_json(&self.plot.to_json())
        )
    }
}

/// One row, or a few, above the plot.
fn legend_at(height: f64) -> Legend {
    let legend = Legend::new().orientation(Orientation::Horizontal).trace_order(TraceOrder::Normal);
    legend.x(0.0).y(height).y_anchor(Anchor::Bottom)
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
        let html = Chart::new(100).trace(Scatter::new(vec![1], vec![2]).name(label(name))).html();
        assert_eq!(html.matches("</script>").count(), 1);
        assert!(html.contains("&lt;/script&gt;&lt;b&gt;a&amp;b&lt;/b&gt;"), "{html}");
    }
}
