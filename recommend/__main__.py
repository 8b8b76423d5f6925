"""The command line of recommendation alone: `python -m recommend COMMAND`."""

from metrics.cli import assemble
from recommend.bench import commands as bench
from recommend.evaluation import commands as evaluation
from recommend.experiments import commands as experiments
from recommend.features import commands as features
from recommend.interactions import commands as interactions
from recommend.items import commands as items
from recommend.ranker import commands as ranker
from recommend.report import commands as report
from recommend.retrieval import commands as retrieval

app = assemble(
    "Find similar items by features of photos and texts, recommend them, and measure how good both are.",
    {
        module.__name__: module.app
        for module in (features, items, evaluation, retrieval, interactions, experiments, ranker, report, bench)
    },
)

if __name__ == "__main__":
    app(prog_name="python -m recommend")
