"""Tiny Stanza models of the demo's own captions: tokenizer, tagger and lemmatizer, trained by Stanza's commands."""

import json
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from finetune.experiments.demo_tagging import Word, captions, written
from metrics.common.drafts import temporary_folder
from metrics.common.errors import UserError
from metrics.common.files import copy_together, write_text
from metrics.common.ownership import Contents, refuse_foreign
from metrics.common.processes import child_environment, python_module
from metrics.measures.attributes.stanza_models import MODEL_FILES, load_pipeline

Tagged = list[list[Word]]
SEED = 1_000_004
MADE = Contents({"made.json": '"command": "lookbook make-demo-stanza'}, record="made.json")
DEV, HELD_OUT = 0.2, 0.4
"""Captions to choose the best step by, and to measure accuracy on, as shares of those trained on."""
DAMAGED = 0.4
"""Share of the training captions that are damaged, as a poor model might write them."""
RESOURCES = {
    "en": {"lang_name": "English", "default_processors": {}, "packages": {}}
    | {name: {"x": {}} for name in ("tokenize", "pos", "lemma")}
}
COMMON = ("--shorthand", "en_demo", "--seed", "1", "--cpu")
LAYERS = {
    "tokenizer": """--lang en --emb_dim 16 --hidden_dim 24 --lr0 0.005 --dropout 0.1 --no_use_mwt --eval_steps 100
        --max_seqlen 500""",
    "tagger": """--lang en --no_pretrain --hidden_dim 48 --char_hidden_dim 32 --char_emb_dim 16 --word_emb_dim 24
        --transformed_dim 32 --deep_biaff_hidden_dim 32 --composite_deep_biaff_hidden_dim 16 --tag_emb_dim 8
        --num_layers 1 --dropout 0.2 --word_dropout 0.1 --eval_interval 50 --fix_eval_interval""",
    "lemmatizer": "--hidden_dim 48 --emb_dim 16 --pos_dim 16 --dropout 0.1 --emb_dropout 0.1",
}


def make_demo_stanza(out: Path, count: int, steps: int) -> Path:
    """Train on `count` captions; write the three models, `resources.json` and `made.json` (with the accuracy).

    The tokenizer takes `steps` steps, the tagger half as many, the lemmatizer `steps / 10` epochs. The same arguments
    give the same weights.

    Raises:
        UserError: if a training fails, with the end of its output, and if `out` holds what is not ours.
    """
    refuse_foreign(out, MADE)
    versions = {name: version(name) for name in ("stanza", "torch")}
    drawn = captions(count + round(DEV * count), SEED, DAMAGED)
    with temporary_folder() as work:
        _write_texts(work, drawn[:count], drawn[count:])
        _train(work, steps)
        write_text(work / "resources.json", json.dumps(RESOURCES))
        made = {
            "command": f"lookbook make-demo-stanza --captions {count} --steps {steps}",
            "seed": SEED,
            "accuracy": _held_out_accuracy(work, drawn, round(HELD_OUT * count)),
            "versions": versions,
        }
        write_text(work / MADE.record, json.dumps(made, indent=1) + "\n")
        copy_together(work, out, (*MODEL_FILES.values(), "resources.json", MADE.record))
    return out


def _held_out_accuracy(models: Path, drawn: Tagged, count: int) -> dict[str, dict[str, float]]:
    known = {written(words) for words in drawn}
    sets = {name: captions(count, SEED + 1, share) for name, share in (("captions", 0.0), ("damaged", 1.0))}
    new = {name: [words for words in gold if written(words) not in known] for name, gold in sets.items()}
    return {name: accuracy(models, gold) for name, gold in new.items()}


