"""Files are written whole or not at all, and a digest says whether one was changed."""

import pytest

from bmi_dhydro.files.whole import append_digest, beside, digest_holds, link_or_copy, replaced


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")

    def write_half():
        with replaced(path) as temporary:
            temporary.write_text("hal")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_ends_well_replaces_the_file(tmp_path):
    path = tmp_path / "table.csv"
    with replaced(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_two_temporary_files_of_one_path_differ(tmp_path):
    path = tmp_path / "table.csv"
    assert beside(path) != beside(path)
    assert beside(path).parent == tmp_path


def test_every_changed_byte_is_found(tmp_path):
    path = tmp_path / "data.bin"
    content = bytes(range(256)) * 20
    path.write_bytes(content)
    assert digest_holds(path) is None
    append_digest(path)
    assert digest_holds(path) is True
    assert path.read_bytes().startswith(content)
    whole = path.read_bytes()
    for place in range(0, len(content), 97):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert digest_holds(path) is False, place


def test_an_empty_file_has_no_digest(tmp_path):
    path = tmp_path / "empty"
    path.touch()
    assert digest_holds(path) is None
    append_digest(path)
    assert digest_holds(path) is True


def test_a_file_is_linked_and_linking_it_to_itself_does_nothing(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("text")
    target.write_text("older")
    link_or_copy(source, target)
    assert target.read_text() == "text"
    assert target.samefile(source)
    link_or_copy(source, target)
    assert target.read_text() == "text"


def test_where_links_are_impossible_a_file_is_copied(tmp_path, monkeypatch):
    def impossible(*_):
        raise OSError("no links here")

    monkeypatch.setattr("bmi_dhydro.files.whole.os.link", impossible)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("text")
    link_or_copy(source, target)
    assert target.read_text() == "text"
    assert not target.samefile(source)
