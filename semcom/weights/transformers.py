"""Pretrained models of third parties in the format of the transformers library."""

from __future__ import annotations

from typing import Any

from channels.errors import UsageError
from channels.extras import extra
from semcom.weights.hub import check_connection, refuse_missing_path


def load(kind: str, model_type: str, name: str, what: str, without: str) -> Any:  # transformers has no common type
    """Load a model in evaluation mode, from a local folder or from the Hugging Face hub.

    Args:
        kind: name of the class in transformers.
        model_type: expected value of `model_type` in the configuration.
        name: folder with config.json and model.safetensors, or "owner/repository".
        what: description of the model for error messages.
        without: guess for the error message if weights are missing.

    Raises:
        UsageError: there is no such checkpoint, it has another model type, or weights are missing.
    """
    refuse_missing_path(name, what)
    check_connection(name, what)
    with extra("semantic"):
        import transformers  # seconds, which an error above does not take

    try:
        config = transformers.AutoConfig.from_pretrained(name)
        if config.model_type != model_type:
            raise UsageError(f"{name} is a checkpoint of {config.model_type}, not of {model_type}")
        model, report = getattr(transformers, kind).from_pretrained(
            name, config=config, use_safetensors=True, output_loading_info=True
        )
    except UsageError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # exceptions of transformers for folders without a model
        reason = " ".join(str(error).split())[:120]
        raise UsageError(f"no {what} {name}; give the folder of one, or write preset: tiny ({reason})") from None
    if missing := sorted(report["missing_keys"]):
        raise UsageError(f"{name} lacks {missing[0]} and {len(missing) - 1} others: {without}?")
    return model.eval()
