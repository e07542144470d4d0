import pytest

from fgs.common.files import TakenError, atomic, output_folder


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    (tmp_path / "b").touch()
    assert path.stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:
        temporary.write_text("half" * (1 // 0))
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_made_for_nothing_is_taken_away(tmp_path):
    with pytest.raises(RuntimeError), output_folder(tmp_path / "a" / "b"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with output_folder(tmp_path / "a" / "b") as folder:
        (folder / "kept").touch()
    with pytest.raises(RuntimeError), output_folder(tmp_path / "a" / "b", new=False):
        raise RuntimeError
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["kept"]


def test_a_folder_belongs_to_one_writer(tmp_path):
    with output_folder(tmp_path / "a"):
        for new in (True, False):
            with pytest.raises(TakenError, match="another process is writing"), output_folder(tmp_path / "a", new=new):
                pytest.fail("the block ran")
        (tmp_path / "a" / "kept").touch()
    with pytest.raises(TakenError, match="holds files"), output_folder(tmp_path / "a"):
        pytest.fail("the block ran")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["kept"]


def test_a_folder_that_cannot_be_written_is_an_error_before_the_block(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError), output_folder(tmp_path / "file" / "x"):  # noqa: PT011 whichever the system says
        pytest.fail("the block ran")
