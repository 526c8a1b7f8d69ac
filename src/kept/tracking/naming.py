"""Names that runs and logged models get when they are given none."""

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


def random_name() -> str:
    """Two words and a number, as `keen-otter-417`."""
    return f"{secrets.choice(_FIRST.split())}-{secrets.choice(_SECOND.split())}-{secrets.randbelow(1_000)}"
