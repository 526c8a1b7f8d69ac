from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kept.core.errors import Forbidden, Invalid
from kept.packaging.mlmodel import LARGEST_MLMODEL, ModelFolder, read_mlmodel

SKLEARN: dict[str, Any] = {
    "pickled_model": "model.skops",
    "serialization_format": "skops",
    "sklearn_version": "1.9.1",
    "skops_trusted_types": ["os.system"],
}


def read(flavours: Any, **more: Any) -> ModelFolder:
    return read_mlmodel(yaml.safe_dump({"flavors": flavours, **more}).encode(), where="MLmodel")


def test_what_it_says_is_read() -> None:
    inputs = '[{"type": "double", "name": "a", "required": true}, {"type": "long", "name": "b"}]'
    found = read({"python_function": {}, "sklearn": SKLEARN}, signature={"inputs": inputs, "outputs": None})
    assert found == ModelFolder(
        flavour="sklearn", file="model.skops", form="skops", made_with="1.9.1", inputs=("a", "b")
    )


@pytest.mark.parametrize(
    ("flavours", "expected"),
    [
        ({"lightgbm": {"data": "model.lgb", "lgb_version": "4.7.0"}}, ("lightgbm", "model.lgb", "lightgbm text")),
        ({"xgboost": {"data": "model.ubj", "xgb_version": "3.2.0"}}, ("xgboost", "model.ubj", "xgboost ubj")),
        ({"xgboost": {"data": "model.json"}}, ("xgboost", "model.json", "xgboost json")),
        ({"onnx": {"data": "model.onnx", "onnx_version": "1.20.0"}}, ("onnx", "model.onnx", "onnx")),
        (
            {
                "lightgbm": {
                    "data": "m.skops",
                    "model_class": "lightgbm.LGBMClassifier",
                    "serialization_format": "skops",
                }
            },
            ("lightgbm", "m.skops", "skops"),
        ),
    ],
)
def test_native_forms_are_told_apart(flavours: Any, expected: tuple[str, str, str]) -> None:
    found = read(flavours)
    assert (found.flavour, found.file, found.form) == expected


@pytest.mark.parametrize(
    ("flavours", "error", "said"),
    [
        ({"sklearn": SKLEARN | {"serialization_format": "cloudpickle"}}, Forbidden, 'serialization_format="skops"'),
        ({"sklearn": SKLEARN | {"serialization_format": "pickle"}}, Forbidden, "any code"),
        ({"sklearn": {"pickled_model": "model.pkl"}}, Forbidden, "any code"),
        ({"pytorch": {"model_data": "data"}}, Forbidden, "mlflow.onnx.log_model"),
        ({"lightgbm": {"data": "m", "model_class": "lightgbm.LGBMClassifier"}}, Forbidden, "mlflow.lightgbm"),
        ({"sklearn": SKLEARN | {"serialization_format": 3}}, Invalid, "no form"),
        ({"sklearn": SKLEARN | {"pickled_model": "../../etc/passwd"}}, Invalid, "names no file"),
        ({"sklearn": SKLEARN | {"pickled_model": "/etc/passwd"}}, Invalid, "names no file"),
        ({"sklearn": SKLEARN | {"pickled_model": None}}, Invalid, "names no file"),
        ({"python_function": {"loader_module": "os"}}, Invalid, "its flavours are python_function"),
        ({}, Invalid, "its flavours are none"),
        (None, Invalid, "no flavours"),
    ],
)
def test_what_is_not_safe_or_not_known_is_refused(flavours: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read(flavours)


@pytest.mark.parametrize(
    "signature",
    [None, [], {"inputs": None}, {"inputs": "[]"}, {"inputs": '[{"type": "tensor"}]'}, {"inputs": '{"a": 1}'}],
)
def test_a_signature_without_names_names_none(signature: Any) -> None:
    assert read({"sklearn": SKLEARN}, signature=signature).inputs == ()


def test_nothing_is_made_of_what_it_holds() -> None:
    for text in (
        "!!python/object/apply:os.system ['true']",
        "flavors: !!python/name:os.system",
        "flavors: {sklearn: {",
        "- 1",
        "\x00",
        "a: &a [1]\nb: [" + "*a, " * 200 + "]",
        "#" * (LARGEST_MLMODEL + 1),
        "[" * 5_000,
    ):
        with pytest.raises(Invalid):
            read_mlmodel(text.encode(), where="MLmodel")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_it_is_it_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(Invalid):
        read_mlmodel(data, where="MLmodel")
