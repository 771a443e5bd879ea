"""Write a clinic folder of drawn faces, and beside it (OUT_truth) the truth about them."""

import argparse
from pathlib import Path

from hf_cushing.data.synthetic import CohortOptions, make_cohort

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=CohortOptions.photos)
    parser.add_argument("--diseases", nargs="+", default=CohortOptions.diseases)
    parser.add_argument("--positive-share", type=float, default=CohortOptions.positive_share)
    parser.add_argument("--severity", type=float, nargs=2, default=CohortOptions.severity)
    parser.add_argument("--seed", type=int, default=CohortOptions.seed)
    options = vars(parser.parse_args())
    out = options.pop("out")
    make_cohort(out, out.with_name(f"{out.name}_truth"), CohortOptions(**options))
