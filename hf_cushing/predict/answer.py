"""One answer for a photo: opened, aligned, scored, decided, with what must be said about it."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from hf_cushing.evaluation.at_prevalence import shifted_probability
from hf_cushing.faces.align import AlignedFace, align_face
from hf_cushing.faces.photo import PhotoError, clean_photo, open_photo, read_file
from hf_cushing.faces.quality import quality_flags
from hf_cushing.models.device import exact_device
from hf_cushing.models.score import input_pixels, log_odds, logits_of
from hf_cushing.predict.decision import Decision, decide
from hf_cushing.predict.together import Together
from hf_cushing.run import Run
from hf_cushing.schema import CONTROL, Several, UsageError, UserError, counted

AT_ONCE = 8
"""Faces that go through the network at once."""

Photo = Path | str | bytes | Image.Image | PhotoError
"""A file, its content, a decoded photo, or why there is none."""

Opener = Callable[[bytes], Image.Image]
"""Opens the bytes of a photo's file."""


@dataclass(frozen=True)
class Remark:
    """What must be said about an answer.

    Attributes
    ----------
    reason : str
        ``trained``, ``validated``, ``few_patients``, ``quality`` or a word of
        `AlignedFace.notes`.
    message : str
    count : int
        Other faces, degrees, or patients.
    flags : tuple of str
        Names of `QUALITY_LIMITS`.
    """

    reason: str
    message: str
    count: int = 0
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Answer(Decision):
    """What a model makes of one photo.

    Attributes
    ----------
    log_odds : dict
        Label to its log-odds against all other labels.
    face : AlignedFace
        The aligned crop that the network saw, and the face in the photo.
    warnings : tuple of Remark
    elsewhere : float or None
        Probability of the disease at `Predictor.prevalence`; None where none was asked for.
    """

    log_odds: dict[str, float]
    face: AlignedFace
    warnings: tuple[Remark, ...]
    elsewhere: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer as the command, the Space's interface and the CSV give it."""
        points = self.operating_points.items()
        return {
            "answer": self.label,
            "probabilities": self.probabilities,
            "thresholds": self.thresholds,
            "threshold_sex": {label: point.sex if point else "" for label, point in points},
            "threshold_rule": {label: point.rule if point else "" for label, point in points},
            "plausible": list(self.plausible or ()),
            "uncertain_band": list(self.band or ()),
            "sex": self.sex,
            "face_box": list(self.face.face_box),
            "warnings": [remark.message for remark in self.warnings],
        } | ({} if self.elsewhere is None else {"probability_at_prevalence": self.elsewhere})


