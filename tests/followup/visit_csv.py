"""Tables of visits, written and read again."""

import csv

COLUMNS = ("file_name", "patient_id", "date", "sex", "treatment_date", "stable", "visit")


def quiet(title, total):
    return lambda count: None


def write_table(path, rows, columns=COLUMNS):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([*row, *[""] * (len(columns) - len(row))] for row in rows)
    return path


def read_csv(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
