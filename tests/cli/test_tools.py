"""What the commands share."""

from tests.cli.conftest import call


def test_errors_are_one_line(tmp_path):
    text = call("run", tmp_path / "none.yaml", code=1)
    assert text.startswith("Error: ")
    assert text.count("\n") == 1
    (tmp_path / "a.safetensors").write_text("x")
    assert "not a whole trained model" in call("info", tmp_path / "a.safetensors", code=1)
