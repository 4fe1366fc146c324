"""Imported models in NextGen, and the commands that people type."""

import numpy as np
import pandas
import pytest
from click.testing import CliRunner

from bmi_dhydro.cli.main import main
from bmi_dhydro.hosts.run_check import check_run
from bmi_dhydro.io import parameter_file
from bmi_dhydro.networks.trained_model import load
from tests.hosts.conftest import IDS, RARE, write, year  # noqa: F401
from tests.hosts.replay import Engine
from tests.published.conftest import FORMS, TABLE

FIRST = "1.1p, other order and logarithms"

pytestmark = pytest.mark.filterwarnings(RARE)


@pytest.mark.parametrize("form", [FIRST, pytest.param("2.0", marks=pytest.mark.long)])
def test_packages_of_nextgen(form, imported, write, tmp_path):  # noqa: F811
    table = tmp_path / "attributes.csv"
    columns = {name: values[:3] for name, values in TABLE.items()}
    pandas.DataFrame({"id": IDS, **columns}).to_csv(table, index=False)
    # The engine's stand-in reads weather from its beginning.
    folder, notes = write(model=str(imported(form)), attributes=table, start=None)
    frozen = folder / "config" / "dhydro_parameters.safetensors"
    assert frozen.exists() == (form == FIRST)
    assert any("at the end of f.nc" in note for note in notes) == (form == FIRST)
    check_run(folder)
    plain = Engine(folder, IDS).advance(30)
    assert np.isfinite(plain).all()
    assert plain.max() > 0.0
    fleet, _ = write(
        "fleet",
        model=str(tmp_path / "imported.safetensors"),
        attributes=table,
        start=None,
        fleet=True,
        **({"parameters": frozen} if form == FIRST else {}),
    )
    np.testing.assert_allclose(Engine(fleet, IDS).advance(30), plain, rtol=1e-6, atol=1e-15)
    if form == FIRST:
        assert set(parameter_file.read(frozen).places) == set(IDS)


def test_the_command_says_what_is_missing(imported, year, tmp_path):  # noqa: F811
    path = imported("2.0")
    paths = [year / "h.gpkg", "--forcing", year / "f.nc", "--out", tmp_path / "run"]
    arguments = ["ngen", *paths, "--model", path, "--start", "2001-10-10"]
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code != 0
    assert "secret_index" in result.output


def call(*arguments, **keys):
    return CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False, **keys)


def test_the_command_imports_and_info_tells(tmp_path):
    weights = FORMS["1.0"].write(tmp_path)
    out = tmp_path / "model.safetensors"
    given = ["--licence", "CC-BY-NC-4.0", "--source", "doi:10.1 [a]"]
    result = call("import", weights, out, *given)
    assert result.exit_code == 0, result.output
    assert "BETA, BETAET changes daily" in result.output
    assert "bmi-dhydro freeze" in result.output
    assert load(out).about["published"]["source"] == "doi:10.1 [a]"
    text = " ".join(call("info", out).output.split())
    assert "does not allow commercial use" in text
    assert "doi:10.1 [a]" in text
    assert "100 days that fill the stores, with parameters held" in text
    # Licence and source are asked for.
    asked = call("import", "model", weights, out, input="CC0\nmine\n")
    assert asked.exit_code == 0
    assert load(out).about["licence"] == "CC0"
    assert "commercial" not in call("info", out).output
    # Where nobody answers, that is said.
    silent = call("import", weights, out, "--source", "mine")
    assert silent.exit_code == 0
    assert "note: licence of the original: not stated; say it by --licence" in silent.output
    assert "licence not stated" in call("info", out).output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "cannot be read as weights"),
        (lambda path: path.write_bytes(b"GIF89a"), "model_ep50.pt"),
        (lambda path: path.unlink(), "cannot be read as weights"),
        (lambda path: (path.parent / "config.yaml").unlink(), "--config"),
        (
            lambda path: (path.parent / "normalization_statistics.json").unlink(),
            "--statistics",
        ),
        (lambda path: (path.parent / "config.yaml").write_text("{"), "cannot be read"),
    ],
)
def test_files_that_are_missing_or_damaged(change, words, tmp_path):
    weights = FORMS["1.1p"].write(tmp_path)
    change(weights)
    out = tmp_path / "model.safetensors"
    result = call("import", weights, out, "--licence", "a", "--source", "b")
    assert result.exit_code == 1
    assert words in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not out.exists()


class Executed:
    """Would write a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_a_file_is_executed(tmp_path):
    import torch

    weights = FORMS["1.1p"].write(tmp_path)
    trap = tmp_path / "trap"
    torch.save({"nn_model.lstm.w_hh": torch.ones(2), "more": Executed(trap)}, weights)
    out = tmp_path / "model.safetensors"
    result = call("import", weights, out, "--licence", "a", "--source", "b")
    assert result.exit_code == 1
    assert "would have to be executed, which is refused" in " ".join(result.output.split())
    assert not trap.exists()
    assert not out.exists()
