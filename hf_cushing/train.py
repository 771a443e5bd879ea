"""`python -m hf_cushing.train`, `accelerate launch -m hf_cushing.train`: `hf-cushing train`.

As a function, `hf_cushing.train` is `hf_cushing.api.train`.
"""

from hf_cushing.cli.training import main

if __name__ == "__main__":
    main()
