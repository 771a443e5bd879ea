"""Tables in every format, as hospitals' programs write them."""

import csv
import json

import openpyxl
import pyarrow
import pyarrow.parquet


def write_table(path, rows, **sheets):
    """Write dicts of one set of keys; `sheets` are further sheets of a workbook."""
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows))
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        book.active.append(list(rows[0]))
        for row in rows:
            book.active.append([None if cell != cell else cell for cell in row.values()])
        for name, cells in sheets.items():
            sheet = book.create_sheet(name)
            for row in cells:
                sheet.append(row)
        book.save(path)
    else:
        with open(path, "w", newline="", encoding="utf-8") as file:
            delimiter = "\t" if path.suffix == ".tsv" else ","
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    return path


def rewrite(raw, rows, columns):
    """Write another metadata.csv into a clinic folder."""
    write_table(raw / "metadata.csv", [dict(zip(columns, row, strict=True)) for row in rows])
    return raw
