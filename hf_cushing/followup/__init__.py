"""A patient's photographs over dated visits: how far the score moved, and whether that is much.

In the order of the work: `command` asks `photos` for the dated photos, which `visits_table` reads
and checks and `visits` groups by patient and day; `camera` and `regions` measure them; `results`
holds the scores and what follows from them, with `trend` for the cohort; `report` writes it, by
`verdicts`, `tables` and `figures`.
"""
