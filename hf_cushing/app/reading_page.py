"""What the reading room's page is made of: words in two languages, the face map, keys, colours."""

from __future__ import annotations

import base64
import html
import json

import contourpy
import numpy as np

from hf_cushing.faces.regions import GROUPS, REGIONS, region_labels
from hf_cushing.readers.kit import Kit, ModelAnswer
from hf_cushing.schema import CONTROL, RESEARCH_NOTICE

KEYS = dict(zip(GROUPS, "fgbeomupcjx", strict=True))
"""The key that ticks each region; y, n, 1 to 5 and Enter do the rest."""

ENGLISH = {
    "title": "Reading room",
    "notice": RESEARCH_NOTICE,
    "login": "Sign in with your reader name and your login code.",
    "hello": "Reader {reader}: {done} of {total} cases answered.",
    "first": "You will see one face at a time. Say whether the person has {disease}, how sure you "
    "are, and which parts of the face led you there. Some faces come twice. Nothing can be "
    "changed once it is saved.",
    "second": "The first read is done. Now you will see every face once more, this time with the "
    "model's score. Judge anew: the model can be wrong.",
    "end": "All cases are answered. Thank you; you can close this page.",
    "start": "Start (Enter)",
    "go_on": "Go on (Enter)",
    "pause": "Pause",
    "out": "Sign out",
    "time": "The time of each case is noted; the clock stops while you pause. Every answer is "
    "saved at once: you can leave and come back whenever you like.",
    "keys": "Keys: **Y** yes, **N** no · **1**–**5** how sure · letters in brackets: parts of the "
    "face · **Enter** save and next",
    "case": "Case {number} of {total}",
    "with_model": "second read, with the model's score",
    "photo": "The face to be judged",
    "says": "The model says: <strong>{label}</strong>",
    "control": "no disease",
    "uncertain": "uncertain (it gives no answer)",
    "score": "The model's score for {disease}: <strong>{score} of 100</strong>",
    "threshold": "it calls the disease from {threshold} on",
    "question": "Does this person have {disease}?",
    "which": "What does this person have?",
    "no": "No (N)",
    "none": "None of these (N)",
    "yes": "Yes (Y)",
    "sure": "How sure are you?",
    "sure_steps": ("1 guess", "2", "3", "4", "5 certain"),
    "regions": "Which parts of the face speak for your answer? Tick any, or click on the map.",
    "map": "Map of the face; the list beside it has the same choices",
    "save": "Save and next (Enter)",
    "missing_call": "Not saved: say yes or no first.",
    "missing_sure": "Not saved: say how sure you are (1 to 5).",
    "stale": "This case was answered already, perhaps in another window. Here is the next one.",
    "failed": "NOT saved: the answers' file can't be written. Tell whoever runs this study.",
    "cushing": "Cushing's syndrome",
    "names": (
        *("Forehead", "Between the brows", "Brows", "Eyes", "Nose", "Upper cheeks"),
        *("Lower cheeks", "Around the mouth", "Chin", "Jaw", "Outside the face"),
    ),
}

