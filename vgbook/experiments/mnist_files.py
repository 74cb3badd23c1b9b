"""MNIST のファイルを探し、読む: IDX、それを gzip で縮めたもの、Keras の mnist.npz。"""

import gzip
import math
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from vgbook._edge import Array, check_count, check_dtype

PathLike = str | os.PathLike[str]


def mnist_pair(folder: PathLike, name: str, dtype: DTypeLike = np.float32) -> tuple[Array, Array]:
    """MNIST の訓練用か試験用の、片方の組だけを読む。

    Parameters
    ----------
    folder : str or os.PathLike
        `vgbook.mnist` と同じ。
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
    FileNotFoundError, TypeError
        `vgbook.mnist` と同じ。
    ValueError
        `vgbook.mnist` と同じ。``name`` が ``"train"`` でも ``"t10k"`` でもないとき。

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
    patterns = (depth + wanted for depth in ("", "*/", "*/*/") for wanted in names)
    places = (path for pattern in patterns for path in sorted(place.glob(pattern)))
    path = next(filter(Path.is_file, places), None)
    if path is not None:
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
