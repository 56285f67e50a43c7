"""torch's files: what torch.load reads is read alike; what is no network's weights is refused."""

import pickle
import subprocess
import sys
import zipfile

import pytest
import torch

from cmr_ros.errors import InputError
from cmr_ros.network.torch_files import read_torch_file


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_reads_is_read_alike(tmp_path, zipped):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.rand(2, 3, 8, 8)).sum().backward()
    optimiser.step()
    state = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "random": torch.get_rng_state(),
        "half": torch.rand(3, dtype=torch.bfloat16),
        "turned": torch.nn.Parameter(torch.rand(2, 3).T),
        "part": torch.arange(12).reshape(3, 4)[1:, 1:],
        "empty": torch.empty(0, 3),
        "number": torch.tensor(3.5),
        "plain": {"none": None, "pair": (1, 2.5), "list": [True, "text"]},
    }
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    found = read_torch_file(tmp_path / "x.pt", "")
    assert same(found, torch.load(tmp_path / "x.pt", weights_only=True))


QUANTISED = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.eye(3).to_sparse(), "asks for torch._utils._rebuild_sparse_tensor"),
        (torch.zeros(3, device="meta"), "asks for torch._utils._rebuild_meta"),
        (QUANTISED, "asks for torch._utils._rebuild_qtensor"),
        (torch.zeros(1).expand(1 << 40), "more numbers than there are"),
        (len, "asks for .*builtin.*len"),  # not print, which Ray replaces
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_tensors_that_are_no_weights(tmp_path, content, message):
    torch.save({"a": content}, tmp_path / "x.pt")
    with pytest.raises(InputError, match=f"x.pt: .*{message}.*; fetch it again"):
        read_torch_file(tmp_path / "x.pt", "fetch it again")


def rewritten(path, method=zipfile.ZIP_STORED, **changed):
    """Write the archive again with other entries."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, changed.get(name.rpartition("/")[2].partition(".")[0], data))


def test_archives_that_unpack_to_more_or_lack_numbers(tmp_path):
    path = tmp_path / "x.pt"
    torch.save({"a": torch.zeros(1 << 20)}, path)
    rewritten(path, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="unpacks to more than itself"):
        read_torch_file(path, "")
    torch.save({"a": torch.zeros(9)}, path)
    rewritten(path, **{"0": b"short"})
    with pytest.raises(InputError, match="numbers of its tensors are missing"):
        read_torch_file(path, "")
    rewritten(path, byteorder=b"big")
    with pytest.raises(InputError, match="another byte order"):
        read_torch_file(path, "")


def test_deeply_nested_tuples_end_no_process(tmp_path):
    """In a process of its own: what torch.load makes of them is a segmentation fault."""
    path = tmp_path / "x.pt"
    torch.save({}, path)
    rewritten(path, data=b"\x80\x02}U\x01a)" + b"\x85" * 400_000 + b"s.")
    code = (
        "from cmr_ros.network.torch_files import read_torch_file\n"
        f"try: read_torch_file({str(path)!r}, '')\n"
        "except Exception as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert run.returncode == 0 and "nested too deep" in run.stdout, run.stderr


@pytest.mark.parametrize("zipped", [True, False])
def test_every_cut_is_one_error(tmp_path, zipped):
    path = tmp_path / "x.pt"
    torch.save({"a": torch.zeros(9)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="x.pt"):
            read_torch_file(path, "")


def test_a_pickle_alone_is_no_checkpoint(tmp_path):
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match="not a readable checkpoint"):
        read_torch_file(tmp_path / "x.pt", "")
