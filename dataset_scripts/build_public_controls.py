"""Turn a public face collection, as it lies on disk, into a clinic folder of controls.

    python dataset_scripts/build_public_controls.py --layout utkface SOURCE --out CONTROLS

Then `hf-cushing prepare CLINIC --out DATASET --controls CONTROLS --match sex,age --ratio 2`.

Layouts:
  lfw       Name/Name_0001.jpg, with --sex-table FILE: lines `name sex` or `name,sex`
  utkface   age_gender_race_date.jpg, at any depth
  fairface  fairface_label_*.csv beside train/ and val/
  celeba    list_attr_celeba.txt or .csv, images in img_align_celeba/, identity_CelebA.txt if there

Nothing is downloaded. Persons under --min-age are left out; where no age is known, nobody is.
"""

import argparse
import sys
from pathlib import Path

from hf_cushing.data.public import LAYOUTS, build_controls
from hf_cushing.schema import UserError


def main() -> None:
    """Parse the options and build."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", type=Path)
    parser.add_argument("--layout", choices=LAYOUTS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sex-table", type=Path, help="for lfw")
    parser.add_argument("--limit", type=int, help="at most this many photos, drawn at random")
    parser.add_argument("--min-age", type=float, default=18.0, help="years")
    parser.add_argument("--seed", type=int, default=0, help="of --limit")
    options = vars(parser.parse_args())
    try:
        count, left_out = build_controls(**options)
    except UserError as error:
        sys.exit(f"build_public_controls.py: {error}")
    print(f"{count} photos in {options['out']}; left out: {left_out or 'none'}")


if __name__ == "__main__":
    main()
