"""データ: 乱数、8×8 の手書き数字、手元にある MNIST。

ここは読むだけで、何もダウンロードしません。画像は 1 枚を 1 行に並べ、画素を 0 から 1 にします。
"""

import gzip
import math
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from vgbook._edge import Array, check_count, check_dtype, check_rng

PathLike = str | os.PathLike[str]


class Dataset(NamedTuple):
    """訓練用と試験用の、画像とラベル。"""

    x_train: Array
    """訓練用の画像、(n_train, d)。0 から 1 の実数。"""
    labels_train: Array
    """訓練用の正解のクラス、(n_train,)。0 から 9 の整数。"""
    x_test: Array
    """試験用の画像、(n_test, d)。"""
    labels_test: Array
    """試験用の正解のクラス、(n_test,)。"""


def gaussian(n: int, d: int, *, rng: np.random.Generator, dtype: DTypeLike = float) -> Array:
    """標準正規分布 N(0, 1) に従うデータを作る。

    乱数は float64 で引いてから丸めるので、``rng`` が同じなら ``dtype`` によらず同じデータです。

    Parameters
    ----------
    n, d : int
        標本数と特徴数 (1 以上)。
    rng : numpy.random.Generator
        乱数生成器。
    dtype : dtype
        float32 か float64。

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError
        ``rng`` が Generator でないとき。
    ValueError
        ``n`` か ``d`` が正の整数でないとき、``dtype`` が float32 でも float64 でもないとき。

    Examples
    --------
    >>> gaussian(1000, 100, rng=np.random.default_rng(0)).shape
    (1000, 100)
    """
    check_rng(rng)
    shape = check_count("n", n), check_count("d", d)
    return rng.standard_normal(shape).astype(check_dtype(dtype), copy=False)


