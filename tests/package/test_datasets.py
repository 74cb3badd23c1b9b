"""datasets: 読めるものは正しく読み、読めないものは何がどう違うかを日本語で言う。"""

import gc
import gzip
import os
import struct
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgbook.experiments.datasets import Dataset, digits, gaussian, mnist
from vgbook.experiments.mnist_files import mnist_pair, read_idx

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


def idx(array, *, magic=b"\0\0\x08"):
    """uint8 の配列を IDX のバイト列にする。"""
    array = np.asarray(array, np.uint8)
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return magic + bytes([array.ndim]) + sizes + array.tobytes()


def pixels(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """訓練用 5 枚と試験用 3 枚の小さな MNIST。画像は gzip、ラベルは生のまま。"""
    (tmp_path / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(idx(pixels(5, seed=1))))
    (tmp_path / TRAIN_LABELS).write_bytes(idx([5, 0, 4, 1, 9]))
    (tmp_path / f"{TEST_IMAGES}.gz").write_bytes(gzip.compress(idx(pixels(3, seed=2))))
    (tmp_path / TEST_LABELS).write_bytes(idx([7, 2, 1]))
    return tmp_path


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """Hypothesis が何百回も書き直すための、モジュールで 1 つのフォルダ。"""
    return tmp_path_factory.mktemp("scratch")


# ---- gaussian


def test_gaussian_is_standard_normal():
    x = gaussian(2000, 50, rng=np.random.default_rng(0))
    assert x.shape == (2000, 50)
    assert x.dtype == np.float64
    standard_error = 1 / np.sqrt(x.size)
    assert abs(x.mean()) < 4 * standard_error
    assert abs(x.var() - 1) < 4 * np.sqrt(2) * standard_error


def test_gaussian_draws_the_same_data_in_both_precisions():
    double = gaussian(4, 3, rng=np.random.default_rng(0))
    single = gaussian(4, 3, rng=np.random.default_rng(0), dtype=np.float32)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single, double.astype(np.float32))


def test_gaussian_takes_its_randomness_from_rng_alone():
    rng = np.random.default_rng(0)
    first, second = gaussian(4, 3, rng=rng), gaussian(4, 3, rng=rng)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, gaussian(4, 3, rng=np.random.default_rng(0)))


# ---- digits


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_digits_are_rows_of_64_pixels_between_0_and_1(dtype):
    data = digits(dtype)
    assert data._fields == ("x_train", "labels_train", "x_test", "labels_test")
    assert data.x_train.shape == (1000, 64)
    assert data.x_test.shape == (797, 64)
    for x, labels in ((data.x_train, data.labels_train), (data.x_test, data.labels_test)):
        assert x.dtype == dtype
        assert labels.dtype == np.int_
        assert labels.shape == x.shape[:1]
        assert (x.min(), x.max()) == (0, 1)
        assert set(labels) == set(range(10))


def test_digits_splits_every_image_once_with_its_own_label():
    from sklearn.datasets import load_digits

    source_x, source_labels = load_digits(return_X_y=True)
    data = digits()
    x = np.concatenate([data.x_train, data.x_test]) * 16
    labels = np.concatenate([data.labels_train, data.labels_test])

    def in_order(x, labels):
        table = np.column_stack([x, labels])
        return table[np.lexsort(table.T)]

    np.testing.assert_array_equal(in_order(x, labels), in_order(source_x, source_labels))


def test_digits_keeps_the_share_of_every_class_within_one_image():
    data = digits(n_train=500)
    total = np.bincount(data.labels_train) + np.bincount(data.labels_test)
    assert np.all(np.abs(np.bincount(data.labels_train) - total * 500 / 1797) <= 1)


