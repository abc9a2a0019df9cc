"""The blocks of the masked autoencoder are those of timm: same parameters, initial values and outputs."""

import torch

from semcom.systems.carrier_image.transformer import Block


def test_a_block_equals_that_of_timm():
    from timm.models.vision_transformer import Block as Reference

    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = Block(96, 4)
        torch.manual_seed(0)
        reference = Reference(96, 4, mlp_ratio=4, qkv_bias=True)
        tokens = torch.randn(3, 17, 96)
    assert {name: value.shape for name, value in own.state_dict().items()} == {
        name: value.shape for name, value in reference.state_dict().items()
    }
    assert all(torch.equal(value, reference.state_dict()[name]) for name, value in own.state_dict().items())
    with torch.no_grad():
        assert torch.equal(own.eval()(tokens), reference.eval()(tokens))


def test_gradients_equal_those_of_timm():
    from timm.models.vision_transformer import Block as Reference

    with torch.random.fork_rng():
        torch.manual_seed(1)
        own, reference = Block(32, 2), Reference(32, 2, mlp_ratio=4, qkv_bias=True)
        tokens = torch.randn(2, 5, 32)
    reference.load_state_dict(own.state_dict())
    for block in (own, reference):
        block(tokens).square().sum().backward()
    for (name, value), other in zip(own.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(value.grad, other.grad, msg=name)
