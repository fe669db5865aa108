// Opens each page in Chromium, uses it by mouse and keyboard, and looks where things are. At the end every check is
// shown a page with a fault of its kind, and has to see it.
import { mkdirSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as looks from "./looks.mjs";

const [scratch, pages] = process.argv.slice(2);
const { chromium } = createRequire(join(scratch, "any.js"))("playwright-core");
const shots = join(pages, "shots");
mkdirSync(shots, { recursive: true });

const WIDTHS = [1280, 390];
const failures = [];

function expect(holds, where, what) {
  if (!holds) failures.push(`${where}: ${what}`);
}

// A page that tells of its errors and of what it asks for.
async function open(browser, file, width) {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  const heard = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) heard.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => heard.push(`script: ${error.message}`));
  page.on("request", (request) => {
    if (!/^(file|data|about):/.test(request.url())) heard.push(`request: ${request.url()}`);
  });
  await page.goto(pathToFileURL(file).href);
  return { page, heard };
}

// Everything that is wrong with what is to be seen now.
async function looked(page) {
  return page.evaluate(looks.all);
}

async function tell(page, where) {
  for (const fault of await looked(page)) failures.push(`${where}: ${fault}`);
}

const text = (page, selector) => page.locator(selector).first().innerText();
const shown = (page, key) => page.locator(`#${key}`).isVisible();

async function useTabs(page, where, keys) {
  await page.locator("[role=tab]").first().focus();
  for (const key of [...keys.slice(1), keys[0]]) {
    await page.keyboard.press("ArrowRight");
    expect(await shown(page, key), where, `the right arrow does not lead to ${key}`);
    expect((await page.evaluate(() => document.activeElement.id)) === `tab-${key}`, where, `the focus is not on ${key}`);
    expect((await page.locator("section:visible").count()) === 1, where, `not one section beside ${key}`);
  }
  await page.keyboard.press("End");
  expect(await shown(page, keys[keys.length - 1]), where, "End does not lead to the last tab");
  await page.keyboard.press("Home");
  expect(await shown(page, keys[0]), where, "Home does not lead to the first tab");
}

async function useSlider(page, where) {
  await page.locator("#tab-weights").click();
  const state = async () => [await text(page, "#moment"), await text(page, "#weights .sums")];
  const last = await state();
  await page.locator("#slider").focus();
  await page.keyboard.press("ArrowLeft");
  const before = await state();
  expect(before[0] !== last[0] && before[1] !== last[1], where, "the left arrow changes neither step nor numbers");
  await page.keyboard.press("Home");
  expect((await text(page, "#moment")) === "after 0 steps", where, "Home does not lead to step 0");
  const box = await page.locator("#slider").boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  const middle = await state();
  expect(![last[0], before[0], "after 0 steps"].includes(middle[0]), where, "a click does not lead to the middle");
  expect(middle[1] !== last[1], where, "a click does not change the numbers");
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 1, box.y + box.height / 2, { steps: 4 });
  await page.mouse.up();
  expect((await state()).join() === last.join(), where, "dragging to the end does not lead back");
}

// `part` of what has a tooltip is where the mouse goes.
async function useTips(page, where, tab, selector, part) {
  await page.locator(tab).click();
  const tip = page.locator("#tip");
  const mark = page.locator(selector).first();
  await (part ? mark.locator(part).first() : mark).hover();
  expect(await tip.isVisible(), where, `${selector}: no tooltip under the mouse`);
  const first = await text(page, "#tip");
  expect(/\d/.test(first), where, `${selector}: an empty tooltip`);
  await page.screenshot({ path: `${shots}/${where.replace(/\W+/g, "-")}-tip${tab.replace("#tab", "")}.png` });
  await tell(page, `${where} tooltip`);
  await page.mouse.move(2, 2);
  expect(!(await tip.isVisible()), where, `${selector}: the tooltip stays`);
  await mark.focus();
  expect(await tip.isVisible(), where, `${selector}: no tooltip with the focus`);
  await page.keyboard.press("ArrowRight");
  expect((await tip.isVisible()) && (await text(page, "#tip")) !== first, where, `${selector}: arrows lead nowhere`);
  const box = await tip.boundingBox();
  const width = page.viewportSize().width;
  expect(box && box.x >= 0 && box.x + box.width <= width, where, "the tooltip leaves the window");
  await page.keyboard.press("Escape");
  expect(!(await tip.isVisible()), where, "Escape does not hide the tooltip");
}

