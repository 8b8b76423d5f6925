"""The command line of fine-tuning alone: `python -m finetune COMMAND`, `accelerate launch -m finetune COMMAND`."""

from finetune.captioning import commands as captioning
from finetune.config import commands as config
from finetune.data import commands as data
from finetune.embedding import commands as embedding
from finetune.experiments import commands as experiments
from finetune.publishing import commands as publishing
from finetune.training import commands as training
from metrics.cli import assemble

app = assemble(
    "Fine-tune captioning models on fashion catalogues and write captions with them.",
    {
        module.__name__: module.app
        for module in (config, data, embedding, training, captioning, experiments, publishing)
    },
)

if __name__ == "__main__":
    app(prog_name="python -m finetune")