CHINESE = {
    "title": "阅片室",
    "notice": "仅供研究使用。本软件不是医疗器械：不得用于诊断、排除或监测任何人的疾病。",
    "login": "请用您的阅片者名称和登录码登录。",
    "hello": "阅片者 {reader}：已完成 {done} / {total} 例。",
    "first": "每次显示一张面部照片。请判断此人是否患有{disease}、您的把握程度，"
    "以及依据面部的哪些部位。部分照片会出现两次。保存后不能修改。",
    "second": "第一轮已完成。现在每张照片再出现一次，并显示模型评分。请重新判断：模型可能出错。",
    "end": "全部病例已完成，谢谢。您可以关闭本页。",
    "start": "开始 (Enter)",
    "go_on": "继续 (Enter)",
    "pause": "暂停",
    "out": "退出登录",
    "time": "系统记录每例用时，暂停时不计时。每个答案立即保存，您可以随时离开和返回。",
    "keys": "按键：**Y** 是，**N** 否 · **1**–**5** 把握程度 · 括号内字母：面部部位 · "
    "**Enter** 保存并继续",
    "case": "第 {number} 例，共 {total} 例",
    "with_model": "第二轮，显示模型评分",
    "photo": "待判断的面部照片",
    "says": "模型判断：<strong>{label}</strong>",
    "control": "未判为患病",
    "uncertain": "不确定（模型不作判断）",
    "score": "模型对{disease}的评分：<strong>{score} / 100</strong>",
    "threshold": "达到 {threshold} 时模型判为患病",
    "question": "此人是否患有{disease}？",
    "which": "此人患有哪种疾病？",
    "no": "否 (N)",
    "none": "均无 (N)",
    "yes": "是 (Y)",
    "sure": "您有多大把握？",
    "sure_steps": ("1 猜测", "2", "3", "4", "5 确定"),
    "regions": "您的判断依据面部的哪些部位？可多选，也可点击示意图。",
    "map": "面部示意图；旁边的列表有相同选项",
    "save": "保存并继续 (Enter)",
    "missing_call": "未保存：请先选择是或否。",
    "missing_sure": "未保存：请选择把握程度（1 至 5）。",
    "stale": "该病例已作答（可能在另一个窗口）。现在显示下一例。",
    "failed": "未保存：无法写入答案文件。请通知研究负责人。",
    "cushing": "库欣综合征",
    "acromegaly": "肢端肥大症",
    "names": (
        *("前额", "眉间", "眉", "眼", "鼻", "上颊（颧部）"),
        *("下颊", "口周", "颏部", "下颌", "面部以外"),
    ),
}

LANGUAGES = {"en": ENGLISH, "zh": CHINESE}


def name_of(label: str, words: dict) -> str:
    """A label as it reads in a sentence."""
    return words.get(label, label.replace("_", " "))


def call_choices(kit: Kit, words: dict) -> list[tuple[str, str]]:
    """Answers to be had: no and yes, or one for each label; the rated disease comes second."""
    others = [label for label in kit.labels if label not in (CONTROL, kit.disease)]
    if not others:
        return [(words["no"], CONTROL), (words["yes"], kit.disease)]
    rated = f"{name_of(kit.disease, words).capitalize()} (Y)"
    rest = [(name_of(label, words).capitalize(), label) for label in others]
    return [(words["none"], CONTROL), (rated, kit.disease), *rest]


def region_choices(words: dict) -> list[tuple[str, str]]:
    """Regions with the key that ticks them."""
    named = zip(words["names"], KEYS.items(), strict=True)
    return [(f"{name} ({key.upper()})", region) for name, (region, key) in named]


def photo_html(picture: bytes, words: dict) -> str:
    """The picture within the page itself, so that no file of it is ever served or cached."""
    content = base64.b64encode(picture).decode()
    return f'<img class="photo" alt="{words["photo"]}" src="data:image/png;base64,{content}">'


def model_html(answer: ModelAnswer, kit: Kit, words: dict) -> str:
    """What the model says, its score with the threshold, and a bar."""
    disease = html.escape(name_of(kit.disease, words))
    text = words["score"].format(disease=disease, score=round(100 * answer.probability))
    if answer.threshold is not None:
        text += "; " + words["threshold"].format(threshold=round(100 * answer.threshold))
    if answer.label is not None:
        label = html.escape(name_of(answer.label, words))
        text = f"{words['says'].format(label=label)}<br>{text}"
    return f'<div class="model">{text}{bar_html(answer.probability)}</div>'


def bar_html(share: float) -> str:
    """A bar filled to a share, 0..1."""
    return f'<div class="bar"><div style="width: {share:.1%}"></div></div>'


def map_html(kit: Kit, words: dict) -> str:
    """The regions drawn on the mean face of the kit; a click ticks the checkbox of that name."""
    labels = region_labels(kit.landmarks, kit.side)
    rows, columns = np.nonzero(labels != REGIONS.index("outside"))
    edge = kit.side // 12
    left, top = columns.min() - edge, rows.min() - edge
    width, height = np.ptp(columns) + 2 * edge, np.ptp(rows) + 2 * edge
    corner = (left + edge / 2, top + height - edge / 2)
    parts = []
    for name, (region, key) in zip(words["names"], KEYS.items(), strict=True):
        masks = [labels == REGIONS.index(member) for member in GROUPS[region]]
        outline = _outline(np.any(masks, axis=0))
        letters = "".join(_letter(mask, key, corner) for mask in masks)
        parts.append(
            f'<g data-region="{region}"><title>{name} ({key.upper()})</title>'
            f'<path fill-rule="evenodd" d="{outline}"/>{letters}</g>'
        )
    return (
        f'<svg id="map" viewBox="{left} {top} {width} {height}" role="img" '
        f'aria-label="{words["map"]}">{"".join(parts)}</svg>'
    )