def digits(dtype: DTypeLike = float, *, n_train: int = 1000) -> Dataset:
    """scikit-learn に付属する 8×8 の手書き数字 1797 枚を、訓練用と試験用に分けて返す。

    画素 0–16 は 16 で割って 0 から 1 にします。分け方はいつも同じで、訓練用と試験用とで
    数字の割合がそろいます。出典: Alpaydin and Kaynak (1998), Optical Recognition of
    Handwritten Digits, UCI Machine Learning Repository。

    Parameters
    ----------
    dtype : dtype
        画像の型。float32 か float64。
    n_train : int
        訓練用の枚数 (10 以上 1787 以下)。残りが試験用です。

    Returns
    -------
    Dataset
        画像は (n_train, 64) と (1797 − n_train, 64)。

    Raises
    ------
    ValueError
        ``n_train`` が範囲外のとき、``dtype`` が float32 でも float64 でもないとき。

    Examples
    --------
    >>> data = digits()
    >>> data.x_train.shape, data.x_test.shape
    ((1000, 64), (797, 64))
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    dtype = check_dtype(dtype)
    x, labels = load_digits(return_X_y=True)
    classes = len(np.unique(labels))
    most = len(labels) - classes  # どの数字も訓練用と試験用の両方に入る範囲
    if check_count("n_train", n_train, least=classes) > most:
        raise ValueError(
            f"n_train には {most} 以下の整数を渡してください。受け取った値: {n_train!r}"
        )
    # 種を 0 に決めてあるのは、本のどのページでも同じ画像で学習するため
    train, test = train_test_split(
        np.arange(len(labels)), train_size=int(n_train), stratify=labels, random_state=0
    )
    x, labels = (x / 16).astype(dtype), labels.astype(int)
    return Dataset(x[train], labels[train], x[test], labels[test])


def mnist(folder: PathLike, dtype: DTypeLike = np.float32) -> Dataset:
    """手元のフォルダにある MNIST を読む。

    ``train-images-idx3-ubyte``、``train-labels-idx1-ubyte``、``t10k-images-idx3-ubyte``、
    ``t10k-labels-idx1-ubyte`` の 4 つか、Keras の ``mnist.npz`` を置いてください。``.gz`` が付いて
    いても、``train-images.idx3-ubyte`` のように点で区切られていても読めます。``MNIST/raw`` や、
    ファイルと同じ名前のフォルダの中など、2 段下まで探します。出典: LeCun et al. (1998),
    Gradient-Based Learning Applied to Document Recognition。

    Parameters
    ----------
    folder : str or os.PathLike
        ファイルがあるフォルダ。``mnist.npz`` そのものでもかまいません。
    dtype : dtype
        画像の型。float32 か float64。

    Returns
    -------
    Dataset
        画像は (60000, 784) と (10000, 784)。

    Raises
    ------
    TypeError
        ``folder`` がパスでないとき。
    FileNotFoundError
        フォルダかファイルがないとき。
    ValueError
        ファイルの中身が正しくないとき。

    Examples
    --------
    >>> mnist("no-such-folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: folder には MNIST のフォルダを渡してください。受け取った値: 'no-such-folder'
    """
    return Dataset(*mnist_pair(folder, "train", dtype), *mnist_pair(folder, "t10k", dtype))


def mnist_pair(folder: PathLike, name: str, dtype: DTypeLike = np.float32) -> tuple[Array, Array]:
    """MNIST の訓練用か試験用の、片方の組だけを読む。

    Parameters
    ----------
    folder : str or os.PathLike
        `mnist` と同じ。
    name : str
        ファイル名の先頭。訓練用は ``"train"``、試験用は ``"t10k"``。
    dtype : dtype
        画像の型。float32 か float64。

    Returns
    -------
    x : ndarray, shape (n, 784)
        画像。画素を 255 で割った 0 から 1 の実数。
    labels : ndarray of int, shape (n,)
        正解のクラス。

    Raises
    ------
    FileNotFoundError, ValueError
        `mnist` と同じ。

    Examples
    --------
    >>> mnist_pair(".", "test")
    Traceback (most recent call last):
        ...
    ValueError: name には "train" か "t10k" を渡してください。受け取った値: 'test'
    """
    if name not in ("train", "t10k"):
        raise ValueError(f'name には "train" か "t10k" を渡してください。受け取った値: {name!r}')
    dtype = check_dtype(dtype)
    packed = _find_npz(folder)
    if packed is not None:
        images, labels = _read_npz(packed, "train" if name == "train" else "test")
        images_path = labels_path = packed
    else:
        images_path = _find(folder, f"{name}-images-idx3-ubyte")
        labels_path = _find(folder, f"{name}-labels-idx1-ubyte")
        images, labels = read_idx(images_path, ndim=3), read_idx(labels_path, ndim=1)
    if len(images) == 0 or images.shape[1:] != (28, 28):
        raise ValueError(
            f"{images_path} は 1 枚以上の 28×28 の画像のはずです。実際の形: {images.shape}"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"画像とラベルは同じ数のはずです。"
            f"実際の数: {images_path} は {len(images)} 枚、{labels_path} は {len(labels)} 個"
        )
    if labels.max() > 9:
        raise ValueError(
            f"{labels_path} のラベルは 0 から 9 のはずです。実際の最大値: {labels.max()}"
        )
    return np.divide(images.reshape(-1, 784), 255, dtype=dtype), labels.astype(int)


def read_idx(path: PathLike, ndim: int) -> Array:
    """IDX ファイルを 1 つ読む。

    IDX の先頭は 0、0、型の番号 (8 は符号なし 1 バイト)、次元の数の 4 バイトです。
    次元ごとの大きさ (4 バイト、ビッグエンディアン) と中身が続きます。

    Parameters
    ----------
    path : str or os.PathLike
        ファイル。中身が gzip なら展開します。
    ndim : int
        期待する次元の数。画像は 3、ラベルは 1。

    Returns
    -------
    ndarray of uint8
        書き込み禁止の配列。

    Raises
    ------
    FileNotFoundError
        ファイルがないとき。
    ValueError
        gzip か IDX として正しくないとき、型・次元の数・大きさが期待と違うとき。

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "three-labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path, ndim=1)
    array([5, 0, 4], dtype=uint8)
    """
    header = 4 + 4 * check_count("ndim", ndim)
    data = _read_bytes(_path("path", path))
    if len(data) < header:
        raise ValueError(
            f"{path} は途中で切れています。先頭に {header} バイトが必要です。"
            f"実際の大きさ: {len(data)} バイト"
        )
    if data[:2] != b"\0\0":
        raise ValueError(
            f"{path} は IDX 形式ではありません。00 00 で始まるはずです。"
            f"実際の先頭: {data[:4].hex(' ')}"
        )
    if data[2] != 8:
        raise ValueError(
            f"{path} の型の番号は 0x08 (符号なし 1 バイト) のはずです。実際の番号: {data[2]:#04x}"
        )
    if data[3] != ndim:
        raise ValueError(f"{path} の次元の数は {ndim} のはずです。実際の数: {data[3]}")
    shape = struct.unpack(f">{ndim}I", data[4:header])
    size = header + math.prod(shape)
    if len(data) != size:
        fault = "途中で切れています" if len(data) < size else "長すぎます"
        raise ValueError(
            f"{path} は{fault}。形 {shape} なら {size} バイトのはずです。"
            f"実際の大きさ: {len(data)} バイト"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _find(folder: PathLike, name: str) -> Path:
    """``folder`` から 2 段下までの ``name``。``.gz`` が付いたものや、点で区切ったものでもよい。"""
    place = _path("folder", folder)
    if not place.is_dir():
        raise FileNotFoundError(
            f"folder には MNIST のフォルダを渡してください。受け取った値: {str(folder)!r}"
        )
    names = [name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz"]
    for depth in ("", "*/", "*/*/"):
        for wanted in names:
            for path in sorted(place.glob(depth + wanted)):
                if path.is_file():
                    return path
    found = sorted(path.name for path in place.iterdir())
    raise FileNotFoundError(
        f"{folder} に {name} か {name}.gz が必要です。見つかったもの: {found[:8]}"
    )


def _find_npz(folder: PathLike) -> Path | None:
    place = _path("folder", folder)
    for path in (place, place / "mnist.npz"):
        if path.suffix == ".npz" and path.is_file():
            return path
    return None


def _read_npz(path: Path, part: str) -> tuple[Array, Array]:
    """Keras の配る mnist.npz から、画像とラベルを読む。"""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path} から x_{part} と y_{part} を読めません。Keras の mnist.npz のはずです。"
            f"理由: {error}"
        ) from error
    if images.dtype != np.uint8 or labels.dtype != np.uint8 or images.ndim != 3 or labels.ndim != 1:
        raise ValueError(
            f"{path} の x_{part} は (枚数, 28, 28)、y_{part} は (枚数,) の uint8 のはずです。"
            f"実際の形と dtype: {images.shape} {images.dtype}、{labels.shape} {labels.dtype}"
        )
    return images, labels


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"path には IDX ファイルを渡してください。受け取った値: {path}")
    data = path.read_bytes()
    # 名前から .gz が落ちた gzip も、展開されたのに .gz が残ったファイルも、よくある
    zipped = data[:2] == b"\x1f\x8b" or (path.suffix == ".gz" and data[:2] != b"\0\0")
    if not zipped:
        return data
    try:
        return gzip.decompress(data)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(
            f"{path} を展開できません。壊れていない gzip のはずです。"
            f"実際の先頭: {data[:4].hex(' ')}、理由: {error}"
        ) from error


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} にはパスを渡してください。受け取った値: {value!r}")
    return Path(value).expanduser()
