"""What the Space's pages say of photos, batches, courses and the model, in all languages."""

import base64
import dataclasses
import html
import io
import re
from datetime import date

import pytest
from PIL import Image

pytest.importorskip("gradio")
from hf_cushing.app import texts
from hf_cushing.app.about_tab import results_page
from hf_cushing.app.batch_tab import batch_page
from hf_cushing.app.batch_table import gather
from hf_cushing.app.examples import draw_examples
from hf_cushing.app.followup_tab import Scored, courses_of, followup_page
from hf_cushing.app.photo_page import photo_page
from hf_cushing.app.pictures import MARKS, course, heat_scale
from hf_cushing.app.seen import see
from hf_cushing.evaluation.at_prevalence import percent_text, predictive_values
from hf_cushing.evaluation.subgroups import Value
from hf_cushing.explain.photo import PhotoHeatmap
from hf_cushing.faces.quality import QUALITY_LIMITS
from hf_cushing.faces.uploads import MAX_PHOTOS, ArchiveError
from hf_cushing.predict.answer import Remark
from hf_cushing.predict.batch import PhotoSource, Row, rows_of
from hf_cushing.stats.reliable_change import Repeatability

REASONS = ("empty", "unreadable", "too_large", "no_face", "several_faces", "too_small", "cut_off",
           "gone", "budget")  # fmt: skip
EN = texts.space_words("en")


def shown(model, source, sex="female", *, words=EN, heatmap=True, share=1.0, drawn=False):
    """The page about a photo."""
    seen = see(model, source, drawn=drawn)
    return photo_page(seen, sex, heatmap=heatmap, share=share, words=words)


def test_the_metadata_of_a_photo_is_never_on_the_page(model, faces):
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    photo = Image.open(io.BytesIO(faces[0])).convert("RGB")
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", exif=exif, quality=95)
    data = buffer.getvalue()
    assert b"Secret Camera" in data
    page = shown(model, PhotoSource("a.jpg", data))
    assert page.count("data:image/jpeg;base64,") == 3
    for picture in re.findall(r"base64,([^\"]+)", page):
        sent = base64.b64decode(picture)
        assert b"Secret" not in sent
        assert not Image.open(io.BytesIO(sent)).getexif()


@pytest.mark.parametrize("language", texts.languages())
def test_every_page_can_be_made_in_all_languages(model, faces, language):
    words = texts.space_words(language)
    page = shown(model, PhotoSource("a", faces[0]), "unknown", words=words)
    assert words["means"] in page
    assert "{" not in page
    for reason in REASONS:
        assert batch_page(model, [Row("<b>", None, reason)], words).count("&lt;b&gt;") == 1
    scored = [Scored(f"{n}", {"cushing": float(n), "control": -float(n)}) for n in range(2)]
    assert words["no_spread"][:20] in followup_page(
        model, scored, ["2024-01-01", "2024-02-01"], words
    )


@pytest.mark.parametrize("language", texts.languages())
def test_all_languages_say_the_same_things_with_the_same_facts(language):
    def check(english, other, key):
        if isinstance(english, dict):
            assert english.keys() <= other.keys(), key
            for name, text in english.items():
                check(text, other[name], f"{key}.{name}")
        elif isinstance(english, str):
            facts, others = (set(re.findall(r"{(\w+)}", text)) for text in (english, other))
            assert facts == others, key
        else:
            assert len(english) == len(other), key

    check(EN, texts.space_words(language), "space")


def test_chinese_pages_hold_no_code_of_ours(model, faces):
    """Names that Chinese texts use, too, and the names of files stay."""
    words = texts.space_words("zh")
    scored = [Scored("0", {"cushing": 1.0, "control": -1.0}), Scored("1", {"cushing": 2.0})]
    rows = list(rows_of(model.predictor, [PhotoSource("1.jpg", faces[1])]))
    pages = [
        shown(model, PhotoSource("a", faces[0]), sex, words=words) for sex in ("unknown", "male")
    ]
    pages += [
        results_page(model.run, model.report, words),
        followup_page(model, scored, ["2024-01-01", "2024-02-01"], words),
        batch_page(model, rows, words),
    ]
    for page in pages:
        text = re.sub(r"<[^>]*>|\w+;base64,[^\"]*", " ", page)
        spoken = set(re.findall(r"[A-Za-z]{2,}", html.unescape(text)))
        assert spoken <= {"Grad", "CAM", "AUROC", "ROC", "Brier", "CSV", "jpg"}, spoken