def _outline(mask: np.ndarray) -> str:
    """Outline of a mask as an SVG path."""
    padded = np.pad(mask.astype(float), 1)
    lines = contourpy.contour_generator(z=padded).lines(0.5)
    rings = (" ".join(f"{x - 0.5:.1f},{y - 0.5:.1f}" for x, y in line[::2]) for line in lines)
    return " ".join(f"M{ring}z" for ring in rings)


def _letter(mask: np.ndarray, key: str, corner: tuple[float, float]) -> str:
    """The key in the middle of a region; that of the outside in the corner."""
    rows, columns = np.nonzero(mask)
    x, y = columns.mean(), rows.mean()
    if key == KEYS["outside"]:
        x, y = corner
    return f'<text x="{x:.1f}" y="{y:.1f}">{key.upper()}</text>'


STYLE = """
.gradio-container { width: 100% !important; max-width: 1080px !important;
                    margin: 0 auto !important; }
#ticket, .form:has(> #ticket) { display: none !important; }
.photo { width: 100%; max-width: 460px; border-radius: 6px; display: block; margin: 0 auto; }
#notice { font-size: 0.85em; opacity: 0.8; }
#message p { color: #b42318; font-weight: 600; }
.dark #message p { color: #fda29b; }
.bar { height: 8px; margin-top: 4px; border-radius: 4px; background: #d0d5dd; overflow: hidden; }
.bar div { height: 100%; background: #f97316; }
#parts > div, #parts .styler { background: var(--block-background-fill) !important; }
.model { padding: 8px 12px; border: 1px solid #98a2b3; border-radius: 6px; }
.model .bar { height: 14px; }
.model .bar div { background: #475467; }
#map { width: 100%; max-width: 230px; display: block; margin: 0 auto; touch-action: manipulation; }
#map g { cursor: pointer; }
#map path { fill: #f2f4f7; stroke: #667085; stroke-width: 1; }
#map text { font: 600 11px sans-serif; fill: #475467; text-anchor: middle;
            dominant-baseline: central; pointer-events: none;
            paint-order: stroke; stroke: #f2f4f7; stroke-width: 2px; }
#map g:hover path { fill: #d0d5dd; }
#call .wrap, #sure .wrap { gap: 6px; }
#call label, #sure label { min-height: 44px; flex: 1 1 auto; justify-content: center; }
#sure .wrap { display: grid; grid-template-columns: repeat(5, 1fr); }
#sure label { flex-direction: column; padding: 4px 2px; gap: 2px; text-align: center; }
#sure label span { margin: 0; }
#regions label { min-height: 36px; }
@media (max-width: 640px) {
  .photo { max-width: 300px; }
  .gradio-container main { padding-left: 8px !important; padding-right: 8px !important; }
}
""" + "\n".join(
    f'body:has(#regions input[name="{region}"]:checked) #map g[data-region="{region}"] path'
    " { fill: #f79009; }"
    for region in KEYS
)

SCRIPT = """<script>
(() => {
  const keys = KEYS;
  const shown = (id) => { const e = document.getElementById(id); return e && e.offsetParent; };
  const inputs = (id) => document.querySelectorAll(`#${id} input`);
  const press = (input) => { if (input) input.click(); };
  const tick = (region) => press(document.querySelector(`#regions input[name="${region}"]`));
  document.addEventListener("click", (event) => {
    const part = event.target.closest("#map g");
    if (part) tick(part.dataset.region);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=radio]):not([type=checkbox]), textarea");
    if (typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "enter") {
      const button = ["save", "start"].find(shown);
      if (!button || event.target.closest("#pause, a")) return;
      event.preventDefault();
      press(document.getElementById(button));
    } else if (shown("save")) {
      if (key === "n") press(inputs("call")[0]);
      else if (key === "y") press(inputs("call")[1]);
      else if (/^[1-5]$/.test(key)) press(inputs("sure")[key - 1]);
      else if (keys[key]) tick(keys[key]);
    }
  });
})();
</script>""".replace("KEYS", json.dumps({key: region for region, key in KEYS.items()}))
