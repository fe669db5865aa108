//! Places for the nodes of a picture, in pixels of a font with a fixed width.
//!
//! A node's column is the length of the longest path to it; a gradient has the column of its value, or one
//! further left where it is computed from another one of that column. Edges that pass a column keep a lane of it.
//! Columns are ordered by the mean of their neighbours, and then moved as near to them as the order allows.

use crate::picture::{Kind, Picture, cut};
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;

/// Of one character.
pub const CHARACTER: f64 = 8.0;
pub const LINE: f64 = 17.0;
/// Characters of a line in a box; labels on edges are short as they are.
const MOST: usize = 30;
const PADDING: f64 = 8.0;
const GAP: f64 = 14.0;
const CHANNEL: f64 = 44.0;
const MARGIN: f64 = 20.0;
/// Edges are straight for so long at least where they meet a box, so that arrows point at it.
const LEAD: f64 = 14.0;
const SWEEPS: usize = 12;

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Area {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Text {
    /// Of the left end of the base line.
    pub x: f64,
    pub y: f64,
    pub text: String,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Placed {
    pub area: Area,
    /// One or two lines in the box.
    pub lines: Vec<Text>,
    /// Beside it, on the edges that leave it.
    pub labels: Vec<Text>,
}

/// An edge as corners; between columns it may be drawn as a curve.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    pub from: usize,
    pub to: usize,
    pub corners: Vec<(f64, f64)>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Layout {
    pub nodes: Vec<Placed>,
    pub routes: Vec<Route>,
    pub width: f64,
    pub height: f64,
}

/// What stands in a box.
pub fn lines(picture: &Picture, i: usize) -> Vec<String> {
    let node = &picture.nodes[i];
    [Some(&node.name), node.detail.as_ref()].into_iter().flatten().map(|t| cut(t, MOST)).collect()
}

fn labels(picture: &Picture, i: usize) -> Vec<String> {
    let node = &picture.nodes[i];
    [&node.shape].into_iter().chain(&node.numbers).cloned().collect()
}

fn width<'a>(texts: impl IntoIterator<Item = &'a String>) -> f64 {
    texts.into_iter().map(|t| t.width()).max().unwrap_or(0) as f64 * CHARACTER
}

/// From left to right.
struct Column {
    /// Of labels of gradients, boxes, labels of values.
    before: f64,
    boxes: f64,
    after: f64,
    left: f64,
}

pub fn layout(picture: &Picture) -> Layout {
    let n = picture.nodes.len();
    let columns_of = columns(picture);
    let count = columns_of.iter().max().map_or(0, |c| c + 1);
    let mut columns: Vec<Column> =
        (0..count).map(|_| Column { before: LEAD, boxes: 0.0, after: LEAD, left: 0.0 }).collect();
    for (i, column) in columns_of.iter().enumerate() {
        let column = &mut columns[*column];
        column.boxes = column.boxes.max(width(&lines(picture, i)) + 2.0 * PADDING);
        let labels =
            width(&labels(picture, i)) + if labels(picture, i) == [""] { 0.0 } else { 2.0 * PADDING };
        let side =
            if picture.nodes[i].kind == Kind::Gradient { &mut column.before } else { &mut column.after };
        *side = side.max(labels);
    }
    let mut left = MARGIN;
    for column in &mut columns {
        column.left = left;
        left += column.before + column.boxes + column.after + CHANNEL;
    }

    let is_gradient = |i: usize| picture.nodes[i].kind == Kind::Gradient;
    let mut middle = vec![0.0; n];
    let mut routes = Vec::new();
    let mut top = MARGIN;
    for backward in [false, true] {
        let members: Vec<usize> = (0..n).filter(|i| is_gradient(*i) == backward).collect();
        // A column of gradients counts from the right.
        let place = |i: usize| if backward { count - 1 - columns_of[i] } else { columns_of[i] };
        let mut band = Band::new(picture, &members, place);
        band.sort(count);
        let height = band.settle(count, top);
        for (cell, i) in members.iter().enumerate() {
            middle[*i] = band.cells[cell].y;
        }
        routes.extend(band.routes(picture, &columns, backward));
        if !members.is_empty() {
            top += height + 3.0 * GAP;
        }
    }
    let nodes: Vec<Placed> = (0..n).map(|i| placed(picture, i, &columns[columns_of[i]], middle[i])).collect();
    // The one edge between the bands: from the loss down.
    for (from, to) in picture.edges.iter().filter(|(a, b)| !is_gradient(*a) && is_gradient(*b)) {
        let (a, b) = (nodes[*from].area, nodes[*to].area);
        let x = a.left + a.width / 2.0;
        routes.push(Route { from: *from, to: *to, corners: vec![(x, a.top + a.height), (x, b.top)] });
    }
    Layout { nodes, routes, width: left - CHANNEL + MARGIN, height: top - 3.0 * GAP + MARGIN }
}

fn columns(picture: &Picture) -> Vec<usize> {
    let n = picture.nodes.len();
    let is_gradient = |i: usize| picture.nodes[i].kind == Kind::Gradient;
    let mut column = vec![0i64; n];
    for (a, b) in picture.edges.iter().filter(|(_, b)| !is_gradient(*b)) {
        column[*b] = column[*b].max(column[*a] + 1);
    }
    // Edges are sorted by their start, so a start may still move when its edges have been seen.
    for _ in 0..n {
        let before = column.clone();
        for (a, b) in picture.edges.iter().filter(|(_, b)| !is_gradient(*b)) {
            column[*b] = column[*b].max(column[*a] + 1);
        }
        if column == before {
            break;
        }
    }
    // What needs nothing stands beside what needs it first.
    for i in (0..n).filter(|i| picture.edges.iter().all(|(_, b)| b != i)) {
        let users = picture.edges.iter().filter(|(a, b)| *a == i && !is_gradient(*b));
        column[i] = users.map(|(_, b)| column[*b] - 1).min().unwrap_or(column[i]);
    }
    for i in (0..n).filter(|i| is_gradient(*i)) {
        column[i] = picture.nodes[i].under.map_or(0, |u| column[u]);
        let from = picture.edges.iter().filter(|(a, b)| *b == i && is_gradient(*a));
        column[i] = from.map(|(a, _)| column[*a] - 1).fold(column[i], i64::min);
    }
    let least = column.iter().min().copied().unwrap_or(0);
    column.iter().map(|c| (c - least) as usize).collect()
}

fn placed(picture: &Picture, i: usize, column: &Column, middle: f64) -> Placed {
    let texts = lines(picture, i);
    let height = texts.len() as f64 * LINE + 2.0 * PADDING;
    let area =
        Area { left: column.left + column.before, top: middle - height / 2.0, width: column.boxes, height };
    let lines = texts.iter().enumerate().map(|(k, text)| Text {
        x: area.left + (area.width - width([text])) / 2.0,
        y: area.top + PADDING + k as f64 * LINE + 12.5,
        text: text.clone(),
    });
    let is_gradient = picture.nodes[i].kind == Kind::Gradient;
    let labels = labels(picture, i);
    let labels = labels.iter().enumerate().filter(|(_, t)| !t.is_empty()).map(|(k, text)| Text {
        x: if is_gradient { area.left - PADDING - width([text]) } else { area.left + area.width + PADDING },
        y: if k == 0 { middle - 5.0 } else { middle + 14.0 + (k - 1) as f64 * LINE },
        text: text.clone(),
    });
    Placed { area, lines: lines.collect(), labels: labels.collect() }
}

/// A node, or a lane of an edge that passes.
struct Cell {
    column: usize,
    up: f64,
    down: f64,
    y: f64,
}

/// Values or gradients, with columns in the direction of the edges.
struct Band {
    cells: Vec<Cell>,
    /// Of each cell: what it is linked to in the columns before and behind.
    links: Vec<[Vec<usize>; 2]>,
    /// Cells from the start to the end of each edge.
    paths: Vec<Vec<usize>>,
    members: Vec<usize>,
    columns: Vec<Vec<usize>>,
}

impl Band {
    fn new(picture: &Picture, members: &[usize], place: impl Fn(usize) -> usize) -> Band {
        let cell_of: BTreeMap<usize, usize> = members.iter().enumerate().map(|(c, i)| (*i, c)).collect();
        let mut band =
            Band { cells: vec![], links: vec![], paths: vec![], members: members.to_vec(), columns: vec![] };
        for i in members {
            let half = lines(picture, *i).len() as f64 * LINE / 2.0 + PADDING;
            let numbers = picture.nodes[*i].numbers.len() as f64;
            let cell = Cell { column: place(*i), up: half, down: half.max(numbers * LINE + 4.0), y: 0.0 };
            band.cells.push(cell);
        }
        let mut links = Vec::new();
        for i in members {
            // All edges of a node share its lanes.
            let mut lanes: Vec<usize> = vec![cell_of[i]];
            let mut targets: Vec<usize> = picture
                .edges
                .iter()
                .filter(|(a, _)| a == i)
                .filter_map(|(_, b)| cell_of.get(b))
                .copied()
                .collect();
            targets.sort_by_key(|t| band.cells[*t].column);
            for target in targets {
                let steps = band.cells[target].column.saturating_sub(place(*i));
                while lanes.len() < steps {
                    let column = place(*i) + lanes.len();
                    links.push((lanes[lanes.len() - 1], band.cells.len()));
                    lanes.push(band.cells.len());
                    band.cells.push(Cell { column, up: 5.0, down: 5.0, y: 0.0 });
                }
                let path: Vec<usize> = lanes[..steps].iter().copied().chain([target]).collect();
                links.push((path[path.len() - 2], target));
                band.paths.push(path);
            }
        }
        band.links = vec![[vec![], vec![]]; band.cells.len()];
        for (a, b) in links {
            band.links[a][1].push(b);
            band.links[b][0].push(a);
        }
        band
    }

    /// The order of each column.
    fn sort(&mut self, count: usize) {
        self.columns = vec![vec![]; count];
        for (i, cell) in self.cells.iter().enumerate() {
            self.columns[cell.column].push(i);
        }
        let mut rank: Vec<f64> = vec![0.0; self.cells.len()];
        for sweep in 0..SWEEPS {
            for c in 0..count {
                let c = if sweep % 2 == 0 { c } else { count - 1 - c };
                let wish: BTreeMap<usize, f64> = self.columns[c]
                    .iter()
                    .map(|i| {
                        (*i, mean(self.neighbours(*i, sweep % 2 == 0).map(|j| rank[j])).unwrap_or(rank[*i]))
                    })
                    .collect();
                self.columns[c].sort_by(|a, b| wish[a].total_cmp(&wish[b]));
                for (k, i) in self.columns[c].iter().enumerate() {
                    rank[*i] = k as f64;
                }
            }
        }
    }

    fn neighbours(&self, i: usize, before: bool) -> impl Iterator<Item = usize> + '_ {
        self.links[i][usize::from(!before)].iter().copied()
    }

    /// The middle of each cell; the height of all.
    fn settle(&mut self, count: usize, top: f64) -> f64 {
        for sweep in 0..SWEEPS {
            for c in 0..count {
                let c = if sweep % 2 == 0 { c } else { count - 1 - c };
                let column = self.columns[c].clone();
                let wish = |i: &usize| {
                    let all = self.neighbours(*i, true).chain(self.neighbours(*i, false));
                    let near = mean(all.map(|j| self.cells[j].y)).unwrap_or(self.cells[*i].y);
                    if sweep == 0 {
                        mean(self.neighbours(*i, true).map(|j| self.cells[j].y)).unwrap_or(0.0)
                    } else {
                        near
                    }
                };
                let wishes: Vec<f64> = column.iter().map(wish).collect();
                let mut offset = 0.0;
                let mut offsets = Vec::new();
                for (k, i) in column.iter().enumerate() {
                    if k > 0 {
                        offset += self.cells[column[k - 1]].down + GAP + self.cells[*i].up;
                    }
                    offsets.push(offset);
                }
                let free: Vec<f64> = wishes.iter().zip(&offsets).map(|(w, o)| w - o).collect();
                for ((i, y), o) in column.iter().zip(rising(&free)).zip(&offsets) {
                    self.cells[*i].y = y + o;
                }
            }
        }
        let least = self.cells.iter().map(|c| c.y - c.up).fold(f64::INFINITY, f64::min);
        let most = self.cells.iter().map(|c| c.y + c.down).fold(f64::NEG_INFINITY, f64::max);
        for cell in &mut self.cells {
            cell.y = (cell.y - least + top).round();
        }
        (most - least).max(0.0).ceil()
    }

    fn routes(&self, picture: &Picture, columns: &[Column], backward: bool) -> Vec<Route> {
        let column = |cell: usize| {
            let c = self.cells[cell].column;
            &columns[if backward { columns.len() - 1 - c } else { c }]
        };
        let right = |c: &Column| c.left + c.before + c.boxes + c.after;
        // Edges into one box end beside each other, in the order in which they come.
        let mut entries: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for path in &self.paths {
            entries.entry(path[path.len() - 1]).or_default().push(path[path.len() - 2]);
        }
        for before in entries.values_mut() {
            before.sort_by(|a, b| self.cells[*a].y.total_cmp(&self.cells[*b].y).then(a.cmp(b)));
        }
        let mut out = Vec::new();
        for path in &self.paths {
            let (from, to) = (path[0], path[path.len() - 1]);
            let entries = &entries[&to];
            let k = entries.iter().position(|e| *e == path[path.len() - 2]).unwrap_or(0) as f64;
            let room = lines(picture, self.members[to]).len() as f64 * LINE;
            let step = (room / entries.len() as f64).min(12.0);
            let entry = self.cells[to].y + (k - (entries.len() - 1) as f64 / 2.0) * step;
            let (first, last) = (column(from), column(to));
            let out_of = |c: &Column| if backward { c.left } else { right(c) };
            let into = |c: &Column| if backward { right(c) } else { c.left };
            let start = first.left + first.before + if backward { 0.0 } else { first.boxes };
            let end = last.left + last.before + if backward { last.boxes } else { 0.0 };
            let mut corners = vec![(start, self.cells[from].y), (out_of(first), self.cells[from].y)];
            for lane in &path[1..path.len() - 1] {
                let y = self.cells[*lane].y;
                corners.extend([(into(column(*lane)), y), (out_of(column(*lane)), y)]);
            }
            corners.extend([(into(last), entry), (end, entry)]);
            out.push(Route { from: self.members[from], to: self.members[to], corners });
        }
        out
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0.0), |(s, n), x| (s + x, n + 1.0));
    (n > 0.0).then_some(sum / n)
}

/// The rising sequence that is nearest to these values in squares: falling runs become their mean.
fn rising(values: &[f64]) -> Vec<f64> {
    let mut runs: Vec<(f64, usize)> = Vec::new();
    for value in values {
        runs.push((*value, 1));
        while let [.., (a, m), (b, n)] = runs[..]
            && a > b
        {
            runs.truncate(runs.len() - 2);
            runs.push(((a * m as f64 + b * n as f64) / (m + n) as f64, m + n));
        }
    }
    runs.into_iter().flat_map(|(mean, n)| std::iter::repeat_n(mean, n)).collect()
}
