"""Train a grid of models and methods, and say what can be told apart.

In the order of the work: `plan` reads a study, `grid` lays out its cells, `cells` trains them,
`choice` chooses among variants, `results` evaluates predictions, with `mitigation` for methods
against sex bias and `external` for a second cohort; `tables` and `figures` show that, `report`
writes the folder. `command` does all of it; `ensemble` exports one model of many.
"""
