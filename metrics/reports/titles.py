"""The title of reports and comparisons."""

from metrics.scoring.suite import Evaluation


def captions_title(evaluation: Evaluation) -> str:
    """The captions of which catalogue; of all of them, if the systems have different ones."""
    runs = [result.system.run for result in evaluation.results if result.system.run]
    names = dict.fromkeys(run.catalogue.called for run in runs if run.catalogue.called)
    return f"Captions of {', '.join(names)}" if names else "Captions"
