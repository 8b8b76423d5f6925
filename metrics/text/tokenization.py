"""Penn Treebank tokenisation by Stanford CoreNLP 3.4.1, as the COCO caption tools do it."""

import re
from collections.abc import Sequence
from pathlib import Path

from metrics.common.errors import UserError
from metrics.common.parallel import cores
from metrics.text.java import package_folder, run_all

TOKENIZER = "ptb-3.4.1"
_JAR = "stanford-corenlp-3.4.1.jar"
_COMMAND = ("edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase")
_SECONDS = 900.0
_LINES_A_JVM = 10_000

# pycocoevalcap/tokenizer/ptbtokenizer.py, PUNCTUATIONS; the brackets' capitals never match after -lowerCase.
_PUNCTUATION = frozenset(
    ["''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...", ";"]
)
# A line after each caption. The tokeniser looks beyond a line's end: "style no." keeps its full stop if the next
# line starts with a digit, and an open tag (<a href="x) runs on to the next quotation mark. This line ends both.
_GUARD = "\"'<"
# Everything that Java, the tokeniser or Python could take for the end of a line.
_LINE_BREAK = re.compile("[\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029]")


def tokenize(captions: Sequence[str]) -> list[str]:
    """Tokenise, lower-case and strip the punctuation of each caption, with no more JVMs than pay.

    Line breaks of any kind count as spaces. The strings equal those of pycocoevalcap's `PTBTokenizer` for each caption
    alone, and so never depend on its neighbours (there, "no." before a caption that starts with a digit does). One
    difference: on a corpus's last line the official tool drops the apostrophe of a last 'll, 're or 've; here it is
    kept, as on every other line. Tokens are joined by single spaces, and a token may hold U+00A0 ("10\\u00a01/2"), so
    the caller chooses what to split at.

    Raises:
        UserError: when Java or the jar is missing or fails, or returns a wrong number of lines.
    """
    lines = [_LINE_BREAK.sub(" ", caption) for caption in captions]
    distinct = list(dict.fromkeys(lines))
    tokens = dict(zip(distinct, map(_strip_punctuation, _run(distinct)), strict=True))
    return [tokens[line] for line in lines]


def _run(lines: list[str]) -> list[str]:
    """Tokenise the lines; many of them by several JVMs in parallel, since lines are independent."""
    jvms = max(1, min(cores(), len(lines) // _LINES_A_JVM))
    parts = [lines[len(lines) * place // jvms : len(lines) * (place + 1) // jvms] for place in range(jvms)]
    texts = ["".join(f"{line}\n{_GUARD}\n" for line in part).encode("utf-8", "replace") for part in parts]
    outputs = run_all(_jar_folder(), _JAR, _COMMAND, texts, _SECONDS) if lines else []
    return [token for part, output in zip(parts, outputs, strict=False) for token in _checked(part, output)]


def _checked(lines: list[str], output: bytes) -> list[str]:
    """Return the output without the lines of the guards; raises `UserError` if lines are missing."""
    output_lines = output.decode("utf-8").split("\n")
    if len(output_lines) != 2 * len(lines) + 1:
        raise UserError(
            f"the PTB tokeniser returned {len(output_lines) - 1} lines for {2 * len(lines)}; no score can be trusted"
        )
    return output_lines[:-1:2]


def _strip_punctuation(line: str) -> str:
    return " ".join(token for token in line.rstrip().split(" ") if token not in _PUNCTUATION)


def _jar_folder() -> Path:
    return package_folder("tokenizer", _JAR)
