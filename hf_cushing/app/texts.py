"""Every word of the Space, in English and Chinese."""

from __future__ import annotations

from hf_cushing.app import reading_page
from hf_cushing.faces.quality import QUALITY_LIMITS
from hf_cushing.faces.regions import GROUPS
from hf_cushing.predict.answer import Remark
from hf_cushing.predict.decision import UNCERTAIN
from hf_cushing.schema import CONTROL, RESEARCH_NOTICE

ENGLISH = {
    "title": "Faces and hormones: a research model",
    "notice": RESEARCH_NOTICE,
    "language": "Language",
    "drawn": "This model was trained on computer drawings, not on people. What it says of a "
    "photograph means nothing; it only shows how the page works.",
    "gate": "## Before you start\n\n{notice}\n\n"
    "- The model estimates from a face photograph whether it looks like those of patients with "
    "{diseases}. It is often wrong, and not equally often for everybody.\n"
    "- Upload only photographs whose persons agreed to it.\n"
    "- Photographs are handled in memory and dropped once they are read; the page that you see "
    "is forgotten when you close it. Nothing is stored, logged or passed on.",
    "accept": "I understand: for research only, never for care",
    "refused": "Please accept the notice first; reload the page.",
    "photo_tab": "Photo",
    "batch_tab": "Batch",
    "followup_tab": "Follow-up",
    "about_tab": "About",
    "sex": "Sex of the person",
    "sex_info": "Decides which patients the answer is compared with.",
    "unknown": "not stated",
    "female": "female",
    "male": "male",
    "heatmap": "Show where the model looks",
    "photo": "Face photograph",
    "photo_drop": "Drop a frontal photo here, click to choose one, paste one, or use the camera",
    "photos": "Photographs, or a zip file of them",
    "photos_followup": "Photographs of one person",
    "waiting": "The result appears here.",
    "seen": "Photograph with the face that was found and its 68 landmarks",
    "seen_short": "Found face",
    "trained": "This photo is one of those that trained the model: its score is too good.",
    "validated": "This photo is one of those that chose the model's epoch or operating point: its "
    "score is too good.",
    "other_faces": "{count} smaller faces in the photo were passed over.",
    "quality": "Quality of the photo: {flags}.",
    "flags": {flag: flag for flag in QUALITY_LIMITS},
    "heat": "Aligned face with the heatmap of the model",
    "heat_short": "Where the model looks",
    "answer_called": "The model calls {disease}",
    "answer_control": "The model does not call a disease",
    "answer_uncertain": "Uncertain: the model gives no answer",
    "probability": "Probability of {disease}: {value}",
    "gauge": "Scale from 0 to 100 %: probability {value}, operating point {threshold}{band}",
    "gauge_band": ", uncertain from {low} to {high}",
    "legend_value": "this photo",
    "legend_threshold": "operating point {threshold}",
    "legend_band": "uncertain {low} to {high}",
    "means": "What this means",
    "means_called": "The probability reaches the operating point of {threshold}. Nobody is ill "
    "because a model says so.",
    "means_control": "The probability stays below the operating point of {threshold}. That does "
    "not rule the disease out.",
    "means_uncertain": "Neither answer is sure enough, so the model abstains rather than guess. "
    "That is no finding.",
    "band_from": "The uncertain band comes from the validation patients ({patients} or more of "
    "each class and sex): about {share} or more of new patients of each class and sex get no "
    "wrong answer, if they are like those.",
    "few_patients": "Some answers are never given: there are too few validation patients of a "
    "class and sex (the fewest: {count}).",
    "state_sex": "State the person's sex above: of one sex alone there may be enough.",
    "band_none": "The model has no recorded validation scores, so it can't say “uncertain”.",
    "rate": "On test photographs ({who}): of {count} with the disease, {recall} reached this "
    "operating point (95 %: {recall_range}); of {others} without it, {specificity} stayed below "
    "({specificity_range}). Uncertain ones are counted there too.",
    "rate_few": "There are too few test patients ({who}) to say how often the model is right.",
    "prevalence": "Of the validation photographs, {share} showed {disease}. Where the disease is "
    "rarer, the true probability is lower than shown.",
    "uncalibrated": "The probability of this model was not calibrated: read it as a score.",
    "no_point": "The run recorded no operating point: 50 % is used.",
    "point_from": "Operating point: {rule}, chosen on the {split} photographs.",
    "all": "all",
    "women": "women",
    "men": "men",
    "regions": "Where the heatmap lies",
    "region": "Part of the face",
    "share": "Of the heatmap",
    "area": "Of the area",
    "region_note": "Heatmap: {method}, for {disease}. A bar beyond its mark means more than the "
    "area alone would get.",
    "judged": "On this model's test photographs it was shown to be better than a random map.",
    "not_judged": "It has not been shown to be faithful for this model: a hint, not a reason.",
    "no_regions": "The landmarks lie outside the picture: no regions.",
    "name": "Photograph",
    "answer": "Answer",
    "p_of": "Probability of {disease}",
    "remark": "Remark",
    "download": "Download as CSV",
    "batch_info": "Up to {count} photographs of up to {size} MB; a zip file is unpacked in memory. "
    "Each photo is judged by itself.",
    "batch_done": "{good} of {count} photographs were scored.",
    "follow_info": "Up to {count} photographs. Dates are taken from file names like "
    "2025-03-31.jpg; fill in or correct the others. Photographs of one day are one visit.",
    "date_of": "Date of {name} (year-month-day)",
    "compare": "Show the course",
    "no_photos": "Upload photographs first.",
    "bad_date": "{name}: write the date as year-month-day, for instance 2025-03-31.",
    "two_visits": "A course needs photographs of two days at least.",
    "too_many": "At most {count} photographs at once.",
    "course": "Log-odds of {disease} at each visit, from {first} to {last}",
    "date": "Date",
    "count": "Photos",
    "log_odds": "Log-odds",
    "change": "Change from the first visit",
    "no_spread": "Whether a change is real can't be said: how much this model's score varies in "
    "a person who does not change was never measured for it. That takes patients with visits "
    "known to be stable (`hf-cushing followup`). Camera, light and pose alone move the score.",
    "spread": "Between {first} and {last} the score changed by {change} (95 %: {low} to {high}). "
    "{verdict} Repeatability was measured on {patients} patients ({source}).",
    "verdict_fell": "It fell by more than visits of a stable person differ.",
    "verdict_rose": "It rose by more than visits of a stable person differ.",
    "verdict_none": "That is no more than visits of a stable person differ, which does not show "
    "that nothing changed.",
    "spread_few": "Fewer than {few} patients: read the verdict as a guess.",
    "spread_day": "What differs from day to day is not in it: changes are found too readily.",
    "stable visits": "stable visits",
    "photos of one visit": "photos of one visit",
    "not_activity": "The score is the model's log-odds, not a measure of disease activity: that "
    "it follows the disease has not been shown.",
    "same_person": "Whether these are photographs of one person is not checked.",
    "about": "Model **{name}**, labels: {labels}. Tested on the split *{split}*.",
    "about_results": "Results for all, women and men",
    "about_none": "The model's folder has no metrics.json that can be read: nothing is known of "
    "how good it is.",
    "measure": "Measure",
    "about_figures": "Figures",
    "about_limits": "Limits",
    "about_card": "The whole card",
    "limits": "- Frontal photographs with one face; each is turned and cut by 68 landmarks whose "
    "model was trained on iBUG 300-W (its licence forbids commercial use).\n"
    "- How good the model is on people unlike those in its data (other clinics, cameras, ages, "
    "skin colours) is not known unless the card says so.\n"
    "- Groups marked “insufficient” are too small for any statement.\n"
    "- A heatmap shows what moves the score, not what causes the disease.\n"
    "- Patients in the data were diagnosed, often with plain signs; early disease looks "
    "different.",
    "figure": "Figure {name}",
    "empty": "The file is empty. Export the photo again.",
    "unreadable": "This file is not a photo that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF). "
    "Export it as JPEG.",
    "too_large": "The photo has 60 megapixels or more, or over 25 MB. Make it smaller.",
    "no_face": "No face was found. Use a frontal photo in which the whole face is seen.",
    "several_faces": "Several faces were found. Crop the photo to one person.",
    "too_small": "The face is too small. Use the original photo, not a thumbnail.",
    "cut_off": "The edge of the photo cuts the face. Use a photo that shows it whole.",
    "gone": "The upload has waited too long and was forgotten. Upload it again.",
    "archive_broken": "The zip file can't be unpacked. Make it again.",
    "archive_encrypted": "The zip file is encrypted. Send it without a password.",
    "archive_path": "The zip file holds a path that leads out of it, and was refused.",
    "archive_too_many": "Too many photographs: at most {count} at once.",
    "archive_too_large": "The zip file unpacks to more than 500 MB. Send less.",
    "cushing": "Cushing's syndrome",
    "acromegaly": "acromegaly",
    "control": "no disease called",
    "uncertain": "uncertain",
    "names": reading_page.ENGLISH["names"],
}

