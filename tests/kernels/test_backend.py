"""Which implementation runs, with fake tensors and fake vendor modules."""

import sys
import types
import warnings

import pytest

from spacy_emerging.errors import SettingError
from spacy_emerging.kernels import backend
from spacy_emerging.notices import Notices, on_behalf_of

GPU = types.SimpleNamespace(is_cuda=True)
CPU = types.SimpleNamespace(is_cuda=False)


@pytest.fixture(autouse=True)
def forget():
    backend.importable.cache_clear()
    backend.BARE.given.clear()
    yield
    backend.importable.cache_clear()
    backend.BARE.given.clear()


@pytest.fixture
def kernels(monkeypatch):
    monkeypatch.setitem(sys.modules, "vendor_kernels", types.ModuleType("vendor_kernels"))
    return "vendor_kernels"


@pytest.mark.parametrize("training", [True, False])
def test_torch_is_always_torch(kernels, training):
    assert backend.choose("torch", kernels, GPU, training) == "torch"


@pytest.mark.parametrize("name", ["cuda", "auto"])
def test_kernels_run_where_they_are_installed_and_the_tensor_is_on_a_gpu(kernels, name):
    assert backend.choose(name, kernels, GPU, training=True) == "cuda"


@pytest.mark.parametrize("tensor", [GPU, CPU])
def test_auto_falls_back_in_silence(tensor):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backend.choose("auto", "no_such_kernels", tensor, training=True) == "torch"


@pytest.mark.parametrize("tensor", [GPU, CPU])
def test_training_with_cuda_but_without_kernels_names_module_and_remedy(tensor):
    with pytest.raises(SettingError, match=r"no_such_kernels.*pip install spacy-emerging\[cuda\]"):
        backend.choose("cuda", "no_such_kernels", tensor, training=True)


def test_prediction_with_cuda_but_without_kernels_warns_once():
    with pytest.warns(UserWarning, match="no_such_kernels") as caught:
        assert backend.choose("cuda", "no_such_kernels", GPU, training=False) == "torch"
        assert backend.choose("cuda", "no_such_kernels", GPU, training=False) == "torch"
    assert len(caught) == 1


def test_every_layer_is_warned_for_itself_and_named():
    """Given two layers that run one after the other, as in two pipelines of one process, each is told once."""
    layers = [Notices("one"), Notices("other")]
    with pytest.warns(UserWarning) as caught:
        for layer in layers * 2:
            with on_behalf_of(layer):
                backend.choose("cuda", "no_such_kernels", GPU, training=False)
    assert [str(warning.message).partition(":")[0] for warning in caught] == ["one", "other"]
    with on_behalf_of(layers[0]), pytest.raises(SettingError, match="^one: .*no_such_kernels"):
        backend.choose("cuda", "no_such_kernels", GPU, training=True)


def test_pythons_own_filter_does_not_swallow_the_second_layers_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):
            with on_behalf_of(Notices("same name")):
                backend.choose("cuda", "no_such_kernels", GPU, training=False)
    assert len(caught) == 2


def test_a_broken_vendor_module_counts_as_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_kernels.py").write_text("raise OSError('undefined symbol')")
    monkeypatch.syspath_prepend(tmp_path)
    assert backend.choose("auto", "broken_kernels", GPU, training=True) == "torch"


def test_on_a_cpu_the_vendors_module_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "noisy_kernels.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert backend.choose("auto", "noisy_kernels", CPU, training=True) == "torch"


def test_an_unknown_backend_is_an_error():
    with pytest.raises(SettingError, match="'triton'"):
        backend.choose("triton", "any", CPU, training=False)
