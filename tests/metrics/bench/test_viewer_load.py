"""The viewer's benchmark, on few items."""

import pytest
from typer.testing import CliRunner

from metrics.__main__ import app

pytest.importorskip("uvicorn", reason="the extra `view` is not installed")


@pytest.mark.processes
@pytest.mark.slow
def test_every_page_of_the_benchmark_is_measured() -> None:
    from metrics.bench.viewer_load import PAGES

    result = CliRunner().invoke(app, ["bench-viewer", "--items", "40"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "40 items, 2 systems, 10 measures, a table of 25 columns" in result.stdout
    assert all(f" {name} " in result.stdout for name in PAGES)
    assert "peak memory: " in result.stdout
