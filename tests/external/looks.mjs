// What is wrong with what a page shows: a function that runs in the page and returns sentences.

export function all() {
  const faults = [];
  const SLACK = 1.5;
  const isScrollable = (e) => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX);

  function ancestors(element) {
    const out = [];
    for (let e = element; e && e !== document.documentElement; e = e.parentElement) out.push(e);
    return out;
  }

  function within(inner, outer, slack) {
    return inner.left >= outer.left - slack && inner.right <= outer.right + slack
      && inner.top >= outer.top - slack - 2 && inner.bottom <= outer.bottom + slack + 2;
  }

  function meet(a, b) {
    const [left, right] = [Math.max(a.left, b.left), Math.min(a.right, b.right)];
    const [top, bottom] = [Math.max(a.top, b.top), Math.min(a.bottom, b.bottom)];
    return right > left && bottom > top ? { left, right, top, bottom } : undefined;
  }

  // The letters of a page: a box each line, as far as it is not cut off by something that scrolls.
  const texts = [];
  const walker = document.createTreeWalker(document, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!parent || !node.data.trim() || parent.closest("script, style, title, defs, noscript, desc")) continue;
    if (!parent.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const svg = parent.closest("svg");
    // Blank ends of a line are no letters.
    const boxes = [...range.getClientRects()].filter((r) => r.width > 0.5);
    const scrollers = ancestors(parent).filter((e) => e !== document.body && isScrollable(e));
    for (const box of boxes) {
      const fixed = ancestors(parent).some((e) => ["fixed"].includes(getComputedStyle(e).position));
      const said = node.data.trim().replace(/\s+/g, " ").slice(0, 30);
      if (svg) {
        // A picture may be larger than the box that scrolls it, but its text stays in the picture.
        if (!within(box, svg.getBoundingClientRect(), 0)) faults.push(`"${said}" leaves the picture`);
      } else if (!scrollers.length) {
        let block = parent;
        while (getComputedStyle(block).display.startsWith("inline") && !block.matches("button, output, label")) block = block.parentElement;
        if (!within(box, block.getBoundingClientRect(), SLACK)) faults.push(`"${said}" leaves its box`);
      } else {
        const cell = parent.closest("td, th");
        if (cell && !within(box, cell.getBoundingClientRect(), SLACK)) faults.push(`"${said}" leaves its cell`);
      }
      const seen = scrollers.reduce((r, e) => r && meet(r, e.getBoundingClientRect()), box);
      if (seen) texts.push({ ...pick(seen), said, fixed, node });
    }
  }
  function pick({ left, right, top, bottom }) {
    return { left: left + 1, right: right - 1, top: top + 2.5, bottom: bottom - 2.5 };
  }
  texts.sort((a, b) => a.top - b.top);
  for (let i = 0; i < texts.length; i++) {
    for (let j = i + 1; j < texts.length && texts[j].top < texts[i].bottom; j++) {
      const [a, b] = [texts[i], texts[j]];
      // A tooltip lies over the page on purpose.
      if (a.fixed === b.fixed && meet(a, b)) faults.push(`"${a.said}" lies over "${b.said}"`);
    }
  }

  // Names and formulas stay in the outlines of their nodes, and both ends of every arrow are at outlines.
  for (const svg of document.querySelectorAll("svg[role=img]")) {
    if (!svg.checkVisibility()) continue;
    const shapes = [...svg.querySelectorAll(".b")];
    const boxes = shapes.map((s) => s.getBoundingClientRect());
    for (const group of svg.querySelectorAll("g")) {
      const outline = [...group.children].find((c) => c.classList.contains("b"));
      if (!outline) continue;
      const box = outline.getBoundingClientRect();
      for (const line of [...group.children].filter((c) => c.matches("text.n, text.d"))) {
        if (!within(line.getBoundingClientRect(), box, 0)) faults.push(`"${line.textContent}" leaves its node`);
      }
    }
    for (const edge of svg.querySelectorAll("path.e")) {
      const to = edge.getScreenCTM();
      const ends = [0, edge.getTotalLength()].map((at) => {
        const point = edge.getPointAtLength(at).matrixTransform(to);
        // At most so far outside, and no deeper than a slope or a round corner goes.
        const isAt = (b) => point.x >= b.left - 3 && point.x <= b.right + 3 && point.y >= b.top - 3 && point.y <= b.bottom + 3
          && Math.min(point.x - b.left, b.right - point.x, point.y - b.top, b.bottom - point.y) <= 9;
        return boxes.findIndex(isAt);
      });
      if (ends.includes(-1)) faults.push(`an edge ends at no node: ${edge.getAttribute("d").slice(0, 40)}`);
      else if (ends[0] === ends[1]) faults.push(`an edge ends where it starts: ${edge.getAttribute("d").slice(0, 40)}`);
    }
  }

  const { scrollWidth, clientWidth } = document.documentElement;
  if (!(document.documentElement instanceof SVGElement) && scrollWidth > clientWidth) {
    faults.push(`the page scrolls sideways: ${scrollWidth} in ${clientWidth}`);
  }
  return faults;
}
