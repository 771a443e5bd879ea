# %% [markdown]
# # The first hour
#
# From a folder of photographs to a model and its report, in Python: prepare, train, evaluate,
# predict. The faces are **drawn**, so this needs neither photographs nor a network, and its figures
# say nothing about patients. It takes about two minutes on two cores.
#
# Research use only. Not a medical device: do not use it to diagnose, to rule out or to monitor
# disease in any person.

# %%
import os
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is asked of the Hub
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
warnings.filterwarnings("ignore", message="IProgress not found")

import hf_cushing
from hf_cushing.data.synthetic import CohortOptions, make_cohort

work = Path(tempfile.mkdtemp(prefix="first-hour-"))
PHOTOS = int(os.environ.get("FIRST_HOUR_PHOTOS", "160"))

# %% [markdown]
# ## A clinic's folder
#
# Photos, and a table that says who each person is, their sex and their diagnosis. With your own
# photographs, begin at the next step.

# %%
make_cohort(work / "clinic", work / "truth", CohortOptions(photos=PHOTOS), num_proc=1)
print((work / "clinic" / "metadata.csv").read_text()[:260])

# %% [markdown]
# ## Prepare
#
# Each face is found, levelled and cut; whole patients are dealt into train, validation and test;
# the audit looks for what would make the test figures too good. (`identity=False`: the comparison
# of faces knows photographs, not drawings. `num_proc=1`: more processes need a script with an
# `if __name__ == "__main__":`.)

# %%
intake = hf_cushing.prepare(
    work / "clinic", work / "dataset", identity=False, num_proc=1, allow=True
)
print(
    f"{len(intake.kept)} of {len(intake.rows)} photos kept; rejected: {intake.rejected or 'none'}"
)

# %% [markdown]
# The dataset is plain Parquet, which `datasets` reads without our code.

# %%
from datasets import load_dataset

splits = load_dataset(str(work / "dataset"), cache_dir=str(work / "cache"))
print({name: len(rows) for name, rows in splits.items()})
splits["train"][0]["image"].resize((128, 128))

# %% [markdown]
# ## Train
#
# Logistic regression on the frozen face network that comes with the installation: seconds. Then try
# `finetune="lp-ft"`, and with a network `model="vit-b32"`.

# %%
run = hf_cushing.train(work / "dataset", work / "runs" / "first", finetune="head", cpu=True)
print(run.labels, f"{run.operating_point('cushing').threshold:.3f}")

# %% [markdown]
# ## Evaluate
#
# Thresholds come from validation, never from test; intervals draw patients, not photos; what too
# few patients can't show is called insufficient.

# %%
report = hf_cushing.evaluate(run, work / "report")
for row in report.subgroups:
    if row.unit == "patient":
        auroc = row.values["auroc"]
        print(f"{row.subgroup:7} {row.rows:3} patients  AUROC {auroc.estimate:.3f}  {auroc.reason}")
print(sorted(path.name for path in (work / "report").iterdir()))

# %% [markdown]
# ## Predict
#
# A photo as it is: the face is found and aligned first. The answer may be "uncertain".

# %%
photo = min((work / "clinic" / "images").iterdir())
answer = hf_cushing.predict(run, photo, sex="female", cpu=True)[0].answer
print(answer.label, {label: round(share, 3) for label, share in answer.probabilities.items()})
for remark in answer.warnings:
    print(remark.message)

# %% [markdown]
# ## Next
#
# The same by commands: `hf-cushing prepare`, `train`, `evaluate`, `predict`; where in the face the
# model looks: `hf-cushing explain`; many models at once: `hf-cushing compare`; in the browser:
# `hf-cushing app`.
