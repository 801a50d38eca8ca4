// Draws the charts, whose data the page holds as JSON, in the colours of the page, and orders the confusion matrices.
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isTouched = matchMedia("(pointer: coarse)").matches;
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isMatrix = div => "orders" in div.dataset;
  const isNarrow = div => div.clientWidth < 520;
  const NAME_LETTERS = 12, FEW_CLASSES = 12;

  // Sets the colours of a layout. They are not part of the JSON, because they change with the system's theme.
  function dress(layout) {
    const ink = colour("--ink"), line = colour("--line"), sheet = colour("--sheet");
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { color: ink, size: 12, family: getComputedStyle(document.body).fontFamily };
    layout.hoverlabel = { bgcolor: sheet, bordercolor: line, font: { color: ink }, namelength: -1 };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--faint"), activecolor: ink };
    for (const axis of [layout.xaxis, layout.yaxis]) {
      if (!axis) continue;
      axis.gridcolor = axis.zerolinecolor = line;
      axis.title = { ...axis.title, standoff: 8, font: { size: 13, color: colour("--faint") } };
    }
    // A finger scrolls the page; the buttons above a matrix still zoom.
    if (isTouched) layout.dragmode = false;
    return layout;
  }

  // Makes a matrix as square as the page allows, with at least ten pixels per class where the page is wide enough.
  function resize(div) {
    const classes = div.figure.data[0].x.length;
    div.style.maxWidth = Math.max(640, classes * 11 + 190) + "px";
    div.style.height = Math.min(div.clientWidth + (isNarrow(div) ? 40 : 0), Math.max(560, classes * 10.6 + 190)) + "px";
  }

  // Returns the size of class names for the number of classes in sight, or null where names would be too small to read.
  function nameSize(div, shown) {
    const space = (Math.min(div.clientWidth, parseFloat(div.style.height)) - 170) / shown;
    const size = Math.min(12, Math.floor(space * 0.86 * 2) / 2);
    return size >= 8 ? size : null;
  }

  // Shortens a name, which is escaped for plotly.js.
  function shortened(name) {
    const [and, less, more] = ["&amp;", "&lt;", "&gt;"];
    const letters = [...name.replaceAll(less, "<").replaceAll(more, ">").replaceAll(and, "&")];
    if (letters.length <= NAME_LETTERS) return name;
    const short = letters.slice(0, NAME_LETTERS - 1).join("") + "…";
    return short.replaceAll("&", and).replaceAll("<", less).replaceAll(">", more);
  }

  // Sets the class names on the axes of a matrix.
  function label(div, layout) {
    const original = div.figure.layout;
    for (const [axis, before] of [[layout.xaxis, original.xaxis], [layout.yaxis, original.yaxis]]) {
      const size = nameSize(div, Math.abs(axis.range[1] - axis.range[0]));
      axis.showticklabels = size !== null;
      axis.ticks = size ? "outside" : "";
      axis.tickangle = axis === layout.xaxis && isNarrow(div) ? -90 : before.tickangle;
      axis.tickmode = "array";
      axis.tickvals = axis.categoryarray;
      axis.ticktext = isNarrow(div) ? axis.categoryarray.map(shortened) : axis.categoryarray;
      if (size) axis.tickfont = { size };
    }
    return layout;
  }

  // Returns the data of a matrix in another order of classes, in the colours of the page. Few classes have numbers in their cells.
  function ordered(data, order) {
    const pick = row => order.map(i => row[i]);
    return data.map(trace => ({
      ...trace, x: pick(trace.x), y: pick(trace.y), z: pick(trace.z).map(pick), text: pick(trace.text).map(pick),
      colorscale: [[0, colour(`--${trace.name}-low`)], [1, colour(`--${trace.name}-high`)]],
      ...(order.length <= FEW_CLASSES && { xgap: 2, ygap: 2, texttemplate: "%{z:.0f}", textfont: { size: 13, weight: 600 } }),
    }));
  }

  function draw(div) {
    const { data, layout, config } = div.figure;
    if (!isMatrix(div)) return Plotly.newPlot(div, data, dress(layout), config);
    resize(div);
    const order = JSON.parse(div.dataset.orders)[div.order || 0];
    const names = order.map(i => data[0].x[i]);
    const now = structuredClone(layout);
    for (const axis of [now.xaxis, now.yaxis]) Object.assign(axis, { categoryorder: "array", categoryarray: names });
    return Plotly.react(div, ordered(data, order), label(div, dress(now)), config);
  }

  // Updates the class names when zooming changes how many classes are in sight.
  function follow(div) {
    div.on("plotly_relayout", () => {
      const { xaxis, yaxis } = div.layout;
      const names = () => JSON.stringify([xaxis.tickfont, xaxis.showticklabels, yaxis.tickfont, yaxis.showticklabels]);
      const before = names();
      label(div, div.layout);
      if (before !== names()) Plotly.react(div, div.data, div.layout, div.figure.config);
    });
  }

  const charts = [...document.querySelectorAll(".chart")];
  for (const div of charts) {
    div.figure = JSON.parse(div.querySelector("script").textContent);
    div.replaceChildren();
    Promise.resolve(draw(div)).then(() => {
      div.dataset.drawn = "true";
      if (isMatrix(div)) follow(div);
    });
  }
  for (const select of document.querySelectorAll("select[data-matrix]")) {
    const div = document.getElementById(select.dataset.matrix);
    select.addEventListener("change", () => { div.order = Number(select.value); draw(div); });
  }
  dark.addEventListener("change", () => charts.forEach(div => {
    if (isMatrix(div)) draw(div);
    else Plotly.react(div, div.data, dress(div.layout), div.figure.config);
  }));
  let resizing;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => charts.filter(isMatrix).forEach(draw), 150);
  });
})();
