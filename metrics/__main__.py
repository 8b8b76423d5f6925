"""The command line of the measures alone: `python -m metrics COMMAND`."""

from metrics.bench import commands as bench
from metrics.cli import assemble
from metrics.measures import commands as measures
from metrics.reports import commands as reports
from metrics.viewer import commands as viewer

app = assemble(
    "Measure captions: BLEU, METEOR, ROUGE-L, CIDEr, SPICE, category accuracy, attribute precision and recall.",
    {module.__name__: module.app for module in (reports, viewer, measures, bench)},
)

if __name__ == "__main__":
    app(prog_name="python -m metrics")
