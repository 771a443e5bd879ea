"""What a training imports by and by, for `new_process` to import once."""

import gc

import hf_cushing.evaluation.curves
import hf_cushing.training.fine_tune
import hf_cushing.training.folds  # noqa: F401

gc.freeze()