CHINESE = {
    "title": "面容与激素：研究模型",
    "notice": reading_page.CHINESE["notice"],
    "language": "语言",
    "drawn": "本模型是用计算机绘制的人脸训练的，不是真人照片。它对照片的判断没有任何意义，"
    "仅用于演示页面功能。",
    "gate": "## 使用前须知\n\n{notice}\n\n"
    "- 模型根据面部照片估计其是否与{diseases}患者的照片相似。模型经常出错，且对不同人群的"
    "出错率不同。\n"
    "- 只上传已获本人同意的照片。\n"
    "- 照片仅在内存中处理，读取后即清除；您看到的页面在关闭后清除。不保存、不记录、不转发。",
    "accept": "我已了解：仅供研究，绝不用于诊疗",
    "refused": "请先接受须知；请重新加载页面。",
    "photo_tab": "单张照片",
    "batch_tab": "批量",
    "followup_tab": "随访",
    "about_tab": "关于",
    "sex": "照片中人的性别",
    "sex_info": "决定与哪些患者进行比较。",
    "unknown": "未说明",
    "female": "女",
    "male": "男",
    "heatmap": "显示模型关注的部位",
    "photo": "面部照片",
    "photo_drop": "将正面照片拖到此处、点击选择、粘贴，或使用摄像头",
    "photos": "多张照片，或照片的 zip 文件",
    "photos_followup": "同一人的照片",
    "waiting": "结果将显示在此处。",
    "seen": "照片，标出检测到的面部及其 68 个特征点",
    "seen_short": "检测到的面部",
    "trained": "这张照片曾用于训练模型：其评分偏好。",
    "validated": "这张照片曾用于选择模型的训练轮次或判定阈值：其评分偏好。",
    "other_faces": "照片中另有 {count} 张较小的面孔被忽略。",
    "quality": "照片质量：{flags}。",
    "flags": {
        "soft": "模糊",
        "dimly lit": "光线不足",
        "clipped": "过曝或过暗",
        "turned": "头部偏转",
        "nodding": "低头或仰头",
        "mouth open": "张口",
        "small face": "面部较小",
        "glasses": "戴眼镜",
        "dark chin": "颏部较暗（胡须或阴影）",
    },
    "heat": "对齐后的面部及模型热图",
    "heat_short": "模型关注的部位",
    "answer_called": "模型判为{disease}",
    "answer_control": "模型未判为患病",
    "answer_uncertain": "不确定：模型不作判断",
    "probability": "{disease}的概率：{value}",
    "gauge": "0 至 100 % 标尺：概率 {value}，判定阈值 {threshold}{band}",
    "gauge_band": "，{low} 至 {high} 为不确定",
    "legend_value": "本照片",
    "legend_threshold": "判定阈值 {threshold}",
    "legend_band": "不确定区间 {low} 至 {high}",
    "means": "含义",
    "means_called": "概率达到判定阈值 {threshold}。模型的判断并不等于患病。",
    "means_control": "概率低于判定阈值 {threshold}。这不能排除疾病。",
    "means_uncertain": "两种答案都不够确定，因此模型不作判断，而不是猜测。这不是任何结论。",
    "band_from": "不确定区间来自验证集患者（每一类别和性别至少 {patients} 名）：若新患者与之相似，"
    "则每一类别和性别中约 {share} 或更多的新患者不会得到错误答案。",
    "few_patients": "某些判断永远不会给出：某一类别和性别的验证集患者太少（最少 {count} 名）。",
    "state_sex": "请在上方注明性别：仅就某一性别而言，患者可能足够。",
    "band_none": "模型没有验证集评分记录，因此无法给出“不确定”。",
    "rate": "测试照片（{who}）：{count} 张患病照片中 {recall} 达到此阈值（95 %：{recall_range}）；"
    "{others} 张未患病照片中 {specificity} 低于阈值（{specificity_range}）。不确定者也计算在内。",
    "rate_few": "测试患者太少（{who}），无法说明模型的正确率。",
    "prevalence": "验证集照片中 {share} 为{disease}。在该病较少见的人群中，真实概率低于所示值。",
    "uncalibrated": "本模型的概率未经校准：只能视为评分。",
    "no_point": "没有记录判定阈值：使用 50 %。",
    "point_from": "判定阈值按规则 {code} 在 {split} 照片上选定。",
    "all": "全部",
    "women": "女性",
    "men": "男性",
    "regions": "热图的分布",
    "region": "面部部位",
    "share": "占热图的比例",
    "area": "占图像的比例",
    "region_note": "热图：{method}，针对{disease}。条形超过标记表示高于其面积所占比例。",
    "judged": "在本模型的测试照片上，已证明其优于随机图。",
    "not_judged": "对本模型，其可信度尚未得到证明：只是提示，不是依据。",
    "no_regions": "特征点位于图像之外：无法划分部位。",
    "name": "照片",
    "answer": "判断",
    "p_of": "{disease}的概率",
    "remark": "备注",
    "download": "下载 CSV",
    "batch_info": "最多 {count} 张照片，每张不超过 {size} MB；zip 文件在内存中解压。"
    "每张照片单独判断。",
    "batch_done": "{count} 张照片中有 {good} 张得到评分。",
    "follow_info": "最多 {count} 张照片。日期取自文件名（如 2025-03-31.jpg），其余请填写或更正。"
    "同一天的照片视为一次就诊。",
    "date_of": "{name} 的日期（年-月-日）",
    "compare": "显示变化过程",
    "no_photos": "请先上传照片。",
    "bad_date": "{name}：请按年-月-日填写日期，例如 2025-03-31。",
    "two_visits": "至少需要两天的照片。",
    "too_many": "一次最多 {count} 张照片。",
    "course": "从 {first} 到 {last} 每次就诊的{disease}对数优势",
    "date": "日期",
    "count": "照片数",
    "log_odds": "对数优势",
    "change": "与首次相比的变化",
    "no_spread": "无法判断变化是否真实：从未测量过本模型的评分在状态不变的人身上有多大波动。"
    "这需要有已知病情稳定的就诊记录的患者（`hf-cushing followup`）。"
    "仅相机、光线和姿势就会改变评分。",
    "spread": "从 {first} 到 {last}，评分变化为 {change}（95 %：{low} 至 {high}）。{verdict}"
    "重复性在 {patients} 名患者上测得（{source}）。",
    "verdict_fell": "下降幅度超过病情稳定者各次就诊之间的差异。",
    "verdict_rose": "上升幅度超过病情稳定者各次就诊之间的差异。",
    "verdict_none": "未超过病情稳定者各次就诊之间的差异，但这不说明没有变化。",
    "spread_few": "患者少于 {few} 名：只能视为猜测。",
    "spread_day": "其中不包含逐日差异：容易误判为有变化。",
    "stable visits": "病情稳定的就诊",
    "photos of one visit": "同一次就诊的照片",
    "not_activity": "评分是模型的对数优势，不是疾病活动度的指标：未证明它随病情变化。",
    "same_person": "未检查这些照片是否属于同一人。",
    "about": "模型 **{name}**，标签：{labels}。测试集：*{split}*。",
    "about_results": "全部、女性和男性的结果",
    "about_none": "模型文件夹中没有可读取的 metrics.json：其性能未知。",
    "measure": "指标",
    "about_figures": "图",
    "about_limits": "局限",
    "about_card": "完整模型卡（英文）",
    "limits": "- 仅适用于单人正面照片；照片按 68 个特征点旋转和裁剪，特征点模型用 iBUG 300-W 训练"
    "（其许可禁止商业使用）。\n"
    "- 除非模型卡说明，模型对与其数据不同的人群（其他医院、相机、年龄、肤色）的性能未知。\n"
    "- 标为“insufficient”的组太小，不能得出任何结论。\n"
    "- 热图显示的是影响评分的部位，不是疾病的原因。\n"
    "- 数据中的患者均已确诊，体征往往明显；早期疾病的表现不同。",
    "figure": "图 {name}",
    "empty": "文件为空。请重新导出照片。",
    "unreadable": "此文件不是可读取的照片（JPEG、PNG、WebP、TIFF、BMP、GIF）。请导出为 JPEG。",
    "too_large": "照片达到或超过 6000 万像素，或超过 25 MB。请缩小。",
    "no_face": "未检测到面部。请使用能看到整张脸的正面照片。",
    "several_faces": "检测到多张面孔。请裁剪为一人。",
    "too_small": "面部太小。请使用原始照片，而不是缩略图。",
    "cut_off": "照片边缘截断了面部。请使用完整显示面部的照片。",
    "gone": "上传的文件等待过久，已被清除。请重新上传。",
    "archive_broken": "zip 文件无法解压。请重新制作。",
    "archive_encrypted": "zip 文件已加密。请去掉密码。",
    "archive_path": "zip 文件中含有指向外部的路径，已拒绝。",
    "archive_too_many": "照片太多：一次最多 {count} 张。",
    "archive_too_large": "zip 文件解压后超过 500 MB。请减少内容。",
    "cushing": "库欣综合征",
    "acromegaly": "肢端肥大症",
    "control": "未判为患病",
    "uncertain": "不确定",
    "names": reading_page.CHINESE["names"],
}

