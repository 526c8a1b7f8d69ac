"""The canary test, looked at after every observation."""

import numpy as np
from figure import Figure, share

from kept.measures.sequential import LEAST_OUTCOMES, PSEUDO_EVENTS, Arm, compare_arms, half_width

ALPHA, TAU = 0.05, 0.02
# Success of champion and challenger, the margin, and how many champion outcomes come for one of the challenger.
SCENARIOS = {
    "equal": (0.90, 0.90, 0.0, 1),
    "equal, 10 to 1": (0.90, 0.90, 0.0, 10),
    "equal, rare": (0.99, 0.99, 0.0, 1),
    "equal, rather rare, 20 to 1": (0.95, 0.95, 0.0, 20),
    "better by 2 points": (0.88, 0.90, 0.0, 1),
    "worse by the margin": (0.90, 0.89, 0.01, 1),
    "worse by the margin, rare, 10 to 1": (0.98, 0.97, 0.01, 10),
}
_LONGEST = 10_000


def wrong(name: str, seed: int, runs: int) -> tuple[int, int]:
    """Wrong decisions and z-tests at 5% that would ever have decided wrongly, over looks after every outcome.

    All looks are computed at once; the look that decides and the one before are asked of `compare_arms` itself.
    """
    champion, challenger, margin, ratio = SCENARIOS[name]
    random = np.random.default_rng([seed, 5, list(SCENARIOS).index(name)])
    mistakes = peeked = 0
    for _ in range(runs):
        new = np.cumsum(random.random(_LONGEST) < challenger)
        old = np.cumsum(random.random(_LONGEST * ratio) < champion)[ratio - 1 :: ratio]
        outcomes = np.arange(1, _LONGEST + 1)
        difference = new / outcomes - old / (outcomes * ratio)
        variance = _variance(new, outcomes) + _variance(old, outcomes * ratio)
        q = TAU**2
        width = np.sqrt(variance * (variance + q) / q * (2 * np.log(1 / ALPHA) + np.log((variance + q) / variance)))
        width[: LEAST_OUTCOMES - 1] = np.inf
        verdict = _first(difference, width, margin)
        _check(verdict, new, old, ratio, margin, float(variance[-1]), float(width[-1]))
        narrow = np.where(outcomes < LEAST_OUTCOMES, np.inf, 1.96 * np.sqrt(variance))
        mistakes += _is_wrong(verdict[1], champion, challenger, margin)
        peeked += _is_wrong(_first(difference, narrow, margin)[1], champion, challenger, margin)
    return mistakes, peeked


def _variance(successes: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    return np.asarray((successes - successes**2 / outcomes + PSEUDO_EVENTS) / (outcomes + 2) / outcomes)


def _first(difference: np.ndarray, width: np.ndarray, margin: float) -> tuple[int, str]:
    """The first look that decides, and what it says."""
    down, up = difference + width < 0, difference - width > -margin
    decided = np.flatnonzero(down | up)
    if not decided.size:
        return _LONGEST - 1, "continue"
    return int(decided[0]), "roll back" if down[decided[0]] else "promote"


def _is_wrong(verdict: str, champion: float, challenger: float, margin: float) -> bool:
    """To promote what is worse by the margin or more, or to roll back what is as good or better."""
    return (verdict == "promote" and challenger <= champion - margin) or (
        verdict == "roll back" and challenger >= champion
    )


def _check(
    verdict: tuple[int, str], new: np.ndarray, old: np.ndarray, ratio: int, margin: float, variance: float, width: float
) -> None:
    at, said = verdict
    looks = [(at, said)] + ([(at - 1, "continue")] if at >= LEAST_OUTCOMES and said != "continue" else [])
    for look, expected in looks:
        arms = [
            Arm(outcomes=n, total=float(total), squares=float(total))
            for n, total in (((look + 1) * ratio, old[look]), (look + 1, new[look]))
        ]
        if compare_arms(*arms, tau=TAU, margin=margin, alpha=ALPHA).verdict != expected:
            raise AssertionError(f"look {look} does not say {expected}")
    if not np.isclose(half_width(variance, tau=TAU, alpha=ALPHA), width):
        raise AssertionError("the half-width is another")


def figure(name: str, mistakes: list[int], peeked: list[int], runs: int) -> Figure:
    """Wrong decisions of a scenario."""
    trials = runs * len(mistakes)
    return Figure(
        section="canary",
        name=f"wrong decisions: {name}",
        value=share(sum(mistakes), trials),
        peer=f"peeked z-test {sum(peeked) / trials:.0%}",
        target="<= 5%",
        reached=sum(mistakes) / trials <= ALPHA,
        from_=f"{trials} runs, {_LONGEST} looks each",
    )
