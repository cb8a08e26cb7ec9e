"""Rows of evidence: columns, mapped files, and sweeps whose memory does not grow."""

import mmap

import numpy as np
import pytest
import torch

from ganaudit.evidence.rows import Column, Mapping, Rows


def mapped(path, rows, offset=0):
    """Return ``rows`` as they lie in a file after ``offset`` other bytes."""
    path.write_bytes(b"\xab" * offset + rows.numpy().tobytes())
    mapping = Mapping(path)
    return Rows(mapping.tensor(Column.of("c", rows), len(rows), offset), mapping, offset)


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [(torch.float32, (7,), 28), (torch.float64, (), 8), (torch.uint8, (3, 4, 5), 60), (torch.int64, (1,), 8)],
)
def test_a_column_is_what_one_row_looks_like(dtype, shape, size):
    rows = torch.zeros(5, *shape, dtype=dtype)
    column = Column.of("c", rows)
    assert column == Column("c", dtype, shape)
    assert column.row_bytes == size == rows.numpy().nbytes // 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8])
@pytest.mark.parametrize("shape", [(), (3,), (2, 5)])
def test_a_mapped_column_is_what_lies_in_the_file(tmp_path, dtype, shape):
    rows = (torch.arange(11 * int(np.prod(shape, dtype=int))).reshape(11, *shape) % 251).to(dtype)
    found = mapped(tmp_path / "f", rows, offset=64)
    assert found.tensor.dtype == dtype
    assert torch.equal(found.tensor, rows)
    assert len(found) == 11


@pytest.mark.parametrize("step", [None, 1, 3, 1000, 5000])
def test_blocks_are_all_rows_once_and_in_order(tmp_path, step):
    rows = torch.arange(3000.0).reshape(1000, 3)
    for table in (Rows(rows), mapped(tmp_path / "f", rows, offset=8)):
        blocks = list(table.blocks(step))
        assert [start for start, _ in blocks] == list(range(0, 1000, step or 10**9))
        assert torch.equal(torch.cat([block for _, block in blocks]), rows)
        # A block that is kept is read again after its memory was given back.
        assert torch.equal(table.tensor, rows)


def test_no_rows_have_no_blocks():
    assert list(Rows(torch.zeros(0, 3)).blocks()) == []


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (0, 4095), (1, 8191), (4096, 8192), (100, 16_000), (0, 16_424)])
def test_what_is_given_back_are_whole_pages_and_never_a_neighbours(tmp_path, start, stop):
    rows = torch.arange(4096.0).reshape(1024, 4)
    table = mapped(tmp_path / "f", rows, offset=40)
    table.tensor.fill_(-1)  # in memory only: what reads as in the file again was given back
    table.mapping.release(start, stop)
    place = 40 + 4 * torch.arange(4096).reshape(1024, 4)
    page = mmap.PAGESIZE
    is_back = (place // page * page >= start) & (place // page * page + page <= stop)
    assert torch.equal(table.tensor, torch.where(is_back, rows, -1.0))


def test_the_file_is_out_of_reach_of_whoever_writes_into_a_tensor(tmp_path):
    rows = torch.arange(12.0).reshape(4, 3)
    table = mapped(tmp_path / "f", rows)
    table.tensor[0, 0] = 99.0
    assert torch.equal(Rows(Mapping(tmp_path / "f").tensor(Column.of("c", rows), 4, 0)).tensor, rows)
