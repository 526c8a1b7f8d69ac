"""Generated names of runs and logged models that are given none."""

import re
import secrets

_FIRST = """
able amber bold brisk calm candid clever crisp dapper deft eager fair fleet fond frank gentle glad grand hardy
honest jolly keen kind lively lucid mellow merry mild neat nimble noble patient placid plucky proud quiet rapid
serene sharp sincere sleek smooth spry stately steady sunny tidy tranquil trusty upbeat vivid warm wise witty
"""
_SECOND = """
auk badger bee bison carp colt crane crow deer dove duck eagle eel elk falcon finch fox frog gnat goat goose
gull hare hawk heron hound ibis jay kite koala lark lion lynx mole moose moth mouse newt otter owl panda perch
pike quail ram raven robin seal shark shrew skink slug snail sparrow squid stag stork swan tern toad trout vole
wasp whale wolf wren yak
"""


def is_made_up(name: str) -> bool:
    """Whether a name looks like one that no person gave: two words and a number, from here or from another client."""
    return re.fullmatch(r"[a-z]+-[a-z]+-[0-9]{1,3}", name) is not None


def random_name() -> str:
    """Two words and a number, as `keen-otter-417`."""
    return f"{secrets.choice(_FIRST.split())}-{secrets.choice(_SECOND.split())}-{secrets.randbelow(1_000)}"
