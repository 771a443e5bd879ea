import numpy as np
import pytest

from hf_cushing.explain.reader_regions import read_reader_regions
from hf_cushing.schema import UserError


def table_of(tmp_path, *lines, header="reader,photo_id,region,score"):
    path = tmp_path / "regions.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_reader_regions(tmp_path):
    path = table_of(tmp_path, "R1,a,nose,1", "R1,a,chin,0.5", "R2,a,nose,3", "R2,b,chin,0")
    found = read_reader_regions(path, photo_ids={"a", "b", "c"}, regions=("nose", "chin"))
    assert (found.readers, found.photo_ids) == (("R1", "R2"), ("a", "b"))
    assert found.scores[0, 0].tolist() == [1, 0.5]
    assert found.scores[1].tolist() == [[3, 0], [0, 0]]
    assert np.isnan(found.scores[0, 1]).all()
    assert np.allclose(found.consensus(), [[5 / 6, 1 / 6], [0, 0]])
    semicolons = table_of(tmp_path, "R1;a;nose;2", header="reader;photo_id;region;score")
    assert read_reader_regions(semicolons, ["a"]).scores.sum() == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["R1,a,nose,1", "R1,a,nos,1"], "row 3: unknown region 'nos'; did you mean nose"),
        (["R1,a,xyz,1"], "row 2: unknown region 'xyz'; known: brow_left"),
        (["R1,q77,nose,1"], "row 2: unknown photo 'q77'; known: a"),
        (["R1,a,nose,1", "R1,a,nose,2"], "row 3: .* stands twice; delete one"),
        (["R1,a,nose,high"], "row 2: score 'high' is not a number"),
        (["R1,a,nose,-1"], "row 2: score '-1'"),
        (["R1,a,nose,nan"], "row 2: score ''"),
        (["R1,a,nose"], "row 2: 3 cells instead of 4"),
        (["R1,a,nose,"], "row 2: score ''"),
        ([",a,nose,1"], "row 2: no reader"),
        ([], "has no row that can be read"),
    ],
)
def test_faults_of_a_reader_table(tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        read_reader_regions(table_of(tmp_path, *lines), photo_ids=["a"])


def test_missing_column_and_file(tmp_path):
    with pytest.raises(UserError, match="lacks column score"):
        read_reader_regions(table_of(tmp_path, "R1,a,nose", header="reader,photo_id,region"), ["a"])
    with pytest.raises(UserError, match="is no table"):
        read_reader_regions(tmp_path / "none.csv", ["a"])
