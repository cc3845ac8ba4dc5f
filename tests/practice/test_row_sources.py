"""Files of every kind: the rows that a table or an array holds, and what is wrong with a file, told in words."""

import bz2
import csv
import gzip
import io
import json
import logging
import lzma
import os
import pickle
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import datasets
import pyarrow
import pyarrow.parquet
import pytest

from rmlib.pairs import PreferencePair, read_pairs
from rmlib.practice import command_line, forms
from rmlib.practice.writing import write_pairs

SAMPLES = sorted(path for path in (Path(__file__).parent / "forms").glob("*.json*") if ".expected" not in path.name)
Q = {"prompt": "Name a fruit.", "chosen": "Plum", "rejected": "Stone"}
PAIR = PreferencePair("Name a fruit.", "Plum", "Stone")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- tables and data sets --------------------------------------------------------------------------------------------


def as_parquet(path: Path, rows: list[dict]) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path / "rows")
    return path / "rows"


def as_arrow(opened):
    def save(path: Path, rows: list[dict]) -> Path:
        table = pyarrow.Table.from_pylist(rows)
        with opened(str(path / "rows"), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
        return path / "rows"

    return save


def as_directory(path: Path, rows: list[dict]) -> Path:
    datasets.Dataset.from_list(rows).save_to_disk(path / "rows")
    return path / "rows"


TABLES = {"parquet": as_parquet, "arrow file": as_arrow(pyarrow.ipc.new_file),
          "arrow stream": as_arrow(pyarrow.ipc.new_stream), "directory": as_directory}  # fmt: skip


@pytest.mark.parametrize("save", TABLES.values(), ids=TABLES)
@pytest.mark.parametrize("path", SAMPLES, ids=[path.stem for path in SAMPLES])
def test_a_table_holds_what_its_rows_hold(path, save, tmp_path):
    text = path.read_text("utf-8")
    rows = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    keys = {key: None for row in rows for key in row}
    found, wanted = forms.read(save(tmp_path, [keys | row for row in rows])), forms.read(path)
    assert found.pairs == wanted.pairs and found.left_out == wanted.left_out
    assert (found.bad_rows, found.rows, found.ignored) == ([], 5, wanted.ignored)
    assert [pair.line for pair in found.pairs] == [pair.line for pair in wanted.pairs]


def as_csv(path: Path, rows: list[dict]) -> Path:
    with open(path / "rows.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path / "rows.csv"


@pytest.mark.parametrize("save", [*TABLES.values(), as_csv], ids=[*TABLES, "csv"])
def test_a_table_tells_subsets(save, tmp_path):
    path = save(tmp_path, [Q | {"subset": "s", "year": 2024}, Q | {"subset": None, "year": None}])
    assert [pair.subset for pair in forms.read(path).pairs] == ["s", None]
    assert [pair.subset for pair in forms.read(path, by="year").pairs] == ["2024", None]


@pytest.mark.parametrize("name", ["parquet", "arrow file", "arrow stream"])
def test_a_table_cut_short_is_an_error_that_names_it(name, tmp_path):
    path = TABLES[name](tmp_path, [Q] * 50)
    write(path, path.read_bytes()[:-200])
    with pytest.raises(ValueError, match=f"{path}: can't be read as a table"):
        forms.read(path)


def test_a_table_damaged_in_the_middle_is_an_error_that_names_it(tmp_path):
    path = as_parquet(tmp_path, [Q | {"prompt": f"Name fruit {n}."} for n in range(50)])
    content = path.read_bytes()
    write(path, content[:40] + bytes(200) + content[240:])  # what it unpacks, not how it is laid out
    with pytest.raises(ValueError, match=f"{path}: can't be read as a table of parquet or arrow: ") as error:
        forms.read(path)
    assert isinstance(error.value.__cause__, OSError)


def test_a_directory_of_several_splits_names_them(tmp_path):
    table = datasets.Dataset.from_list([Q])
    datasets.DatasetDict(train=table, test=table).save_to_disk(tmp_path / "both")
    with pytest.raises(ValueError, match=f"choose one, {tmp_path}/both/train or {tmp_path}/both/test"):
        forms.read(tmp_path / "both")
    assert forms.read(tmp_path / "both" / "test").pairs == [PAIR]
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        forms.read(tmp_path)


@pytest.mark.parametrize("name", [*TABLES, "hub"])
def test_a_missing_library_is_told_with_what_to_install(name, tmp_path, monkeypatch, capsys):
    source = str(TABLES[name](tmp_path, [Q])) if name in TABLES else "hf:owner/name:train"
    for library in ("datasets", "pyarrow"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"{source}: .*pip install datasets"):
        forms.read(source)
    log = logging.getLogger("rmlib")
    for setting in ("handlers", "level", "propagate"):
        monkeypatch.setattr(log, setting, getattr(log, setting))
    assert command_line.main(["train", source, "--out", str(tmp_path / "out")]) == 2
    assert "pip install datasets" in capsys.readouterr().err


@pytest.mark.parametrize("split", ["", ":validation"])
@pytest.mark.parametrize("size, told", [(12_300_000, "12 MB"), (None, "size is not told")])
def test_the_hub_tells_its_size_before_it_loads(split, size, told, monkeypatch, caplog):
    log, asked = logging.getLogger("rmlib"), []
    monkeypatch.setattr(log, "propagate", True)
    monkeypatch.setattr(log, "level", logging.INFO)

    def builder(name, config):
        asked.append((name, config))
        return SimpleNamespace(info=SimpleNamespace(download_size=size))

    def load(name, config, split):
        asked.append((name, config, split))
        assert "owner/name" in caplog.text and told in caplog.text
        return datasets.Dataset.from_list([Q])

    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    monkeypatch.setattr(datasets, "load_dataset", load)
    assert forms.read(f"hf:owner/name{split}").pairs == [PAIR]
    forms.read(f"hf:owner/name/some/config{split}")
    for place, config in zip(asked[::2], (None, "some/config")):
        assert place == ("owner/name", config)
    assert asked[1::2] == [("owner/name", config, split[1:] or "train") for config in (None, "some/config")]


# --- CSV and JSON arrays ---------------------------------------------------------------------------------------------

CELLS = [["What is it?", "Yes, a \"cat\"\nand a dog.", "No"], ["Name a fruit.", "Plum", "Stone"]]


@pytest.mark.parametrize("name, delimiter", [("a.csv", ","), ("a.tsv", "\t"), ("a.csv.gz", ","), ("a.tsv.gz", "\t"),
                                             ("A.CSV.GZ", ","), ("A.TSV", "\t")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("start", ["", "\ufeff"], ids=["", "BOM"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_is_read_by_its_quotes(name, delimiter, pack, start, end, tmp_path):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows([["prompt", "chosen", "rejected"], *CELLS])
    found = forms.read(write(tmp_path / name, pack((start + text.getvalue()).encode())))
    assert found.pairs == [PreferencePair(*cells) for cells in CELLS] and found.rows == 2 and not found.ignored


def test_csv_holds_margins_and_labels_as_numbers_and_ids_as_text(tmp_path):
    path = write(tmp_path / "a.csv", "id,prompt,chosen,rejected,margin\n7,p,a,b,0.5\n,p,1,2,\n007,p,a,b,much\n")
    found = forms.read(path)
    assert found.pairs == [PreferencePair("p", "a", "b", 0.5, "7"), PreferencePair("p", "1", "2")]
    assert [(row.reason, row.line) for row in found.bad_rows] == [("bad margin", 4)]


@pytest.mark.parametrize("first, second, key, value, chosen", [
    ("response_0", "response_1", "better_response_id", "1", "b"), ("human_ref_A", "human_ref_B", "labels", "1", "a"),
    ("response_1", "response_2", "preference_strength", "-2", "a"),
    ("response1", "response2", "overall_preference", "3", "b"),
])  # fmt: skip
def test_csv_holds_labels_of_every_form_as_numbers(first, second, key, value, chosen, tmp_path):
    found = forms.read(write(tmp_path / "a.csv", f"prompt,{first},{second},{key}\np,a,b,{value}\n"))
    assert [pair.chosen for pair in found.pairs] == [chosen]


@pytest.mark.parametrize("row", ["p,a", "p,a,b,c,d", "Hi, you,a,b,"])
def test_a_row_of_csv_with_another_number_of_cells_is_told(row, tmp_path):
    path = write(tmp_path / "a.csv", f"prompt,chosen,rejected,id\np,a,b,1\n{row}\np,a,b,2\n")
    found = forms.read(path)
    assert ([pair.id for pair in found.pairs], [bad.line for bad in found.bad_rows]) == (["1", "2"], [3])
    assert "cell" in found.bad_rows[0].message


BROKEN = {  # file: what the error has to say
    ("a.csv", b'prompt,chosen,rejected\np,a,b\n"p,a,b\n'): "after line 2",
    ("b.csv", b'prompt,chosen,rejected\n"p" q,a,b\n'): "after line 1",
    ("c.csv", b"prompt,chosen,rejected\np,a,caf\xe9\n"): "utf-8",
    ("d.csv", b"prompt,chosen,chosen,rejected\np,a,c,b\n"): "chosen",
    ("e.csv", b"prompt;chosen;rejected\np;a;b\n"): "prompt;chosen;rejected",
    ("f.csv", "prompt,chosen,rejected\np,a,b\n".encode("utf-16")): "UTF-16",
    ("g.csv", b"PK\x03\x04\x14\0\0\0\x08\0"): "zip",
    ("h.csv", b""): "the file is empty",
    ("i.csv.gz", gzip.compress(bytes(range(256)) * 9)[:90]): "i.csv.gz",
    ("j.csv.gz", gzip.compress(b"")[:10] + b"\xff" * 99): "j.csv.gz",
    ("a.json", json.dumps([Q, Q], indent=1).encode()[:-40]): "JSON array",
    ("b.json", json.dumps([Q, Q]).encode()[:-40]): "JSON array",
    ("c.json", b"[\n" + json.dumps(Q).encode() + b",\n"): "JSON array",
    ("d.json", b"[" * 100_000): "JSON array",
    ("e.json", b'[{"prompt": "p", "chosen": "a", "rejected": "b", "chosen": "c"}]'): "twice",
    ("f.json", b'["\xff", {}]'): "UTF-8|utf-8",
    ("g.json", b"[]"): "no row",
    ("h.json", b'[{"prompt": "p", "chosen": [{"role": "assistant", "content": "x", "content": ""}], "rejected": ""}]'):
        "'content' twice",
}  # fmt: skip


@pytest.mark.parametrize("file", BROKEN, ids=[name for name, _ in BROKEN])
def test_a_broken_file_is_told_in_words(file, tmp_path):
    path = write(tmp_path / file[0], file[1])
    with pytest.raises(ValueError, match=BROKEN[file]) as error:
        forms.read(path)
    assert str(error.value).startswith(str(path))


@pytest.mark.parametrize("text", [
    json.dumps([Q, Q]), json.dumps([Q, Q], indent=2), "[\n" + json.dumps(Q) + ",\n" + json.dumps(Q) + "\n]\n",
    json.dumps([Q, Q]) + "\n\n", "\n" + json.dumps([Q, Q]), "\n [" + json.dumps(Q) + ",\n" + json.dumps(Q) + "]",
    json.dumps(Q) + "\n" + json.dumps(Q),
])  # fmt: skip
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_json_array_is_read_however_it_is_laid_out(text, pack, tmp_path):
    found = forms.read(write(tmp_path / "a.json", pack(b"\xef\xbb\xbf" + text.encode())))
    assert found.pairs == [PAIR, PAIR] and found.rows == 2


def zipped() -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("a.jsonl", json.dumps(Q))
    return file.getvalue()


KINDS = {  # content of a file: what it is called, and what helps
    b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00": r"zstd: unpack.*\(zstd -d\)",
    lzma.compress(b"{}"): r"xz: unpack.*\(xz -d\)", bz2.compress(b"{}"): r"bzip2: unpack.*\(bzip2 -d\)",
    zipped(): r"zip archive.*\.xlsx.*unpack or export", pickle.dumps([Q]): "pickle.*runs code.*JSON lines",
    json.dumps(Q).encode("utf-16"): "UTF-16: save it as UTF-8",
    b"\xfe\xff" + json.dumps(Q).encode("utf-16-be"): "UTF-16: save it as UTF-8",
    b"SQLite format 3\0\x10\0": "SQLite database: export its rows",
}  # fmt: skip


@pytest.mark.parametrize("content", KINDS, ids=KINDS.values())
@pytest.mark.parametrize("read", [read_pairs, forms.read], ids=["pairs", "forms"])
def test_a_file_that_holds_no_lines_is_named_for_what_it_is(content, read, tmp_path):
    with pytest.raises(ValueError, match=f"a.jsonl: .*{KINDS[content]}"):
        read(write(tmp_path / "a.jsonl", content))


@pytest.mark.parametrize("name", ["parquet", "arrow file", "arrow stream"])
def test_the_core_names_a_table_and_who_reads_it(name, tmp_path):
    with pytest.raises(ValueError, match=f"{name.split()[0]}.*rmlib.practice.forms reads it"):
        read_pairs(TABLES[name](tmp_path, [Q]))


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(FileNotFoundError, match="gone.csv: no such file"):
        forms.read("gone.csv")


def test_what_can_be_read_only_once_is_refused(tmp_path):
    """A look at how it begins would take its first rows away."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: can be read only once, as a pipe can: write it to a file first"):
        forms.read(tmp_path / "pipe")


def test_a_mark_at_the_start_of_an_answer_comes_back_as_it_was_read(tmp_path):
    row = {side: f"\n\nHuman: Q\n\nAssistant: \ufeff{side}" for side in ("chosen", "rejected")}
    write_pairs(tmp_path / "pairs.jsonl", pairs := forms.read([row]).pairs)
    assert forms.read(tmp_path / "pairs.jsonl").pairs == pairs and pairs[0].chosen == "chosen"
