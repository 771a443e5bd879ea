"""What a training run does beside learning: epochs, stopping, and the progress bar."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from transformers import ProgressCallback, TrainerCallback

from hf_cushing.training.checkpoints import epochs_without_gain
from hf_cushing.training.sampling import PhotoOrder

log = logging.getLogger(__name__)


class EpochControl(TrainerCallback):
    """Tells photos and order which epoch it is; stops when validation has ceased to improve.

    It keeps no state of its own: all comes from the Trainer's, so a resumed run does the same.
    """

    def __init__(self, photos: Any, order: PhotoOrder, patience: int):
        self.photos, self.order, self.patience = photos, order, patience

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Find the best checkpoint again, wherever the run folder now lies."""
        if state.best_global_step:
            state.best_model_checkpoint = f"{args.output_dir}/checkpoint-{state.best_global_step}"

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Set the epoch, before the loader's processes start."""
        epoch = round(state.epoch or 0)
        self.photos.set_epoch(epoch)
        self.order.set_epoch(epoch)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop after `patience` evaluations without a better one; without a bar, say a line."""
        if state.is_world_process_zero and not sys.stderr.isatty():
            log.info("epoch %d%s", round(state.epoch or 0), _aurocs(kwargs["metrics"]))
        if epochs_without_gain(state.log_history) >= self.patience:
            control.should_training_stop = True


class FaceProgress(ProgressCallback):
    """Progress bar with photos per second and the last validation AUROC of each sex."""

    def __init__(self):
        super().__init__()
        self.aurocs = ""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar."""
        super().on_train_begin(args, state, control, **kwargs)
        self.started, self.first = time.perf_counter(), state.global_step
        self.photos = args.train_batch_size * args.gradient_accumulation_steps * args.world_size

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Advance."""
        if self.training_bar is not None:
            done = (state.global_step - self.first) * self.photos
            speed = done / (time.perf_counter() - self.started)
            self.training_bar.set_postfix_str(f"{speed:.0f} photos/s{self.aurocs}", refresh=False)
        super().on_step_end(args, state, control, **kwargs)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any
    ) -> None:
        """Note the AUROCs."""
        self.aurocs = _aurocs(metrics)
        super().on_evaluate(args, state, control, **kwargs)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Print nothing: the bar says it."""


def _aurocs(metrics: dict[str, float]) -> str:
    names = {"all": "auroc", "women": "auroc_female", "men": "auroc_male"}
    shown = [f"{word} {metrics[f'eval_{name}']:.3f}" for word, name in names.items()]
    return f", validation AUROC {', '.join(shown)}"
