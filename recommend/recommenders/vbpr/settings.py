"""What VBPR is trained with: the settings of the two published variants."""

from dataclasses import dataclass
from typing import Literal, get_args

from metrics.common.errors import UserError

Optimizer = Literal["sgd", "adagrad", "sparse-adam"]
Draw = Literal["purchases", "customers"]
Negatives = Literal["articles", "purchases"]


@dataclass
class VBPRSettings:
    """Settings of VBPR; the defaults are those of Ducho meets Elliot (Attimonelli et al., 2024).

    sisinflab's VBPRModel differs: its Adam is dense and moves every factor in every step, ours those of the batch; its
    theta_u begin as N(0, 1), since it draws gamma_u twice, ours as Xavier has them; and the squares of its vectors of
    length one add a constant to the loss.

    Attributes:
        factors: of a customer and an article.
        feature_factors: how many numbers the features are projected to.
        article_bias: whether each article has a bias.
        feature_bias: whether a bias is learnt from the features.
        normalised: whether the projection has an offset, and its result length one.
        deviation: of the first factors, normal; None: Xavier's uniform ones, whose range shrinks with the number of
            customers, so that SGD starts slowly.
        regularization: l in (l/2) * (sum of the squares of the batch's factors and biases) / batch size.
        optimizer: of factors and biases, whose gradients are sparse: `sgd`, whose learning rate is that of a single
            purchase whatever the batch size, `adagrad` or `sparse-adam`.
        learning_rate: of all parameters.
        batch_size: purchases in a step.
        epochs: at most; each has as many steps as the different purchases fill.
        draw: `purchases`: each purchase once in an epoch, shuffled; `customers`: a customer, each as likely, then one
            of the articles that this customer bought.
        negatives: what was not bought is drawn from `articles`, each as likely, or from `purchases`, as often as others
            bought it, as `implicit` does: the popular are then no longer preferred for being so.
        validate_every: epochs from one validation to the next.
        patience: stop after so many validations without a better nDCG@12; the best epoch's factors are kept.
        validated: customers that a validation looks at, drawn once; all if there are fewer.
        seed: of first values, order and negatives.

    Raises:
        UserError: when a value is none that can be trained with.
    """

    factors: int = 64
    feature_factors: int = 64
    article_bias: bool = False
    feature_bias: bool = False
    normalised: bool = True
    deviation: float | None = None
    regularization: float = 1e-5
    optimizer: Optimizer = "sparse-adam"
    learning_rate: float = 1e-3
    batch_size: int = 1024
    epochs: int = 200
    draw: Draw = "customers"
    negatives: Negatives = "articles"
    validate_every: int = 1
    patience: int = 10
    validated: int = 20_000
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("factors", "feature_factors", "batch_size", "epochs", "validate_every", "patience", "validated"):
            self._expect(name, "a whole number of at least 1", getattr(self, name) >= 1)
        self._expect("learning_rate", "a number above 0, at most 1e30", 0 < self.learning_rate <= 1e30)
        self._expect("deviation", "a number above 0, or none", self.deviation is None or self.deviation > 0)
        self._expect("regularization", "a number of at least 0", self.regularization >= 0)
        for name, allowed in (
            ("optimizer", get_args(Optimizer)),
            ("draw", get_args(Draw)),
            ("negatives", get_args(Negatives)),
        ):
            self._expect(name, f"one of {', '.join(allowed)}", getattr(self, name) in allowed)

    def _expect(self, name: str, what: str, holds: bool) -> None:
        if not holds:
            raise UserError(f"vbpr: {name}: expected {what}, found {getattr(self, name)}")


@dataclass
class PaperSettings(VBPRSettings):
    """The defaults of He and McAuley, VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback, AAAI 2016.

    10 + 10 factors, biases of articles and of features, and a projection without offset that is not regularised.
    """

    factors: int = 10
    feature_factors: int = 10
    article_bias: bool = True
    feature_bias: bool = True
    normalised: bool = False
    deviation: float | None = 0.1
    regularization: float = 0.1
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.05
    draw: Draw = "purchases"


@dataclass
class RecommendedSettings(VBPRSettings):
    """What did best on the validation part of the demo: SGD from small factors, popular articles as negatives."""

    article_bias: bool = True
    deviation: float | None = 0.01
    regularization: float = 0.05
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.05
    epochs: int = 60
    draw: Draw = "purchases"
    negatives: Negatives = "purchases"
