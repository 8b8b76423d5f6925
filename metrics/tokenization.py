"""Penn Treebank tokenisation by Stanford CoreNLP 3.4.1, as the COCO caption tools do it."""

from collections.abc import Sequence
from pathlib import Path

from metrics.errors import UserError
from metrics.java import package_folder, run_jar

TOKENIZER = "ptb-3.4.1"
_JAR = "stanford-corenlp-3.4.1.jar"
_COMMAND = ("edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase")
_SECONDS = 900.0

# pycocoevalcap/tokenizer/ptbtokenizer.py, PUNCTUATIONS; the brackets' capitals never match after -lowerCase.
_PUNCTUATION = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)
# A line after each caption. The tokeniser looks beyond a line's end: "style no." keeps its full stop where the next
# line starts with a digit, and an open tag (<a href="x) runs on to the next quotation mark. This line ends both.
_GUARD = "\"'<"
# Everything that Java, the tokeniser or Python could take for the end of a line.
_LINE_BREAKS = str.maketrans(dict.fromkeys("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))


def tokenize(captions: Sequence[str]) -> list[str]:
    """Tokenise, lower-case and strip the punctuation of each caption; one JVM for all of them.

    Line breaks of any kind count as spaces. The strings equal those of pycocoevalcap's `PTBTokenizer` for each caption
    alone, and so never depend on its neighbours (there, "no." before a caption that starts with a digit does). Tokens
    are joined by single spaces, and a token may hold U+00A0 ("10\\u00a01/2"), so the caller chooses what to split at.

    Raises:
        UserError: when Java or the jar is missing or fails, or gives another number of lines than it was given.
    """
    distinct = list(dict.fromkeys(_one_line(caption) for caption in captions))
    tokens = dict(zip(distinct, map(_strip_punctuation, _run(distinct)), strict=True))
    return [tokens[_one_line(caption)] for caption in captions]


def _one_line(caption: str) -> str:
    return caption.translate(_LINE_BREAKS)


def _run(lines: list[str]) -> list[str]:
    if not lines:
        return []
    text = "".join(f"{line}\n{_GUARD}\n" for line in lines).encode("utf-8", "replace")
    output = run_jar(_jar_folder(), _JAR, _COMMAND, text, _SECONDS).decode("utf-8").split("\n")
    if len(output) != 2 * len(lines) + 1:
        raise UserError(
            f"the PTB tokeniser returned {len(output) - 1} lines for {2 * len(lines)}; no score can be trusted"
        )
    return output[:-1:2]


def _strip_punctuation(line: str) -> str:
    return " ".join(token for token in line.rstrip().split(" ") if token not in _PUNCTUATION)


def _jar_folder() -> Path:
    return package_folder("tokenizer", _JAR)
