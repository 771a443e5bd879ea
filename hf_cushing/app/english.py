"""Every word of the Space, in English."""

from __future__ import annotations

from hf_cushing.app import reading_page
from hf_cushing.faces.quality import QUALITY_LIMITS
from hf_cushing.schema import RESEARCH_NOTICE

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
