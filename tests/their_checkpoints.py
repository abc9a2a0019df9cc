"""Small random checkpoints with the keys and shapes of the published PyTorch code of SwinJSCC and DeepJSCC."""

import torch

WIDTHS, HEADS, WINDOW, BLOCKS, SIZE = (8, 16), (2, 4), 2, 2, 32  # SIZE: side of the training images, pixels
CHANNELS = 8


def linear(name, inputs, outputs, bias=True):
    return {f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {})


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def block(name, width, heads, side, shifted):
    """A block on features of side x side positions; the mask of shifted windows is a buffer of the checkpoint."""
    positions, layout = WINDOW**2, {}
    if shifted:
        layout[f"{name}.attn_mask"] = ((side // WINDOW) ** 2, positions, positions)
    layout |= norm(f"{name}.norm1", width)
    layout[f"{name}.attn.relative_position_bias_table"] = ((2 * WINDOW - 1) ** 2, heads)
    layout[f"{name}.attn.relative_position_index"] = (positions, positions)
    layout |= linear(f"{name}.attn.qkv", width, 3 * width) | linear(f"{name}.attn.proj", width, width)
    layout |= norm(f"{name}.norm2", width)
    return layout | linear(f"{name}.mlp.fc1", width, 4 * width) | linear(f"{name}.mlp.fc2", 4 * width, width)


def modulation(end, number=""):
    width = WIDTHS[-1]
    hidden = int(1.5 * width)
    sizes = [width] + [hidden] * 7 + [width]
    layout = {}
    for index in range(7):
        layout |= linear(f"{end}.bm_list{number}.{index}.fc.0", 1, hidden)
        layout |= linear(f"{end}.bm_list{number}.{index}.fc.2", hidden, hidden)
        layout |= linear(f"{end}.bm_list{number}.{index}.fc.4", hidden, hidden)
    for index in range(8):
        layout |= linear(f"{end}.sm_list{number}.{index}", sizes[index], sizes[index + 1])
    return layout


def swin_layout(channels=CHANNELS, two_modulations=False):
    """Keys and shapes; no `channels` and no heads for checkpoints with rate adaptation."""
    stages = len(WIDTHS)
    layout = {"encoder.patch_embed.proj.weight": (WIDTHS[0], 3, 2, 2), "encoder.patch_embed.proj.bias": (WIDTHS[0],)}
    for stage in range(stages):
        name, side = f"encoder.layers.{stage}", SIZE // 2 ** (stage + 1)
        for index in range(BLOCKS):
            layout |= block(f"{name}.blocks.{index}", WIDTHS[stage], HEADS[stage], side, index % 2)
        if stage:
            layout |= linear(f"{name}.downsample.reduction", 4 * WIDTHS[stage - 1], WIDTHS[stage], bias=False)
            layout |= norm(f"{name}.downsample.norm", 4 * WIDTHS[stage - 1])
    layout |= norm("encoder.norm", WIDTHS[-1]) | modulation("encoder") | modulation("decoder")
    if two_modulations:
        layout |= modulation("encoder", "1")
    for stage in range(stages):
        name, width = f"decoder.layers.{stage}", WIDTHS[-1 - stage]
        for index in range(BLOCKS):
            side = SIZE // 2 ** (stages - stage)
            layout |= block(f"{name}.blocks.{index}", width, HEADS[-1 - stage], side, index % 2)
        after = WIDTHS[-2 - stage] if stage < stages - 1 else 3
        layout |= linear(f"{name}.upsample.increment", width, 4 * after, bias=False)
        layout |= norm(f"{name}.upsample.norm", width)
    if channels:
        layout |= linear("encoder.head_list", WIDTHS[-1], channels) | linear("decoder.head_list", channels, WIDTHS[-1])
    return layout


def deepjscc_layout(symbols=4):
    layout = {}
    sizes = [3, 16, 32, 32, 32, 2 * symbols]
    for index in range(5):
        layout[f"encoder.conv{index + 1}.conv.weight"] = (sizes[index + 1], sizes[index], 5, 5)
        layout[f"encoder.conv{index + 1}.conv.bias"] = (sizes[index + 1],)
        layout[f"encoder.conv{index + 1}.prelu.weight"] = (1,)
    sizes = [2 * symbols, 32, 32, 32, 16, 3]
    for index in range(5):
        layout[f"decoder.tconv{index + 1}.transconv.weight"] = (sizes[index], sizes[index + 1], 5, 5)
        layout[f"decoder.tconv{index + 1}.transconv.bias"] = (sizes[index + 1],)
        if index < 4:
            layout[f"decoder.tconv{index + 1}.activate.weight"] = (1,)
    return layout


def random_state(layout, seed=0):
    """Random numbers in the shapes of a layout, scaled by the number of inputs; weights of norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in layout.items():
        values = torch.randn(shape, generator=generator)
        fan = values[0].numel() if values.ndim > 1 and "table" not in key else 25
        state[key] = values / fan**0.5 + (1.0 if "norm" in key and key.endswith("weight") else 0.0)
    return state


def save(state, folder, name="theirs.model"):
    torch.save(state, folder / name)
    return str(folder / name)