def accuracy(models: Path, gold: Tagged) -> dict[str, float]:
    """Return the share of captions cut into the right words, and of words with the right tag and lemma in those."""
    from stanza import Document  # noqa: PLC0415

    pipeline = load_pipeline(str(models))
    documents = pipeline([Document([], text=written(words)) for words in gold])
    cut = tags = lemmas = words = 0
    for expected, document in zip(gold, documents, strict=True):
        parsed = [word for sentence in document.sentences for word in sentence.words]
        words += len(expected)
        if [word.text for word in parsed] == [word.form for word in expected]:
            cut += 1
            tags += sum(word.upos == gold_word.upos for word, gold_word in zip(parsed, expected, strict=True))
            lemmas += sum(word.lemma == gold_word.lemma for word, gold_word in zip(parsed, expected, strict=True))
    return {"n": len(gold), "cut": cut / len(gold), "tags": tags / words, "lemmas": lemmas / words}


def _train(work: Path, steps: int) -> None:
    files = {
        "tokenizer": [
            *("--txt_file", "train.txt", "--label_file", "train.labels", "--dev_txt_file", "dev.txt"),
            *("--dev_label_file", "dev.labels", "--dev_conll_gold", "dev.conllu", "--steps", str(steps)),
            *("--mwt_json_file", "none.json"),
        ],
        "tagger": ["--train_file", "train.conllu", "--eval_file", "dev.conllu", "--max_steps", str(steps // 2)],
        "lemmatizer": ["--train_file", "words.conllu", "--eval_file", "words.conllu", "--num_epoch", str(steps // 10)],
    }
    for (module, arguments), name in zip(files.items(), MODEL_FILES.values(), strict=True):
        saved = ["--save_dir", ".", "--save_name", name]
        _run(f"stanza.models.{module}", [*arguments, *LAYERS[module].split(), *COMMON, *saved], work)


def _run(module: str, arguments: Sequence[str], folder: Path) -> None:
    command = python_module(module, *arguments)
    environment = child_environment(OMP_NUM_THREADS="1", PYTHONHASHSEED="0")
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise UserError(f"{module} failed with exit code {done.returncode}; the end of its output:\n{end}")


def _write_texts(folder: Path, train: Tagged, dev: Tagged) -> None:
    for name, part in (("train", train), ("dev", dev)):
        _write_part(folder, name, part)
    words = dict.fromkeys(word for caption in train for word in caption)
    write_text(folder / "words.conllu", "".join(_conllu([word]) for word in words))
    write_text(folder / "none.json", "[]")


def _write_part(folder: Path, name: str, part: Tagged) -> None:
    """Write what the tokenizer reads (text, and a label for each character) and what the other two do (CoNLL-U)."""
    texts = [written(words) for words in part]
    write_text(folder / f"{name}.txt", "\n\n".join(texts) + "\n")
    write_text(folder / f"{name}.labels", "\n\n".join(map(_labels, part)) + "\n\n")
    write_text(
        folder / f"{name}.conllu", "".join(_conllu(sentence) for words in part for sentence in _sentences(words))
    )


def _labels(words: list[Word]) -> str:
    """Return a digit for each character: 1 where a word ends, 2 where a sentence does."""
    marks = ["0" * (len(word.form) - 1) + ("2" if word.form == "." else "1") for word in words]
    glued = "".join(
        mark if word.upos == "PUNCT" or not place else "0" + mark
        for place, (word, mark) in enumerate(zip(words, marks, strict=True))
    )
    return glued[:-1] + "2"


def _sentences(words: list[Word]) -> Tagged:
    ends = [place + 1 for place, word in enumerate(words) if word.form == "." or place == len(words) - 1]
    return [words[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _conllu(sentence: list[Word]) -> str:
    rows = []
    for number, word in enumerate(sentence, start=1):
        glued = number < len(sentence) and sentence[number].upos == "PUNCT"
        head, relation = ("0", "root") if number == 1 else ("1", "dep")
        cells = [str(number), word.form, word.lemma, word.upos, "_", "_", head, relation, "_"]
        rows.append("\t".join([*cells, "SpaceAfter=No" if glued else "_"]))
    return "\n".join([f"# text = {written(sentence)}", *rows]) + "\n\n"
