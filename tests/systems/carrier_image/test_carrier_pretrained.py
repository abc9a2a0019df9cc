"""Carrier images with pretrained masked autoencoders in transformers format."""

import pytest
import torch
from delivering import deliver, rate

from channels.errors import UsageError
from semcom.systems import carrier_image
from semcom.systems.carrier_image.pretrained import load_vit_mae


def vit_mae(**changes):
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    arguments = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "image_size": 64,
        "patch_size": 16,
        "decoder_hidden_size": 24,
        "decoder_num_hidden_layers": 1,
        "decoder_num_attention_heads": 2,
        "decoder_intermediate_size": 48,
    }
    torch.random.default_generator.manual_seed(0)
    return ViTMAEForPreTraining(ViTMAEConfig(**(arguments | changes))).eval()


def test_a_pretrained_checkpoint_agrees_with_transformers(tmp_path):
    """Checkpoint folder written by transformers, AWGN at 100 dB."""
    model = vit_mae(mask_ratio=0.75)
    model.save_pretrained(tmp_path)
    system = carrier_image.build(cbr=1.0, visible_ratio=0.25, preset="base", weights=str(tmp_path))
    assert system.weights == str(tmp_path)
    images = torch.rand(1, 3, 64, 64)
    delivery = deliver(system, images, snr_db=100.0)
    assert rate("message_ber", delivery) == 0
    assert delivery.truth["message"].shape == (1, 10)  # C(16, 4) = 1820

    mask = torch.from_numpy(system.transmitter.agreement.code.embed(delivery.truth["message"].numpy()))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = (images - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    noise = mask + torch.linspace(0, 0.5, 16)  # visible patches first, in raster order
    with torch.no_grad():
        expected = model.unpatchify(model(normal, noise=noise).logits)
    expected = (expected * deviation.view(3, 1, 1) + mean.view(3, 1, 1)).clamp(0, 1)
    torch.testing.assert_close(delivery.reception.images, expected, atol=1e-3, rtol=0)


def test_unsuitable_checkpoints_are_errors(tmp_path):
    vit_mae(norm_pix_loss=True).save_pretrained(tmp_path / "normalized")
    vit_mae().vit.save_pretrained(tmp_path / "encoder")
    with pytest.raises(UsageError, match="visualize"):
        load_vit_mae(str(tmp_path / "normalized"))
    with pytest.raises(UsageError, match="without its decoder"):
        load_vit_mae(str(tmp_path / "encoder"))
    with pytest.raises(UsageError, match="no masked autoencoder"):
        load_vit_mae(str(tmp_path / "nothing"))


def test_a_pretrained_network_requires_channel_uses_for_all_latents(tmp_path):
    vit_mae().save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="raise cbr to"):
        deliver(
            carrier_image.build(cbr=0.005, visible_ratio=0.25, preset="base", weights=str(tmp_path)),
            torch.rand(1, 3, 64, 64),
        )
