// Curves, weights, the boundary and the confusion matrix.

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Brightness rises with the value, so the scale can be read without colours.
const SCALE = [[0, 32, 77], [65, 77, 107], [124, 123, 120], [188, 174, 108], [255, 234, 70]];

function shade(part) {
  const at = Math.min(Math.max(part, 0), 1) * (SCALE.length - 1);
  const i = Math.min(Math.floor(at), SCALE.length - 2);
  return SCALE[i].map((low, c) => Math.round(low + (SCALE[i + 1][c] - low) * (at - i)));
}

function colour(part) {
  return `rgb(${shade(part).join(",")})`;
}

// From paper to the dark end of the scale.
function stain(part) {
  return `rgb(${SCALE[0].map((dark) => Math.round(255 + (dark - 255) * part)).join(",")})`;
}

function ink(part) {
  return part > 0.5 ? "#000" : "#fff";
}

// Where a number lies between the ends of a range.
function partOf(x, range) {
  if (typeof x !== "number" || !range) return 0.5;
  return range[1] > range[0] ? (x - range[0]) / (range[1] - range[0]) : 0.5;
}

// At most about `count` round numbers between two.
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const stride = [1, 2, 5, 10].map((d) => d * power).find((s) => s >= rough * 0.999);
  const out = [];
  for (let i = Math.ceil(low / stride - 1e-9); i * stride <= high + stride * 1e-9; i++) {
    out.push(Number((i * stride).toPrecision(12)));
  }
  return out;
}

// Powers of ten, with twice and five times them where there are few.
function logTicks(low, high) {
  const decades = Math.log10(high / low);
  const digits = decades > 3 ? [1] : [1, 2, 5];
  const every = Math.ceil(decades / 8);
  const out = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++) {
    if (p % every !== 0) continue;
    for (const d of digits) {
      const x = Number(`${d}e${p}`);
      if (x >= low && x <= high) out.push(x);
    }
  }
  return out;
}

const LINES = [["#0072b2", ""], ["#d55e00", "7 3"], ["#00664b", "2 3"], ["#8a5a00", "9 3 2 3"], ["#000", "4 4"], ["#a0477f", "12 4"]];

function curveName({ name, data }) {
  return data ? say("onData", { name, data }) : say("ofStep", { name });
}

// The value of a curve at the chosen step, or the last one before it.
function valueAt(points, x) {
  const before = points.filter((p) => p[0] <= x);
  return before.length ? before[before.length - 1][1] : undefined;
}

