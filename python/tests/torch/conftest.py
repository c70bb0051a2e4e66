"""Devices and types that the tests run on."""

import pytest
import torch

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture
def dtype(device):
    """What the device has fast kernels for."""
    return torch.float32 if device == "cpu" else torch.bfloat16
