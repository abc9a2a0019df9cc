import own_model
import pytest


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Folder of the files of docs/bring_your_own_model.md."""
    return tmp_path_factory.mktemp("own_model")


@pytest.fixture(scope="session")
def mine(folder):
    """PyTorch system of docs/bring_your_own_model.md, trained."""
    return own_model.trained(folder)
