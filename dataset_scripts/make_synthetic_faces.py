"""Write a clinic folder of drawn faces, and beside it the truth about them.

    python dataset_scripts/make_synthetic_faces.py --out RAW [--photos 343] [--diseases cushing]

RAW_truth receives truth.csv (severities) and masks/ (where the disease changed the drawing).
"""

import argparse
import sys
from pathlib import Path

from hf_cushing.data.synthetic import CohortOptions, make_cohort
from hf_cushing.schema import UserError


def main() -> None:
    """Parse the options and draw."""
    defaults = CohortOptions()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=defaults.photos)
    parser.add_argument("--diseases", nargs="+", default=list(defaults.diseases))
    parser.add_argument("--positive-share", type=float, default=defaults.positive_share)
    parser.add_argument("--severity", type=float, nargs=2, default=defaults.severity,
                        metavar=("WOMEN", "MEN"), help="mean severity, 0..1")  # fmt: skip
    parser.add_argument("--seed", type=int, default=defaults.seed)
    options = vars(parser.parse_args())
    out = options.pop("out")
    options |= {"diseases": tuple(options["diseases"]), "severity": tuple(options["severity"])}
    truth = out.with_name(out.name + "_truth")
    try:
        count = make_cohort(out, truth, CohortOptions(**options))
    except UserError as error:
        sys.exit(f"make_synthetic_faces.py: {error}")
    print(f"{count} photos in {out}; truth in {truth}")


if __name__ == "__main__":
    main()
