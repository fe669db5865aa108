//! Every word of the page, once.

use crate::lang::Lang;

/// What the scripts call it, and what it says in English and in Chinese; holes are filled where it is shown.
const LABELS: &[(&str, &str, &str)] = &[
    ("program", "Program", "程序"),
    ("graph", "Graph", "计算图"),
    ("curves", "Curves", "曲线"),
    ("weights", "Weights", "权重"),
    ("boundary", "Boundary", "决策边界"),
    ("confusion", "Confusion", "混淆矩阵"),
    ("derivation", "Derivation", "推导"),
    ("sections", "Sections of the report", "报告的各部分"),
    ("step", "Step", "步"),
    ("slider", "Recorded step", "记录的步"),
    ("after", "after {n} steps", "{n} 步之后"),
    ("training", "training {n}", "第 {n} 次训练"),
    ("epoch", "epoch {n}", "第 {n} 轮"),
    ("value", "value", "值"),
    ("gradient", "gradient", "梯度"),
    ("min", "min", "最小"),
    ("mean", "mean", "平均"),
    ("max", "max", "最大"),
    ("norm", "norm", "范数"),
    ("unknown", "not known in this step", "这一步没有它的值"),
    ("steps", "steps", "步"),
    ("actual", "is", "实际"),
    ("predicted", "predicted", "预测"),
    ("right", "{n} of {all} right", "{all} 个中 {n} 个正确"),
    (
        "block",
        "each cell is the mean of {rows} × {columns} elements",
        "每格是 {rows} × {columns} 个元素的平均值",
    ),
    ("scale", "dark is {lo}, bright is {hi}, in every step", "各步相同：暗为 {lo}，亮为 {hi}"),
    ("class", "class {n}", "类别 {n}"),
    ("points", "points of {data}", "{data} 的点"),
    ("onData", "{name} on {data}", "{data} 上的 {name}"),
    ("ofStep", "{name} of the step's rows", "本步数据上的 {name}"),
    ("logarithmic", "logarithmic scale", "对数刻度"),
    (
        "noScript",
        "This page needs scripts: they are all in this file, and nothing is loaded.",
        "本页需要脚本：脚本都在本文件内，不会加载任何东西。",
    ),
    (
        "programHelp",
        "Point at a name or an expression for its shape, value and gradient; with the keyboard, arrows move from one to the next.",
        "指向名字或表达式，可看它的形状、值和梯度；用键盘时，方向键在它们之间移动。",
    ),
    (
        "graphHelp",
        "Point at a box for its value and its gradient in the chosen step.",
        "指向方框，可看它在所选步的值和梯度。",
    ),
    (
        "curvesHelp",
        "The line marks the chosen step. A loss of the step's rows is taken before the update, a value on data after it.",
        "竖线标出所选的步。本步数据上的损失取自更新之前，数据集上的值取自更新之后。",
    ),
    (
        "weightsHelp",
        "Each variable before the chosen step, and its gradient on the rows of that step.",
        "所选步之前的各个变量，以及它们在该步数据上的梯度。",
    ),
    (
        "boundaryHelp",
        "Which class the net would name at each place of the plane, after {n} steps.",
        "{n} 步之后，网络在平面各处给出的类别。",
    ),
    (
        "confusionHelp",
        "A row is a true class, a column what the net names, with the weights of the end.",
        "行是实际类别，列是网络给出的类别，用的是运行结束时的权重。",
    ),
    (
        "tooLarge",
        "The variables are too large to be copied, so no step was recorded.",
        "变量太大，无法复制，因此没有记录任何一步。",
    ),
    (
        "stopped",
        "The run stopped early; the last recorded step is shown.",
        "运行提前停止；显示的是最后记录的一步。",
    ),
];

/// All labels, by what the scripts call them.
pub fn labels(lang: Lang) -> impl Iterator<Item = (&'static str, &'static str)> {
    LABELS.iter().map(move |(key, english, chinese)| match lang {
        Lang::En => (*key, *english),
        Lang::Zh => (*key, *chinese),
    })
}

/// What a label says.
pub fn label(key: &str, lang: Lang) -> &'static str {
    labels(lang).find(|(k, _)| *k == key).map_or("", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_holes() {
        let holes = |text: &str| {
            let mut holes: Vec<String> =
                text.split('{').skip(1).map(|p| p.split('}').next().unwrap_or("").into()).collect();
            holes.sort();
            holes
        };
        for (key, english, chinese) in LABELS {
            assert_eq!(holes(english), holes(chinese), "{key}");
            assert!(!english.is_empty() && chinese.chars().any(|c| c > '\u{2e80}'), "{key}");
        }
    }

    #[test]
    fn every_label_is_used_and_every_word_used_is_a_label() {
        let used = concat!(include_str!("page.js"), include_str!("drawings.js"), include_str!("page.rs"));
        for (key, ..) in LABELS {
            let is_used = [format!("\"{key}\""), format!("labels.{key}")].iter().any(|u| used.contains(u));
            assert!(is_used, "nothing says `{key}`");
        }
        let words = used
            .split("labels.")
            .skip(1)
            .map(|w| w.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(""));
        let said = used.split("say(\"").skip(1).map(|w| w.split('"').next().unwrap_or(""));
        for word in words.chain(said) {
            assert!(!label(word, Lang::En).is_empty(), "no label `{word}`");
        }
    }
}