def test_without_a_sex_the_answers_for_a_woman_and_a_man_stand_side_by_side(model, faces):
    seen = see(model, PhotoSource("a", faces[0]))
    page = photo_page(seen, "unknown", heatmap=False, share=None, words=EN)
    cards = re.findall(r"<section>.*?</section>", page)
    assert len(cards) == 2
    for card, sex in zip(cards, ("female", "male"), strict=True):
        alone = photo_page(seen, sex, heatmap=False, share=None, words=EN)
        assert f"<h2>{EN[f'for_{sex}']}</h2>" in card
        (same,) = re.findall(r"<section>.*?</section>", alone)
        assert same == card.replace(f"<h2>{EN[f'for_{sex}']}</h2>", "")
        assert "uncertain 0 % to 100 %" not in card
        answer = model.predictor.for_sex(seen.answer, sex)
        again = model.predictor(faces[0], sex)
        assert (answer.label, answer.band, answer.warnings) == (
            again.label, again.band, again.warnings,
        )  # fmt: skip


def test_the_answer_comes_before_whom_it_was_measured_on_and_the_rest_is_folded(model, faces):
    page = shown(model, PhotoSource("a", faces[0]), "male")
    men = model.report.find("cushing", "male")
    places = [page.index('class="answer'), page.index(f"Measured on {men.positive_patients} men"),
              page.index("<figure"), page.index("<details")]  # fmt: skip
    assert places == sorted(places)
    assert page.count("<details>") == 2


def test_a_call_is_worth_what_bayes_makes_of_it_where_the_visitor_says(model, faces, monkeypatch):
    row = model.report.find("cushing", "female")
    values = row.values | {"recall": Value(estimate=0.9, low=0.8, high=0.95),
                           "specificity": Value(estimate=0.8, low=0.7, high=0.9)}  # fmt: skip
    for size, told in (("wide", True), ("insufficient", False)):
        own = dataclasses.replace(row, size=size, values=values)
        report = dataclasses.replace(model.report, subgroups=[own])
        served = dataclasses.replace(model)
        vars(served)["report"] = report
        page = html.unescape(shown(served, PhotoSource("a", faces[0]), share=2.5))
        ppv = percent_text(predictive_values(own, 0.025)[0], 2).replace(" %", "\xa0%")
        assert (f"Where 2.5\xa0% have the disease, {ppv} of those" in page) == told
    assert "too few to say how often" in page


def test_a_heatmap_off_the_face_is_flagged_beside_its_scale_and_warning(model, faces):
    for off, told in ((0.6, True), (0.4, False)):
        seen = see(model, PhotoSource("a", faces[0]))
        shares = {"outside": off, "nose": 1 - off}
        heat = seen.heat.heat
        vars(seen)["heat"] = PhotoHeatmap(heat, shares, {"outside": 0.7, "nose": 0.3})
        page = photo_page(seen, "female", heatmap=True, share=None, words=EN)
        assert ("Most of the heatmap (60 %) lies off the face" in page) == told
        caption = re.findall(r"<figcaption>(.*?)</figcaption>", page)[-1]
        assert html.escape(EN["not_judged"]) in caption
        assert heat_scale(EN["heat_least"], EN["heat_most"]) in page


def test_an_empty_heatmap_is_called_empty_and_has_no_scale(model, faces):
    seen = see(model, PhotoSource("a", faces[0]))
    vars(seen)["heat"] = PhotoHeatmap(0 * seen.heat.heat, {}, {})
    page = photo_page(seen, "female", heatmap=True, share=None, words=EN)
    assert html.escape(EN["heat_none"]) in page
    assert html.escape(EN["not_judged"]) not in page
    assert heat_scale(EN["heat_least"], EN["heat_most"]) not in page


def test_drawn_examples_have_a_face_and_are_said_to_be_drawn(model):
    examples = list(draw_examples(["graves", "acromegaly"]))
    assert [(x.sex, x.disease) for x in examples] == [
        (sex, disease) for sex in ("female", "male") for disease in ("", "acromegaly")
    ]
    assert len({example.photo for example in examples}) == 4
    assert [next(iter(draw_examples(["x"]))).photo] == [examples[0].photo]
    for example in examples:
        assert "drawn" in example.title(EN)
        page = shown(model, PhotoSource("", example.photo), heatmap=False, drawn=True)
        assert EN["example_shown"] in page


@pytest.mark.parametrize(
    ("name", "table", "reason", "rows"),
    [
        ("t.csv", "file_name,sex\n1.jpg,female\n2.jpg,x\n", "sex", "3"),
        ("t.csv", "file_name,sex\n1.jpg,f\n1.jpg,m\n", "twice", "3"),
        ("t.csv", "file_name,sex\n8.jpg,f\n", "names", ""),
        ("t.csv", "patient,sex\n1.jpg,f\n", "columns", ""),
        ("t.csv", "file_name,sex\n1.jpg,f,3\n", "cells", "2"),
        ("t.csv", "", "unreadable", ""),
        ("t.xlsx", "PK", "kind", ""),
    ],
)
def test_a_table_that_can_not_be_right_is_refused_by_row(name, table, reason, rows):
    photos = [PhotoSource("1.jpg", b"x"), PhotoSource("2.jpg", b"y")]
    with pytest.raises(ArchiveError) as error:
        gather([*photos, PhotoSource(name, table.encode())])
    assert (error.value.reason, error.value.rows) == (f"table_{reason}", rows)
    for language in texts.languages():
        assert f"archive_table_{reason}" in texts.space_words(language)