def test_digits_gives_the_same_split_whatever_the_global_random_state():
    first = digits()
    np.random.seed(123)  # noqa: NPY002 大域の乱数に左右されないことを見る
    for a, b in zip(first, digits(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_digits_does_not_share_its_arrays_between_calls():
    digits().x_train[:] = -1
    assert digits().x_train.min() == 0


@pytest.mark.parametrize("n_train", [10, 1787])
def test_digits_has_every_class_on_both_sides_at_the_ends_of_the_range(n_train):
    data = digits(n_train=n_train)
    assert len(data.x_train) == n_train
    assert set(data.labels_train) == set(data.labels_test) == set(range(10))


@pytest.mark.parametrize("n_train", [9, 0, -1, 1788, 1797, 0.5, 1000.0, True, None, "1000"])
def test_digits_refuses_a_split_that_would_lose_a_class(n_train):
    with pytest.raises(ValueError, match=r"n_train には .*受け取った値: "):
        digits(n_train=n_train)


# ---- MNIST


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mnist_reads_four_files_gzipped_or_not(folder, dtype):
    data = mnist(folder, dtype)
    assert isinstance(data, Dataset)
    np.testing.assert_array_equal(data.labels_train, [5, 0, 4, 1, 9])
    np.testing.assert_array_equal(data.labels_test, [7, 2, 1])
    assert data.labels_train.dtype == np.int_
    for x, source in ((data.x_train, pixels(5, seed=1)), (data.x_test, pixels(3, seed=2))):
        assert x.dtype == dtype
        np.testing.assert_array_equal(x, source.reshape(-1, 784).astype(dtype) / dtype(255))


def _nested(folder, place):
    """Kaggle の zip を開いた形: ファイルと同じ名前のフォルダの中に、そのファイルがある。"""
    for path in folder.iterdir():
        (place / path.name).mkdir(parents=True)
        (place / path.name / path.name).write_bytes(path.read_bytes())


def _dotted(folder, place):
    for path in folder.iterdir():
        (place / path.name.replace("-idx", ".idx")).write_bytes(path.read_bytes())


def _torchvision(folder, place):
    (place / "MNIST").mkdir()
    folder.rename(place / "MNIST" / "raw")


def _renamed(folder, place):
    """ブラウザーが .gz を落とした gzip と、展開したのに .gz を残したファイル。"""
    for path in folder.iterdir():
        data = path.read_bytes()
        if path.suffix == ".gz":
            (place / path.stem).write_bytes(data)
        else:
            (place / f"{path.name}.gz").write_bytes(data)


def _npz(folder, place):
    np.savez_compressed(
        place / "mnist.npz",
        x_train=pixels(5, seed=1),
        y_train=np.uint8([5, 0, 4, 1, 9]),
        x_test=pixels(3, seed=2),
        y_test=np.uint8([7, 2, 1]),
    )


@pytest.mark.parametrize("arrange", [_nested, _dotted, _torchvision, _renamed, _npz])
def test_mnist_is_found_as_people_have_it(tmp_path, arrange):
    source, place = tmp_path / "source", tmp_path / "place"
    for path in (source, place):
        path.mkdir()
    (source / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress(idx(pixels(5, seed=1))))
    (source / TRAIN_LABELS).write_bytes(idx([5, 0, 4, 1, 9]))
    (source / TEST_IMAGES).write_bytes(idx(pixels(3, seed=2)))
    (source / TEST_LABELS).write_bytes(idx([7, 2, 1]))
    arrange(source, place)
    data = mnist(place, np.float64)
    np.testing.assert_array_equal(data.x_train, pixels(5, seed=1).reshape(-1, 784) / 255)
    np.testing.assert_array_equal(data.labels_test, [7, 2, 1])


@pytest.mark.parametrize("broken", [b"broken", b""])
def test_a_broken_npz_is_refused_with_the_reason(tmp_path, broken):
    (tmp_path / "mnist.npz").write_bytes(broken)
    with pytest.raises(ValueError, match=r"x_train と y_train を読めません.*理由"):
        mnist(tmp_path)


def test_an_npz_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "mnist.npz", images=pixels(5))
    with pytest.raises(ValueError, match="x_train と y_train を読めません"):
        mnist(tmp_path / "mnist.npz")
    np.savez(tmp_path / "mnist.npz", x_train=pixels(5) / 255, y_train=np.arange(5))
    with pytest.raises(ValueError, match="uint8 のはずです"):
        mnist(tmp_path)


def test_mnist_is_float32_by_default_and_writable(folder):
    data = mnist(str(folder))
    assert data.x_train.dtype == np.float32
    assert all(array.flags.writeable for array in data)


def test_one_pair_is_enough_for_mnist_pair(folder):
    (folder / f"{TRAIN_IMAGES}.gz").unlink()
    x, labels = mnist_pair(folder, "t10k")
    assert x.shape == (3, 784)
    np.testing.assert_array_equal(labels, [7, 2, 1])
    with pytest.raises(FileNotFoundError, match=f"{TRAIN_IMAGES}.*見つかったもの.*{TEST_IMAGES}"):
        mnist(folder)


def test_no_file_is_left_open(folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        mnist(folder)
        (folder / f"{TEST_IMAGES}.gz").write_bytes(b"broken")
        with pytest.raises(ValueError, match="gzip"):
            mnist(folder)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_read_idx_returns_a_read_only_array_in_row_major_order(tmp_path):
    source = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a").write_bytes(idx(source))
    array = read_idx(tmp_path / "a", ndim=3)
    np.testing.assert_array_equal(array, source)
    assert not array.flags.writeable


GOOD_IMAGES = idx(pixels(5))
GOOD_LABELS = idx([5, 0, 4, 1, 9])
ZIPPED = gzip.compress(GOOD_IMAGES, mtime=0)
BROKEN_IMAGES = {
    "空": (b"", "途中で切れています.*16 バイト.*0 バイト"),
    "ヘッダの途中": (GOOD_IMAGES[:15], "途中で切れています.*16 バイト.*15 バイト"),
    "1 バイト足りない": (GOOD_IMAGES[:-1], r"途中で切れ.*\(5, 28, 28\).*3936 .*3935 バイト"),
    "1 バイト多い": (GOOD_IMAGES + b"\0", r"長すぎ.*\(5, 28, 28\).*3936 .*3937 バイト"),
    "HTML": (b"<!DOCTYPE html><html></html>", "IDX 形式ではありません.*00 00.*3c 21 44 4f"),
    "float32 の IDX": (idx(pixels(5), magic=b"\0\0\x0d"), "型の番号は 0x08.*0x0d"),
    "ラベルのファイル": (idx(np.zeros(20)), "次元の数は 3 .*実際の数: 1"),
    "カラー画像": (idx(np.zeros((5, 28, 28, 3))), "次元の数は 3 .*実際の数: 4"),
    "28×28 でない": (idx(np.zeros((5, 8, 8))), r"28×28.*\(5, 8, 8\)"),
    "0 枚": (idx(np.zeros((0, 28, 28))), r"1 枚以上.*\(0, 28, 28\)"),
    "枚数違い": (idx(pixels(4)), "同じ数.*4 枚.*5 個"),
}
BROKEN_ZIPS = {
    "空": (b"", "途中で切れています.*0 バイト"),
    "gzip でも IDX でもない": (b"GIF89a", "展開できません.*gzip.*実際の先頭: 47 49 46 38"),
    "途中で切れた gzip": (ZIPPED[:-20], "展開できません.*理由"),
    "CRC 違い": (ZIPPED[:-8] + b"\0\0\0\0" + ZIPPED[-4:], "展開できません.*CRC"),
    "長さ違い": (ZIPPED[:-4] + b"\0\0\0\0", "展開できません.*理由"),
    "中身の壊れた gzip": (ZIPPED[:10] + b"\xff" * 40 + ZIPPED[50:], "展開できません.*理由"),
    "後ろにごみ": (ZIPPED + b"garbage", "展開できません.*理由"),
}


@pytest.mark.parametrize(("content", "complaint"), BROKEN_IMAGES.values(), ids=BROKEN_IMAGES)
def test_broken_images_are_refused_with_the_reason(tmp_path, content, complaint):
    (tmp_path / TRAIN_IMAGES).write_bytes(content)
    (tmp_path / TRAIN_LABELS).write_bytes(GOOD_LABELS)
    with pytest.raises(ValueError, match=complaint) as error:
        mnist(tmp_path)
    assert TRAIN_IMAGES in str(error.value)


@pytest.mark.parametrize(("content", "complaint"), BROKEN_ZIPS.values(), ids=BROKEN_ZIPS)
def test_broken_gzip_is_refused_with_the_reason(tmp_path, content, complaint):
    (tmp_path / f"{TRAIN_IMAGES}.gz").write_bytes(content)
    (tmp_path / TRAIN_LABELS).write_bytes(GOOD_LABELS)
    with pytest.raises(ValueError, match=complaint) as error:
        mnist(tmp_path)
    assert f"{TRAIN_IMAGES}.gz" in str(error.value)


def test_a_label_above_9_is_refused(tmp_path):
    (tmp_path / TRAIN_IMAGES).write_bytes(GOOD_IMAGES)
    (tmp_path / TRAIN_LABELS).write_bytes(idx([5, 0, 10, 1, 9]))
    with pytest.raises(ValueError, match=f"{TRAIN_LABELS}.*0 から 9.*実際の最大値: 10"):
        mnist(tmp_path)


@pytest.mark.parametrize("missing", [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS])
def test_each_missing_file_is_named(folder, missing):
    for path in folder.glob(f"{missing}*"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=f"{missing} か {missing}.gz が必要"):
        mnist(folder)


def test_a_folder_that_is_missing_or_a_file_is_refused(folder):
    for path in (folder / "nowhere", folder / TRAIN_LABELS):
        with pytest.raises(FileNotFoundError, match=r"folder には MNIST のフォルダ.*" + path.name):
            mnist(path)
    for value in (None, 3, b"bytes"):
        with pytest.raises(TypeError, match=r"folder にはパスを.*受け取った値"):
            mnist(value)


def test_read_idx_refuses_what_is_no_file(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(FileNotFoundError, match=r"path には IDX ファイルを"):
            read_idx(path, ndim=1)
    with pytest.raises(TypeError, match=r"path にはパスを.*None"):
        read_idx(None, ndim=1)


def read_or_refusal(path, ndim):
    try:
        return read_idx(path, ndim), ""
    except ValueError as error:
        return None, str(error)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, len(ZIPPED) - 1), flip=st.integers(1, 255))
def test_one_wrong_byte_in_a_gzip_never_changes_a_pixel_silently(scratch, position, flip):
    damaged = bytearray(ZIPPED)
    damaged[position] ^= flip
    path = scratch / f"{TRAIN_IMAGES}.gz"
    path.write_bytes(damaged)
    array, refusal = read_or_refusal(path, ndim=3)
    if array is None:
        assert refusal.startswith(f"{path} を展開できません")
    else:  # 時刻や OS の欄など、中身に関わらないバイト
        np.testing.assert_array_equal(array, pixels(5))


@settings(max_examples=300, deadline=None)
@given(
    content=st.binary(max_size=40) | st.binary(max_size=24).map(lambda tail: b"\0\0\x08\x01" + tail)
)
def test_random_bytes_are_either_exactly_an_idx_file_or_refused(scratch, content):
    path = scratch / "labels"
    path.write_bytes(content)
    array, refusal = read_or_refusal(path, ndim=1)
    if array is None:
        assert refusal.startswith(str(path))
        assert "実際の" in refusal
    else:
        assert idx(array) == content


@pytest.mark.parametrize("dtype", [int, np.uint8, np.float16, complex, "bogus", object])
def test_a_dtype_other_than_float32_and_float64_is_refused(folder, dtype):
    for call in (
        lambda: gaussian(2, 2, rng=np.random.default_rng(0), dtype=dtype),
        lambda: digits(dtype),
        lambda: mnist(folder, dtype),
    ):
        with pytest.raises(ValueError, match="dtype には float32 か float64 を"):
            call()


@pytest.mark.skipif(
    "VGBOOK_MNIST" not in os.environ, reason="VGBOOK_MNIST に MNIST のフォルダがない"
)
def test_the_real_test_set_of_mnist():
    x, labels = mnist_pair(os.environ["VGBOOK_MNIST"], "t10k")
    assert x.shape == (10000, 784)
    np.testing.assert_array_equal(labels[:10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])
    # 公表されている試験用のクラスごとの枚数
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_array_equal(np.bincount(labels), counts)
    assert (x.min(), x.max()) == (0, 1)


def test_a_folder_below_the_home_can_be_written_with_a_tilde(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert mnist(f"~/{folder.name}").x_train.shape == (5, 784)
