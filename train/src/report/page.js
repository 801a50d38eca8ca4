// Draws the charts that the page holds as JSON, in the page's colours, and orders the confusion matrices.
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isTouched = matchMedia("(pointer: coarse)").matches;
  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const isMatrix = div => "orders" in div.dataset;

  // The page's colours; they are not in the JSON, as they change with the system's theme.
  function dress(layout) {
    const ink = colour("--ink"), line = colour("--line"), sheet = colour("--sheet");
    layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.font = { color: ink, size: 12, family: getComputedStyle(document.body).fontFamily };
    layout.hoverlabel = { bgcolor: sheet, bordercolor: line, font: { color: ink }, namelength: -1 };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--faint"), activecolor: ink };
    for (const axis of [layout.xaxis, layout.yaxis]) {
      if (!axis) continue;
      axis.gridcolor = axis.zerolinecolor = line;
      axis.title = { ...axis.title, font: { size: 12, color: colour("--faint") } };
    }
    return layout;
  }

  // As square as there is room for, at least ten pixels a class where the page is wide enough.
  function resize(div) {
    const classes = div.figure.data[0].x.length;
    div.style.maxWidth = Math.max(560, classes * 10 + 190) + "px";
    div.style.height = Math.min(div.clientWidth, Math.max(520, classes * 9.6 + 170)) + "px";
  }

  // Names only where they can be read: as large as the classes in sight allow.
  function labelled(div, shown) {
    const room = (Math.min(div.clientWidth, parseFloat(div.style.height)) - 150) / shown;
    const size = Math.min(12, Math.floor(room * 0.8 * 2) / 2);
    return size >= 6.5 ? { size } : null;
  }

  function label(div, layout) {
    for (const axis of [layout.xaxis, layout.yaxis]) {
      const font = labelled(div, Math.abs(axis.range[1] - axis.range[0]));
      axis.showticklabels = font !== null;
      axis.ticks = font ? "outside" : "";
      if (font) axis.tickfont = font;
    }
    return layout;
  }

  // The data in another order of classes.
  function ordered(data, order) {
    const pick = row => order.map(i => row[i]);
    return data.map(trace => ({
      ...trace, x: pick(trace.x), y: pick(trace.y), z: pick(trace.z).map(pick), text: pick(trace.text).map(pick),
    }));
  }

  function draw(div) {
    const { data, layout, config } = div.figure;
    if (isTouched && !isMatrix(div)) layout.dragmode = false;
    if (!isMatrix(div)) return Plotly.newPlot(div, data, dress(layout), config);
    resize(div);
    const order = JSON.parse(div.dataset.orders)[div.order || 0];
    const names = order.map(i => data[0].x[i]);
    for (const axis of [layout.xaxis, layout.yaxis]) Object.assign(axis, { categoryorder: "array", categoryarray: names });
    return Plotly.react(div, ordered(data, order), label(div, dress(structuredClone(layout))), config);
  }

  // Zooming changes how many classes are in sight, and so the size of their names.
  function follow(div) {
    div.on("plotly_relayout", () => {
      const { xaxis, yaxis } = div.layout;
      const before = JSON.stringify([xaxis.tickfont, xaxis.showticklabels, yaxis.tickfont, yaxis.showticklabels]);
      label(div, div.layout);
      const after = JSON.stringify([xaxis.tickfont, xaxis.showticklabels, yaxis.tickfont, yaxis.showticklabels]);
      if (before !== after) Plotly.react(div, div.data, div.layout, div.figure.config);
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