def test_a_batch_without_a_sex_tells_where_the_answer_hangs_on_it(model, faces, monkeypatch):
    rows = list(rows_of(model.predictor, [PhotoSource("a", faces[0])]))
    decide = model.predictor.for_sex

    def by_sex(answer, sex):
        plausible = {"female": ("control",), "male": ("cushing",)}.get(sex)
        points = {"cushing": None}
        certain = {"cushing": 0.9 if sex == "male" else 0.1}
        decided = dataclasses.replace(decide(answer, sex), operating_points=points)
        return dataclasses.replace(
            decided, plausible=plausible, probabilities=answer.probabilities | certain
        )

    monkeypatch.setattr(model.predictor, "for_sex", by_sex)
    page = batch_page(model, rows, EN)
    assert f"1 {EN['by_sex']}" in page
    assert f"{EN['for_female']}: {EN['control']}" in page
    assert html.escape(f"{EN['for_male']}: {EN['cushing']}") in page
    assert EN["by_sex"] not in batch_page(model, rows, EN, "female")


def test_the_axis_of_a_course_is_the_same_for_everybody():
    small = course([1, 2], [0.1, 0.0], [(1, 0.1), (2, 0.0)], "")
    large = course([1, 2], [3.0, -3.0], [(1, 3.0), (2, -3.0)], "")
    ticks = [re.findall(r'class="mark" d="(.*?)"', chart) for chart in (small, large)]
    assert ticks[0] == ticks[1]
    assert len(ticks[0]) == len(MARKS)
    further = course([1, 2], [9.0, 0.0], [(1, 9.0), (2, 0.0)], "")
    assert min(float(y) for y in re.findall(r'cy="(.*?)"', further)) >= 0


def test_a_measured_repeatability_gives_a_verdict_and_says_how_sure_it_is(model):
    spread = Repeatability(photo_square=0.02, photo_freedom=30, visit_square=0.02,
                           visit_freedom=15, inverse=0.5, patients=8)  # fmt: skip
    own = dataclasses.replace(model, repeatability={"cushing": spread})
    scored = [Scored("a", {"cushing": 2.0}), Scored("b", {"cushing": -1.0})]
    days = [date(2024, 1, 1), date(2024, 6, 1)]
    (course,) = courses_of(own, scored, days)
    assert course.change.change.tolist() == [-3.0]
    page = followup_page(own, scored, [str(day) for day in days], EN)
    assert EN["verdict_fell"] in page
    assert "Fewer than 10 patients" in page
    small = [Scored("a", {"cushing": 0.1}), Scored("b", {"cushing": 0.0})]
    page = followup_page(own, small, [str(day) for day in days], EN)
    assert EN["verdict_none"] in page


def test_names_of_files_can_not_bring_markup_onto_a_page(model):
    row = Row("<img src=x onerror=alert(1)>.jpg", None, "no_face", "no face")
    assert "<img" not in batch_page(model, [row], EN)
    scored = [Scored("<script>", {"cushing": 0.0})]
    assert "<script>" not in followup_page(model, scored, ["soon"], EN)


def test_more_photos_than_allowed_are_refused_however_they_come():
    files = [PhotoSource(f"{n}", b"x") for n in range(MAX_PHOTOS + 1)]
    with pytest.raises(ArchiveError) as error:
        gather(files)
    assert error.value.reason == "too_many"
    assert len(gather(files[:-1])) == MAX_PHOTOS


REMARKS = (
    Remark("trained", ""),
    Remark("validated", ""),
    Remark("turned_photo", "", count=180),
    Remark("other_faces", "", count=3),
    Remark("rivalled", "", count=3),
    Remark("few_patients", "", count=4),
    Remark("quality", "", flags=tuple(QUALITY_LIMITS)),
)


@pytest.mark.parametrize("language", texts.languages())
def test_warnings_stand_on_the_photo_page_and_in_the_table_in_all_languages(
    model, faces, language, monkeypatch
):
    words = texts.space_words(language)
    answer = model.predictor(faces[0])
    seen = dataclasses.replace(answer, warnings=REMARKS)
    monkeypatch.setattr(model.predictor, "_answer", lambda *_: iter([seen]))
    page = shown(model, PhotoSource("a", faces[0]), "unknown", heatmap=False, words=words)
    rows = list(rows_of(model.predictor, [PhotoSource("a", faces[0])]))
    table = batch_page(model, rows, words)
    told = [words[name] for name in ("trained", "validated", "rivalled")]
    told.append(words["turned_photo"].format(count=180))
    for text in (*told, *words["flags"].values()):
        assert html.escape(text) in page
        assert html.escape(text) in table
    few = words["few_patients"].format(count=4, who=words["people"])
    assert html.escape(few) in table
    assert set(words["flags"]) == set(QUALITY_LIMITS)
