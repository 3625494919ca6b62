"""Tables as people have them: what is read, and what is refused with what remedy."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pandas as pd
import pytest

from dtd.errors import InvalidSetting
from test_inputs import table


def written(tmp_path, content, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def opened(path, **settings):
    return table(path, **settings).open(None)


READ = {
    "comma": "a,b\n1.5,2\n-3,4e1\n",
    "semicolon": "a;b\n1.5;2\n-3;4e1\n",
    "semicolon and decimal comma": "a;b\n1,5;2\n-3;4e1\n",
    "tab": "a\tb\n1.5\t2\n-3\t4e1\n",
    "tab and decimal comma": "a\tb\n1,5\t2\n-3\t4e1\n",
    "bar": "a|b\n1.5|2\n-3|4e1\n",
    "quotes": '"a","b"\n"1.5","2"\n"-3","4e1"\n',
    "spaces": "a, b\n1.5, 2\n-3 , 4e1\n",
    "blank lines": "\na,b\n\n1.5,2\n-3,4e1\n\n",
    "BOM": "\ufeffa,b\n1.5,2\n-3,4e1\n",
    "CRLF": "a,b\r\n1.5,2\r\n-3,4e1\r\n",
    "old Mac": "a,b\r1.5,2\r-3,4e1\r",
    "no end of the last line": "a,b\n1.5,2\n-3,4e1",
}


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_read(tmp_path, text):
    source = opened(written(tmp_path, text))
    assert source.names == ("a", "b")
    assert source.rows.tolist() == [[1.5, 2], [-3, 40]]


def test_one_column(tmp_path):
    assert opened(written(tmp_path, "a\n1.5\n-3\n")).rows.tolist() == [[1.5], [-3]]


def test_commas_in_names(tmp_path):
    source = opened(written(tmp_path, "length, cm;width, cm;age\n1;2;3\n"))
    assert source.names == ("length, cm", "width, cm", "age")


@pytest.mark.parametrize("packed", ["gz", "bz2", "xz", "zip"])
def test_packed(tmp_path, packed):
    path = tmp_path / f"rows.csv.{packed}"
    pd.DataFrame({"a": [1.5, -3], "b": [2, 40]}).to_csv(path, index=False)
    assert opened(path).rows.tolist() == [[1.5, 2], [-3, 40]]


def test_a_gzip_file_that_is_cut_off(tmp_path):
    whole = gzip.compress(("a,b\n" + "1.25,2.5\n" * 1000).encode())
    with pytest.raises(InvalidSetting, match=r"^inputs\.path=.*cannot be read as a table"):
        opened(written(tmp_path, whole[: len(whole) // 2], "rows.csv.gz"))


def test_what_was_found_out_is_said(tmp_path):
    commas = opened(written(tmp_path, READ["semicolon and decimal comma"]))
    assert [note.partition(": ")[2] for note in commas.notes] == [
        "columns are separated by ';'",
        "numbers have decimal commas",
    ]
    assert opened(written(tmp_path, READ["comma"])).notes == ()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"separator": "semicolon", "decimal": "comma"}, "a;b\n1,234;2\n-3;4e1\n"),
        ({"separator": "space"}, "a b\n1.234 2\n-3 4e1\n"),
        ({"decimal": "comma"}, 'a,b\n"1,234",2\n-3,4e1\n'),
        ({"header": True}, "a,b\n1.234,2\n-3,4e1\n"),
    ],
)
def test_a_dialect_that_is_given(tmp_path, settings, text):
    source = opened(written(tmp_path, text), **settings)
    assert source.names == ("a", "b")
    assert source.rows.tolist() == [[1.234, 2], [-3, 40]]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8"])
def test_encodings(tmp_path, encoding):
    path = written(tmp_path, "größe,b\n1,2\n".encode(encoding))
    assert opened(path, encoding=encoding).names == ("größe", "b")


def test_an_encoding_that_is_not_said(tmp_path):
    path = written(tmp_path, "größe,b\n1,2\n".encode("latin-1"))
    with pytest.raises(
        InvalidSetting, match=r"^inputs\.path=.*not UTF-8.*inputs\.encoding=latin-1"
    ):
        opened(path)
    with pytest.raises(InvalidSetting, match=r"^inputs\.encoding=latin-11: "):
        opened(path, encoding="latin-11")


def test_names_that_programs_give(tmp_path):
    source = opened(written(tmp_path, "0,1,2\n5,6,7\n"))
    assert source.names == ("0", "1", "2")
    assert source.rows.tolist() == [[5, 6, 7]]


@pytest.mark.parametrize("first", ["5.1,3.5,1.4", "3,1,2", "1,2,3", "5,1;3,5;1,4"])
def test_a_table_without_a_header(tmp_path, first):
    path = written(tmp_path, f"{first}\n{first}\n")
    refused = r"^inputs\.path=.*\S*: its first row has numbers where .*inputs\.header=false.*=true"
    with pytest.raises(InvalidSetting, match=refused):
        opened(path)
    without = opened(path, header=False)
    assert without.names == ("x1", "x2", "x3")
    assert len(without.rows) == 2
    assert len(opened(path, header=True).rows) == 1


def test_a_table_without_a_header_whose_labels_are_text(tmp_path):
    path = written(tmp_path, "5.1,3.5,setosa\n7.0,3.2,versicolor\n")
    with pytest.raises(InvalidSetting, match=r"first row has numbers where .*\(5\.1, 3\.5, setosa"):
        opened(path, label="setosa")
    assert opened(path, header=False, label="x3").labels.tolist() == ["setosa", "versicolor"]
    assert opened(path, header=True, label="setosa").labels.tolist() == ["versicolor"]
    # Numbers that count the columns are names, also beside others.
    assert opened(written(tmp_path, "y,0,1\none,3,4\ntwo,5,6\n"), label="y").names == ("0", "1")


REFUSED = [
    ("a;b\n1,5;2.5\n", "column 'a' has decimal commas and column 'b' has decimal points"),
    ("a;b\n1,234;2\n", "the comma in '1,234' may be a decimal comma.*inputs.decimal=comma"),
    ("a,b\n1,2\nNA,3\n", r"row 1 \(the first is 0\), column 'a' is 'NA'"),
    ("a,b\n1,2\n?,3\n", r"row 1 \(the first is 0\), column 'a' is '\?'"),
    ("a,b\n1,2\n,3\n", r"row 1 \(the first is 0\), column 'a' is empty"),
    ("a,b,\n1,2,\n", r"column 2 \(the first is 0\) has no name of its own; .*inputs.drop=\[2\]"),
    (",a,b\n0,1,2\n", r"column 0 \(the first is 0\) has no name of its own; .*inputs.index=0"),
    ("Unnamed: 0,a,b\n0,1,2\n", r"column 0 .* has no name of its own; .*inputs.drop=\[0\]"),
    (",0,1\n0,1,2\n", r"column 0 .* has no name of its own; .*inputs.drop=\[''\]"),
    ("Unnamed: 0.1,a\n0,1\n", r"column 0 .* has no name of its own; .*inputs.drop=\[0\]"),
    ("a,colour\n1,red\n2,blue\n", r"column 'colour' is text \('red' in row 0\).*inputs.label="
                                  r"colour.*inputs.onehot=\[colour\].*inputs.drop=\[colour\]"),
    ("a,day\n1,2024-01-31\n2,2024-02-01\n", "column 'day' is text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refused(tmp_path, text, message):
    with pytest.raises(InvalidSetting, match=rf"^inputs\.path=.*{message}") as refused:
        opened(written(tmp_path, text))
    assert "\n" not in str(refused.value)


def test_columns_that_are_no_features(tmp_path):
    path = written(
        tmp_path, ",id,a,colour,kind,b\n7,x7,1,red,u,2\n8,x8,3,blue,v,4\n9,x9,5,red,u,6\n"
    )
    source = opened(path, index=0, drop=["id"], onehot=["colour"], label="kind")
    assert source.names == ("a", "colour=blue", "colour=red", "b")
    assert source.rows.tolist() == [[1, 0, 1, 2], [3, 1, 0, 4], [5, 0, 1, 6]]
    assert source.labels.tolist() == ["u", "v", "u"]
    assert source.index.tolist() == ["7", "8", "9"]
    # What pandas writes and reads again has such a column.
    unnamed = opened(written(tmp_path, "Unnamed: 0,a\n7,1\n8,3\n"), index=0)
    assert (unnamed.names, unnamed.index.tolist()) == (("a",), ["7", "8"])
    # Rows that end with a separator, as some programs write them.
    path = written(tmp_path, ",a,b,\n7,1,2,\n8,3,4,\n")
    source = opened(path, index="0", drop=["3"])
    assert (source.names, source.index.tolist()) == (("a", "b"), ["7", "8"])
    assert source.rows.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"index": 3}, r"^inputs\.index=3: no such column; allowed are id, a"),
        ({"label": "none"}, r"^inputs\.label=none: no such column"),
        ({"drop": ["none"]}, r"^inputs\.drop=none: no such column"),
        ({"onehot": ["none"]}, r"^inputs\.onehot=none: no such column"),
        ({"onehot": ["id"], "drop": ["id"]}, r"^inputs\.onehot=id: no such column"),
        ({"drop": ["id", "id"]}, r"^inputs\.drop="),
        ({"drop": ["id", "a"]}, r"^inputs\.path=.*no column of features"),
    ],
)
def test_columns_that_are_not_there(tmp_path, settings, message):
    with pytest.raises(InvalidSetting, match=message):
        opened(written(tmp_path, "id,a\n1,2\n"), **settings)


def test_one_column_may_be_several(tmp_path):
    message = r"has one alone, 'id a'; if these are several, inputs\.separator=comma\|"
    with pytest.raises(InvalidSetting, match=message):
        opened(written(tmp_path, "id a\n1 2\n"), label="a")


def test_true_and_false_are_numbers(tmp_path):
    assert opened(written(tmp_path, "a,b\nTrue,1\nFalse,2\n")).rows.tolist() == [[1, 1], [0, 2]]


def test_labels_that_are_missing(tmp_path):
    numbers = opened(written(tmp_path, "a,y\n1,2.5\n2,\n3,NA\n"), label="y").labels
    assert numbers[0] == 2.5
    assert np.isnan(numbers[1:]).all()
    words = opened(written(tmp_path, "a,y\n1,None\n2,\n3,u\n"), label="y").labels
    assert words.tolist() == ["None", None, "u"]


def test_standardized(tmp_path):
    path = written(tmp_path, "a,b\n1,5\n3,5\n100,5\n")
    settings = table(path, standardize=True, domain="box", low=0, high=[200, 5])
    source = settings.open(None)
    fitted = settings.fitted(source, np.array([0, 1]))
    # Mean 2 and deviation 1 of a; b is constant.
    assert fitted.rows.tolist() == [[-1, 0], [1, 0], [98, 0]]
    assert fitted.domain.low.tolist() == [-2, -5]
    assert fitted.domain.high.tolist() == [198, 0]
    assert fitted.domain.contains(fitted.rows).all()
    assert table(path).fitted(source, np.array([0, 1])) is source


def test_the_box_of_the_data(tmp_path):
    source = opened(written(tmp_path, "a,b\n1,5\n3,-5\n2,0\n"), domain="data")
    assert source.domain.low.tolist() == [1, -5]
    assert source.domain.high.tolist() == [3, 5]


def test_rows_outside_the_box(tmp_path):
    path = written(tmp_path, "a,b\n1,5\n3,-5\n")
    message = (
        r"row 1 .* outside the domain, column 'b' is -5\.0, and the domain there is 0\.0 to inf; "
        r"allowed are inputs\.domain=data"
    )
    with pytest.raises(InvalidSetting, match=message):
        opened(path, domain="nonnegative")


def test_images(tmp_path):
    path = written(tmp_path, "p,q,r,s,t,u,kind\n1,2,3,4,5,6,x\n")
    grey = opened(path, image=[2, 3], label="kind")
    assert grey.shape == (1, 2, 3)
    assert grey.names[:4] == ("pixel_0_0", "pixel_0_1", "pixel_0_2", "pixel_1_0")
    colour = opened(path, image=[3, 1, 2], label="kind")
    assert colour.shape == (3, 1, 2)
    assert colour.names[2] == "pixel_1_0_0"
    with pytest.raises(InvalidSetting, match=r"^inputs\.image=\[2,2\]: .*4 pixels.*6 columns"):
        opened(path, image=[2, 2], label="kind")
    with pytest.raises(InvalidSetting, match=r"^inputs\.image=\[32,32,3\]: .*channels come f"):
        opened(path, image=[32, 32, 3], label="kind")


def test_arrays(tmp_path):
    rows = np.arange(12.0)
    np.save(tmp_path / "table.npy", rows.reshape(4, 3))
    assert opened(tmp_path / "table.npy").names == ("x1", "x2", "x3")
    np.save(tmp_path / "images.npy", rows.reshape(2, 3, 2))
    images = opened(tmp_path / "images.npy")
    assert images.shape == (1, 3, 2)
    assert images.rows.tolist() == rows.reshape(2, 6).tolist()
    np.savez(tmp_path / "both.npz", x=rows.reshape(2, 3, 1, 2), y=np.array(["u", "v"]))
    both = opened(tmp_path / "both.npz", label="y")
    assert both.shape == (3, 1, 2)
    assert both.labels.tolist() == ["u", "v"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones(3)}, "it has the arrays x; allowed is one of two or more dimensions"),
        ({"x": np.ones((2, 2)), "z": np.ones((2, 2))}, "it has the arrays x, z"),
        ({"x": np.ones((2, 2)), "y": np.ones(3)}, r"its array y has the shape \(3,\)"),
        ({"x": np.ones((2, 2, 2, 2, 2))}, "its array has the shape"),
        ({"x": np.ones((2, 2)) * 1j}, "column 'x1' is text"),
        ({"x": np.array([[{}]])}, "cannot be read as a table"),
        ({"x": np.full((2, 2), math.nan)}, "column 'x1'"),
    ],
)
def test_arrays_that_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "rows.npz", **arrays)
    with pytest.raises(InvalidSetting, match=rf"^inputs\.path=.*{message}"):
        opened(tmp_path / "rows.npz")


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "rows.csv.gz", "rows.parquet"])
def test_a_file_that_is_something_else(tmp_path, name):
    with pytest.raises(InvalidSetting, match=r"^inputs\.path="):
        opened(written(tmp_path, b"nothing of the kind", name))


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"a": [1.5, -3], "kind": ["u", "v"]}).to_parquet(path)
    source = opened(path, label="kind")
    assert source.rows.tolist() == [[1.5], [-3]]
    assert source.labels.tolist() == ["u", "v"]


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, "a,b\n1,2\n")
    assert opened("~/rows.csv").rows.tolist() == [[1, 2]]
