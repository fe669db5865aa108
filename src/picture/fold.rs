//! A large picture made small: values without names join those that use them, then variables their layers, then
//! layers with a common first name, then values in a row.
//!
//! No two nodes join if an edge would then run backward.

use crate::picture::{Kind, Node, Picture};
use std::collections::{BTreeMap, BTreeSet};

/// Pictures with more values are folded.
pub const MOST: usize = 40;

/// Pairs of nodes that should be one.
type Step = fn(&Picture) -> Vec<(usize, usize)>;

pub fn fold(picture: Picture, most: usize) -> Picture {
    let steps: [Step; 3] = [nameless, variables, first_names];
    let mut picture = picture;
    for step in steps {
        if picture.values() > most {
            let pairs = step(&picture);
            picture = joined(&picture, &pairs);
        }
    }
    while picture.values() > most {
        let pairs = neighbours(&picture);
        let next = joined(&picture, &pairs);
        if next.values() == picture.values() {
            break;
        }
        picture = next;
    }
    picture
}

fn is_value(picture: &Picture, i: usize) -> bool {
    picture.nodes[i].kind != Kind::Gradient
}

/// Each value's users among values.
fn users(picture: &Picture) -> BTreeMap<usize, Vec<usize>> {
    let mut users: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (from, to) in picture.edges.iter().filter(|(_, to)| is_value(picture, *to)) {
        users.entry(*from).or_default().push(*to);
    }
    users
}

fn nameless(picture: &Picture) -> Vec<(usize, usize)> {
    let users = users(picture);
    users.iter().filter(|(i, _)| !picture.nodes[**i].is_named).map(|(i, u)| (*i, u[0])).collect()
}

fn variables(picture: &Picture) -> Vec<(usize, usize)> {
    let is_own = |i: usize, u: &[usize]| picture.nodes[i].kind == Kind::Variable && u.len() == 1;
    users(picture).iter().filter(|(i, u)| is_own(**i, u)).map(|(i, u)| (*i, u[0])).collect()
}

/// `block.0.h` and `block.1.h`
fn first_names(picture: &Picture) -> Vec<(usize, usize)> {
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    let mut pairs = Vec::new();
    for (i, node) in picture.nodes.iter().enumerate().filter(|(i, _)| is_value(picture, *i)) {
        let first = node.name.split('.').next().unwrap_or(&node.name);
        pairs.extend(last.insert(first, i).map(|before| (before, i)));
    }
    pairs
}

/// Pairs of which one has no other neighbour on the side of the other; each node in one pair at most.
fn neighbours(picture: &Picture) -> Vec<(usize, usize)> {
    let users = users(picture);
    let mut operands: BTreeMap<usize, usize> = BTreeMap::new();
    users.values().flatten().for_each(|to| *operands.entry(*to).or_default() += 1);
    let mut taken = BTreeSet::new();
    let mut pairs = Vec::new();
    for (from, to) in users.iter().flat_map(|(from, to)| to.iter().map(move |to| (*from, *to))) {
        let is_row = users[&from].len() == 1 || operands[&to] == 1;
        let ends = picture.nodes[to].kind == Kind::Loss || picture.nodes[from].kind == Kind::Data;
        if is_row && !ends && !taken.contains(&from) && !taken.contains(&to) {
            taken.extend([from, to]);
            pairs.push((from, to));
        }
    }
    pairs
}

/// The picture with these values joined, and their gradients with them.
fn joined(picture: &Picture, pairs: &[(usize, usize)]) -> Picture {
    let mut group: Vec<usize> = (0..picture.nodes.len()).collect();
    join(picture, &mut group, pairs);
    let order = order(picture, &group).expect("tested above");
    let place: BTreeMap<usize, usize> = order.iter().enumerate().map(|(i, g)| (*g, i)).collect();
    let nodes = order.iter().map(|g| {
        let members: Vec<usize> = (0..group.len()).filter(|i| group[*i] == *g).collect();
        let node = one(picture, &members);
        Node { under: node.under.map(|u| place[&group[u]]), ..node }
    });
    let nodes = nodes.collect();
    let ends = picture.edges.iter().map(|(a, b)| (place[&group[*a]], place[&group[*b]]));
    let edges: BTreeSet<(usize, usize)> = ends.filter(|(a, b)| a != b).collect();
    Picture { title: picture.title.clone(), nodes, edges: edges.into_iter().collect() }
}

/// All these pairs at once or, if that does not go, as many of them as go one by one.
fn join(picture: &Picture, group: &mut Vec<usize>, pairs: &[(usize, usize)]) {
    let mut next = group.clone();
    for (a, b) in pairs {
        let (a, b) = (next[*a], next[*b]);
        next.iter_mut().filter(|g| **g == a).for_each(|g| *g = b);
    }
    with_gradients(picture, &mut next);
    if order(picture, &next).is_some() {
        *group = next;
    } else if pairs.len() > 1 {
        let (first, second) = pairs.split_at(pairs.len() / 2);
        join(picture, group, first);
        join(picture, group, second);
    }
}

/// Gradients beneath one group are one.
fn with_gradients(picture: &Picture, group: &mut [usize]) {
    let mut beneath: BTreeMap<usize, usize> = BTreeMap::new();
    for (i, node) in picture.nodes.iter().enumerate() {
        if let Some(under) = node.under {
            group[i] = *beneath.entry(group[under]).or_insert(i);
        }
    }
}

/// The groups, values first, each after those that it has an edge from; `None` if there is no such order.
fn order(picture: &Picture, group: &[usize]) -> Option<Vec<usize>> {
    let mut waits: BTreeMap<usize, usize> = group.iter().map(|g| (*g, 0)).collect();
    let mut edges: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (a, b) in picture.edges.iter().map(|(a, b)| (group[*a], group[*b])).filter(|(a, b)| a != b) {
        edges.entry(a).or_default().push(b);
        *waits.entry(b).or_default() += 1;
    }
    let key = |g: usize| (!is_value(picture, g), g);
    let mut ready: BTreeSet<(bool, usize)> =
        waits.iter().filter(|(_, n)| **n == 0).map(|(g, _)| key(*g)).collect();
    let mut out = Vec::new();
    while let Some((_, g)) = ready.pop_first() {
        out.push(g);
        for to in edges.get(&g).into_iter().flatten() {
            let n = waits.get_mut(to).expect("a group");
            *n -= 1;
            if *n == 0 {
                ready.insert(key(*to));
            }
        }
    }
    (out.len() == waits.len()).then_some(out)
}

/// One node for several. Values are called as the last of them that has a name; gradients as the first, which is
/// that of this value.
fn one(picture: &Picture, members: &[usize]) -> Node {
    let nodes: Vec<&Node> = members.iter().map(|i| &picture.nodes[*i]).collect();
    let (first, rest) = (nodes[0], &nodes[1..]);
    if rest.is_empty() {
        return first.clone();
    }
    let count: usize = nodes.iter().map(|n| n.members).sum();
    if first.kind == Kind::Gradient {
        // What leaves it is none of its own shape.
        let (detail, shape) = (Some(format!("{count} gradients")), String::new());
        return Node { members: count, detail, shape, numbers: vec![], ..first.clone() };
    }
    let last = *nodes.iter().rfind(|n| n.is_named).unwrap_or(&first);
    let kind = if nodes.iter().any(|n| n.kind == Kind::Loss) { Kind::Loss } else { Kind::Value };
    Node { members: count, kind, detail: Some(format!("{count} values")), ..last.clone() }
}