class Predictor:
    """A model loaded once, which answers for photos; many threads may ask it at once.

    Parameters
    ----------
    run : Run or str
        Run folder or Hub id.
    opener : callable
        Gives, for each call, what opens the bytes of its files.
    cpu : bool
        Do not use an accelerator.
    on_several : str
        Of `schema.Several`: which face of several counts, none by default.
    prevalence : float, optional
        Share of people with the disease, for `Answer.elsewhere`; calls stay as they are.

    Raises
    ------
    UserError
        No such model, or one whose labels aren't `control` and a disease or more; with
        `prevalence`, one that isn't calibrated, or that knows several diseases.

    Examples
    --------
    >>> answer = Predictor("runs/demo")("photo.jpg", sex="female")  # doctest: +SKIP
    >>> answer.label, answer.probabilities["cushing"]  # doctest: +SKIP
    ('uncertain', 0.41)
    """

    def __init__(
        self,
        run: Run | str,
        *,
        opener: Callable[[], Opener] = lambda: open_photo,
        cpu: bool = False,
        on_several: Several = "refuse",
        prevalence: float | None = None,
    ):
        self.run = run if isinstance(run, Run) else Run(run)
        labels = self.run.labels
        if CONTROL not in labels or len(labels) < 2:
            raise UserError(
                f"{self.run.name} knows {', '.join(labels)}: it is no model of hf-cushing"
            )
        self.prevalence = prevalence
        self._own_share = None if prevalence is None else _own_share(self.run, prevalence)
        self.opener = opener
        self.on_several = on_several
        self._logits = Together(self._forward, AT_ONCE)
        self.run.classifier.model.to(exact_device(cpu=cpu)).eval()

    def __call__(self, photo: Photo, sex: str = "unknown") -> Answer:
        """Answer for one photo.

        Raises
        ------
        PhotoError
            A photo that can't be read, or with no or several faces.
        UserError
            Another word for a sex than ``female``, ``male`` or ``unknown``.
        """
        answer = next(self.answers([photo], [sex]))
        if isinstance(answer, PhotoError):
            raise answer
        return answer

    def answers(
        self, photos: Iterable[Photo], sexes: Iterable[str] = itertools.repeat("unknown")
    ) -> Iterator[Answer | PhotoError]:
        """Answer for each photo; one that can't be used gives its error in its place.

        Photos are taken one by one, and of each only the aligned face is kept: an iterator that
        opens them keeps memory low.

        Parameters
        ----------
        photos : iterable of Photo
        sexes : iterable of str
            One a photo.

        Yields
        ------
        Answer or PhotoError
            In the order of `photos`.
        """
        pairs, open_with = zip(photos, sexes, strict=False), self.opener()
        while chunk := list(itertools.islice(pairs, AT_ONCE)):
            faces = [self._face(photo, open_with) for photo, _ in chunk]
            sexes_here = [sex for _, sex in chunk]
            yield from self._answer(faces, sexes_here)

    def score(self, crops: Sequence[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and log-odds of aligned crops.

        Returns
        -------
        probabilities, log_odds : numpy.ndarray
            float64, shape (n, classes); log-odds are of each class against all others.
        """
        logits = torch.stack(self._logits(crops))
        odds = torch.stack([log_odds(logits, n) for n in range(logits.shape[1])], 1)
        return logits.softmax(1).numpy(), odds.numpy()

    def for_sex(self, answer: Answer, sex: str) -> Answer:
        """The same photo's answer for a person of another sex; it is not scored again.

        Raises
        ------
        UserError
            Another word for a sex.
        """
        row = np.array([[answer.probabilities[label] for label in self.run.labels]])
        (decision,) = decide(self.run, row, [sex])
        kept = [remark for remark in answer.warnings if remark.reason != "few_patients"]
        warnings = (*kept, *self._few_patients(decision))
        return replace(answer, **_facts_of(decision), warnings=warnings)

    @property
    def busy(self) -> threading.Lock:
        """Held while the network works; hold it to use the model otherwise."""
        return self._logits.busy

    def _forward(self, crops: Sequence[Image.Image]) -> Sequence[torch.Tensor]:
        """Logits of each crop: float64, shape (classes,), on the CPU."""
        classifier = self.run.classifier
        with torch.inference_mode():
            logits = logits_of(classifier.model, input_pixels(crops, classifier))
        return logits.double().cpu().unbind()

    def _face(self, photo: Photo, open_with: Opener) -> tuple[AlignedFace, str] | PhotoError:
        """The aligned face and the photo's content hash; or why there is no face."""
        try:
            image, photo_id = _opened(photo, open_with)
            return align_face(image, on_several=self.on_several), photo_id
        except PhotoError as error:
            return error
        except OSError as error:
            return PhotoError("unreadable", f"{error.strerror or error}; check its path and rights")

    def _answer(
        self, faces: Sequence[tuple[AlignedFace, str] | PhotoError], sexes: Sequence[str]
    ) -> Iterator[Answer | PhotoError]:
        kept = [n for n, face in enumerate(faces) if not isinstance(face, PhotoError)]
        answers: list[Answer | PhotoError] = list(faces)
        if kept:
            probabilities, odds = self.score([faces[n][0].image for n in kept])
            decisions = decide(self.run, probabilities, [sexes[n] for n in kept])
            for n, decision, row in zip(kept, decisions, odds.tolist(), strict=True):
                face, photo_id = faces[n]
                answers[n] = Answer(
                    **_facts_of(decision),
                    log_odds=dict(zip(self.run.labels, row, strict=True)),
                    face=face,
                    warnings=tuple(self._remarks(face, photo_id, decision)),
                    elsewhere=self._elsewhere(decision),
                )
        return iter(answers)

    def _elsewhere(self, decision: Decision) -> float | None:
        if self._own_share is None:
            return None
        own, here = self._own_share, decision.probabilities[decision.disease]
        return shifted_probability(here, own=own, share=self.prevalence)

    def _remarks(self, face: AlignedFace, photo_id: str, decision: Decision) -> Iterator[Remark]:
        if photo_id in (self.run.seen_photo_ids or ()):
            validated = self.run.validation is not None and photo_id in self.run.validation.photo_id
            word = "validated" if validated else "trained"
            yield Remark(word, f"this photo {word} the model: its score is too good")
        for word, message in face.notes.items():
            count = face.face.turn if word == "turned_photo" else face.others
            yield Remark(word, message, count=count)
        flags = tuple(quality_flags(face.image, face.landmarks, face.face_box))
        if flags:
            yield Remark("quality", f"quality of the photo: {', '.join(flags)}", flags=flags)
        yield from self._few_patients(decision)

    def _few_patients(self, decision: Decision) -> Iterator[Remark]:
        if decision.plausible == self.run.labels and decision.few_patients:
            yield Remark(
                "few_patients",
                f"{counted(decision.limit_patients, 'validation patient')} of a class and sex: too "
                "few to rule a label out"
                + ("; state the sex" if decision.sex == "unknown" else ""),
                count=decision.limit_patients,
            )


def _facts_of(decision: Decision) -> dict[str, Any]:
    return {item.name: getattr(decision, item.name) for item in fields(decision)}


def _own_share(run: Run, prevalence: float) -> float:
    """The share of the disease among the photos that the model was calibrated on."""
    if not 0 < prevalence < 1:
        raise UsageError(f"--prevalence {prevalence}: give a share between 0 and 1, as 0.01")
    if len(run.diseases) != 1:
        raise UserError(f"--prevalence: {run.name} knows several diseases; it is for one alone")
    if not run.calibrated or run.validation is None:
        raise UserError(
            f"--prevalence: {run.name} is not calibrated, or its validation scores are not there; "
            "train with --calibration auto, and keep predictions.parquet in the run folder"
        )
    return float(np.mean(run.validation.label == run.diseases[0]))


def _opened(photo: Photo, open_with: Opener) -> tuple[Image.Image, str]:
    """The photo and its content hash."""
    if isinstance(photo, PhotoError):
        raise photo
    if isinstance(photo, Image.Image):
        return clean_photo(photo), ""
    data = photo if isinstance(photo, bytes) else read_file(Path(photo))
    return open_with(data), hashlib.sha256(data).hexdigest()[:16]
