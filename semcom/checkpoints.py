"""Checkpoints of other people's networks in the format of the transformers library."""

from __future__ import annotations

from typing import Any

from channels._errors import UsageError


def load(make: Any, model_type: str, name: str, what: str, without: str) -> Any:  # transformers has no common type
    """Read a whole model from a local folder or, unless offline, from the hub, ready to infer.

    Args:
        make: a class of transformers with `from_pretrained`.
        model_type: that its configuration names.
        name: a folder with config.json and model.safetensors, or "owner/repository".
        what: the model is, and `without` what it may be where weights are missing, as a message says them.

    Raises:
        UsageError: no such checkpoint, one of another kind, one that lacks weights.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(name)
        if config.model_type != model_type:
            raise UsageError(f"{name} is a {config.model_type} checkpoint, not a {model_type}")
        model, report = make.from_pretrained(name, config=config, use_safetensors=True, output_loading_info=True)
    except UsageError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # what transformers raises of folders that hold something else
        reason = " ".join(str(error).split())[:120]
        raise UsageError(f"no {what} {name}; name a folder that holds one, or take preset: tiny ({reason})") from None
    if missing := sorted(report["missing_keys"]):
        raise UsageError(f"{name} lacks {missing[0]} and {len(missing) - 1} others: {without}?")
    return model.eval()