async function report(browser, file, name, width) {
  const where = `${name} at ${width}`;
  const { page, heard } = await open(browser, file, width);
  const keys = await page.locator("[role=tab]").evaluateAll((all) => all.map((t) => t.getAttribute("aria-controls")));
  expect(keys.includes("weights") && keys.includes("graph"), where, `sections ${keys}`);
  for (const key of keys) {
    await page.locator(`#tab-${key}`).click();
    await page.screenshot({ path: `${shots}/${name}-${width}-${key}.png`, fullPage: true });
    await tell(page, `${where}, ${key}`);
  }
  await useTabs(page, where, keys);
  await useSlider(page, where);
  await useTips(page, where, "#tab-program", ".mark");
  await useTips(page, where, "#tab-graph", ".picture g.known", "text.n");
  heard.forEach((fault) => failures.push(`${where}: ${fault}`));
  await page.close();
}

async function graph(browser, file, name, width) {
  const where = `${name} at ${width}`;
  const { page, heard } = await open(browser, file, width);
  await tell(page, where);
  expect((await page.evaluate(() => document.querySelectorAll("path.e").length)) > 3, where, "no edges");
  // Of a bare picture Chromium takes no photograph; the page around it shows the same.
  if (file.endsWith(".html")) await page.screenshot({ path: `${shots}/${name}-${width}.png`, fullPage: true });
  heard.forEach((fault) => failures.push(`${where}: ${fault}`));
  await page.close();
}

// A page is spoiled in one way, and what is said of it has to match.
const FAULTS = {
  "one text over another": ["weights", (d) => (d.querySelector("#weights h3").style.marginBottom = "-1.6rem"), /over/],
  "text out of its button": ["program", (d) => Object.assign(d.querySelector("nav button").style, { width: "20px", overflow: "visible" }), /leaves/],
  "a name out of its node": ["graph", (d) => d.querySelector(".picture text.n ~ rect, .picture g > text.n").setAttribute("x", "900"), /leaves|over/],
  "an arrow from nowhere": ["graph", (d) => d.querySelector("path.e").setAttribute("d", "M5 5L60 60"), /ends at no node/],
  "a wide page": ["program", (d) => (d.querySelector("main").style.width = "3000px"), /scrolls/],
  "a text of the graph beyond its picture": ["graph", (d) => d.querySelector(".picture text.s").setAttribute("x", "-40"), /leaves/],
};

async function faults(browser, file, bare) {
  for (const [what, [tab, spoil, said]] of Object.entries(FAULTS)) {
    const { page } = await open(browser, file, 1280);
    await page.locator(`#tab-${tab}`).click();
    expect((await looked(page)).length === 0, what, "the page is bad as it is");
    await page.evaluate(`(${spoil})(document)`);
    const found = await looked(page);
    expect(found.some((f) => said.test(f)), what, `not seen: ${found.join("; ") || "nothing"}`);
    await page.close();
  }
  // A report's own policy would stop a request before it is one.
  const { page, heard } = await open(browser, bare, 1280);
  await page.evaluate(() => console.error("a fault"));
  await page.evaluate(() => setTimeout(() => nothing.at.all, 0));
  await page.evaluate(() => fetch("http://127.0.0.1:9/x").catch(() => 0));
  await page.waitForTimeout(100);
  for (const kind of ["console: a fault", "script: nothing", "request: http"]) {
    expect(heard.some((h) => h.startsWith(kind)), "faults", `not heard: ${kind}`);
  }
  await page.close();
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
for (const file of readdirSync(pages).sort().filter((f) => /\.(html|svg)$/.test(f))) {
  const name = file.replace(/\.(html|svg)$/, (_, ending) => (file.includes("graph") ? `.${ending}` : ""));
  for (const width of WIDTHS) {
    const visit = file.endsWith(".report.html") ? report : graph;
    await visit(browser, join(pages, file), name, width);
  }
}
await faults(browser, join(pages, "lesson.report.html"), join(pages, "lesson.graph.html"));
await browser.close();
console.log(`screenshots: ${shots}`);
if (failures.length) {
  console.error(failures.join("\n"));
  console.error(`${failures.length} failures`);
  process.exit(1);
}
console.log("all pages are good");