function chart(curves, width) {
  const finite = curves.flatMap((c) => c.points).filter((p) => typeof p[1] === "number");
  if (!finite.length) return undefined;
  const xs = curves.flatMap((c) => c.points.map((p) => p[0]));
  const ys = finite.map((p) => p[1]);
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  let [y0, y1] = [Math.min(...ys), Math.max(...ys)];
  const isLog = y0 > 0 && y1 / y0 > 30;
  const pad = y1 > y0 ? (y1 - y0) * 0.05 : Math.abs(y0) * 0.1 || 1;
  [y0, y1] = isLog ? [y0 / 1.15, y1 * 1.15] : [y0 - pad, y1 + pad];
  const [left, right, top, bottom] = [64, 16, 12, 40];
  const height = 280;
  const flat = (y) => (isLog ? Math.log(y) : y);
  const px = (x) => left + (x1 > x0 ? (x - x0) / (x1 - x0) : 0.5) * (width - left - right);
  const py = (y) => top + (1 - (flat(y) - flat(y0)) / (flat(y1) - flat(y0))) * (height - top - bottom);
  const svg = shape("svg", { class: "chart", width, height, role: "img", "aria-label": curves.map(curveName).join(", ") });
  for (const y of isLog ? logTicks(y0, y1) : ticks(y0, y1, 6)) {
    svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: py(y), y2: py(y) }));
    svg.append(shape("text", { x: left - 6, y: py(y) + 4, "text-anchor": "end" }, String(y)));
  }
  for (const x of ticks(x0, x1, Math.max(2, Math.floor(width / 110)))) {
    svg.append(shape("line", { class: "axis", x1: px(x), x2: px(x), y1: height - bottom, y2: height - bottom + 4 }));
    const anchor = px(x) > width - right - 20 ? "end" : "middle";
    svg.append(shape("text", { x: px(x) + (anchor === "end" ? right - 2 : 0), y: height - bottom + 17, "text-anchor": anchor }, String(x)));
  }
  svg.append(shape("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
  svg.append(shape("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, labels.steps + (isLog ? ` · ${labels.logarithmic}` : "")));
  curves.forEach(({ points }, i) => {
    let pen = "M";
    let d = "";
    for (const [x, y] of points) {
      if (typeof y !== "number") {
        pen = "M";
        continue;
      }
      d += `${pen}${px(x).toFixed(1)} ${py(y).toFixed(1)}`;
      pen = "L";
    }
    const [stroke, dashes] = LINES[i % LINES.length];
    svg.append(shape("path", { d, stroke, "stroke-dasharray": dashes }));
  });
  if (report.moments.length) {
    const now = px(report.moments[chosen].x);
    svg.append(shape("line", { class: "now", x1: now, x2: now, y1: top, y2: height - bottom }));
  }
  return svg;
}

drawers.curves = (panel) => {
  const box = panel.querySelector(".drawn");
  const kinds = ["loss", "metric"].map((kind) => report.curves.filter((c) => c.kind === kind));
  const parts = [];
  for (const curves of kinds.filter((c) => c.length)) {
    const svg = chart(curves, Math.min(box.clientWidth, 900));
    if (!svg) continue;
    const legend = element("ul", { class: "legend" });
    curves.forEach((curve, i) => {
      const [stroke, dashes] = LINES[i % LINES.length];
      const line = shape("line", { x1: 0, x2: 28, y1: 5, y2: 5, stroke, "stroke-width": 2, "stroke-dasharray": dashes });
      const value = report.moments.length ? valueAt(curve.points, report.moments[chosen].x) : undefined;
      const text = curveName(curve) + (value === undefined ? "" : ` = ${value}`);
      legend.append(element("li", {}, shape("svg", { width: 28, height: 10, "aria-hidden": "true" }, line), element("span", {}, text)));
    });
    parts.push(svg, legend);
  }
  box.replaceChildren(...parts);
};

function sumsList(sums) {
  const keys = ["min", "mean", "max", "norm"];
  const pair = (key, i) => element("div", {}, element("dt", {}, labels[key]), element("dd", {}, String(sums[i])));
  return element("dl", { class: "sums" }, ...keys.map(pair));
}

const LEVELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function heatMap(shot, [rows, columns, tall, wide], name) {
  const canvas = element("canvas", { width: columns, height: rows, role: "img", "aria-label": name });
  const size = Math.max(4, Math.min(14, Math.floor(448 / Math.max(rows, columns))));
  canvas.style.width = `${columns * size}px`;
  canvas.style.aspectRatio = `${columns} / ${rows}`;
  const context = canvas.getContext("2d");
  [...shot.cells].forEach((letter, i) => {
    const level = LEVELS.indexOf(letter);
    context.fillStyle = level < 0 ? "#d00" : colour(level / 63);
    context.fillRect(i % columns, Math.floor(i / columns), 1, 1);
  });
  const out = [canvas];
  if (tall * wide > 1) out.push(element("div", { class: "scale" }, say("block", { rows: tall, columns: wide })));
  return out;
}

function shownValue(series, name) {
  const shot = series.steps[chosen];
  if (!shot) return [element("p", {}, labels.unknown)];
  const parts = shot.sums ? [sumsList(shot.sums)] : [];
  if (shot.all) {
    const rows = rowsOf(shot).map((row) => element("tr", {}, ...row.map((text) => {
      const part = partOf(Number(text), series.range);
      return element("td", { style: `background:${colour(part)};color:${ink(part)}` }, text.trim());
    })));
    parts.push(element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": name }, element("table", { class: "cells" }, ...rows)));
  } else if (shot.cells) {
    parts.push(...heatMap(shot, series.grid, name));
  }
  if (series.range && (shot.cells || shot.all.length > 1)) {
    const [lo, hi] = series.range;
    parts.push(element("div", { class: "scale" }, element("i"), say("scale", { lo, hi })));
  }
  return parts;
}

drawers.weights = (panel) => {
  const box = panel.querySelector(".drawn");
  const parts = [];
  report.items.forEach((item, i) => {
    if (!item.variable) return;
    parts.push(element("h2", {}, item.name, " ", element("span", { class: "type" }, item.type)));
    const side = (key, series) =>
      element("div", {}, element("h3", {}, labels[key]), ...shownValue(series, `${labels[key]} ${item.name}`));
    const gradients = report.gradients[i];
    const hasGradient = gradients.steps.some((s) => s);
    parts.push(element("div", { class: "pair" }, side("value", report.values[i]), ...(hasGradient ? [side("gradient", gradients)] : [])));
  });
  box.replaceChildren(...parts);
};

// Classes differ in brightness as areas, and in outline as points.
const AREAS = ["#cfe8f7", "#f0b890", "#8fc9b0", "#fbe3b3", "#b3a4cf", "#e6e6e6", "#8fb3d9", "#f7d3bd"];
const POINTS = [
  (x, y) => shape("circle", { cx: x, cy: y, r: 3.2, fill: "#0072b2", stroke: "#fff", "stroke-width": 0.8 }),
  (x, y) => shape("rect", { x: x - 3, y: y - 3, width: 6, height: 6, fill: "#fff", stroke: "#a63d00", "stroke-width": 1.6 }),
  (x, y) => shape("path", { d: `M${x} ${y - 4}L${x + 4} ${y + 3}H${x - 4}z`, fill: "#00402f", stroke: "#fff", "stroke-width": 0.8 }),
  (x, y) => shape("path", { d: `M${x - 3} ${y - 3}L${x + 3} ${y + 3}M${x - 3} ${y + 3}L${x + 3} ${y - 3}`, stroke: "#000", "stroke-width": 1.8 }),
];

function classPoint(c, x, y) {
  return POINTS[c % POINTS.length](x, y);
}

drawers.boundary = (panel) => {
  const box = panel.querySelector(".drawn");
  const { plane, names, axes, data, pictures, points } = report.boundary;
  const x = report.moments[chosen].x;
  const picture = pictures.filter((p) => p.x <= x).pop() || pictures[0];
  const [left, right, top, bottom] = [64, 12, 12, 44];
  const width = Math.min(box.clientWidth, 620);
  const side = width - left - right;
  const height = side + top + bottom;
  const px = (v) => left + (v - plane.x[0]) / (plane.x[1] - plane.x[0]) * side;
  const py = (v) => top + (plane.y[1] - v) / (plane.y[1] - plane.y[0]) * side;
  const help = say("boundaryHelp", { n: picture.x });
  const svg = shape("svg", { class: "chart", width, height, role: "img", "aria-label": help });
  const cell = side / plane.side;
  for (let row = 0; row < plane.side; row++) {
    const cells = picture.cells.slice(row * plane.side, (row + 1) * plane.side);
    for (let from = 0; from < plane.side;) {
      let to = from;
      while (to < plane.side && cells[to] === cells[from]) to++;
      const fill = AREAS[(cells.charCodeAt(from) - 97) % AREAS.length];
      // A little wider than it is, so that no seams show.
      svg.append(shape("rect", { x: left + from * cell, y: top + row * cell, width: (to - from) * cell + 0.4, height: cell + 0.4, fill }));
      from = to;
    }
  }
  for (const [a, b, c] of points) svg.append(classPoint(c, px(a), py(b)));
  for (const v of ticks(...plane.x, Math.max(2, Math.floor(width / 110)))) {
    svg.append(shape("line", { class: "axis", x1: px(v), x2: px(v), y1: top + side, y2: top + side + 4 }));
    svg.append(shape("text", { x: px(v), y: top + side + 17, "text-anchor": "middle" }, String(v)));
  }
  for (const v of ticks(...plane.y, 6)) {
    svg.append(shape("line", { class: "axis", x1: left - 4, x2: left, y1: py(v), y2: py(v) }));
    svg.append(shape("text", { x: left - 7, y: py(v) + 4, "text-anchor": "end" }, String(v)));
  }
  svg.append(shape("rect", { class: "axis", x: left, y: top, width: side, height: side, fill: "none" }));
  svg.append(shape("text", { x: left + side / 2, y: height - 8, "text-anchor": "middle" }, axes[0]));
  svg.append(shape("text", { x: 13, y: top + side / 2, "text-anchor": "middle", transform: `rotate(-90 13 ${top + side / 2})` }, axes[1]));
  const legend = element("ul", { class: "legend" });
  names.forEach((name, c) => {
    const swatch = shape("svg", { width: 34, height: 18, "aria-hidden": "true" },
      shape("rect", { width: 34, height: 18, fill: AREAS[c % AREAS.length], stroke: "#888" }), classPoint(c, 17, 9));
    legend.append(element("li", {}, swatch, element("span", {}, say("class", { n: name }))));
  });
  box.replaceChildren(element("p", { class: "help" }, help), svg, legend, element("p", { class: "help" }, say("points", { data })));
};

drawers.confusion = (panel) => {
  const box = panel.querySelector(".drawn");
  const parts = report.confusion.map(({ data, names, counts }) => {
    const all = counts.flat().reduce((a, b) => a + b, 0);
    const right = counts.reduce((sum, row, i) => sum + row[i], 0);
    const heading = (text, scope) => element("th", { scope }, String(text));
    const head = element("tr", {}, heading(`${labels.actual} \\ ${labels.predicted}`, "col"), ...names.map((n) => heading(n, "col")));
    const rows = counts.map((row, i) => {
      const total = Math.max(row.reduce((a, b) => a + b, 0), 1);
      const cells = row.map((n) => {
        const part = n / total;
        return element("td", { style: `background:${stain(part)};color:${part > 0.5 ? "#fff" : "#000"}` }, String(n));
      });
      return element("tr", {}, heading(names[i], "row"), ...cells);
    });
    const caption = element("caption", {}, `${data}: ${say("right", { n: right, all })}`);
    return element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": data },
      element("table", { class: "cells counts" }, caption, head, ...rows));
  });
  box.replaceChildren(...parts.flatMap((p) => [p, element("p")]));
};

start();
