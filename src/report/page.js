"use strict";

const report = JSON.parse(document.getElementById("data").textContent);
const labels = report.labels;

// A label with its places filled.
function say(key, parts = {}) {
  return labels[key].replace(/\{(\w+)\}/g, (_, name) => parts[name]);
}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// What is drawn anew when another step is chosen: by the section it stands in. Hidden sections wait.
const drawers = {};
let chosen = 0;

function draw() {
  for (const [key, drawer] of Object.entries(drawers)) {
    const panel = document.getElementById(key);
    if (panel && !panel.hidden) drawer(panel);
  }
}

// Tabs: arrows, Home and End move among them, as everywhere.
const tabs = [...document.querySelectorAll("[role=tab]")];

function select(tab) {
  for (const other of tabs) {
    const isSelected = other === tab;
    other.setAttribute("aria-selected", isSelected);
    other.tabIndex = isSelected ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !isSelected;
  }
  hideTip();
  draw();
}

// Where the arrow keys lead in a row of `count` things.
function moved(key, at, count) {
  const steps = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: count - 1 };
  return key in steps ? (steps[key] + count) % count : undefined;
}

tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const to = moved(event.key, i, tabs.length);
    if (to === undefined) return;
    event.preventDefault();
    select(tabs[to]);
    tabs[to].focus();
  });
});

// The slider.
const slider = document.getElementById("slider");

function momentText() {
  const { training, step, epoch } = report.moments[chosen];
  const parts = [say("after", { n: step })];
  if (epoch > 0) parts.push(say("epoch", { n: epoch }));
  if (report.moments.some((m) => m.training !== training)) parts.unshift(say("training", { n: training }));
  return parts.join(", ");
}

function choose(moment) {
  chosen = moment;
  const text = momentText();
  document.getElementById("moment").textContent = text;
  slider.setAttribute("aria-valuetext", text);
  refreshTip();
  placeTip();
  draw();
}

// A value in the chosen step, as text: all of a small one, sums of a large one.
function valueText(series) {
  const shot = series.steps[chosen];
  if (!shot) return labels.unknown;
  if (!shot.all) return sumsText(shot.sums);
  return rowsOf(shot).map((row) => row.join("  ")).join("\n");
}

function sumsText(sums) {
  return ["min", "mean", "max", "norm"].map((key, i) => `${labels[key]} ${sums[i]}`).join("\n");
}

// The rows of a small value, columns as wide as their widest number; of more axes than two, blocks one below the other.
function rowsOf(shot) {
  const width = shot.shape.length ? shot.shape[shot.shape.length - 1] : 1;
  const texts = shot.all.map(String);
  const wide = Array.from({ length: width }, (_, c) =>
    Math.max(...texts.filter((_, i) => i % width === c).map((t) => t.length)));
  const rows = [];
  for (let i = 0; i < texts.length; i += width) {
    rows.push(texts.slice(i, i + width).map((t, c) => t.padStart(wide[c])));
  }
  return rows;
}

// The tooltip: of a mark in the program, or a box of the graph.
const tip = document.getElementById("tip");
let tipOf = null;

function itemOf(target) {
  return Number(target.dataset.item);
}

function refreshTip() {
  if (!tipOf) return;
  const item = itemOf(tipOf);
  const { name, type, formula } = report.items[item];
  const part = (label, text) => [element("div", { class: "part" }, label), element("pre", {}, text)];
  const shape = shapeText(report.values[item].steps[chosen]);
  tip.replaceChildren(element("div", { class: "name" }, `${name}  ${type}${shape}`));
  if (formula) tip.append(element("div", {}, `= ${formula}`));
  if (!report.moments.length) return;
  tip.append(...part(`${labels.value}, ${momentText()}`, valueText(report.values[item])));
  const gradients = report.gradients[item];
  if (gradients.steps.some((s) => s)) tip.append(...part(labels.gradient, valueText(gradients)));
}

// The sizes behind named dimensions, where there are any.
function shapeText(shot) {
  return shot && shot.shape.length ? `  (${shot.shape.join(" × ")})` : "";
}

function showTip(target) {
  if (tipOf) tipOf.removeAttribute("aria-describedby");
  tipOf = target;
  target.setAttribute("aria-describedby", "tip");
  refreshTip();
  tip.hidden = false;
  placeTip();
}

function placeTip() {
  if (!tipOf) return;
  // Below what it is about, or above where there is no room; always inside the window.
  const at = tipOf.getClientRects()[0] || tipOf.getBoundingClientRect();
  const { width, height } = tip.getBoundingClientRect();
  const room = { width: document.documentElement.clientWidth, height: window.innerHeight };
  const below = at.bottom + 6;
  const top = below + height <= room.height ? below : Math.max(4, at.top - height - 6);
  tip.style.left = `${Math.max(4, Math.min(at.left, room.width - width - 4))}px`;
  tip.style.top = `${Math.min(top, room.height - height - 4)}px`;
}

function hideTip() {
  if (tipOf) tipOf.removeAttribute("aria-describedby");
  tipOf = null;
  tip.hidden = true;
}

// Of things that have a tooltip one is in the order of the Tab key, and arrows lead to the others.
function withTips(targets) {
  targets.forEach((target, i) => {
    target.tabIndex = i === 0 ? 0 : -1;
    target.addEventListener("mouseover", (event) => {
      event.stopPropagation();
      showTip(target);
    });
    target.addEventListener("mouseout", hideTip);
    target.addEventListener("focus", () => showTip(target));
    target.addEventListener("blur", hideTip);
    target.addEventListener("keydown", (event) => {
      const to = moved(event.key, i, targets.length);
      if (to === undefined || event.target !== target) return;
      event.preventDefault();
      event.stopPropagation();
      target.tabIndex = -1;
      targets[to].tabIndex = 0;
      targets[to].focus();
    });
  });
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideTip();
});
document.addEventListener("scroll", placeTip, { passive: true, capture: true });

// A box of the graph is about the item of its name; its own title would be a second tooltip.
function markGraph(picture) {
  const known = [];
  for (const group of picture.querySelectorAll("g")) {
    const title = group.querySelector(":scope > title");
    const name = group.querySelector(":scope > text.n");
    if (!title || !name) continue;
    const whole = title.textContent.split("   ")[0];
    const item = report.items.findIndex(({ name, formula }) => whole === name || whole === `${name} = ${formula}`);
    if (item < 0) continue;
    title.remove();
    group.classList.add("known");
    group.dataset.item = item;
    group.setAttribute("role", "img");
    group.setAttribute("aria-label", whole);
    known.push(group);
  }
  withTips(known);
}

function start() {
  withTips([...document.querySelectorAll(".mark")]);
  document.querySelectorAll(".picture").forEach(markGraph);
  if (report.moments.length) {
    slider.max = report.moments.length - 1;
    slider.value = slider.max;
    slider.addEventListener("input", () => choose(Number(slider.value)));
    document.getElementById("time").hidden = false;
    choose(report.moments.length - 1);
  }
  let width = 0;
  new ResizeObserver(() => {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    draw();
  }).observe(document.documentElement);
}
