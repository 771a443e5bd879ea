"""A Space of the tiny model, on this machine."""

import pytest


@pytest.fixture(scope="session")
def model(run):
    from hf_cushing.app.served_model import load_model
    from hf_cushing.run import Run

    return load_model(Run(str(run)))


@pytest.fixture(scope="session")
def space(model, tmp_path_factory):
    """Address, vault and Blocks of a Space that runs."""
    pytest.importorskip("gradio")
    folder = tmp_path_factory.mktemp("space-uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        from hf_cushing.app.app import PER_MINUTE, build, launch
        from hf_cushing.app.vault import Vault

        vault = Vault(folder)
        blocks = build(model, vault)
        launch(blocks, vault, host="127.0.0.1", port=None, per_minute=100 * PER_MINUTE)
        yield blocks.local_url, vault, blocks
        blocks.close()


@pytest.fixture
def vault(tmp_path):
    from hf_cushing.app.vault import Vault

    folder = tmp_path / "uploads"
    folder.mkdir()
    return Vault(folder)