LANGUAGES = {"en": ENGLISH, "zh": CHINESE}
CHOICES = [("English", "en"), ("中文", "zh")]


def disease_name(label: str, words: dict) -> str:
    """A label as it reads in a sentence."""
    return words.get(label, label.replace("_", " "))


def answer_name(answer: str, words: dict) -> str:
    """An answer as it stands in a table."""
    return words[answer] if answer in (CONTROL, UNCERTAIN) else disease_name(answer, words)


def remark_text(remark: Remark, sex: str, words: dict) -> str:
    """What must be said about an answer for a person of this sex."""
    if remark.reason == "few_patients":
        return few_patients_text(remark.count, sex, words)
    flags = ", ".join(words["flags"][flag] for flag in remark.flags)
    return words[remark.reason].format(count=remark.count, flags=flags)


def few_patients_text(count: int, sex: str, words: dict) -> str:
    """That so few validation patients rule nothing out, and what may help."""
    text = words["few_patients"].format(count=count)
    return f"{text} {words['state_sex']}" if sex == "unknown" else text


def region_names(words: dict) -> dict[str, str]:
    """Groups of regions and their names."""
    return dict(zip(GROUPS, words["names"], strict=True))


def percent(value: float) -> str:
    """A share, 0..1, in whole per cent; the ends only where they are exact.

    >>> percent(0.437), percent(0.999), percent(0.0)
    ('44 %', '> 99 %', '0 %')
    """
    if 0.99 < value < 1:
        return "> 99 %"
    if 0 < value < 0.01:
        return "< 1 %"
    return f"{value:.0%}".replace("%", " %")


def language_of(header: str) -> str:
    """Language that a browser asks for: ``zh`` if it comes before English, else ``en``.

    >>> language_of("zh-CN,zh;q=0.9,en;q=0.8"), language_of("de,en;q=0.5"), language_of("")
    ('zh', 'en', 'en')
    """
    asked = [part.split(";")[0].strip().lower()[:2] for part in header.split(",")]
    return next((code for code in asked if code in LANGUAGES), "en")
